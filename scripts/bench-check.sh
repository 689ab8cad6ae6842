#!/bin/sh
# Time of `alertd check` of 10,000 rules as a whole process, best and median of RUNS (default 9), and, where
# scripts/debian-packages.sh has unpacked it, of promtool on a Prometheus file of equal rules. Needs a release build.
set -eu
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}"
alertd="${ALERTD:-$target/release/alertd}"
promtool="$target/peers/usr/bin/promtool"
runs="${RUNS:-9}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

scripts/bench-rules.sh native 10000 1 "$work/one"
scripts/bench-rules.sh native 10000 200 "$work/many"
scripts/bench-rules.sh ratio 10000 1 "$work/ratio"
scripts/bench-rules.sh prometheus 10000 1 "$work/prometheus"

# Prints the best and the median wall time in milliseconds.
measure() {
    name=$1
    shift
    n=0
    while [ "$n" -lt "$runs" ]; do
        begin=$(date +%s%N)
        if ! "$@" >"$work/out" 2>&1; then
            echo "$name: failed"
            tail -3 "$work/out"
            return
        fi
        echo $((($(date +%s%N) - begin) / 100000))
        n=$((n + 1))
    done | sort -n >"$work/times"
    if [ "$(wc -l <"$work/times")" -ne "$runs" ]; then
        cat "$work/times"
        return
    fi
    best=$(head -1 "$work/times")
    median=$(sed -n "$(((runs + 1) / 2))p" "$work/times")
    awk -v n="$name" -v b="$best" -v m="$median" 'BEGIN { printf "%-52s %8.1f ms best %8.1f ms median\n", n, b / 10, m / 10 }'
}

measure "alertd check, 10,000 rules in one file" "$alertd" check "$work/one"
measure "alertd check, 10,000 rules in 200 files" "$alertd" check "$work/many"
measure "alertd check, 10,000 ratios of rates in one file" "$alertd" check "$work/ratio"
if [ -x "$promtool" ]; then
    measure "promtool check rules, equal rules" "$promtool" check rules "$work/prometheus/0.yaml"
    measure "promtool check rules, equal rules, without lint" "$promtool" check rules --lint=none "$work/prometheus/0.yaml"
fi
