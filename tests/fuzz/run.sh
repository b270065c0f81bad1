#!/bin/sh
# Replay each fuzz target's corpus, then let it look for new input, as many
# targets at a time as there are processors.
# usage: run.sh SECONDS FUZZER...      (0 seconds: only the corpus)
set -eu

if [ "$1" = --one ]; then
    seconds=$2
    fuzzer=$3
    name=${fuzzer##*/fuzz_}
    new=$(mktemp -d)
    trap 'rm -rf "$new"' EXIT
    mkdir "$new/corpus"
    until="-max_total_time=$seconds"
    [ "$seconds" -gt 0 ] || until=-runs=0
    # What crashed stays beside the build, so that it can be looked at.
    if "$fuzzer" "$until" -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix=build-fuzz/"$name"- \
        "$new/corpus" "tests/fuzz/corpus/$name" >"$new/log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$new/log")
        seeds=$(find "tests/fuzz/corpus/$name" -type f | wc -l)
        echo "ok   fuzz_$name: $seeds seeds, $runs runs"
        exit 0
    fi
    cat "$new/log"
    echo "FAIL fuzz_$name"
    exit 1
fi

seconds=$1
shift
result=0
printf '%s\n' "$@" | xargs -P "$(nproc)" -I '{}' \
    "$0" --one "$seconds" '{}' || result=1
[ $result -ne 0 ] || echo "$# passed, 0 failed"
exit $result
