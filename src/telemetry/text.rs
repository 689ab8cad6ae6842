//! Writes the registry as text: Prometheus 0.0.4 and OpenMetrics 1.0, as the scraper's `Accept` header asks.
//!
//! Names beyond the classic alphabet stand quoted inside the braces where the scraper allows UTF-8
//! (`escaping=allow-utf-8`), otherwise they are escaped with underscores; where two names would meet, the second is
//! written in the reversible `U__` form. Source: prometheus.io/docs/instrumenting/escaping_schemes.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::registry::{Family, Kind, Registry};
use crate::model::Labels;
use crate::model::alert::float_text;
use crate::model::labels::{METRIC_NAME, is_legacy_name};

/// How metrics are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextFormat {
    /// OpenMetrics 1.0 instead of Prometheus 0.0.4.
    pub open_metrics: bool,
    /// Whether names may be any UTF-8 text.
    pub utf8_names: bool,
}

impl TextFormat {
    /// What an `Accept` header asks for; without one, Prometheus 0.0.4 with escaped names.
    pub fn negotiate(accept: Option<&str>) -> Self {
        let mut best = (0.0, Self::default());
        for part in accept.unwrap_or_default().split(',') {
            let mut fields = part.split(';').map(|field| field.trim().to_ascii_lowercase());
            let media = fields.next().unwrap_or_default();
            let open_metrics = match media.as_str() {
                "application/openmetrics-text" => true,
                "text/plain" => false,
                _ => continue,
            };
            let (mut quality, mut utf8_names) = (1.0, false);
            for field in fields {
                match field.split_once('=') {
                    Some(("q", q)) => quality = q.parse::<f64>().unwrap_or(0.0),
                    Some(("escaping", scheme)) => utf8_names = scheme == "allow-utf-8",
                    _ => {}
                }
            }
            if quality > best.0 {
                best = (quality, Self { open_metrics, utf8_names });
            }
        }
        best.1
    }

    /// The `Content-Type` of the text.
    pub const fn content_type(self) -> &'static str {
        match (self.open_metrics, self.utf8_names) {
            (false, false) => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            (false, true) => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            (true, false) => "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
            (true, true) => "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
        }
    }
}

impl Registry {
    /// Appends all metrics as text.
    pub fn render_text(&self, format: TextFormat, out: &mut String) {
        let inner = self.read();
        let mut taken = BTreeSet::new();
        for (name, family) in &inner.families {
            if family.series.is_empty() {
                continue;
            }
            let mut shown = if format.utf8_names { Cow::Borrowed(&**name) } else { underscored(name, true) };
            if !taken.insert(shown.to_string()) {
                shown = Cow::Owned(reversible(name));
                taken.insert(shown.to_string());
            }
            let help = inner.about.get(name).map_or("", |about| about.help.as_str());
            Writer { format, out }.family(&shown, help, family);
        }
        if format.open_metrics {
            out.push_str("# EOF\n");
        }
    }
}

/// Writes into a text in one format.
struct Writer<'a> {
    format: TextFormat,
    out: &'a mut String,
}

impl Writer<'_> {
    fn family(&mut self, name: &str, help: &str, family: &Family) {
        let Self { format, .. } = *self;
        let mut title = name;
        let kind = match family.kind {
            // In OpenMetrics a counter's samples end in `_total` and the family's name does not.
            Kind::Counter if format.open_metrics => match name.strip_suffix("_total") {
                Some(base) => {
                    title = base;
                    "counter"
                }
                None => "unknown",
            },
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let quoted = if is_legacy_name(title, true) { title.to_owned() } else { quote(title) };
        if !help.is_empty() {
            let help = help.replace('\\', "\\\\").replace('\n', "\\n");
            let help = if format.open_metrics { help.replace('"', "\\\"") } else { help };
            let _ = writeln!(self.out, "# HELP {quoted} {help}");
        }
        let _ = writeln!(self.out, "# TYPE {quoted} {kind}");
        for series in family.series.values() {
            let mut index = 0;
            let last = series.samples.len();
            series.each_sample(|labels, value| {
                index += 1;
                let suffix = match (family.kind, last - index) {
                    (Kind::Histogram, 0) => "_count",
                    (Kind::Histogram, 1) => "_sum",
                    (Kind::Histogram, _) => "_bucket",
                    _ => "",
                };
                self.sample((name, suffix), labels, value);
            });
        }
    }

    /// One line; the name comes in two parts so that it need not be put together.
    fn sample(&mut self, (name, suffix): (&str, &str), labels: &Labels, value: f64) {
        let Self { format, out } = self;
        let bare = is_legacy_name(name, true);
        let mut open = !bare;
        if bare {
            let _ = write!(out, "{name}{suffix}");
        } else {
            let _ = write!(out, "{{{}", quote(&format!("{name}{suffix}")));
        }
        let mut used = BTreeSet::new();
        for (label, text) in labels.iter().filter(|(n, _)| *n != METRIC_NAME) {
            out.push(if open { ',' } else { '{' });
            open = true;
            if is_legacy_name(label, false) {
                out.push_str(label);
            } else if format.utf8_names {
                out.push_str(&quote(label));
            } else {
                let escaped = underscored(label, false);
                // Two labels that meet under one name would make the whole exposition invalid.
                let clash = labels.get(&escaped).is_some() || !used.insert(escaped.to_string());
                out.push_str(&if clash { Cow::Owned(reversible(label)) } else { escaped });
            }
            let text = if format.open_metrics && label == "le" { open_metrics_le(text) } else { Cow::Borrowed(text) };
            let _ = write!(out, "={}", quote(&text));
        }
        out.push_str(if open { "} " } else { " " });
        out.push_str(&number(value));
        out.push('\n');
    }
}

/// OpenMetrics wants `le` written as a float: `1.0`, not `1`.
fn open_metrics_le(text: &str) -> Cow<'_, str> {
    let float = text.contains(['.', 'e', 'N', 'I']);
    if float { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}.0")) }
}

/// A number as exposition formats write it; shortest text that reads back the same, exponents for the extremes.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if value.is_finite() && size != 0.0 && !(1e-6..1e21).contains(&size) {
        format!("{value:e}")
    } else {
        float_text::text(value)
    }
}

/// A quoted string with the escapes of the exposition formats: backslash, quote, newline.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

fn allowed(c: char, first: bool, colons: bool) -> bool {
    c == '_' || c.is_ascii_alphabetic() || (!first && c.is_ascii_digit()) || (colons && c == ':')
}

fn underscored(name: &str, colons: bool) -> Cow<'_, str> {
    if is_legacy_name(name, colons) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().enumerate().map(|(i, c)| if allowed(c, i == 0, colons) { c } else { '_' }).collect())
}

/// The "values" scheme: `U__` and every foreign character as `_hex_`.
fn reversible(name: &str) -> String {
    let mut out = String::from("U__");
    for (i, c) in name.chars().enumerate() {
        match c {
            '_' => out.push_str("__"),
            c if allowed(c, i == 0, true) => out.push(c),
            c => {
                let _ = write!(out, "_{:x}_", u32::from(c));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry {
        let registry = Registry::new();
        registry.describe("jobs_total", "Jobs \\ done\nso far");
        registry.counter("jobs_total", &[("path", "a\"b\\c\nd")]).inc();
        registry.counter("odd", &[]).add(1e22);
        registry.gauge("llm.cost_usd", &[("service.name", "x"), ("a", "é")]).set(f64::INFINITY);
        registry.gauge("llm_cost_usd", &[("x.y", "1"), ("x_y", "2")]).set(0.5);
        registry.set_buckets("lat", &[1.0, 2.5]);
        registry.histogram("lat", &[("z", "1")]).observe(2.0);
        registry
    }

    fn check(format: TextFormat, want: &str) {
        let mut out = String::new();
        registry().render_text(format, &mut out);
        let got: Vec<&str> = out.lines().filter(|line| !line.contains("alertd_metrics_refused")).collect();
        assert_eq!(got.join("\n"), want.trim(), "{format:?}");
    }

    #[test]
    fn prometheus_text_escapes_names_values_and_help() {
        let want = r##"
# HELP jobs_total Jobs \\ done\nso far
# TYPE jobs_total counter
jobs_total{path="a\"b\\c\nd"} 1
# TYPE lat histogram
lat_bucket{le="1",z="1"} 0
lat_bucket{le="2.5",z="1"} 1
lat_bucket{le="+Inf",z="1"} 1
lat_sum{z="1"} 2
lat_count{z="1"} 1
# TYPE llm_cost_usd gauge
llm_cost_usd{a="é",service_name="x"} +Inf
# TYPE U__llm__cost__usd gauge
U__llm__cost__usd{U__x_2e_y="1",x_y="2"} 0.5
# TYPE odd counter
odd 1e22"##;
        check(TextFormat::default(), want);
    }

    #[test]
    fn open_metrics_with_utf8_names_quotes_them_and_ends_with_eof() {
        let want = r##"
# HELP jobs Jobs \\ done\nso far
# TYPE jobs counter
jobs_total{path="a\"b\\c\nd"} 1
# TYPE lat histogram
lat_bucket{le="1.0",z="1"} 0
lat_bucket{le="2.5",z="1"} 1
lat_bucket{le="+Inf",z="1"} 1
lat_sum{z="1"} 2
lat_count{z="1"} 1
# TYPE "llm.cost_usd" gauge
{"llm.cost_usd",a="é","service.name"="x"} +Inf
# TYPE llm_cost_usd gauge
llm_cost_usd{"x.y"="1",x_y="2"} 0.5
# TYPE odd unknown
odd 1e22
# EOF"##;
        check(TextFormat { open_metrics: true, utf8_names: true }, want);
    }

    #[test]
    fn the_accept_header_decides_and_the_highest_quality_wins() {
        let negotiate = |accept| TextFormat::negotiate(Some(accept));
        assert_eq!(TextFormat::negotiate(None), TextFormat::default());
        assert_eq!(negotiate("*/*"), TextFormat::default());
        assert_eq!(negotiate("text/html, application/json"), TextFormat::default());
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2";
        assert_eq!(negotiate(prometheus_3), TextFormat { open_metrics: true, utf8_names: true });
        assert_eq!(
            negotiate("application/openmetrics-text;q=0.1,text/plain;q=0.9"),
            TextFormat { open_metrics: false, utf8_names: false }
        );
    }
}
