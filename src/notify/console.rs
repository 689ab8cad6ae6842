//! Renders notices for people at a terminal, and as JSON lines.
//!
//! The order is what a person woken at night needs: what and how bad, since when, where, the course, the rule's own
//! words, the place of the rule. Text from outside (labels, annotations) can neither move the cursor nor forge a line.
//! Never writes: it returns text.

use std::fmt::Write as _;

use super::human::{Unit, span};
use super::sparkline::sparkline;
use crate::model::labels::ALERT_NAME;
use crate::model::{Alert, Labels, Notice, Severity, Transition, TransitionKind};
use crate::telemetry::visible::{shortened, visible, visible_ascii};

/// Most alerts written out in one text notice; the rest is counted.
pub const ALERTS_SHOWN_MAX: usize = 20;
/// Longest label value shown, in characters.
pub(super) const LABEL_CHARS_MAX: usize = 200;
/// Longest annotation shown, in characters.
pub(super) const ANNOTATION_CHARS_MAX: usize = 1000;

/// Column at which the text of a line begins.
const INDENT: usize = 14;

/// How notices are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConsoleFormat {
    /// A block of lines for people.
    #[default]
    Text,
    /// One JSON object per notice and line (see [`super::deliver`] for the stream, [`json_line`] for the fields).
    Json,
}

/// What the terminal can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Colours by ANSI escapes.
    pub colour: bool,
    /// Characters beyond ASCII.
    pub unicode: bool,
}

impl Style {
    /// What the environment says. Colour: never with `NO_COLOR`, always with `CLICOLOR_FORCE`, else on a terminal
    /// that is not `dumb` unless `CLICOLOR=0` (no-color.org, bixense.com/clicolors). Unicode: where the first set of
    /// `LC_ALL`, `LC_CTYPE`, `LANG` names UTF-8.
    pub fn detect(terminal: bool, env: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).filter(|v| !v.is_empty());
        let colour = if set("NO_COLOR").is_some() {
            false
        } else if set("CLICOLOR_FORCE").is_some_and(|v| v != "0") {
            true
        } else {
            terminal && set("TERM").is_none_or(|v| v != "dumb") && set("CLICOLOR").is_none_or(|v| v != "0")
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_ascii_lowercase();
        Self { colour, unicode: locale.contains("utf-8") || locale.contains("utf8") }
    }
}

/// Renders notices as text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Renderer {
    /// What the terminal can show.
    pub style: Style,
}

const RED: &str = "31";
const YELLOW: &str = "33";
const GREEN: &str = "32";
const DIM: &str = "2";
const BOLD_RED: &str = "1;31";

impl Renderer {
    /// A notice: one block per transition; with several, first a line that counts them and folds the labels they share.
    pub fn notice(&self, notice: &Notice) -> String {
        let mut out = String::new();
        let several = notice.transitions.len() > 1;
        let labels = notice.transitions.iter().map(|t| &t.alert.labels);
        let common = if several { Labels::common(labels) } else { Labels::empty() };
        if several {
            let resolved = notice.transitions.iter().filter(|t| t.kind.is_end()).count();
            let firing = notice.transitions.len() - resolved;
            let _ = write!(out, "{} alerts: {firing} firing, {resolved} resolved", notice.transitions.len());
            // All may share nothing but what the heads say.
            let shared = self.labels(&common, &Labels::empty());
            if !shared.is_empty() {
                let _ = write!(out, "; all with {shared}");
            }
            out.push('\n');
        }
        for transition in notice.transitions.iter().take(ALERTS_SHOWN_MAX) {
            self.block(transition, &common, &mut out);
        }
        let hidden = notice.transitions.len().saturating_sub(ALERTS_SHOWN_MAX);
        if hidden > 0 {
            let _ = writeln!(out, "and {hidden} more alerts");
        }
        out
    }

    /// A notice with what must be known of the message itself.
    pub fn message(&self, notice: &Notice) -> String {
        let mut out = self.notice(notice);
        if let Some(note) = &notice.note {
            let _ = writeln!(out, "note: {}", self.safe(note, ANNOTATION_CHARS_MAX));
        }
        out
    }

    /// One transition as a compact block.
    pub fn transition(&self, transition: &Transition) -> String {
        let mut out = String::new();
        self.block(transition, &Labels::empty(), &mut out);
        out
    }

    fn block(&self, transition: &Transition, common: &Labels, out: &mut String) {
        let alert = &transition.alert;
        let unit = Unit::of_alert(alert);
        self.head(transition, unit, out);
        let mut line = |name: &str, text: &str| {
            let _ = writeln!(out, "  {} {text}", self.paint(DIM, &format!("{name:<11}")));
        };
        if let Some(text) = when(transition, unit) {
            line("since", &text);
        }
        if let Some(since) = alert.no_data_since.filter(|_| !matches!(transition.kind, TransitionKind::NoData)) {
            line("no data", &format!("since {since}"));
        }
        if let Some(flapping) = alert.flapping {
            line("state", &flapping.words());
        }
        let labels = self.labels(&alert.labels, common);
        if !labels.is_empty() {
            line("labels", &labels);
        }
        if let Some(text) = self.course(transition, unit) {
            line("trend", &text);
        }
        for (name, text) in alert.annotations.iter() {
            let name = self.safe(name, LABEL_CHARS_MAX);
            line(&name, &self.lines(text));
        }
        line("rule", &self.safe(&alert.origin.to_string(), ANNOTATION_CHARS_MAX));
    }

    /// What happened, to what, and how bad it is.
    fn head(&self, transition: &Transition, unit: Unit, out: &mut String) {
        let alert = &transition.alert;
        let arrow = if self.style.unicode { "→" } else { "->" };
        let colour = match transition.kind {
            TransitionKind::Fired
            | TransitionKind::StillFiring
            | TransitionKind::Raised { .. }
            | TransitionKind::Lowered { .. } => of(alert.severity),
            TransitionKind::Resolved { .. } | TransitionKind::DataBack => GREEN,
            TransitionKind::NoData => YELLOW,
            TransitionKind::Pending | TransitionKind::Cancelled => DIM,
        };
        let word = word(transition, arrow);
        let name = alert.labels.get(ALERT_NAME).unwrap_or(&alert.rule);
        let _ = write!(out, "{} {}", self.paint(colour, &word), self.safe(name, LABEL_CHARS_MAX));
        let reading = reading(transition, unit);
        if !reading.is_empty() {
            let _ = write!(out, ": {}", self.safe(&reading, 2 * LABEL_CHARS_MAX));
        }
        out.push('\n');
    }

    fn course(&self, transition: &Transition, unit: Unit) -> Option<String> {
        let alert = &transition.alert;
        let line = sparkline(&transition.trend, alert.limit, alert.peak, self.style.unicode)?;
        let mut text = String::new();
        // Bars of one colour share one escape sequence.
        for run in line.bars.chunk_by(|a, b| a.beyond == b.beyond) {
            let bars: String = run.iter().map(|bar| bar.glyph).collect();
            let beyond = run.first().is_some_and(|bar| bar.beyond);
            text.push_str(&if beyond { self.paint(RED, &bars) } else { bars });
        }
        if let (Some(glyph), Some(limit)) = (line.limit, alert.limit) {
            let _ = write!(text, "  limit {glyph} {}", self.safe(&unit.show(limit), LABEL_CHARS_MAX));
        }
        Some(text)
    }

    /// `host="a", env="prod"`, without what the head says already and without `common`.
    fn labels(&self, labels: &Labels, common: &Labels) -> String {
        let mut out = String::new();
        for (name, value) in labels.iter() {
            if matches!(name, ALERT_NAME | "severity") || common.get(name).is_some() {
                continue;
            }
            if !out.is_empty() {
                out.push_str(", ");
            }
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = write!(out, "{}=\"{}\"", self.safe(name, LABEL_CHARS_MAX), self.safe(&value, LABEL_CHARS_MAX));
        }
        out
    }

    fn safe<'a>(&self, text: &'a str, chars_max: usize) -> std::borrow::Cow<'a, str> {
        let escape = if self.style.unicode { visible } else { visible_ascii };
        match shortened(text, chars_max) {
            std::borrow::Cow::Borrowed(text) => escape(text),
            std::borrow::Cow::Owned(text) => std::borrow::Cow::Owned(escape(&text).into_owned()),
        }
    }

    /// A text of several lines, all but the first indented: none can be taken for a line of the block.
    fn lines(&self, text: &str) -> String {
        let text = shortened(text.trim_end(), ANNOTATION_CHARS_MAX);
        let escape = if self.style.unicode { visible } else { visible_ascii };
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).map(escape).collect();
        lines.join(&format!("\n{:INDENT$}", ""))
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.style.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// What happened, in capitals, and the severity.
pub(super) fn word(transition: &Transition, arrow: &str) -> String {
    let severity = transition.alert.severity;
    match transition.kind {
        TransitionKind::Fired | TransitionKind::StillFiring if transition.alert.flapping.is_some() => {
            format!("FLAPPING {severity}")
        }
        TransitionKind::Fired => format!("FIRING {severity}"),
        TransitionKind::StillFiring => format!("STILL FIRING {severity}"),
        TransitionKind::Raised { from } => format!("RAISED {from} {arrow} {severity}"),
        TransitionKind::Lowered { from } => format!("LOWERED {from} {arrow} {severity}"),
        TransitionKind::Resolved { .. } => format!("RESOLVED {severity}"),
        TransitionKind::NoData => format!("NO DATA {severity}"),
        TransitionKind::DataBack => format!("DATA BACK {severity}"),
        TransitionKind::Pending => format!("PENDING {severity}"),
        TransitionKind::Cancelled => format!("CANCELLED {severity}"),
    }
}

/// The value and what it is judged by: `92.44% (> 80%)`; nothing of an alert that another program reported.
pub(super) fn reading(transition: &Transition, unit: Unit) -> String {
    let alert = &transition.alert;
    if alert.is_received() {
        return String::new();
    }
    let value = unit.show(alert.value);
    let mut out = match transition.kind {
        _ if alert.value.is_nan() && alert.no_data_since.is_some() => "no value".to_owned(),
        TransitionKind::NoData => format!("last value {value}"),
        _ => value,
    };
    let condition = unit.show_condition(&alert.condition);
    if !condition.is_empty() {
        let condition = shortened(&condition, LABEL_CHARS_MAX);
        let recovered = matches!(transition.kind, TransitionKind::Resolved { .. } | TransitionKind::Cancelled);
        let _ = write!(out, " ({}{condition})", if recovered { "alerts when " } else { "" });
    }
    out
}

fn of(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => DIM,
        Severity::Warning => YELLOW,
        Severity::Error => RED,
        Severity::Critical => BOLD_RED,
    }
}

/// Since when, for how long; for a resolved alert also the peak and the reason.
pub(super) fn when(transition: &Transition, unit: Unit) -> Option<String> {
    let alert = &transition.alert;
    let active = span(alert.duration(transition.at));
    match transition.kind {
        TransitionKind::Resolved { reason } if alert.is_received() => {
            Some(format!("{}, lasted {active}; {}", alert.active_at, reason.as_str()))
        }
        TransitionKind::Resolved { reason } => {
            Some(format!("{}, lasted {active}, peak {}; {}", alert.active_at, unit.show(alert.peak), reason.as_str()))
        }
        TransitionKind::NoData => {
            let since = alert.no_data_since.unwrap_or(transition.at);
            Some(format!("no data since {since}; active since {}, for {active}", alert.active_at))
        }
        _ if alert.active_at == transition.at => Some(alert.active_at.to_string()),
        _ => Some(format!("{}, for {active}", alert.active_at)),
    }
}

/// A notice as one JSON object on one line, newline included.
///
/// Fields: `id`, `handler`, `kind` (`firing` | `resolved`), `reason`, `group`, `note` (where there is one), `alerts`: each with `transition`, `reason` (resolved) or
/// `from` (raised, lowered), `at`, `rule`, `rule_uid`, `state`, `severity`, `value`, `peak`, `condition`, `limit`,
/// `active_at`, `fired_at`, `resolved_at`, `no_data_since`, `fingerprint`, `labels`, `annotations`, `file`, `line`,
/// `trend`, `flapping` (in words, while it flaps). Times are RFC 3339; numbers that JSON cannot hold are the strings `NaN`, `+Inf`, `-Inf`.
pub fn json_line(notice: &Notice) -> String {
    let alerts: Vec<_> = notice.transitions.iter().map(|t| json_alert(t)).collect();
    let mut object = serde_json::json!({
        "id": notice.id, "handler": notice.handler, "kind": notice.kind, "reason": notice.reason.as_str(),
        "group": notice.group.labels, "alerts": alerts,
    });
    if let Some(note) = &notice.note {
        object["note"] = note.as_str().into();
    }
    format!("{object}\n")
}

fn json_alert(transition: &Transition) -> serde_json::Value {
    let Alert { rule, rule_uid, origin, fingerprint, labels, annotations, .. } = &transition.alert;
    let alert = &transition.alert;
    let mut value = serde_json::json!({
        "transition": transition.kind.as_str(), "at": transition.at, "rule": rule, "rule_uid": rule_uid,
        "state": alert.state, "severity": alert.severity, "value": number(alert.value), "peak": number(alert.peak),
        "condition": alert.condition, "limit": alert.limit.map(number), "active_at": alert.active_at,
        "fired_at": alert.fired_at, "resolved_at": alert.resolved_at, "no_data_since": alert.no_data_since,
        "fingerprint": fingerprint, "labels": labels, "annotations": annotations, "file": origin.file,
        "line": origin.line, "trend": transition.trend.iter().copied().map(number).collect::<Vec<_>>(),
    });
    if let Some(flapping) = alert.flapping {
        value["flapping"] = flapping.words().into();
    }
    match transition.kind {
        TransitionKind::Resolved { reason } => value["reason"] = reason.as_str().into(),
        TransitionKind::Raised { from } | TransitionKind::Lowered { from } => value["from"] = from.as_str().into(),
        _ => {}
    }
    value
}

fn number(value: f64) -> serde_json::Value {
    serde_json::Number::from_f64(value)
        .map_or_else(|| crate::model::alert::float_text::text(value).into(), serde_json::Value::Number)
}

#[cfg(test)]
#[path = "console_tests.rs"]
pub(crate) mod tests;
