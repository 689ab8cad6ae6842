//! Time of `alertd check` for 10,000 rules, with every check that runs by itself: in one file and in 200 files.

use std::hint::black_box;
use std::sync::Arc;

use alertd::app::doubts::Doubts;
use alertd::diag::SourceFile;
use alertd::rule::LoadOptions;
use criterion::{Criterion, criterion_group, criterion_main};

/// Rules of every form in turn, about 300 bytes each.
fn rule(i: usize) -> String {
    let condition = match i % 4 {
        0 => {
            "metric: llm.latency_ms{agent=~\"dev.*\"}\n    reduce: p95\n    over: 5m\n    combine: max\n    by: [agent]\n    threshold: \"> 2000\"\n    recover: \"< 1500\""
        }
        1 => {
            "expr: sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m])) / sum by (job) (rate(http_requests_total[5m])) > 0.05"
        }
        2 => {
            "queries:\n      failed: sum by (service) (increase(tasks_failed[10m]))\n      total: sum by (service) (increase(tasks_total[10m]))\n    when: failed / total > 0.2 && total > 10"
        }
        _ => "metric: system.disk_percent\n    levels: {warning: \"> 80\", critical: \"> 95\"}",
    };
    format!(
        "  - name: rule_{i}\n    description: number {i}\n    {condition}\n    every: 15s\n    for: 2m\n    labels: {{team: llm, part: \"{i}\"}}\n    annotations:\n      summary: \"rule {i} is at {{{{ $value }}}}\"\n\n"
    )
}

fn files(count: usize) -> Vec<Arc<SourceFile>> {
    let per_file = 10_000 / count;
    (0..count)
        .map(|n| {
            let rules: String = (n * per_file..(n + 1) * per_file).map(rule).collect();
            SourceFile::new(format!("rules/{n}.yaml"), format!("rules:\n{rules}"))
        })
        .collect()
}

fn check(c: &mut Criterion) {
    for count in [1, 200] {
        let files = files(count);
        let loaded = Doubts::default().load(&files, &LoadOptions::default());
        assert_eq!((loaded.rules.len(), loaded.diagnostics.len()), (10_000, 0));
        c.bench_function(&format!("check 10,000 rules in {count} files"), |b| {
            b.iter(|| black_box(Doubts::default().load(black_box(&files), &LoadOptions::default())));
        });
    }
}

criterion_group! { name = benches; config = Criterion::default().sample_size(10); targets = check }
criterion_main!(benches);
