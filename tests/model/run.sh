#!/bin/sh
# Let spin look at every state of the models: those of our protocol must have no
# error, those of others must have the one that they are known for.
# usage: run.sh      FULL=1: more that happens; TRACE=1 shows how the others fail
set -eu
cd "$(dirname "$0")"

if ! command -v spin >/dev/null 2>&1; then
    echo "model: skipped, spin is not there (Debian package spin)"
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
result=0
passed=0

# look WANTED NAME PAN_OPTIONS DEFINES...: WANTED is "holds", or a part of the
# error that there must be.
look()
{
    wanted=$1
    name=$2
    options=$3
    shift 3
    mkdir "$dir/$name"
    # spin writes where it stands, and reads its trail there.
    cp lease.pml "$dir/$name"
    (
        cd "$dir/$name"
        spin -a "$@" lease.pml >spin.log
        ${CC:-cc} -O1 -w -DMEMLIM=4096 -DNFAIR=3 -o pan pan.c
        # shellcheck disable=SC2086
        ./pan -m200000 $options >pan.log 2>&1
    ) || :
    log=$dir/$name/pan.log
    states=$(sed -n 's/^ *\([0-9][0-9]*\) states, stored.*/\1/p' "$log" 2>/dev/null)
    found=$(sed -n 's/^pan:1: *//p' "$log" 2>/dev/null | sed 's/ (at depth.*//')
    errors=$(sed -n 's/.*errors: *\([0-9]*\)$/\1/p' "$log" 2>/dev/null)
    case "$wanted:$errors:$found" in
    holds:0:*)
        grep -q 'max search depth too small' "$log" && errors=depth
        ;;
    esac
    if { [ "$wanted" = holds ] && [ "$errors" = 0 ]; } ||
        { [ "$wanted" != holds ] && echo "$found" | grep -qF "$wanted"; }; then
        passed=$((passed + 1))
        echo "ok   $name: ${found:-holds}, ${states:-?} states"
        [ -z "${TRACE:-}" ] || [ "$wanted" = holds ] ||
            (cd "$dir/$name" && spin -t -p -g "$@" lease.pml)
        return
    fi
    result=1
    echo "FAIL $name: wanted $wanted, found ${found:-none}"
    tail -40 "$log" "$dir/$name/spin.log" 2>/dev/null || :
    (cd "$dir/$name" && spin -t -p -g "$@" lease.pml 2>/dev/null | tail -150) || :
}

if [ -n "${FULL:-}" ]; then # a minute each, and 3 GB of memory
    look holds ours -E -DN=3 -DSTOPS=2 -DLAPSES=2
    look holds failover -E -DFAILOVERS=1
    look holds served '-a -f' -DFAILOVERS=1 -DSTOPS=0 -DSERVED
else
    look holds ours -E -DN=3
    look holds failover_pauses -E -DFAILOVERS=1 -DSTOPS=0
    look holds failover_stops -E -DFAILOVERS=1 -DLAPSES=0
    look holds served '-a -f' -DFAILOVERS=1 -DSTOPS=0 -DLAPSES=0 -DSERVED
fi
look 'assertion violated' naive -E -DNAIVE
look 'assertion violated' counted -E -DCOUNTED -DFAILOVERS=1
look 'assertion violated (certificates' read_first -E -DREAD_FIRST
look 'assertion violated (certificates' loose -E -DLOOSE -DFAILOVERS=1 -DSTOPS=0
look 'acceptance cycle' stubborn '-a -f' -DSTUBBORN -DFAILOVERS=1 -DSTOPS=0 -DSERVED

[ $result -ne 0 ] || echo "$passed models as they should be"
exit $result
