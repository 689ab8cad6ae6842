//! What a notice says, as texts and fields ready for a message: shared by webhooks and mail.
//!
//! The order is what a person woken at night needs: what and how bad, since when, where, the course, the rule's own
//! words with their links, the place of the rule. Texts that are lines hold no character that could act or break the
//! line; `labels` and `annotations` are as they came. Escaping for a receiver is done where the receiver is known.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde::Serialize;

use super::human::{Unit, span};
use super::links::{Link, generator, links, public};
use super::sparkline::sparkline;
use crate::model::alert::float_text;
use crate::model::labels::ALERT_NAME;
use crate::model::visible::{shortened, visible};
use crate::model::{Alert, Labels, Notice, NoticeKind, NoticeReason, Timestamp, Transition, TransitionKind};

/// Most alerts written out in `text`; the rest is counted.
const TEXT_ALERTS_MAX: usize = 20;
/// Longest label value in a line, in characters.
const LABEL_CHARS_MAX: usize = 200;
/// Longest annotation in a line, in characters.
const ANNOTATION_CHARS_MAX: usize = 2000;
/// A firing alert is told again sooner than this, by `repeat_interval`.
const EXPIRES_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
/// What Alertmanager writes for an end that is not known: the zero time of Go.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// A notice as a message.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    /// The notice's identity; the same in every attempt.
    pub id: String,
    /// `firing` or `resolved`.
    pub status: &'static str,
    /// Why it goes out now, in words.
    pub reason: &'static str,
    /// The worst severity of what fires, else of all.
    pub severity: &'static str,
    /// What and how bad, in one line.
    pub title: String,
    /// What, since when and where, in one line.
    pub summary: String,
    /// The whole message as plain text.
    pub text: String,
    /// What must be known of the message itself: another handler could not be told, or something went wrong while it
    /// was made; else empty.
    pub note: String,
    /// When it was decided.
    pub at: Timestamp,
    /// Until when a receiver may take a firing alert for firing if it is told nothing more.
    pub expires_at: Timestamp,
    /// The handler.
    pub handler: Arc<str>,
    /// The group's key.
    pub group_key: Arc<str>,
    /// Its SHA-256, 64 hex digits: what incidents are found by again.
    pub group_hash: String,
    /// The labels the group is made by.
    pub group_labels: Labels,
    /// The labels of the route that it came through.
    pub route_labels: Labels,
    /// Labels with one value in all its alerts.
    pub common_labels: Labels,
    /// Annotations with one value in all its alerts.
    pub common_annotations: Labels,
    /// `host="a", env="prod"`: the common labels, without name and severity.
    pub common: String,
    /// How many of its alerts fire.
    pub firing: usize,
    /// How many resolved.
    pub resolved: usize,
    /// How many alerts are counted and not listed.
    pub truncated: usize,
    /// How people reach the server.
    pub external_url: String,
    /// The same where others can follow it, else empty.
    pub page_url: String,
    /// The program's version.
    pub version: &'static str,
    /// The alerts: what is new first.
    pub alerts: Vec<AlertLine>,
    /// The places of `alerts` in Alertmanager's order: by job, instance, then all labels.
    pub order: Vec<usize>,
}

/// One alert of a message.
#[derive(Clone, Debug, Serialize)]
pub struct AlertLine {
    /// `firing` or `resolved`.
    pub status: &'static str,
    /// What happened: `fired`, `raised`, `lowered`, `resolved`, `still_firing`.
    pub transition: &'static str,
    /// The same for people: `FIRING critical`, `RAISED warning → critical`.
    pub word: String,
    /// What and how bad: `HighCPU: 92.44% (> 80%)`.
    pub headline: String,
    /// Since when, and for how long; for a resolved one also its peak and the reason.
    pub when: String,
    /// The labels in which it differs from the others of the message.
    #[serde(rename = "where")]
    pub place: String,
    /// The rule's own words: the annotation `summary`, `description` or `message`; several lines are kept.
    pub description: String,
    /// Bars of its course, and the limit.
    pub sparkline: String,
    /// Name of the rule.
    pub name: String,
    /// Severity, or the level that holds.
    pub severity: &'static str,
    /// All labels.
    pub labels: Labels,
    /// All annotations.
    pub annotations: Labels,
    /// The value; as text where it is no finite number.
    pub value: Number,
    /// With its unit.
    pub value_text: String,
    /// The worst value.
    pub peak: Number,
    /// With its unit.
    pub peak_text: String,
    /// The condition, with its unit.
    pub condition: String,
    /// Since when the condition holds.
    pub since: Timestamp,
    /// How long it has been active, or was.
    pub duration: String,
    /// In seconds.
    pub duration_seconds: u64,
    /// Since when it fires, as Alertmanager has it.
    pub starts_at: String,
    /// When it resolved; the zero time while it fires.
    pub ends_at: String,
    /// Why it resolved; else empty.
    pub resolve_reason: &'static str,
    /// The rule file.
    pub file: Arc<str>,
    /// Line of the rule.
    pub line: u32,
    /// `file:line`.
    pub origin: String,
    /// 16 hex digits.
    pub fingerprint: String,
    /// Where the rule is seen.
    pub generator_url: String,
    /// Links in its annotations.
    pub links: Vec<Link>,
}

/// A number where JSON has one for it, else its text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Number {
    /// Finite.
    Finite(f64),
    /// `NaN`, `+Inf`, `-Inf`.
    Text(String),
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        if value.is_finite() { Self::Finite(value) } else { Self::Text(float_text::text(value)) }
    }
}

impl Message {
    /// A notice as a message, with at most `alerts_max` alerts listed.
    pub fn new(notice: &Notice, external_url: &str, alerts_max: usize) -> Self {
        let all = &notice.transitions;
        let common_labels = Labels::common(all.iter().map(|t| &t.alert.labels));
        let common_annotations = Labels::common(all.iter().map(|t| &t.alert.annotations));
        let folded = if all.len() > 1 { common_labels.clone() } else { Labels::empty() };
        let shown = all.get(..alerts_max).unwrap_or(all);
        let alerts: Vec<AlertLine> = shown.iter().map(|t| AlertLine::new(t, notice, &folded, external_url)).collect();
        let resolved = notice.resolved().count();
        let mut message = Self {
            id: notice.id.clone(),
            status: notice.kind.as_str(),
            reason: notice.reason.as_str(),
            severity: notice.severity().as_str(),
            title: String::new(),
            summary: String::new(),
            text: String::new(),
            note: notice.note.as_deref().map(|note| visible(note).into_owned()).unwrap_or_default(),
            at: notice.at,
            expires_at: notice.at.plus(EXPIRES_AFTER),
            handler: Arc::clone(&notice.handler),
            group_key: Arc::clone(&notice.group.key),
            group_hash: hex(digest(&SHA256, notice.group.key.as_bytes()).as_ref()),
            group_labels: notice.group.labels.clone(),
            route_labels: notice.group.route_labels.clone(),
            common: label_line(&folded, &Labels::empty()),
            common_labels,
            common_annotations,
            firing: all.len() - resolved,
            resolved,
            truncated: all.len() - alerts.len(),
            external_url: external_url.to_owned(),
            page_url: public(external_url),
            version: env!("CARGO_PKG_VERSION"),
            order: order(shown),
            alerts,
        };
        message.title = message.make_title(notice);
        message.summary = message.make_summary();
        message.text = message.make_text();
        message
    }

    /// The same message with a note that something went wrong while it was made.
    #[must_use]
    pub fn with_note(mut self, note: &str) -> Self {
        let both = [self.note.as_str(), &visible(note)].join(if self.note.is_empty() { "" } else { "; " });
        self.note = both;
        self.text = self.make_text();
        self
    }

    fn make_title(&self, notice: &Notice) -> String {
        let test = match notice.reason {
            NoticeReason::Test => "TEST ",
            NoticeReason::Digest => "STORM ",
            _ => "",
        };
        let both = notice.reason == NoticeReason::FiredAndResolved;
        if let ([alert], 0) = (self.alerts.as_slice(), self.truncated) {
            let word = if both { format!("FIRED AND RESOLVED {}", alert.severity) } else { alert.word.clone() };
            return format!("{test}{word} {}", alert.headline);
        }
        let name = self.common_labels.get(ALERT_NAME).or_else(|| self.group_labels.get(ALERT_NAME));
        let subject = match name {
            Some(name) => safe(name, LABEL_CHARS_MAX),
            None if self.group_labels.is_empty() => "alerts".to_owned(),
            None => label_line(&self.group_labels, &Labels::empty()),
        };
        let counts = match (self.firing, self.resolved) {
            (0, resolved) if both => format!("FIRED AND RESOLVED {resolved}"),
            (0, resolved) => format!("RESOLVED {resolved}"),
            (firing, 0) => format!("FIRING {firing} {}", self.severity),
            (firing, resolved) => format!("FIRING {firing} {}, RESOLVED {resolved}", self.severity),
        };
        format!("{test}{counts}: {subject}")
    }

    fn make_summary(&self) -> String {
        let mut out = self.title.clone();
        let Some(first) = self.alerts.first() else { return out };
        if let ([alert], 0) = (self.alerts.as_slice(), self.truncated) {
            let _ = write!(out, "; since {}", alert.when);
            if !alert.place.is_empty() {
                let _ = write!(out, "; {}", alert.place);
            }
            return out;
        }
        let since = self.alerts.iter().map(|a| a.since).min().unwrap_or(first.since);
        let _ = write!(out, "; since {since}");
        if !self.common.is_empty() {
            let _ = write!(out, "; all with {}", self.common);
        }
        out
    }

    fn make_text(&self) -> String {
        let mut out = format!("{}\n", self.title);
        if !self.note.is_empty() {
            let _ = writeln!(out, "note: {}", self.note);
        }
        let several = self.alerts.len() + self.truncated > 1;
        if several && !self.common.is_empty() {
            let _ = writeln!(out, "all with {}", self.common);
        }
        for alert in self.alerts.iter().take(TEXT_ALERTS_MAX) {
            if several {
                let _ = writeln!(out, "\n{} {}", alert.word, alert.headline);
            }
            alert.lines(&mut out);
        }
        let hidden = self.truncated + self.alerts.len().saturating_sub(TEXT_ALERTS_MAX);
        if hidden > 0 {
            let _ = writeln!(out, "\nand {hidden} more");
        }
        if !self.page_url.is_empty() {
            let _ = writeln!(out, "{}", self.page_url);
        }
        out
    }
}

impl AlertLine {
    fn new(transition: &Transition, notice: &Notice, common: &Labels, external_url: &str) -> Self {
        let alert = &transition.alert;
        let unit = Unit::of_alert(alert);
        let at = notice.at.max(transition.at);
        let resolve_reason = match transition.kind {
            TransitionKind::Resolved { reason } => reason.as_str(),
            _ => "",
        };
        let resolved = !resolve_reason.is_empty();
        let ends_at = alert.resolved_at.unwrap_or(transition.at);
        let duration = alert.duration(if resolved { transition.at } else { at });
        let name = alert.labels.get(ALERT_NAME).unwrap_or(&alert.rule);
        Self {
            status: if resolved { NoticeKind::Resolved } else { NoticeKind::Firing }.as_str(),
            transition: transition.kind.as_str(),
            word: word(transition),
            headline: headline(alert, unit, resolved),
            when: when(alert, unit, &span(duration), resolve_reason),
            place: label_line(&alert.labels, common),
            description: description(alert),
            sparkline: course(transition, unit),
            name: safe(name, LABEL_CHARS_MAX),
            severity: alert.severity.as_str(),
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            value: alert.value.into(),
            value_text: safe(&unit.show(alert.value), LABEL_CHARS_MAX),
            peak: alert.peak.into(),
            peak_text: safe(&unit.show(alert.peak), LABEL_CHARS_MAX),
            condition: safe(&unit.show_condition(&alert.condition), LABEL_CHARS_MAX),
            since: alert.active_at,
            duration: span(duration),
            duration_seconds: duration.as_secs(),
            starts_at: alert.fired_at.unwrap_or(alert.active_at).to_string(),
            ends_at: if resolved { ends_at.to_string() } else { NO_TIME.to_owned() },
            resolve_reason,
            file: Arc::clone(&alert.origin.file),
            line: alert.origin.line,
            origin: safe(&alert.origin.to_string(), ANNOTATION_CHARS_MAX),
            fingerprint: alert.fingerprint.to_string(),
            generator_url: match &alert.generator_url {
                Some(url) => url.to_string(),
                None => generator(external_url, &alert.rule_uid),
            },
            links: all_links(transition, resolved, external_url),
        }
    }

    /// What follows the headline, one line each.
    fn lines(&self, out: &mut String) {
        let _ = writeln!(out, "since {}", self.when);
        if !self.place.is_empty() {
            let _ = writeln!(out, "where {}", self.place);
        }
        for line in [&self.sparkline, &self.description] {
            if !line.is_empty() {
                let _ = writeln!(out, "{line}");
            }
        }
        for link in &self.links {
            let _ = writeln!(out, "{} {}", link.text, link.href);
        }
        let _ = writeln!(out, "rule {}", self.origin);
    }
}

/// The links of its annotations, and the one that acknowledges it.
fn all_links(transition: &Transition, resolved: bool, external_url: &str) -> Vec<Link> {
    let mut all = links(&transition.alert.annotations);
    let page = public(external_url);
    if let Some(link) = transition.link.as_ref().filter(|_| !resolved && !page.is_empty()) {
        let href = format!("{}/ack/{link}", page.trim_end_matches('/'));
        all.push(Link { text: "acknowledge".to_owned(), href });
    }
    all
}

fn safe(text: &str, chars_max: usize) -> String {
    visible(&shortened(text, chars_max)).into_owned()
}

/// The worst that can be said in a word.
fn word(transition: &Transition) -> String {
    let severity = transition.alert.severity;
    match transition.kind {
        TransitionKind::StillFiring => format!("STILL FIRING {severity}"),
        TransitionKind::Raised { from } => format!("RAISED {from} → {severity}"),
        TransitionKind::Lowered { from } => format!("LOWERED {from} → {severity}"),
        TransitionKind::Resolved { .. } => format!("RESOLVED {severity}"),
        _ => format!("FIRING {severity}"),
    }
}

fn headline(alert: &Alert, unit: Unit, resolved: bool) -> String {
    let mut out = safe(alert.labels.get(ALERT_NAME).unwrap_or(&alert.rule), LABEL_CHARS_MAX);
    if alert.value.is_nan() && alert.no_data_since.is_some() {
        out.push_str(": no value");
    } else if !alert.is_received() {
        let _ = write!(out, ": {}", safe(&unit.show(alert.value), LABEL_CHARS_MAX));
    }
    let condition = safe(&unit.show_condition(&alert.condition), LABEL_CHARS_MAX);
    if !condition.is_empty() {
        let _ = write!(out, " ({}{condition})", if resolved { "alerts when " } else { "" });
    }
    out
}

fn when(alert: &Alert, unit: Unit, lasted: &str, resolve_reason: &str) -> String {
    let since = alert.active_at;
    if !resolve_reason.is_empty() && alert.is_received() {
        return format!("{since}, lasted {lasted}; {resolve_reason}");
    }
    if !resolve_reason.is_empty() {
        let peak = safe(&unit.show(alert.peak), LABEL_CHARS_MAX);
        return format!("{since}, lasted {lasted}, peak {peak}; {resolve_reason}");
    }
    match alert.no_data_since {
        Some(silent) => format!("{since}, for {lasted}; no data since {silent}"),
        None => format!("{since}, for {lasted}"),
    }
}

/// The annotation that tells most; its lines are kept, and each is harmless.
fn description(alert: &Alert) -> String {
    let told = ["summary", "description", "message"].into_iter().filter_map(|name| alert.annotations.get(name));
    let mut texts: Vec<&str> = told.map(str::trim).filter(|text| !text.is_empty()).collect();
    texts.dedup();
    let all = texts.join("\n");
    let lines: Vec<String> = shortened(&all, ANNOTATION_CHARS_MAX).lines().map(|l| visible(l).into_owned()).collect();
    lines.join("\n")
}

fn course(transition: &Transition, unit: Unit) -> String {
    let alert = &transition.alert;
    let Some(line) = sparkline(&transition.trend, alert.limit, alert.peak, true) else { return String::new() };
    let mut out: String = line.bars.iter().map(|bar| bar.glyph).collect();
    if let (Some(glyph), Some(limit)) = (line.limit, alert.limit) {
        let _ = write!(out, "  limit {glyph} {}", safe(&unit.show(limit), LABEL_CHARS_MAX));
    }
    out
}

/// `host="a", env="prod"`, without name, severity and what is common.
fn label_line(labels: &Labels, common: &Labels) -> String {
    let mut out = String::new();
    for (name, value) in labels.iter() {
        if matches!(name, ALERT_NAME | "severity") || common.get(name).is_some() {
            continue;
        }
        if !out.is_empty() {
            out.push_str(", ");
        }
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        let _ = write!(out, "{}=\"{}\"", safe(name, LABEL_CHARS_MAX), safe(&value, LABEL_CHARS_MAX));
    }
    out
}

fn order(transitions: &[Arc<Transition>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..transitions.len()).collect();
    let key = |i: &usize| {
        let labels = transitions.get(*i).map(|t| &t.alert.labels);
        let of = |name: &str| labels.and_then(|l| l.get(name)).unwrap_or_default().to_owned();
        let all: Vec<(String, String)> =
            labels.into_iter().flat_map(|l| l.iter().map(|(n, v)| (n.to_owned(), v.to_owned()))).collect();
        (of("job"), of("instance"), all)
    };
    order.sort_by_cached_key(key);
    order
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
#[path = "message_tests.rs"]
pub(crate) mod tests;
