#!/bin/sh
# Replay each fuzz target's corpus, then let it look for new input.
# usage: run.sh SECONDS FUZZER...
set -eu

seconds=$1
shift
for fuzzer in "$@"; do
    name=${fuzzer##*/fuzz_}
    new=$(mktemp -d)
    trap 'rm -rf "$new"' EXIT
    echo "# fuzz_$name"
    # Artefacts stay beside the build, so that a crash can be looked at.
    "$fuzzer" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 \
        -print_final_stats=0 -verbosity=0 -artifact_prefix=build-fuzz/"$name"- \
        "$new" "tests/fuzz/corpus/$name"
    rm -rf "$new"
done
echo "$# passed, 0 failed"
