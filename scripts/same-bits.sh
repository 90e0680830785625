#!/bin/sh
# Runs the whole experiment on a few images with several thread counts and instruction sets, and
# compares every published file without times in it, byte for byte.
#   scripts/same-bits.sh [THREADS,ISA ..]
# Needs a built target/release/restage. Instruction sets that this CPU lacks are skipped with a message.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/restage-bits.XXXXXX")
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}"
restage=$CARGO_TARGET_DIR/release/restage
small='-S seeds=1 -S dataset.synthetic.train=30 -S dataset.synthetic.test=10 -S preprocess.validation.count=10
    -S train.epochs=1 -S train.batch_size=10 -S gradients.batches=1 -S gradients.batch_size=10'

mkdir "$work/ws"
(cd "$root" && git ls-files -z | xargs -0 cp --parents -t "$work/ws")
cd "$work/ws"
for setting in ${*:-2,avx512 1,avx512 3,avx512 2,avx2 3,avx2 2,plain}; do
    threads=${setting%,*} isa=${setting#*,}
    case $isa in
    avx512) flag=avx512f ;;
    *) flag=$isa ;;
    esac
    if [ "$isa" != plain ] && ! grep -qw "$flag" /proc/cpuinfo; then
        echo "skipped: this CPU has no $isa"
        continue
    fi
    # Each starts with an empty store: nothing may come from another's cache.
    rm -rf .restage/objects .restage/records .restage/history.jsonl .restage/stat-cache results data runs
    # Plain Rust would measure the larger networks' latency for minutes.
    targets=
    [ "$isa" != plain ] || targets='train@baseline_cnn gradients@baseline_cnn train@mini_resnet'
    # shellcheck disable=SC2086
    RESTAGE_THREADS=$threads RESTAGE_ISA=$isa "$restage" reproduce -q $small $targets
    find results data runs -type f ! -name timings.csv ! -name latency.csv ! -name efficiency.csv \
        ! -name 'table1.*' ! -name report.html -print0 | sort -z | xargs -0 sha256sum > "$work/now"
    if [ -f "$work/first" ]; then
        if grep -vxFf "$work/first" "$work/now"; then
            echo "$threads threads, $isa: these files differ"
            exit 1
        fi
        echo "$threads threads, $isa: the same bytes in $(wc -l < "$work/now") files"
    else
        mv "$work/now" "$work/first"
        echo "$threads threads, $isa: $(wc -l < "$work/first") files"
    fi
done
