#!/bin/sh
# What the release binary costs as a process: its size, start to ready with 1,000 rules, resident memory when idle, and
# the time to check 10,000 rules. Needs a release build and curl; prints a table. PORT (default 19097) must be free.
set -eu
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}"
alertd="${ALERTD:-$target/release/alertd}"
port="${PORT:-19097}"
work=$(mktemp -d)
daemon=
stop() {
    if [ -n "$daemon" ]; then
        kill "$daemon" 2>/dev/null || true
        wait "$daemon" 2>/dev/null || true
        daemon=
    fi
}
trap 'stop; rm -rf "$work"' EXIT

row() { printf '%-52s %12s   %s\n' "$1" "$2" "$3"; }

# Starts the daemon on a folder of rules; sets `ready` to the milliseconds until /-/ready answers 200.
start() {
    begin=$(date +%s%N)
    "$alertd" --data-dir "$work/data" --listen "127.0.0.1:$port" --log-level warn "$1" >"$work/log" 2>&1 &
    daemon=$!
    until curl -fs -o /dev/null "http://127.0.0.1:$port/-/ready"; do
        kill -0 "$daemon" 2>/dev/null || { cat "$work/log"; exit 1; }
        sleep 0.005
    done
    ready=$((($(date +%s%N) - begin) / 1000000))
}

# Size of the file, stripped as the release profile says.
row "release binary" "$(($(stat -c %s "$alertd") / 1048576)) MiB" "under 40 MiB"

scripts/bench-rules.sh native 1000 1 "$work/rules"
best=
for _ in 1 2 3 4 5 6 7; do
    rm -rf "$work/data"
    start "$work/rules"
    stop
    if [ -z "$best" ] || [ "$ready" -lt "$best" ]; then best=$ready; fi
done
row "start to ready, 1,000 rules (best of 7)" "$best ms" "under 200 ms"

rm -rf "$work/data"
start rules/
sleep "${IDLE_SECONDS:-60}"
row "resident, idle on rules/ with host metrics" "$(awk '/^VmRSS/ { printf "%.1f MiB", $2 / 1024 }' "/proc/$daemon/status")" "under 40 MiB"
row "of that, its own (not mapped from the binary)" "$(awk '/^RssAnon/ { printf "%.1f MiB", $2 / 1024 }' "/proc/$daemon/status")" ""
row "processor time in ${IDLE_SECONDS:-60} s of idling" "$(awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f s", ($14 + $15) / hz }' "/proc/$daemon/stat")" ""
stop

RUNS="${RUNS:-9}" scripts/bench-check.sh
