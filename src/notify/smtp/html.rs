//! The HTML part: readable on a phone and in dark mode, without pictures, scripts or anything that is loaded.
//!
//! Mail programs drop style sheets, so what matters is written at each element; the one sheet there is only turns the
//! colours for dark mode. Severity is a word and a colour. Everything from outside is escaped, and of links only
//! `http` and `https` are made.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::settings::one_line;
use super::subject::name;
use crate::model::labels::ALERT_NAME;
use crate::model::{Alert, Labels, Notice, Severity, Transition, TransitionKind};
use crate::notify::console::{ANNOTATION_CHARS_MAX, LABEL_CHARS_MAX, reading, when, word};
use crate::notify::human::Unit;
use crate::notify::sparkline::sparkline;
use crate::telemetry::visible::{escaped_html, shortened, visible};

/// Most alerts written out; the rest is counted.
pub(super) const ALERTS_SHOWN_MAX: usize = 50;
/// Largest page, in bytes. Gmail shows 102 kB of a mail and hides the rest.
pub(super) const PAGE_BYTES_MAX: usize = 100_000;
/// Largest block of one alert, in bytes; labels and annotations beyond it are counted.
const BLOCK_BYTES_MAX: usize = 24_000;
/// Most lines of one annotation.
const LINES_MAX: usize = 20;
/// Longest link, in bytes.
const LINK_BYTES_MAX: usize = 2000;

const SANS: &str = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const MONO: &str = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace";
/// Colours of dark mode: page, card, second text, line, link.
const SHEET: &str = ":root{color-scheme:light dark;supported-color-schemes:light dark}\
@media(prefers-color-scheme:dark){\
.page{background:#111418!important;color:#e6e9ee!important}\
.card{background:#1b2027!important;border-top-color:#343b45!important;border-right-color:#343b45!important;\
border-bottom-color:#343b45!important}\
.dim{color:#a6b0bd!important}.row{border-color:#343b45!important}.link{color:#7db8ff!important}}";

/// The page of a notice.
pub(super) fn page(notice: &Notice, subject: &str, foot: &[String], external_url: &str) -> String {
    let several = notice.transitions.len() > 1;
    let labels = notice.transitions.iter().map(|t| &t.alert.labels);
    let common = if several { Labels::common(labels) } else { Labels::empty() };
    let mut out = String::with_capacity(8 * 1024);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"supported-color-schemes\" content=\"light dark\">\n\
         <title>{}</title>\n<style>{SHEET}</style>\n</head>\n\
         <body class=\"page\" style=\"margin:0;padding:12px;background:#f3f4f6;color:#1b1f24;font-size:15px;\
         line-height:1.45;{SANS}\">\n<div style=\"max-width:640px;margin:0 auto\">\n",
        escaped(subject)
    );
    if several {
        summary(notice, &common, &mut out);
    }
    let tail = tail(foot, external_url);
    let mut shown = 0;
    for transition in notice.transitions.iter().take(ALERTS_SHOWN_MAX) {
        let block = block(transition, &common);
        if out.len() + block.len() + tail.len() + 200 > PAGE_BYTES_MAX && shown > 0 {
            break;
        }
        out.push_str(&block);
        shown += 1;
    }
    let hidden = notice.transitions.len() - shown;
    if hidden > 0 {
        let _ = writeln!(out, "<p class=\"dim\" style=\"margin:12px 4px;color:#57606a\">and {hidden} more alerts</p>");
    }
    out.push_str(&tail);
    out
}

/// How many, and what all have in common.
fn summary(notice: &Notice, common: &Labels, out: &mut String) {
    let (firing, resolved) = (notice.firing().count(), notice.resolved().count());
    let _ = writeln!(
        out,
        "<p style=\"margin:4px 4px 12px\"><b>{} alerts</b>: {firing} firing, {resolved} resolved</p>",
        notice.transitions.len()
    );
    let mut rows = Rows::default();
    rows.labels(common, &Labels::empty());
    if !rows.is_empty() {
        let _ = writeln!(
            out,
            "<div class=\"card\" style=\"{}\"><div class=\"dim\" style=\"color:#57606a;margin-bottom:4px\">All with\
             </div>{}</div>",
            card("#8c959f"),
            rows.table()
        );
    }
}

fn card(edge: &str) -> String {
    format!(
        "background:#ffffff;border:1px solid #d5dae0;border-left:6px solid {edge};border-radius:6px;padding:12px 14px;\
         margin:0 0 12px;overflow-wrap:anywhere;word-break:break-word"
    )
}

fn block(transition: &Transition, common: &Labels) -> String {
    let alert = &transition.alert;
    let unit = Unit::of_alert(alert);
    let colour = colour(transition);
    let mut out = format!(
        "<div class=\"card\" style=\"{}\">\n<div><span style=\"display:inline-block;background:{colour};color:#ffffff;\
         font-size:12px;font-weight:700;letter-spacing:.03em;padding:2px 8px;border-radius:4px\">{}</span></div>\n\
         <div style=\"font-size:18px;font-weight:700;margin:6px 0 2px\">{}\
         </div>\n<div style=\"font-size:16px\">{}</div>\n",
        card(colour),
        escaped(&word(transition, "→")),
        safe(name(alert), LABEL_CHARS_MAX),
        safe(&reading(transition, unit), 2 * LABEL_CHARS_MAX),
    );
    if let Some(text) = when(transition, unit) {
        let lead = if matches!(transition.kind, TransitionKind::NoData) { "" } else { "since " };
        let _ = writeln!(out, "<div class=\"dim\" style=\"color:#57606a\">{lead}{}</div>", escaped(&text));
    }
    if let Some(since) = alert.no_data_since.filter(|_| !matches!(transition.kind, TransitionKind::NoData)) {
        let _ = writeln!(out, "<div class=\"dim\" style=\"color:#57606a\">no data since {since}</div>");
    }
    if let Some(course) = course(transition, unit) {
        out.push_str(&course);
    }
    let mut rows = Rows { room: BLOCK_BYTES_MAX.saturating_sub(out.len()), ..Rows::default() };
    rows.labels(&alert.labels, common);
    rows.annotations(&alert.annotations);
    rows.add("rule", &safe(&alert.origin.to_string(), ANNOTATION_CHARS_MAX));
    out.push_str(&rows.table());
    out.push_str("</div>\n");
    out
}

/// Dark enough for white text on it, and for the edge on both backgrounds.
fn colour(transition: &Transition) -> &'static str {
    match transition.kind {
        TransitionKind::Resolved { .. } | TransitionKind::DataBack | TransitionKind::Cancelled => "#1a7f37",
        _ => match transition.alert.severity {
            Severity::Info => "#0b62b8",
            Severity::Warning => "#946200",
            Severity::Error => "#c2410c",
            Severity::Critical => "#b42318",
        },
    }
}

fn course(transition: &Transition, unit: Unit) -> Option<String> {
    let Alert { limit, peak, .. } = transition.alert;
    let line = sparkline(&transition.trend, limit, peak, true)?;
    let mut bars = String::new();
    for run in line.bars.chunk_by(|a, b| a.beyond == b.beyond) {
        // A blank would be narrower than a bar in some fonts, and be dropped at the ends.
        let glyphs: String = run.iter().map(|bar| if bar.glyph == ' ' { '\u{a0}' } else { bar.glyph }).collect();
        match run.first().is_some_and(|bar| bar.beyond) {
            true => _ = write!(bars, "<b style=\"font-weight:400;color:#d92d20\">{glyphs}</b>"),
            false => bars.push_str(&glyphs),
        }
    }
    let note = match (line.limit, limit) {
        (Some(glyph), Some(limit)) => format!("limit {glyph} {}", safe(&unit.show(limit), LABEL_CHARS_MAX)),
        _ => String::new(),
    };
    Some(format!(
        "<div style=\"margin:6px 0;font-size:16px;line-height:1.2;{MONO}\">{bars}</div>\n\
         <div class=\"dim\" style=\"color:#57606a;font-size:12px\">{note}</div>\n"
    ))
}

/// Rows of a table of names and values, within a number of bytes.
struct Rows {
    text: String,
    room: usize,
    left_out: usize,
}

impl Default for Rows {
    fn default() -> Self {
        Self { text: String::new(), room: BLOCK_BYTES_MAX, left_out: 0 }
    }
}

impl Rows {
    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.left_out == 0
    }

    /// A row; `value` is HTML.
    fn add(&mut self, name: &str, value: &str) {
        // A short name stays whole on a phone; a long one breaks.
        let whole = if name.chars().count() <= 20 { ";white-space:nowrap" } else { "" };
        let row = format!(
            "<tr valign=\"top\"><td class=\"dim row\" style=\"color:#57606a;padding:3px 12px 3px 0;border-top:1px solid \
             #e5e8ec{whole}\" width=\"25%\">{}</td><td class=\"row\" style=\"padding:3px 0;border-top:1px solid #e5e8ec\">{value}</td></tr>\n",
            safe(name, LABEL_CHARS_MAX)
        );
        if row.len() > self.room {
            self.left_out += 1;
        } else {
            self.room -= row.len();
            self.text.push_str(&row);
        }
    }

    /// Without what the head says already and without `common`.
    fn labels(&mut self, labels: &Labels, common: &Labels) {
        for (name, value) in labels.iter() {
            if !matches!(name, ALERT_NAME | "severity") && common.get(name).is_none() {
                self.add(
                    name,
                    &format!("<span style=\"{MONO};font-size:13px\">{}</span>", safe(value, LABEL_CHARS_MAX)),
                );
            }
        }
    }

    /// In the order of the text part; `unit` says how to read the value and is said with it.
    fn annotations(&mut self, annotations: &Labels) {
        for (name, value) in annotations.iter().filter(|(name, _)| *name != "unit") {
            let value = match link(value) {
                Some(url) => anchor(url),
                None => lines(value),
            };
            self.add(name, &value);
        }
    }

    fn table(&self) -> String {
        let mut text = String::new();
        if !self.text.is_empty() {
            let _ = write!(
                text,
                "<table role=\"presentation\" cellpadding=\"0\" cellspacing=\"0\" style=\"width:100%;margin-top:8px;\
                 border-collapse:collapse;font-size:14px\">\n{}</table>\n",
                self.text
            );
        }
        if self.left_out > 0 {
            let _ = writeln!(text, "<div class=\"dim\" style=\"color:#57606a\">and {} more lines</div>", self.left_out);
        }
        text
    }
}

fn lines(value: &str) -> String {
    let value = shortened(value.trim_end(), ANNOTATION_CHARS_MAX);
    let mut lines = value.lines();
    let mut out: Vec<Cow<'_, str>> = lines.by_ref().take(LINES_MAX).map(|line| Cow::Owned(escaped(line))).collect();
    if lines.next().is_some() {
        out.push(Cow::Borrowed("..."));
    }
    out.join("<br>")
}

/// The text, where all of it is a link that may be made.
fn link(text: &str) -> Option<&str> {
    let text = text.trim();
    let scheme = ["https://", "http://"].iter().any(|s| text.get(..s.len()).is_some_and(|t| t.eq_ignore_ascii_case(s)));
    let plain =
        text.chars().all(|c| !c.is_whitespace() && !matches!(c, '"' | '<' | '>' | '`')) && visible(text) == text;
    (scheme && plain && text.len() <= LINK_BYTES_MAX).then_some(text)
}

fn anchor(url: &str) -> String {
    let text = escaped(url);
    let shown = safe(url, LABEL_CHARS_MAX);
    format!("<a class=\"link\" style=\"color:#0b62b8\" href=\"{text}\">{shown}</a>")
}

/// Why the mail came, and where to see more.
fn tail(foot: &[String], external_url: &str) -> String {
    let mut out = "<div class=\"dim\" style=\"color:#57606a;font-size:12px;margin:12px 4px\">".to_owned();
    let mut lines: Vec<String> = foot.iter().map(|line| escaped(line)).collect();
    lines.extend(link(external_url).map(anchor).or_else(|| {
        let text = one_line(external_url, LABEL_CHARS_MAX);
        (!text.is_empty()).then(|| escaped(&text))
    }));
    out.push_str(&lines.join("<br>\n"));
    out.push_str("</div>\n</div>\n</body>\n</html>\n");
    out
}

fn safe(text: &str, chars_max: usize) -> String {
    escaped(&shortened(text, chars_max))
}

/// Text as HTML: characters that act are made visible, markup is escaped.
fn escaped(text: &str) -> String {
    escaped_html(&visible(text))
}
