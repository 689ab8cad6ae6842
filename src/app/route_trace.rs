//! `alertd route` and `/api/v1/route`: where an alert with some labels would go, when, and what the message would say.
//!
//! Place in the flow: asks the same routes as the daemon does, and then the handlers what they would send, for which
//! nothing of the core is needed; sends nothing and changes nothing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use thiserror::Error;

use crate::model::alert::RECEIVED;
use crate::model::labels::ALERT_NAME;
use crate::model::{
    Alert, AlertState, LabelMatcher, Labels, MatchOp, MatcherError, Notice, NoticeKind, NoticeReason, Now, Origin,
    Severity, Timestamp, Transition, TransitionKind,
};
use crate::notify::Handler;
use crate::route::{Hop, Router, Routes, Silences};
use crate::rule::Rule;

/// Why labels cannot be traced.
#[derive(Debug, Error)]
pub enum TraceError {
    /// They are none.
    #[error(transparent)]
    Matcher(#[from] MatcherError),
    /// A matcher that names no value.
    #[error("{0} is a condition; an alert has labels: write `{1}=\"…\"`")]
    Condition(String, String),
}

/// What is asked.
pub struct Asked<'a> {
    /// The routes, with the terms of the rules.
    pub routes: &'a Routes,
    /// What is silenced.
    pub silences: &'a Silences,
    /// What is so now: alerts that fire may inhibit it.
    pub router: &'a Router,
    /// The rules.
    pub rules: &'a [Rule],
    /// The instant.
    pub now: Now,
}

/// Where an alert would go.
pub struct Traced {
    at: Timestamp,
    alert: Alert,
    /// Its labels as they leave.
    leaving: Labels,
    /// The rule that has it, and for how long it tells nothing new.
    rule: Option<(Arc<str>, Duration)>,
    hops: Vec<Hop>,
}

/// Where an alert with these labels would go.
pub fn trace(text: &str, asked: &Asked<'_>) -> Result<Traced, TraceError> {
    let labels = labels(text)?;
    let name = labels.get(ALERT_NAME).unwrap_or_default();
    let rule = asked.rules.iter().find(|rule| !name.is_empty() && *rule.name == *name);
    let alert = match (rule, name) {
        // Only others report alerts of a name that no rule has.
        (None, name) if !name.is_empty() => {
            Alert { rule_uid: Arc::from(RECEIVED), ..alert(labels, None, asked.now.slot) }
        }
        _ => alert(labels, rule, asked.now.slot),
    };
    Ok(Traced {
        at: asked.now.slot,
        leaving: asked.routes.leaving(&alert),
        rule: rule.map(|rule| (rule.uid.clone(), rule.cooldown)),
        hops: asked.routes.trace(&alert, asked.silences, asked.router, asked.now),
        alert,
    })
}

/// `{severity="critical"}`, or the same without braces.
fn labels(text: &str) -> Result<Labels, TraceError> {
    let text = text.trim();
    let braced = if text.starts_with('{') { text.to_owned() } else { format!("{{{text}}}") };
    let matchers = LabelMatcher::parse_all(&braced)?;
    if let Some(odd) = matchers.iter().find(|matcher| matcher.op != MatchOp::Equal) {
        return Err(TraceError::Condition(odd.to_string(), odd.name.clone()));
    }
    Ok(Labels::from_pairs(matchers.into_iter().map(|matcher| (matcher.name, matcher.value))))
}

/// An alert with these labels, of the rule that they name if there is one.
fn alert(labels: Labels, rule: Option<&Rule>, at: Timestamp) -> Alert {
    let name: Arc<str> = Arc::from(labels.get(ALERT_NAME).unwrap_or_default());
    let written = labels.get("severity").and_then(Severity::from_label);
    let severity = written.unwrap_or_else(|| rule.map_or(Severity::default(), |rule| rule.severity));
    // What the rule adds itself need not be typed.
    let own = rule.into_iter().flat_map(|rule| rule.labels.iter());
    let own = own.filter_map(|(name, value)| Some((name.to_string(), value.constant()?.to_owned())));
    let typed = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut labels = Labels::from_pairs(own.into_iter().chain(typed));
    // The labels of others are as others report them.
    if labels.get("severity").is_none() && (rule.is_some() || name.is_empty()) {
        labels = labels.with("severity", severity.as_str());
    }
    Alert {
        rule_uid: rule.map_or_else(|| name.clone(), |rule| rule.uid.clone()),
        rule: rule.map_or_else(|| name.clone(), |rule| rule.name.clone()),
        origin: rule.map_or_else(|| Origin { file: Arc::from("alertd route"), line: 0 }, |rule| rule.origin.clone()),
        fingerprint: labels.fingerprint(),
        labels,
        annotations: Labels::from_pairs([("summary", "an example: the values are made up")]),
        state: AlertState::Firing,
        severity,
        value: 1.0,
        peak: 1.0,
        condition: Arc::from("> 0"),
        limit: None,
        active_at: at,
        fired_at: Some(at),
        resolved_at: None,
        no_data_since: None,
        flapping: None,
        generator_url: None,
        notify: rule.map(|rule| rule.notify.clone()).unwrap_or_default(),
    }
}

impl Traced {
    /// What is found, with what the handlers would send.
    pub fn shown(&self, handlers: &[Arc<dyn Handler>]) -> Value {
        let routes: Vec<Value> = self.hops.iter().map(|hop| self.hop(hop, handlers)).collect();
        let cooldown = self.rule.as_ref().map(|(_, span)| span).filter(|span| !span.is_zero());
        json!({
            "at": self.at, "labels": self.alert.labels, "severity": self.alert.severity,
            "rule": self.rule.as_ref().map(|(uid, _)| uid), "reported": self.alert.is_received(),
            "cooldown_seconds": cooldown.map(Duration::as_secs_f64), "routes": routes,
        })
    }

    fn hop(&self, hop: &Hop, handlers: &[Arc<dyn Handler>]) -> Value {
        let told: Vec<Value> = hop
            .handlers
            .iter()
            .map(|(name, against)| {
                let handler = handlers.iter().find(|handler| *handler.name() == **name);
                let preview = handler.map(|handler| handler.preview(&self.notice(hop, name)));
                json!({
                    "name": name, "type": handler.map(|handler| handler.kind()), "told": against.is_none(),
                    "reason": against.map(|reason| reason.as_str()),
                    "method": preview.as_ref().and_then(|p| p.method.clone()),
                    "url": preview.as_ref().and_then(|p| p.url.clone()),
                    "message": preview.map(|p| p.payload),
                })
            })
            .collect();
        let quiet =
            hop.quiet.as_ref().map(|(reason, by, until)| json!({"reason": reason.as_str(), "by": by, "until": until}));
        let later = hop.later.iter();
        let later = later.map(|(after, name)| json!({"after_seconds": after.as_secs_f64(), "handler": name}));
        let duties = hop.duties.iter().map(|(name, handler)| json!({"rotation": name, "handler": handler}));
        json!({
            "escalates": later.collect::<Vec<_>>(), "on_duty": duties.collect::<Vec<_>>(),
            "path": hop.path, "group": hop.group.key, "group_labels": hop.group.labels,
            "group_wait_seconds": hop.group_wait.as_secs_f64(),
            "group_interval_seconds": hop.group_interval.as_secs_f64(),
            "repeat_interval_seconds": hop.repeat_interval.as_secs_f64(), "quiet": quiet, "handlers": told,
        })
    }

    /// The first message about it.
    fn notice(&self, hop: &Hop, handler: &Arc<str>) -> Notice {
        let at = self.at;
        let alert = Alert { labels: self.leaving.clone(), ..self.alert.clone() };
        let kind = TransitionKind::Fired;
        let transition = Transition { at, sequence: 1, kind, alert, trend: Vec::new(), link: None };
        Notice {
            id: crate::route::derived_id(&hop.group.key, handler),
            handler: handler.clone(),
            kind: NoticeKind::Firing,
            reason: NoticeReason::First,
            at,
            group: hop.group.clone(),
            note: None,
            held_over: Vec::new(),
            transitions: vec![Arc::new(transition)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::routes::terms;
    use crate::diag::SourceFile;
    use crate::notify::ConsoleHandler;
    use crate::notify::console::{ConsoleFormat, Style};
    use crate::route::Receiver;
    use crate::rule::{LoadOptions, load};

    /// Severity, the rule, whether others report it, its cooldown, and the labels of the message.
    #[track_caller]
    fn check(text: &str, want: (&str, Option<&str>, bool, Option<f64>), message: &str) {
        let rules = r#"rules: [{name: high, metric: m, threshold: "> 5", severity: error, cooldown: 1m}]"#;
        let rules = load(&[SourceFile::new("rules.yaml", rules)], &LoadOptions::default()).rules;
        let receivers = vec![Receiver::new("screen")];
        let external_labels = Labels::from_pairs([("cluster", "here")]);
        let routes = Routes { receivers, external_labels, terms: terms(&rules), ..Routes::default() };
        let (silences, router) = (Silences::default(), Router::default());
        let now = Now::simulated(Timestamp::from_secs(0));
        let asked = Asked { routes: &routes, silences: &silences, router: &router, rules: &rules, now };
        let style = Style { colour: false, unicode: false };
        let screen = ConsoleHandler::new("screen", ConsoleFormat::Json, style, std::io::sink()).unwrap();
        let shown = trace(text, &asked).unwrap().shown(&[Arc::new(screen)]);
        let is = |key: &str| shown[key].as_str();
        let got = (is("severity").unwrap(), is("rule"), shown["reported"] == true, shown["cooldown_seconds"].as_f64());
        assert_eq!(got, want, "{text}: {shown}");
        let sent = shown["routes"][0]["handlers"][0]["message"].as_str().unwrap();
        assert!(sent.contains(message), "{text}: {sent}");
    }

    #[test]
    fn an_alert_is_traced_as_one_of_its_rule_of_any_rule_or_of_another_program() {
        let rule = ("error", Some("high"), false, Some(60.0));
        check("alertname=high", rule, r#"{"alertname":"high","cluster":"here","severity":"error"}"#);
        check("alertname=high, severity=unheard-of", rule, r#""severity":"unheard-of""#);
        check("host=a", ("warning", None, false, None), r#"{"cluster":"here","host":"a","severity":"warning"}"#);
        check("severity=page", ("critical", None, false, None), r#""severity":"page""#);
        check("alertname=disk", ("warning", None, true, None), r#"{"alertname":"disk"}"#);
        check("alertname=disk, severity=p1", ("critical", None, true, None), r#"{"alertname":"disk","severity":"p1"}"#);
    }
}
