#!/bin/sh
# Writes COUNT rules for measurements: bench-rules.sh native|ratio|prometheus COUNT FILES FOLDER
#   native      every form of rule in turn, about 300 bytes each
#   ratio       a ratio of two rates with labels and an annotation
#   prometheus  the same rules as `ratio`, as a Prometheus rule file in groups of 100, for promtool
set -eu
dialect=$1 count=$2 files=$3 folder=$4
mkdir -p "$folder"
awk -v dialect="$dialect" -v count="$count" -v files="$files" -v folder="$folder" '
function native(i,    form) {
    if (i % 4 == 0) form = "metric: llm.latency_ms{agent=~\"dev.*\"}\n    reduce: p95\n    over: 5m\n    combine: max\n    by: [agent]\n    threshold: \"> 2000\"\n    recover: \"< 1500\""
    if (i % 4 == 1) form = "expr: sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m])) / sum by (job) (rate(http_requests_total[5m])) > 0.05"
    if (i % 4 == 2) form = "queries:\n      failed: sum by (service) (increase(tasks_failed[10m]))\n      total: sum by (service) (increase(tasks_total[10m]))\n    when: failed / total > 0.2 && total > 10"
    if (i % 4 == 3) form = "metric: system.disk_percent\n    levels: {warning: \"> 80\", critical: \"> 95\"}"
    return sprintf("  - name: rule_%d\n    description: number %d\n    %s\n    every: 15s\n    for: 2m\n    labels: {team: llm, part: \"%d\"}\n    annotations:\n      summary: \"rule %d is at {{ $value }}\"\n\n", i, i, form, i, i)
}
function ratio(i, key, margin) {
    return sprintf("%s- %s: rule_%d\n", margin, key, i) \
        sprintf("%s  expr: sum by (job) (rate(http_requests_total{code=~\"5..\", shard=\"%d\"}[5m])) / sum by (job) (rate(http_requests_total{shard=\"%d\"}[5m])) > 0.05\n", margin, i, i) \
        sprintf("%s  for: 2m\n%s  labels: {team: llm}\n%s  annotations:\n%s    summary: \"{{ $labels.job }} is at {{ $value | humanizePercentage }}\"\n", margin, margin, margin, margin)
}
function prometheus(i) {
    return (i % 100 == 0 ? sprintf("  - name: group_%d\n    rules:\n", i / 100) : "") ratio(i, "alert", "      ")
}
function rule(i) {
    if (dialect == "prometheus") return prometheus(i)
    return dialect == "ratio" ? ratio(i, "name", "  ") : native(i)
}
BEGIN {
    each = count / files
    for (n = 0; n < files; n++) {
        file = folder "/" n ".yaml"
        print (dialect == "prometheus" ? "groups:" : "rules:") > file
        for (i = n * each; i < (n + 1) * each; i++) printf "%s", rule(i) > file
        close(file)
    }
}'
