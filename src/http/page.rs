//! The page at `/`: what fires, what is pending, and all rules, as HTML without scripts.
//!
//! `Html` takes text only through `Html::text`, which escapes, and markup only as literals of this program, so that
//! no label or annotation can become markup.

use std::time::Duration;

use super::api::{GroupView, Mutings, Readiness, RuleView};
use super::records::Standing;
use crate::model::labels::ALERT_NAME;
use crate::model::{Alert, AlertState, Muting, Timestamp};
use crate::notify::human::{Unit, span};
use crate::notify::links::anchor;
use crate::telemetry::visible::{shortened, visible};

/// Most alerts written out; the rest is counted.
pub const ALERTS_SHOWN_MAX: usize = 500;
/// Most rules written out.
pub const RULES_SHOWN_MAX: usize = 2000;
/// Most handlers written out.
const HANDLERS_SHOWN_MAX: usize = 500;
/// Longest text of one label, annotation or query.
const TEXT_CHARS_MAX: usize = 500;

/// The style sheet: colours for light and dark, one column on a phone.
pub const STYLE: &str = include_str!("style.css");

/// Markup under construction.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    /// Appends markup; only literals can be given.
    pub fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Appends text, shortened and made harmless.
    pub fn text(&mut self, text: &str) -> &mut Self {
        for c in visible(&shortened(text, TEXT_CHARS_MAX)).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
        self
    }

    /// Appends the name by which messages link to a rule; its characters have no meaning in markup.
    fn anchor(&mut self, rule_uid: &str) -> &mut Self {
        self.0.push_str(&anchor(rule_uid));
        self
    }

    /// The finished text.
    pub fn into_text(self) -> String {
        self.0
    }

    fn count(&mut self, n: usize) -> &mut Self {
        self.text(&n.to_string())
    }
}

/// The whole page as of `now`.
pub fn render(
    (groups, mutings): (&[GroupView], &Mutings),
    readiness: &Readiness,
    standing: &Standing,
    now: Timestamp,
) -> String {
    let mut alerts: Vec<&Alert> = groups.iter().flat_map(|g| &g.rules).flat_map(|r| &r.alerts).collect();
    // Worst first, then longest.
    alerts.sort_by(|a, b| {
        (b.state, b.severity, a.active_at, &a.labels).cmp(&(a.state, a.severity, b.active_at, &b.labels))
    });
    let firing = alerts.iter().filter(|a| a.state == AlertState::Firing).count();
    let mut html = Html(String::with_capacity(16 * 1024));
    html.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">")
        .raw("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">")
        .raw("<meta name=\"color-scheme\" content=\"light dark\"><meta http-equiv=\"refresh\" content=\"15\"><title>");
    if firing > 0 {
        html.raw("(").count(firing).raw(") ");
    }
    html.raw(
        "alertd</title><link rel=\"stylesheet\" href=\"assets/style.css\"></head><body><header><h1>alertd</h1><p>",
    );
    html.count(firing).raw(" firing, ").count(alerts.len() - firing).raw(" pending, ");
    html.count(groups.iter().map(|g| g.rules.len()).sum()).raw(" rules, ");
    html.count(standing.silences).raw(if standing.silences == 1 { " silence" } else { " silences" });
    html.raw(" in force; as of <time>").text(&now.to_string());
    html.raw("</time></p></header><main>");
    banner(&mut html, readiness, &stale(groups, now));
    html.raw("<section><h2>Alerts</h2>");
    if alerts.is_empty() {
        html.raw(if readiness.ready { "<p>Nothing fires.</p>" } else { "<p>Nothing is known to fire.</p>" });
    }
    for alert in alerts.iter().take(ALERTS_SHOWN_MAX) {
        let muting = mutings.get(&(alert.rule_uid.clone(), alert.fingerprint));
        alert_card(&mut html, (alert, muting), now);
    }
    if alerts.len() > ALERTS_SHOWN_MAX {
        html.raw("<p>and ").count(alerts.len() - ALERTS_SHOWN_MAX).raw(" more</p>");
    }
    html.raw("</section><section><h2>Delivery</h2>");
    delivery(&mut html, standing);
    html.raw("</section><section><h2>Rules</h2>");
    rules_table(&mut html, groups, now);
    html.raw("</section></main></body></html>\n");
    html.0
}

/// Groups not evaluated for more than two intervals: what the page shows of them is old.
fn stale(groups: &[GroupView], now: Timestamp) -> Vec<String> {
    let old = groups.iter().filter_map(|group| {
        let age = now.since(group.last_evaluation?);
        (age > group.interval * 2).then(|| format!("group {} was last evaluated {} ago", group.name, span(age)))
    });
    old.collect()
}

fn banner(html: &mut Html, readiness: &Readiness, stale: &[String]) {
    if readiness.ready && readiness.reasons.is_empty() && stale.is_empty() {
        return;
    }
    html.raw("<section class=\"banner\" role=\"alert\"><strong>");
    html.raw(if readiness.ready { "Degraded" } else { "Not ready: alerts may be missing" }).raw("</strong><ul>");
    for reason in readiness.reasons.iter().chain(stale).take(20) {
        html.raw("<li>").text(reason).raw("</li>");
    }
    html.raw("</ul></section>");
}

/// Every handler's queue, and whether what must outlive the process is stored.
fn delivery(html: &mut Html, standing: &Standing) {
    match &standing.trouble {
        None => html.raw("<p>State is stored.</p>"),
        Some(why) => html.raw("<p class=\"error\">State is not stored: ").text(why).raw("</p>"),
    };
    if standing.handlers.is_empty() {
        html.raw("<p>There is no handler: nobody is told.</p>");
        return;
    }
    html.raw("<table><thead><tr><th>Handler</th><th>Waiting</th><th>Oldest</th><th>Given up</th></tr></thead><tbody>");
    for handler in standing.handlers.iter().take(HANDLERS_SHOWN_MAX) {
        html.raw(if handler.failing && handler.waiting > 0 { "<tr class=\"error\"><td>" } else { "<tr><td>" });
        html.text(&handler.name).raw("</td><td>").count(handler.waiting).raw("</td><td>");
        if handler.waiting > 0 {
            html.text(&span(handler.oldest));
        }
        html.raw("</td><td>").text(&handler.dead.to_string()).raw("</td></tr>");
    }
    html.raw("</tbody></table>");
}

fn alert_card(html: &mut Html, (alert, muting): (&Alert, Option<&Muting>), now: Timestamp) {
    let unit = Unit::of_alert(alert);
    html.raw("<article class=\"alert ").text(alert.state.as_str()).raw(" ").text(alert.severity.as_str());
    html.raw("\"><h3><span class=\"state\">").text(alert.state.as_str()).raw(" ").text(alert.severity.as_str());
    html.raw("</span> ").text(alert.labels.get(ALERT_NAME).unwrap_or(&alert.rule)).raw("</h3><p class=\"value\">");
    html.text(&unit.show(alert.value));
    if !alert.condition.is_empty() {
        html.raw(" <small>(").text(&unit.show_condition(&alert.condition)).raw(")</small>");
    }
    html.raw("</p><p>since <time>").text(&alert.active_at.to_string()).raw("</time>, for ");
    html.text(&span(now.since(alert.active_at)));
    if let Some(since) = alert.no_data_since {
        html.raw("; <em>no data since ").text(&since.to_string()).raw("</em>");
    }
    for words in muting.into_iter().flat_map(|muting| &muting.words) {
        html.raw("</p><p class=\"quiet\">not told: ").text(words);
    }
    html.raw("</p><p class=\"labels\">");
    for (name, value) in alert.labels.iter().filter(|(n, _)| !matches!(*n, ALERT_NAME | "severity")) {
        html.raw("<code>").text(name).raw("=").text(value).raw("</code> ");
    }
    html.raw("</p>");
    for (name, value) in alert.annotations.iter() {
        html.raw("<p><b>").text(name).raw("</b> ");
        link_or_text(html, value);
        html.raw("</p>");
    }
    html.raw("<p class=\"origin\">").text(&alert.origin.to_string()).raw("</p></article>");
}

/// A link only where the whole text is an http(s) URL; any other scheme stays text.
fn link_or_text(html: &mut Html, text: &str) {
    let web = text.starts_with("https://") || text.starts_with("http://");
    if web && text.len() <= TEXT_CHARS_MAX && !text.contains(char::is_whitespace) {
        html.raw("<a rel=\"noreferrer noopener\" href=\"").text(text).raw("\">").text(text).raw("</a>");
    } else {
        html.text(text);
    }
}

fn rules_table(html: &mut Html, groups: &[GroupView], now: Timestamp) {
    let mut left = RULES_SHOWN_MAX;
    for group in groups {
        html.raw("<h3>").text(&group.name).raw(" <small>").text(&group.file).raw(", every ");
        html.text(&span(group.interval)).raw("</small></h3><table><thead><tr><th>Rule</th><th>State</th>");
        html.raw("<th>Condition</th><th>Evaluated</th></tr></thead><tbody>");
        for rule in group.rules.iter().take(left) {
            rule_row(html, rule, now);
        }
        html.raw("</tbody></table>");
        if group.rules.len() > left {
            html.raw("<p>Further rules are not shown.</p>");
            return;
        }
        left -= group.rules.len();
    }
}

fn rule_row(html: &mut Html, rule: &RuleView, now: Timestamp) {
    let state = if rule.last_error.is_some() { "error" } else { rule.state.as_str() };
    html.raw("<tr id=\"")
        .anchor(&rule.uid)
        .raw("\" class=\"")
        .text(state)
        .raw("\"><td>")
        .text(&rule.name)
        .raw("</td><td>");
    html.text(if rule.recording && rule.last_error.is_none() { "recording" } else { state }).raw("</td><td><code>");
    html.text(&rule.query).raw("</code>");
    if rule.hold > Duration::ZERO {
        html.raw(" for ").text(&span(rule.hold));
    }
    if let Some(error) = &rule.last_error {
        html.raw("<p class=\"error\">").text(error).raw("</p>");
    }
    html.raw("</td><td>");
    match rule.last_evaluation {
        Some(at) if rule.evaluated_here => {
            html.text(&span(now.since(at))).raw(" ago, ").text(&Unit::Seconds.show(rule.evaluation_time.as_secs_f64()))
        }
        Some(_) => html.raw("not yet since the start"),
        None => html.raw("not yet"),
    };
    html.raw("</td></tr>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(last_evaluation: Option<Timestamp>) -> GroupView {
        GroupView {
            name: "<g>".into(),
            file: "f".into(),
            interval: Duration::from_secs(15),
            limit: 0,
            last_evaluation,
            evaluation_time: Duration::ZERO,
            rules: vec![],
        }
    }

    #[test]
    fn the_page_is_never_quiet_while_evaluation_stands_still() {
        let ready = Readiness { ready: true, reasons: vec![] };
        let page = |seconds: Option<i64>| {
            render(
                (&[group(seconds.map(|s| Timestamp::from_secs(100 - s)))], &Mutings::new()),
                &ready,
                &Standing::default(),
                Timestamp::from_secs(100),
            )
        };
        assert!(!page(Some(30)).contains("banner") && !page(None).contains("banner"));
        assert!(
            page(Some(31)).contains("<strong>Degraded</strong><ul><li>group &lt;g&gt; was last evaluated 31s ago</li>")
        );
        assert!(page(None).contains("Nothing fires."));
        let broken = Readiness { ready: false, reasons: vec![] };
        assert!(
            render((&[], &Mutings::new()), &broken, &Standing::default(), Timestamp(0))
                .contains("Nothing is known to fire.")
        );
    }
}
