//! Tests of the template engine: tables of templates and what they give, one file per family.

mod errors;
mod language;
mod limits;
mod manual;
mod objects;
mod printing;
mod prometheus;

use super::{AlertContext, RenderError, RenderLimits, Template};
use crate::model::{Labels, Timestamp};

/// The alert of all tests: `up{instance="db1.example.com:9100", job="node"}` with value 1234.5.
fn render_with(
    text: &str,
    samples: &[(Labels, f64)],
    limits: &RenderLimits,
) -> Result<Result<String, RenderError>, Vec<super::TemplateError>> {
    let template = Template::parse(text)?;
    let query = |expression: &str| match expression {
        "fail" => Err("no such store".to_owned()),
        _ => Ok(samples.to_vec()),
    };
    let context = AlertContext {
        labels: &Labels::from_pairs([("__name__", "up"), ("instance", "db1.example.com:9100"), ("job", "node")]),
        value: 1234.5,
        external_labels: &Labels::from_pairs([("cluster", "eu")]),
        external_url: "https://alerts.example.com/alertd",
        query: &query,
        now: Timestamp(1_435_065_584_128),
    };
    Ok(template.render(&context, limits))
}

fn samples() -> Vec<(Labels, f64)> {
    vec![
        (Labels::from_pairs([("__name__", "metric"), ("instance", "b"), ("__value__", "text")]), 21.0),
        (Labels::from_pairs([("__name__", "metric"), ("instance", "a")]), 11.0),
    ]
}

/// Renders every template; the expected text starts with `!` where an error is expected, which must contain the rest.
fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let got = match render_with(text, &samples(), &RenderLimits::default()) {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => format!("!{}", error.message),
            Err(errors) => format!("!parse: {}", errors.first().map_or("", |e| &e.message)),
        };
        match expected.strip_prefix('!') {
            Some(part) => assert!(got.starts_with('!') && got.contains(part), "{text}\n  gave {got:?}"),
            None => assert_eq!(got, *expected, "{text}"),
        }
    }
}
