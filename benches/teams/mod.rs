//! Alerting rules as teams write them, and the series they read; shared by benchmarks.

use alertd::model::Labels;

/// Bounds of the histograms.
const BOUNDS: [&str; 10] = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"];

/// The expression of a rule, on the metrics that are its own.
pub type Expression = fn(usize) -> String;

/// The kinds of rules, each with its name.
pub const KINDS: [(&str, Expression); 5] = [
    ("rate", |i| format!("rate(requests_{i}_total[5m]) > 1e6")),
    ("ratio", |i| {
        format!("sum by (pod) (rate(errors_{i}_total[5m])) / on (pod) sum by (pod) (rate(served_{i}_total[5m])) > 2")
    }),
    ("quantile", |i| format!("histogram_quantile(0.99, sum by (pod, le) (rate(latency_{i}_bucket[5m]))) > 9")),
    ("z-score", |i| format!("(memory_{i} - avg_over_time(memory_{i}[1h])) / stddev_over_time(memory_{i}[1h]) > 9")),
    ("absent", |i| format!("absent(alive_{i}{{job=\"kubelet\"}})")),
];

/// How the values of a series come about.
#[derive(Clone, Copy)]
pub enum Value {
    Counter,
    Gauge,
    /// A counter of the bucket at this place.
    Bucket(usize),
    One,
}

fn noise(series: usize, slot: i64) -> u64 {
    let mut x = (series as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (slot as u64).wrapping_mul(0xd1b5_4a32_d192_ed03);
    x = (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x >> 40
}

/// The value of a series at a slot.
pub fn value(value: Value, series: usize, slot: i64) -> f64 {
    match value {
        Value::Counter => (slot * 100 + (noise(series, slot) % 50) as i64) as f64,
        Value::Gauge => (noise(series, slot) % 10_000) as f64 / 100.0,
        Value::Bucket(place) => (slot * 10 * (place as i64 + 1)) as f64,
        Value::One => 1.0,
    }
}

fn labels(name: &str, i: usize, le: Option<&str>) -> Labels {
    let mut pairs = vec![
        ("__name__", name.to_owned()),
        ("namespace", format!("team-{}", i % 20)),
        ("pod", format!("service-{}-5d8f7c6b9d-{i:05}", i % 50)),
        ("instance", format!("10.0.{}.{}:9100", i % 16, i % 200)),
        ("job", "kubelet".to_owned()),
    ];
    pairs.extend(le.map(|le| ("le", le.to_owned())));
    Labels::from_pairs(pairs)
}

/// The series of rule `i`, which is of kind `kind`: as many as asked for, histograms counted by their buckets.
pub fn series(kind: usize, i: usize, each: usize, out: &mut Vec<(Labels, Value)>) {
    let mut plain = |name: String, count: usize, value: Value| {
        out.extend((0..count).map(|n| (labels(&name, n, None), value)));
    };
    match kind {
        0 => plain(format!("requests_{i}_total"), each, Value::Counter),
        1 => {
            plain(format!("errors_{i}_total"), each / 2, Value::Counter);
            plain(format!("served_{i}_total"), each / 2, Value::Counter);
        }
        2 => out.extend((0..each / BOUNDS.len()).flat_map(|n| {
            let bucket = move |(place, le): (usize, &&str)| {
                (labels(&format!("latency_{i}_bucket"), n, Some(le)), Value::Bucket(place))
            };
            BOUNDS.iter().enumerate().map(bucket)
        })),
        3 => plain(format!("memory_{i}"), each, Value::Gauge),
        _ => plain(format!("alive_{i}"), each, Value::One),
    }
}
