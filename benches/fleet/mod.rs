//! The series of a fleet as an exporter shows them; shared by benchmarks.

use alertd::model::Labels;

/// The labels of a series: ten, of which some are those of all, some of many, and one its own.
pub fn labels(i: usize) -> Labels {
    Labels::from_pairs([
        ("__name__", format!("http_requests_{}_total", i / 500)),
        ("cluster", "production-eu-1".to_owned()),
        ("code", ["200", "404", "500"][i % 3].to_owned()),
        ("instance", format!("10.0.{}.{}:9100", i % 7, i % 250)),
        ("job", "checkout-service".to_owned()),
        ("method", ["GET", "POST"][i % 2].to_owned()),
        ("namespace", "shop".to_owned()),
        ("path", format!("/api/v1/thing/{}", i % 500)),
        ("pod", format!("checkout-service-5f7c9d-{i:07}")),
        ("zone", ["a", "b", "c"][i % 3].to_owned()),
    ])
}
