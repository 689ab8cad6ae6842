//! The page at `/`: what fires, what is pending, and all rules, as HTML without scripts.
//!
//! Text is escaped on its way into `Html`, so that no label or annotation can become markup.

use std::time::Duration;

use super::api::{GroupView, Mutings, Readiness, RuleView};
use super::html::{Html, TEXT_CHARS_MAX};
use super::records::{SilenceView, Standing};
use super::silence_page;
use crate::model::labels::ALERT_NAME;
use crate::model::{Alert, AlertState, HeldReason, Timestamp};
use crate::notify::human::{Unit, span};

/// Most alerts written out; the rest is counted.
pub const ALERTS_SHOWN_MAX: usize = 500;
/// Most rules written out.
pub const RULES_SHOWN_MAX: usize = 2000;
/// Most handlers written out.
const HANDLERS_SHOWN_MAX: usize = 500;
/// Most silences in force written out.
const SILENCES_SHOWN_MAX: usize = 50;
/// Most silences told of one alert.
const SILENCES_OF_ALERT_MAX: usize = 5;

/// The style sheet: colours for light and dark, one column on a phone.
pub const STYLE: &str = include_str!("style.css");

/// What silences hide, and what else keeps alerts from being told.
#[derive(Debug, Default)]
pub struct Hidden {
    /// In force, the first to end first.
    pub silences: Vec<SilenceView>,
    /// For each alert that is written out ([`written_out`]) the ids of those that hide it.
    pub alerts: Vec<Vec<String>>,
    /// All that keeps an alert from being told.
    pub mutings: Mutings,
}

/// All pending and firing alerts, the worst first, then the longest.
fn sorted<'a>(groups: &'a [GroupView], received: &'a [Alert]) -> Vec<&'a Alert> {
    let of_rules = groups.iter().flat_map(|g| &g.rules).flat_map(|r| &r.alerts);
    let mut alerts: Vec<&Alert> = of_rules.chain(received).collect();
    alerts.sort_by(|a, b| {
        (b.state, b.severity, a.active_at, &a.labels).cmp(&(a.state, a.severity, b.active_at, &b.labels))
    });
    alerts
}

/// The alerts that the page writes out, in its order.
pub fn written_out<'a>(groups: &'a [GroupView], received: &'a [Alert]) -> Vec<&'a Alert> {
    let mut alerts = sorted(groups, received);
    alerts.truncate(ALERTS_SHOWN_MAX);
    alerts
}

/// The whole page as of `now`.
pub fn render(
    groups: &[GroupView],
    received: &[Alert],
    (readiness, standing, hidden): (&Readiness, &Standing, &Hidden),
    now: Timestamp,
) -> String {
    let alerts = sorted(groups, received);
    let firing = alerts.iter().filter(|a| a.state == AlertState::Firing).count();
    let mut html = Html::page(true);
    if firing > 0 {
        html.raw("(").count(firing).raw(") ");
    }
    html.raw("alertd</title></head><body><header><h1>alertd</h1><p>");
    html.count(firing).raw(" firing, ").count(alerts.len() - firing).raw(" pending, ");
    html.count(groups.iter().map(|g| g.rules.len()).sum()).raw(" rules, ");
    html.raw("<a href=\"silences\">").many(standing.silences, "silence");
    html.raw(" in force</a>; as of <time>").text(&now.to_string());
    html.raw("</time></p></header><main>");
    banner(&mut html, readiness, &stale(groups, now));
    html.raw("<section><h2>Alerts</h2>");
    if alerts.is_empty() {
        html.raw(if readiness.ready { "<p>Nothing fires.</p>" } else { "<p>Nothing is known to fire.</p>" });
    }
    for (n, alert) in alerts.iter().take(ALERTS_SHOWN_MAX).enumerate() {
        let by = hidden.alerts.get(n).map_or(&[][..], Vec::as_slice);
        alert_card(&mut html, alert, (by, hidden), now);
    }
    if alerts.len() > ALERTS_SHOWN_MAX {
        html.raw("<p>and ").count(alerts.len() - ALERTS_SHOWN_MAX).raw(" more</p>");
    }
    html.raw("</section>");
    silences(&mut html, hidden, now);
    html.raw("<section><h2>Delivery</h2>");
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
    if let Some(replica) = &standing.replica {
        html.raw("<p>").text(replica).raw("</p>");
    }
    for duty in standing.on_duty.iter().take(HANDLERS_SHOWN_MAX) {
        html.raw("<p>On duty for ").text(&duty.rotation).raw(": <strong>").text(&duty.handler).raw("</strong>");
        if let (Some(until), Some(next)) = (duty.until, &duty.next) {
            html.raw(" until <time>").text(&until.to_string()).raw("</time>, then ").text(next);
        }
        html.raw("</p>");
    }
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

/// Silences in force.
fn silences(html: &mut Html, hidden: &Hidden, now: Timestamp) {
    if hidden.silences.is_empty() {
        return;
    }
    html.raw("<section><h2>Silences</h2>");
    silence_page::table(html, hidden.silences.iter().take(SILENCES_SHOWN_MAX), silence_page::Action::None, now);
    html.raw("<p><a href=\"silences\">All silences, and the form that makes and ends them</a></p></section>");
}

/// Which silences keep people from being told of an alert, and the way to make one.
fn silenced(html: &mut Html, alert: &Alert, (by, hidden): (&[String], &Hidden)) {
    for id in by.iter().take(SILENCES_OF_ALERT_MAX) {
        html.raw("<p class=\"silenced\">silenced");
        if let Some(silence) = hidden.silences.iter().find(|silence| silence.id == *id) {
            let until = silence.window.map_or(silence.ends_at, |window| window.ends_at);
            html.raw(" until ").time(until).raw(" by ").text(&silence.created_by);
            html.raw(": <a href=\"silences#s-").text(id).raw("\">").text(&silence.comment).raw("</a>");
        }
        html.raw("</p>");
    }
    html.raw("<p class=\"origin\"><a href=\"silences?matchers=").parameter(&silence_page::matchers_of(alert));
    html.raw("#new\">silence</a> · ");
    match alert.generator_url.as_deref().filter(|url| !url.is_empty()) {
        Some(url) => link_or_text(html, url),
        None => drop(html.text(&alert.origin.to_string())),
    }
    html.raw("</p>");
}

fn alert_card(html: &mut Html, alert: &Alert, (by, hidden): (&[String], &Hidden), now: Timestamp) {
    let unit = Unit::of_alert(alert);
    html.raw("<article class=\"alert ").text(alert.state.as_str()).raw(" ").text(alert.severity.as_str());
    if !by.is_empty() {
        html.raw(" hidden");
    }
    html.raw("\"><h3><span class=\"state\">").text(alert.state.as_str()).raw(" ").text(alert.severity.as_str());
    html.raw("</span> ").text(alert.labels.get(ALERT_NAME).unwrap_or(&alert.rule)).raw("</h3><p class=\"value\">");
    if !alert.is_received() {
        html.text(&unit.show(alert.value));
    }
    if !alert.condition.is_empty() {
        html.raw(" <small>(").text(&unit.show_condition(&alert.condition)).raw(")</small>");
    }
    html.raw("</p><p>since <time>").text(&alert.active_at.to_string()).raw("</time>, for ");
    html.text(&span(now.since(alert.active_at)));
    if let Some(since) = alert.no_data_since {
        html.raw("; <em>no data since ").text(&since.to_string()).raw("</em>");
    }
    if let Some(flapping) = alert.flapping {
        html.raw("; <em>").text(&flapping.words()).raw("</em>");
    }
    // Silences are shown with their links.
    let muting = hidden.mutings.get(&(alert.rule_uid.clone(), alert.fingerprint));
    let quiet = muting.into_iter().flat_map(|muting| &muting.words);
    for (_, words) in quiet.filter(|(reason, _)| *reason != HeldReason::Silenced) {
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
    silenced(html, alert, (by, hidden));
    html.raw("</article>");
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
                &[group(seconds.map(|s| Timestamp::from_secs(100 - s)))],
                &[],
                (&ready, &Standing::default(), &Hidden::default()),
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
            render(&[], &[], (&broken, &Standing::default(), &Hidden::default()), Timestamp(0))
                .contains("Nothing is known to fire.")
        );
    }
}
