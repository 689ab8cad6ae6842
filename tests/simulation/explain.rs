//! Compares the answers of `alertd why`, which come from the history alone, with what was so when it happened.

use std::collections::BTreeMap;

use alertd::app::simulation::Stage;
use alertd::app::why::{Knew, Question, Stood, Story, tell};
use alertd::model::{AlertState, LabelMatcher, Labels, MatchOp, Timestamp};
use alertd::state::shown;

use crate::oracle::{AlertId, Oracle};

/// What was so of one alert.
struct Alert {
    state: AlertState,
    labels: Labels,
    silenced: bool,
    /// Handlers of which it is beyond doubt whether they believed that it fires.
    believed: BTreeMap<String, bool>,
}

/// What was so at an instant.
pub struct Moment {
    at: Timestamp,
    alerts: BTreeMap<AlertId, Alert>,
    /// By rule: whether its last evaluation failed.
    failing: BTreeMap<String, bool>,
}

impl Moment {
    /// Looks at the core and at what receivers got; never at the history.
    pub fn of(stage: &Stage, oracle: &Oracle, at: Timestamp) -> Self {
        let core = stage.hub.core();
        let now_ms = stage.clock.steady_ms();
        let (mut alerts, mut failing) = (BTreeMap::new(), BTreeMap::new());
        let handlers: Vec<String> = core.routes.receivers.iter().map(|r| r.name.to_string()).collect();
        for rule in core.engine.rules().iter() {
            let Some(state) = core.engine.state(&rule.uid) else { continue };
            if let Some(report) = core.reports.get(&rule.uid) {
                failing.insert(rule.uid.to_string(), report.error.is_some());
            }
            for instance in state.instances.values() {
                let alert = shown(rule, instance);
                let id = AlertId::of(&alert);
                let leaving = Labels::from_pairs(core.routes.external_labels.iter().chain(alert.labels.iter()));
                let silenced = oracle.is_silenced(&leaving, at);
                let believed = handlers.iter().filter_map(|h| Some((h.clone(), oracle.believes(h, &id, now_ms)?)));
                let believed = believed.collect();
                alerts.insert(id, Alert { state: instance.state, labels: alert.labels, silenced, believed });
            }
        }
        Self { at, alerts, failing }
    }

    /// Asks about every alert, and about every rule; what is told otherwise than it was.
    pub fn compare(&self, stage: &Stage) -> Vec<String> {
        let alerts = self.alerts.iter().flat_map(|(id, alert)| self.alert(stage, id, alert));
        let rules = self.failing.iter().filter_map(|(rule, failing)| self.rule(stage, rule, *failing));
        alerts.chain(rules).collect()
    }

    fn ask(&self, stage: &Stage, rule: &str, labels: &Labels) -> Story {
        let host = labels.get("host").map(|host| LabelMatcher::new("host", MatchOp::Equal, host).unwrap());
        let question = Question { rule: rule.to_owned(), matchers: host.into_iter().collect(), at: self.at };
        let live = stage.hub.evaluations(rule);
        tell(&stage.hub.keeper, live, &question).unwrap()
    }

    fn alert(&self, stage: &Stage, id: &AlertId, alert: &Alert) -> Vec<String> {
        let story = self.ask(stage, &id.rule, &alert.labels);
        let say = |what: String| format!("why {} {} at {}: {what}", id.rule, alert.labels, self.at);
        let Some(told) = story.alerts.iter().find(|told| told.fingerprint == id.fingerprint) else {
            let is_lost = alert.state != AlertState::Inactive;
            return is_lost
                .then(|| say(format!("it was {} and is not known", alert.state.as_str())))
                .into_iter()
                .collect();
        };
        let stood = match alert.state {
            AlertState::Inactive => Stood::Inactive,
            AlertState::Pending => Stood::Pending,
            AlertState::Firing => Stood::Firing,
        };
        let mut wrong = Vec::new();
        if told.state != stood {
            wrong.push(say(format!("it was {stood:?} and is told to be {:?}", told.state)));
        }
        for handler in &told.handlers {
            let name = &handler.handler;
            // What goes along with the news of others has no row of its own: after a message that was given up a receiver
            // may have heard of it so.
            if let Some(believed) = alert.believed.get(name)
                && handler.knew != Knew::GivenUp
                && *believed != (handler.knew == Knew::Firing)
            {
                wrong.push(say(format!(
                    "{name} believed {believed} and is told to know {:?}: {}",
                    handler.knew, handler.words
                )));
            }
            let silenced = handler.reason.as_deref() == Some("silenced");
            let in_doubt = !alert.believed.contains_key(name);
            if silenced && !in_doubt && handler.until.is_some_and(|until| until > self.at) && !alert.silenced {
                wrong.push(say(format!("{name} is told to be silent and no silence was in force: {}", handler.words)));
            }
            if handler.knew == Knew::Firing && !alert.believed.contains_key(name) && handler.notice.is_none() {
                wrong.push(say(format!("{name} is told to know it by no message")));
            }
        }
        for (name, believed) in &alert.believed {
            if *believed && !told.handlers.iter().any(|handler| handler.handler == *name) {
                wrong.push(say(format!("{name} believed that it fires and is not told of")));
            }
        }
        wrong
    }

    fn rule(&self, stage: &Stage, rule: &str, failing: bool) -> Option<String> {
        let story = self.ask(stage, rule, &Labels::empty());
        let said = story.evaluations.iter().any(|step| step.words.contains("could not be evaluated"));
        (failing && !said).then(|| format!("why {rule} at {}: that it could not be evaluated is not told", self.at))
    }
}
