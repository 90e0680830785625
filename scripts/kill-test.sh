#!/bin/sh
# Kills restage and its stages with SIGKILL at random moments until a run completes, and compares
# its results with those of an undisturbed run, byte for byte.
#   scripts/kill-test.sh [ROUNDS] [reproduce's arguments..]
# Needs a built target/release/restage. Works in temporary folders in $TMPDIR.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
rounds=${1:-5}
[ $# -gt 0 ] && shift
work=$(mktemp -d "${TMPDIR:-/tmp}/restage-kill.XXXXXX")
trap 'rm -rf "$work"' EXIT
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}"
restage=$CARGO_TARGET_DIR/release/restage

fresh() { # a copy of the sources in $work/$1, with the programs that are already built
    mkdir "$work/$1"
    (cd "$root" && git ls-files -z | xargs -0 cp --parents -t "$work/$1")
    rm -rf "$work/$1/results" "$work/$1/pipeline.lock"
    mkdir -p "$work/$1/.restage"
    if [ -d "$root/.restage/programs" ]; then cp -r "$root/.restage/programs" "$work/$1/.restage/"; fi
}

# Every published file that is not declared volatile, with its digest.
digests() {
    (cd "$work/$1" && find results data runs -type f \
        ! -name timings.csv ! -name latency.csv ! -name efficiency.csv ! -name 'table1.*' \
        ! -name report.html -print0 | sort -z | xargs -0 sha256sum)
}

fresh calm
echo "undisturbed run"
(cd "$work/calm" && "$restage" reproduce -q "$@")
digests calm > "$work/expected"
echo "$(wc -l < "$work/expected") files"

round=1
while [ "$round" -le "$rounds" ]; do
    rm -rf "$work/rough"
    fresh rough
    kills=0
    while :; do
        (cd "$work/rough" && exec setsid "$restage" reproduce -q "$@") &
        run=$!
        # 0.2 to 9 seconds
        sleep "$(awk -v seed="$round$kills$$" 'BEGIN {srand(seed); print 0.2 + rand() * 8.8}')"
        if ! kill -0 "$run" 2>/dev/null; then
            wait "$run"
            break
        fi
        # Every other time only restage: its stage lives on as an orphan.
        stages=$(ps -o pid= --ppid "$run" || true)
        kill -9 "$run" 2>/dev/null || true
        if [ $((kills % 2)) -eq 0 ]; then
            for stage in $stages; do kill -9 -- "-$stage" 2>/dev/null || true; done
        fi
        wait "$run" 2>/dev/null || true
        kills=$((kills + 1))
    done
    digests rough > "$work/found"
    if ! cmp -s "$work/expected" "$work/found"; then
        echo "round $round: results differ after $kills kills"
        diff "$work/expected" "$work/found" || true
        exit 1
    fi
    echo "round $round: the same bytes after $kills kills"
    round=$((round + 1))
done
