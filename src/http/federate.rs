//! `/federate`: the newest samples of selected series as a page that a Prometheus scrapes.

use std::fmt::Write as _;

use super::wire::number;
use crate::model::labels::{METRIC_NAME, is_legacy_name};
use crate::model::{Labels, Point};

/// How names are written that are not made of letters, digits, underscores and colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Quoted, for those who say that they read it.
    Quoted,
    /// With underscores.
    Underscores,
}

impl Names {
    /// What the `Accept` header of the one who scrapes allows.
    pub(super) fn accepted(accept: &str) -> Self {
        if accept.contains("escaping=allow-utf-8") { Self::Quoted } else { Self::Underscores }
    }

    /// The type of the page.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Quoted => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            Self::Underscores => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
        }
    }
}

/// The page: samples sorted by their metric's name, one `TYPE` line for each name.
pub(super) fn page(samples: &[(Labels, Point)], names: Names) -> String {
    let mut sorted: Vec<(&str, &Labels, Point)> =
        samples.iter().filter_map(|(labels, point)| Some((labels.get(METRIC_NAME)?, labels, *point))).collect();
    sorted.sort_by(|a, b| a.0.cmp(b.0).then_with(|| a.1.cmp(b.1)));
    let mut out = String::new();
    let mut last = None;
    for (name, labels, point) in sorted {
        let (shown, quoted) = written(name, true, names);
        if last != Some(name) {
            let _ = writeln!(out, "# TYPE {shown} untyped");
            last = Some(name);
        }
        let mut separator = if quoted { "" } else { shown.as_str() };
        out.push_str(separator);
        out.push('{');
        separator = "";
        if quoted {
            out.push_str(&shown);
            separator = ",";
        }
        for (name, value) in labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
            let (name, _) = written(name, false, names);
            let _ = write!(out, "{separator}{name}=\"{}\"", escaped(value));
            separator = ",";
        }
        // Without it the one who scrapes would put its own there, even where labels of the page win.
        if labels.get("instance").is_none() {
            let _ = write!(out, "{separator}instance=\"\"");
        }
        let _ = writeln!(out, "}} {} {}", number(point.value), point.t_ms);
    }
    out
}

/// A name, and whether it is quoted.
fn written(name: &str, metric: bool, names: Names) -> (String, bool) {
    if is_legacy_name(name, metric) {
        return (name.to_owned(), false);
    }
    if names == Names::Quoted {
        return (format!("\"{}\"", escaped(name)), true);
    }
    let fits = |(i, c): (usize, char)| {
        let fits = c.is_ascii_alphabetic() || c == '_' || (metric && c == ':') || (i > 0 && c.is_ascii_digit());
        if fits { c } else { '_' }
    };
    (name.chars().enumerate().map(fits).collect(), false)
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_grouped_by_name_and_names_written_as_the_reader_reads_them() {
        let sample =
            |labels: &[(&str, &str)], value| (Labels::from_pairs(labels.iter().copied()), Point { t_ms: 1_500, value });
        let samples = [
            sample(&[("__name__", "up"), ("job", "b"), ("instance", "i")], 1.0),
            sample(&[("__name__", "a.b"), ("x.y", "\"\\\n")], f64::NAN),
            sample(&[("__name__", "up"), ("job", "a")], 1e9),
            sample(&[("job", "nameless")], 1.0),
        ];
        let rest =
            "# TYPE up untyped\nup{instance=\"i\",job=\"b\"} 1 1500\nup{job=\"a\",instance=\"\"} 1000000000 1500\n";
        let quoted = "# TYPE \"a.b\" untyped\n{\"a.b\",\"x.y\"=\"\\\"\\\\\\n\",instance=\"\"} NaN 1500\n";
        assert_eq!(
            page(&samples, Names::accepted("text/plain;version=1.0.0;escaping=allow-utf-8")),
            quoted.to_owned() + rest
        );
        let old = "# TYPE a_b untyped\na_b{x_y=\"\\\"\\\\\\n\",instance=\"\"} NaN 1500\n";
        assert_eq!(page(&samples, Names::accepted("text/plain")), old.to_owned() + rest);
    }
}
