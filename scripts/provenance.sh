#!/bin/sh
# Prints where a profile's results come from: data, commit, machine, times of each stage's run.
#   scripts/provenance.sh PROFILE 'WHAT THE DATA IS' > results/PROFILE/PROVENANCE.md
# Run it right after `restage reproduce`, on the same machine and commit.
set -eu
cd "$(dirname "$0")/.."
profile=$1 data=$2
# A machine that only received the programs has neither git nor rustc; the sender sets these.
if [ -n "${RESTAGE_COMMIT:-}" ]; then
    commit=$RESTAGE_COMMIT
else
    commit=$(git rev-parse HEAD)
    [ -z "$(git status --porcelain -- src crates stages pipeline.yaml Cargo.lock)" ] || commit="$commit with uncommitted changes"
fi
gpu=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | head -n 1) || gpu=
cat <<EOF
# Where results/$profile comes from

| | |
|---|---|
| data | $data |
| commit | $commit |
| machine | $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) CPUs, $(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo) |
| system | $(uname -sr) |
${gpu:+| GPU, driver | $gpu |
}| compiler | ${RESTAGE_COMPILER:-$(rustc --version)} |

Each stage's run, as restage recorded it:

| stage | started (UTC) | seconds | peak memory, MiB |
|---|---|---:|---:|
EOF
# A stage's last line counts: earlier ones belong to earlier keys.
sed -n "s|^{\"stage\":\"$profile/\([^\"]*\)\".*\"seconds\":\([0-9.]*\).*\"peak_memory\":\([0-9]*\),\"started\":\"\([^\"]*\)\".*|\1 \4 \2 \3|p" \
    .restage/history.jsonl |
    awk '{ line[$1] = sprintf("| %s | %s | %.1f | %.0f |", $1, $2, $3, $4 / 1048576); if (!($1 in place)) { place[$1] = ++n; name[n] = $1 } }
        END { for (i = 1; i <= n; i++) print line[name[i]] }'
