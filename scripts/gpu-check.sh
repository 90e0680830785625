#!/bin/sh
# Runs every check that needs a GPU, in one command, on a machine with neither Rust nor network.
#   scripts/gpu-check.sh pack                   on a machine with Rust: creates dist/gpu-check.tar.xz
#   scripts/gpu-check.sh run [OUT [PART ..]]    on a machine with a GPU: checks, results go to OUT
# Parts: tests, bits, kill, bench, paper; all by default. `run` takes at most 10 minutes
# (GPU_CHECK_SECONDS); training that it had to stop continues from its checkpoint in the next run.
# GPU_CHECK_DATA is the folder with the real images as a JPEG copy (cifar10-q75.tar.xz, and the
# build_cifar10.py that turns it into CIFAR-10's archive); `pack` includes them.
# GPU_CHECK_DEVICE=cpu tries `bits`, `kill` and `paper` without a GPU.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
pack=$root/dist/gpu-check
device=${GPU_CHECK_DEVICE:-cuda}
seconds=${GPU_CHECK_SECONDS:-590}
begun=$(date +%s)
failed=0
summary=

die() { echo "gpu-check: $*" >&2; exit 1; }
usage() { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }

# A few images and epochs; the networks are the paper's.
small='--profile quick -S seeds=1 -S dataset.synthetic.train=1060 -S dataset.synthetic.test=40
    -S preprocess.validation.count=36 -S train.epochs=6'

# Packing.

copy_sources() { # to folder $1: the working tree's files that git does not ignore, without results
    mkdir -p "$1"
    if git -C "$root" rev-parse --git-dir >/dev/null 2>&1; then
        (cd "$root" && git ls-files -z --cached --others --exclude-standard) > "$1/.list"
    else
        (cd "$root" && find . \( -path ./dist -o -path ./target -o -path ./.restage \
            -o -path ./results -o -path ./data -o -path ./runs \) -prune -o -type f -print0) > "$1/.list"
    fi
    (cd "$root" && xargs -0 cp --parents -t "$1" < "$1/.list")
    rm -rf "$1/.list" "$1/results" "$1/pipeline.lock"
}

pack() {
    command -v cargo >/dev/null || die "cargo is not on PATH: pack where Rust is installed"
    command -v python3 >/dev/null || die "python3 is not on PATH"
    target=${CARGO_TARGET_DIR:-$root/target}
    export CARGO_TARGET_DIR="$target"
    rm -rf "$pack"
    mkdir -p "$pack/tests"
    echo "building restage, the bench's worker and the tests of crate cuda"
    cargo build --release --locked --quiet -p restage
    (cd "$root/stages" && cargo build --release --locked --quiet -p cuda --example gpu_steps)
    (cd "$root/stages" && cargo test --release --locked --quiet -p cuda --no-run --message-format=json) > "$pack/messages"
    python3 - "$pack/messages" > "$pack/list" <<'PYTHON'
import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    message = json.loads(line)
    if message.get("executable") and message["profile"]["test"] and message["target"]["kind"] != ["example"]:
        print(message["executable"])
PYTHON
    while read -r program; do cp "$program" "$pack/tests/"; done < "$pack/list"
    rm "$pack/list" "$pack/messages"
    cp "$target/release/restage" "$target/release/examples/gpu_steps" "$pack/"
    # restage builds each program itself and keeps it by the digest of its sources, so with the same
    # sources it needs no cargo. The smallest possible run builds them all, and tests them.
    echo "building the stages' programs by a run on a few images"
    work=$(mktemp -d "${TMPDIR:-/tmp}/gpu-check.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    copy_sources "$work/ws"
    # A list of words.
    # shellcheck disable=SC2086
    (cd "$work/ws" && "$pack/restage" reproduce -q $small -S train.epochs=1 -S dataset.synthetic.train=30 \
        -S dataset.synthetic.test=10 -S preprocess.validation.count=10 -S train.batch_size=10 \
        -S gradients.batches=1 -S gradients.batch_size=10) || die "the run on a few images failed"
    cp -r "$work/ws/.restage/programs" "$pack/programs"
    find "$pack" -type f -exec strip {} +
    git describe --always --dirty --abbrev=40 > "$pack/COMMIT" 2>/dev/null || echo unknown > "$pack/COMMIT"
    rustc --version > "$pack/COMPILER"
    if [ -f "${GPU_CHECK_DATA:-}/cifar10-q75.tar.xz" ]; then
        mkdir -p "$pack/data"
        cp "$GPU_CHECK_DATA/cifar10-q75.tar.xz" "$GPU_CHECK_DATA/build_cifar10.py" "$pack/data/"
        chmod -R u+w "$pack/data"
        echo "with the real images, a JPEG q75 copy"
        # A Python with PyTorch may lack Pillow. This is for the Python there, not for ours.
        if python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
            --python-version 3.12 --platform manylinux_2_28_x86_64 -d "$pack/wheel" pillow; then
            python3 -m zipfile -e "$pack"/wheel/*.whl "$pack/pillow"
            rm -rf "$pack/wheel"
        else
            echo "without Pillow, which cannot be fetched: the GPU machine's python3 must have it"
        fi
    else
        echo "without real images: no cifar10-q75.tar.xz in GPU_CHECK_DATA, which the part paper then needs there"
    fi
    # One file, small enough to travel with the repository.
    XZ_OPT=-6 tar -C "$root/dist" -cJf "$pack.tar.xz" gpu-check
    sha256sum < "$pack.tar.xz" > "$pack/PACKED"
    echo "packed for commit $(cat "$pack/COMMIT"), in MiB:"
    du -sm "$pack"/* | sort -rn
    du -m "$pack.tar.xz"
}

# Running.

left() { echo $((begun + seconds - $(date +%s))); }
least() { [ "$1" -lt "$2" ] && echo "$1" || echo "$2"; }
note() { summary="$summary$1|$2|$3
"; }

part() { # part NAME SECONDS: runs a part within its time, and notes how it ended
    name=$1 limit=$(least "$2" "$(left)")
    shift 2
    if [ "$limit" -lt 5 ]; then
        note "$name" "not run" "no time was left: scripts/gpu-check.sh run OUT $name"
        failed=1
        return
    fi
    echo
    echo "== $name, $limit s at most"
    started=$(date +%s)
    status=0
    # A separate process group, so that nothing of it outlives its time.
    GPU_CHECK_LIMIT=$limit timeout -k 5 "$limit" "$root/scripts/gpu-check.sh" part "$name" "$out" > "$out/$name.log" 2>&1 || status=$?
    tail -n 25 "$out/$name.log"
    took="$(($(date +%s) - started)) s"
    case $status in
    0) note "$name" passed "$took" ;;
    124 | 137) note "$name" "NOT FINISHED" "stopped after $took; see $out/$name.log"; failed=1 ;;
    *) note "$name" FAILED "exit status $status after $took; see $out/$name.log"; failed=1 ;;
    esac
}

find_nvrtc() { # puts NVRTC's folder on LD_LIBRARY_PATH if the loader does not find it
    if python3 -c 'import ctypes, sys
for name in ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"):
    try:
        ctypes.CDLL(name); sys.exit(0)
    except OSError:
        pass
sys.exit(1)'; then
        echo "NVRTC: the loader finds it"
        return
    fi
    folder=$(python3 -c 'import pathlib, sys
places = [pathlib.Path(p) / "nvidia" / n / "lib" for p in sys.path for n in ("cu13", "cuda_nvrtc")]
places += [pathlib.Path(p) for p in ("/usr/local/cuda/lib64", "/usr/local/cuda/targets/x86_64-linux/lib")]
print(next((p for p in places if list(p.glob("libnvrtc.so*"))), ""))')
    [ -n "$folder" ] || die "no libnvrtc: neither the loader, nor PyTorch's wheels, nor /usr/local/cuda has it"
    LD_LIBRARY_PATH=$folder${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export LD_LIBRARY_PATH
    echo "NVRTC: $folder"
    # The loader looks for this name; a wheel may have only the numbered one.
    if [ ! -e "$folder/libnvrtc.so" ]; then
        mkdir -p "$out/lib"
        ln -sf "$(find "$folder" -name 'libnvrtc.so.*' | sort | head -n 1)" "$out/lib/libnvrtc.so"
        LD_LIBRARY_PATH=$out/lib:$LD_LIBRARY_PATH
        export LD_LIBRARY_PATH
    fi
}

run() {
    if [ -f "$pack.tar.xz" ] && ! sha256sum < "$pack.tar.xz" | cmp -s - "$pack/PACKED"; then
        rm -rf "$pack"
        # Not with tar: it would call xz, which may be missing.
        python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$pack.tar.xz" "$root/dist"
        sha256sum < "$pack.tar.xz" > "$pack/PACKED"
    fi
    [ -x "$pack/restage" ] || die "no $pack: run \`scripts/gpu-check.sh pack\` where there is Rust, and bring it along"
    out=${1:-$root/dist/gpu-check-out}
    [ $# -eq 0 ] || shift
    mkdir -p "$out"
    out=$(cd "$out" && pwd)
    if [ "$device" = cuda ]; then
        command -v nvidia-smi >/dev/null || die "there is no GPU here: nvidia-smi is not installed; nothing was checked"
        gpu=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader) \
            || die "there is no GPU here: nvidia-smi says \`$gpu\`; nothing was checked"
        [ -n "$gpu" ] || die "there is no GPU here: nvidia-smi lists none; nothing was checked"
        echo "GPU and driver: $gpu"
        # A container may hide the files that restage needs to find the card.
        CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-0}
        export CUDA_VISIBLE_DEVICES
        find_nvrtc
    fi
    # Compiled kernels are kept there, so that processes share them.
    if [ ! -w "${HOME:-/nonexistent}" ]; then
        HOME=$root/dist/home
        mkdir -p "$HOME"
        export HOME
    fi
    chosen=${*:-tests bits kill bench paper}
    for name in $chosen; do
        case $name in
        tests) part tests 120 ;;
        bits) part bits 60 ;;
        kill) part kill 60 ;;
        # Alone it gets its five minutes; with the others it leaves time for the paper's networks.
        bench) part bench "$([ "$chosen" = bench ] && echo 400 || echo 220)" ;;
        paper) part paper "$(($(left) - 10))" ;;
        *) die "no part \`$name\`, expected tests, bits, kill, bench or paper" ;;
        esac
    done
    echo
    printf '%s' "$summary" | awk -F '|' '{ printf "%-8s %-14s %s\n", $1, $2, $3 }' | tee "$out/summary.txt"
    exit "$failed"
}

workspace() { # in folder $1, with the programs that were packed
    copy_sources "$1"
    mkdir -p "$1/.restage"
    cp -r "$pack/programs" "$1/.restage/"
}

# Every published file without times in it.
digests() {
    (cd "$1" && find results runs -type f ! -name timings.csv ! -name latency.csv -print0 | sort -z | xargs -0 sha256sum)
}

# train WORKSPACE ARGUMENTS..
train() {
    folder=$1
    shift
    # shellcheck disable=SC2086
    (cd "$folder" && exec "$pack/restage" reproduce -q $small -S train.device="$device" "$@")
}

part_tests() {
    passed=0
    for program in "$pack"/tests/*; do
        echo "$(basename "$program"):"
        RESTAGE_REQUIRE_GPU=1 "$program" --test-threads=1 on_a_gpu > "$out/tests.now" 2>&1 || { cat "$out/tests.now"; return 1; }
        cat "$out/tests.now"
        passed=$((passed + $(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$out/tests.now")))
    done
    rm -f "$out/tests.now"
    [ "$passed" -gt 0 ] || die "no test has \`on_a_gpu\` in its name: nothing was tested"
    echo "$passed tests passed on the GPU"
}

part_bits() {
    for precision in f32 tf32 bf16; do
        [ "$device" = cuda ] || [ "$precision" = f32 ] || continue
        for copy in one other; do
            [ -d "$scratch/$copy" ] || workspace "$scratch/$copy"
            train "$scratch/$copy" -S train.precision=$precision train@baseline_cnn train@mini_resnet
            digests "$scratch/$copy" > "$scratch/$copy.sums"
        done
        cmp "$scratch/one.sums" "$scratch/other.sums" || { diff "$scratch/one.sums" "$scratch/other.sums"; return 1; }
        echo "$precision: the same bytes twice in $(wc -l < "$scratch/one.sums") files"
    done
}

part_kill() {
    epochs=100
    [ "$device" = cuda ] || epochs=6
    long="-S train.epochs=$epochs -S train.early_stopping.patience=1000 train@mini_resnet"
    workspace "$scratch/calm"
    workspace "$scratch/rough"
    from=$(date +%s)
    # shellcheck disable=SC2086
    train "$scratch/calm" $long
    whole=$(($(date +%s) - from))
    digests "$scratch/calm" > "$scratch/calm.sums"
    kills=0
    while [ "$kills" -lt 3 ]; do
        # Not through `train`: this must be restage's own process.
        # shellcheck disable=SC2086
        (cd "$scratch/rough" && exec "$pack/restage" reproduce -q $small -S train.device="$device" $long) &
        run=$!
        # After the stage has started, and before it ends.
        wait_s=$(awk -v whole="$whole" -v k="$kills" 'BEGIN { print (whole > 2 ? whole : 2) * (0.35 + 0.1 * k) }')
        sleep "$wait_s"
        stages=$(ps -o pid= --ppid "$run" || true)
        if [ -z "$stages" ]; then
            wait "$run" || return 1
            break
        fi
        kill -9 "$run" 2>/dev/null || true
        for stage in $stages; do kill -9 -- "-$stage" 2>/dev/null || kill -9 "$stage" 2>/dev/null || true; done
        wait "$run" 2>/dev/null || true
        kills=$((kills + 1))
    done
    [ "$kills" -gt 0 ] || die "training was over before it could be killed ($whole s): nothing was checked"
    # shellcheck disable=SC2086
    train "$scratch/rough" $long
    digests "$scratch/rough" > "$scratch/rough.sums"
    cmp "$scratch/calm.sums" "$scratch/rough.sums" || { diff "$scratch/calm.sums" "$scratch/rough.sums"; return 1; }
    echo "the same bytes after $kills kills, in $(wc -l < "$scratch/calm.sums") files"
}

part_bench() {
    # Most of the part's time; the rest is for startup and writing.
    minutes=$([ "${GPU_CHECK_LIMIT:-220}" -gt 300 ] && echo 6 || echo 3.3)
    python3 scripts/bench-train-gpu --worker "$pack/gpu_steps" --commit "$(cat "$pack/COMMIT")" \
        --docs "$out/docs" --limit-minutes "$minutes"
}

part_paper() {
    archive=$root/dist/cifar10/cifar-10-binary.tar.gz
    source=
    for folder in "${GPU_CHECK_DATA:-}" "$pack/data"; do
        if [ -n "$folder" ] && [ -f "$folder/cifar10-q75.tar.xz" ]; then source=$folder; break; fi
    done
    if [ ! -f "$archive" ]; then
        [ -n "$source" ] || die "the real images are missing: no cifar10-q75.tar.xz in GPU_CHECK_DATA or dist/gpu-check/data"
        python3 -c 'from PIL import Image' 2>/dev/null || {
            PYTHONPATH=$pack/pillow${PYTHONPATH:+:$PYTHONPATH}
            export PYTHONPATH
            python3 -c 'from PIL import Image' 2>/dev/null || die "the real images cannot be unpacked: python3 has no Pillow"
        }
        # With Pillow only, since numpy may be missing; the builder checks the digest of all pixels.
        PYTHONDONTWRITEBYTECODE=1 python3 - "$source" "$(dirname "$archive")" <<'PYTHON'
import io, sys, tarfile
source = sys.argv.pop(1)
sys.path.insert(0, source)
import build_cifar10
from PIL import Image

def records(path):
    with tarfile.open(path, "r:xz") as tar:
        members = iter(tar)
        labels = tar.extractfile(next(members)).read()
        for label, member in zip(labels, members):
            image = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
            yield bytes([label]) + b"".join(plane.tobytes() for plane in image.split())

build_cifar10.records = records
build_cifar10.main()
PYTHON
    fi
    sum=$(sha256sum "$archive" | cut -d ' ' -f 1)
    from=$(date +%s)
    mkdir -p .restage
    # Programs from an earlier pack do no harm: they are stored by the digest of their sources.
    cp -r "$pack/programs" .restage/
    set -- --profile paper -S train.device="$device" -S "dataset.url=file://$archive" \
        -S "dataset.sha256=$sum" -S 'dataset.label=CIFAR-10 (JPEG q75 copy)'
    "$pack/restage" reproduce "$@"
    echo "took $(($(date +%s) - from)) s (not counting what an earlier run had done)"
    RESTAGE_COMMIT=$(cat "$pack/COMMIT") RESTAGE_COMPILER=$(cat "$pack/COMPILER") scripts/provenance.sh paper \
        "CIFAR-10, JPEG q75 copy: all 60,000 real images with their official labels, each sent through JPEG (quality 75, 4:2:0; about 30.5 dB PSNR); not the official archive. SHA-256 of the archive: $sum" \
        > "$out/PROVENANCE.md"
    "$pack/restage" claims --write "$@"
    "$pack/restage" report "$@"
    mkdir -p "$out/results"
    cp -r results/paper "$out/results/"
    mv "$out/PROVENANCE.md" "$out/results/paper/PROVENANCE.md"
    cp pipeline.lock "$out/" 2>/dev/null || true
    cat results/paper/table1.md
}

case ${1:-} in
pack) [ $# -eq 1 ] || usage; pack ;;
run) shift; run "$@" ;;
part) # for `run`: one part, in a process group that can be killed
    out=$3
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/gpu-check.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    "part_$2"
    ;;
*) usage ;;
esac
