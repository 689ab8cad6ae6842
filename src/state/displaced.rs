//! Alerts that a label which follows the value took from their signal: the signal has another alert now, and the one
//! before is kept firing by itself for as long as `keep_firing_for` says, as in Prometheus.
//!
//! Such an alert stands under its own labels instead of those of its signal. How often it came and went is counted of the
//! signal, so that the count goes to the alert that the signal has now.

use super::advance::{Advance, Walk};
use super::instance::Input;
use super::{Flaps, Instance, RuleState};
use crate::model::{Labels, ResolveReason};

/// Whether the signal of an alert has another alert now.
pub(super) fn is_displaced(key: &Labels, instance: &Instance) -> bool {
    instance.sample_labels.cmp_without_name(key).is_ne()
}

impl Advance<'_> {
    /// Makes room for another alert of the signal: its alert ends, or is kept firing beside the new one. Gives what was
    /// counted of the signal; that it flaps keeps the alert no longer.
    pub(super) fn displace(&self, state: &mut RuleState, walk: &mut Walk<'_>, key: &Labels) -> Option<Box<Flaps>> {
        let mut flaps = state.instances.get_mut(key).and_then(|instance| instance.flaps.take());
        if let Some(flaps) = &mut flaps {
            flaps.hand_on();
        }
        self.apply(state, walk, key, Input::Clear { value: None });
        let own = |instance: &Instance| instance.labels.clone();
        let Some(own) = state.instances.get(key).filter(|i| i.is_active()).map(own) else {
            state.instances.remove(key);
            return flaps;
        };
        // Labels of an alert that are those of a signal: it must not vanish, so it ends.
        if state.instances.get(&own).is_some_and(Instance::is_active) {
            self.apply(state, walk, key, Input::Over { reason: ResolveReason::Recovered });
            state.instances.remove(key);
            return flaps;
        }
        if let Some(instance) = state.instances.remove(key) {
            state.instances.insert(own, instance);
        }
        flaps
    }

    /// Gives a signal back the alert with these labels that it or another signal had before, where that still fires.
    pub(super) fn take_up(&self, state: &mut RuleState, key: &Labels, labels: &Labels) -> bool {
        let kept = |instance: &&Instance| instance.is_active() && is_displaced(labels, instance);
        if state.instances.get(labels).filter(kept).is_none() {
            return false;
        }
        if let Some(instance) = state.instances.remove(labels) {
            state.instances.insert(key.clone(), instance);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use crate::model::{Fingerprint, Severity, Transition, TransitionKind};
    use crate::rule::{Flapping, Rule};
    use crate::state::tests::{Player, above, minutes, two_levels};
    use crate::template::Template;

    /// A rule whose label `level` follows the value.
    fn rule() -> Rule {
        let level = Template::parse("{{ if gt $value 8.0 }}high{{ else }}low{{ end }}").expect("a template");
        Rule { labels: vec![(Arc::from("level"), level)], keep_firing_for: minutes(2), ..above(5.0) }
    }

    /// The same, where three changes within half an hour are flapping.
    fn flapping() -> Rule {
        let flapping = Flapping { changes: 3, window: minutes(30), quiet: minutes(3) };
        Rule { flapping: Some(flapping), keep_firing_for: minutes(0), ..rule() }
    }

    /// What came of the words: `MINUTE KIND LEVEL`, and `flaps` where it does.
    fn check(words: &str, want: &[&str]) {
        check_rule(rule(), words, want);
    }

    fn check_rule(rule: Rule, words: &str, want: &[&str]) {
        let all = Player::new(rule).play(words);
        let one = |t: &Transition| {
            let level = t.alert.labels.get("level").unwrap_or_default();
            let flaps = if t.alert.flapping.is_some() { " flaps" } else { "" };
            format!("{} {} {level}{flaps}", t.at.0 / 60_000, t.kind.as_str())
        };
        let got: Vec<String> = all.iter().map(|seen| one(seen)).collect();
        assert_eq!(got, want, "{words}");
        // Whatever fires is taken back.
        let mut firing: Vec<Fingerprint> = Vec::new();
        for seen in &all {
            match seen.kind {
                TransitionKind::Fired => firing.push(seen.alert.fingerprint),
                TransitionKind::Resolved { .. } => firing.retain(|f| *f != seen.alert.fingerprint),
                _ => {}
            }
        }
        assert_eq!(firing, [], "{words}");
    }

    #[test]
    fn an_alert_whose_label_followed_the_value_away_is_kept_firing_and_then_resolves() {
        check("6 9 9 9 1 1 1", &["0 fired low", "1 fired high", "3 resolved low", "6 resolved high"]);
    }

    #[test]
    fn an_alert_that_the_value_comes_back_to_goes_on() {
        check("6 9 6 6 6 1 1 1", &["0 fired low", "1 fired high", "4 resolved high", "7 resolved low"]);
        check("6 9 6 9 6 9 1 1 1 1", &["0 fired low", "1 fired high", "7 resolved low", "8 resolved high"]);
    }

    #[test]
    fn changes_are_counted_of_the_signal_whichever_alert_it_has() {
        check_rule(
            flapping(),
            "6 1 9 1 1 9 6 1 1 1 1 6 1",
            &[
                "0 fired low",
                "1 resolved low",
                "2 fired high flaps",
                // It goes on flapping as another alert, and is waited for as long.
                "6 resolved high",
                "6 fired low flaps",
                "10 resolved low",
                "11 fired low",
                "12 resolved low",
            ],
        );
        check_rule(
            Rule { hold: minutes(1), ..flapping() },
            "6 6 9 9 1 1 1 1",
            &["0 pending low", "1 fired low", "2 resolved low", "2 pending high", "3 fired high", "4 resolved high"],
        );
    }

    #[test]
    fn the_signal_goes_on_with_its_count_while_its_other_alert_is_pending() {
        let found = ["0 pending low", "1 fired low", "2 resolved low", "3 pending low", "4 fired low flaps"];
        let rule = |quiet| {
            let terms = flapping().flapping.map(|terms| Flapping { quiet: minutes(quiet), ..terms });
            Rule { hold: minutes(1), flapping: terms, ..flapping() }
        };
        let flaps_on = ["5 resolved low", "5 pending high flaps", "6 fired high flaps", "12 resolved high"];
        check_rule(rule(5), "6 6 1 6 6 9 9 1 1 1 1 1 1", &[found.as_slice(), &flaps_on].concat());
        // It is over before it fired: what comes then is counted anew.
        let anew = ["5 resolved low", "5 pending high flaps", "6 cancelled high", "7 pending low", "8 fired low"];
        check_rule(rule(5), "6 6 1 6 6 9 1 6 6 1", &[found.as_slice(), &anew, &["9 resolved low"]].concat());
        // What was not found to flap ceased when that one was over.
        check_rule(
            rule(3),
            "6 6 9 1 6 6 1 1 1 1",
            &[
                "0 pending low",
                "1 fired low",
                "2 resolved low",
                "2 pending high",
                "3 cancelled high",
                "4 pending low",
                "5 fired low flaps",
                "9 resolved low",
            ],
        );
    }

    #[test]
    fn an_alert_that_flaps_is_kept_at_no_level_that_another_alert_of_its_signal_had() {
        let level = Template::parse("{{ if gt $value 95.0 }}high{{ else }}low{{ end }}").expect("a template");
        let rule = |keep| Rule {
            labels: vec![(Arc::from("level"), level.clone())],
            flapping: flapping().flapping,
            keep_firing_for: minutes(keep),
            ..two_levels()
        };
        let severities = |rule, words| {
            let seen = Player::new(rule).play(words);
            let told = seen.iter().map(|t| (t.alert.labels.get("level").map(str::to_owned), t.alert.severity));
            (told.collect::<BTreeSet<_>>(), seen.last().is_some_and(|t| t.alert.flapping.is_some()))
        };
        let own = [("high", Severity::Critical), ("low", Severity::Warning)];
        let own: BTreeSet<_> = own.map(|(label, severity)| (Some(label.to_owned()), severity)).into();
        assert_eq!(severities(rule(0), "85 96 85 96 85"), (own.clone(), true));
        assert_eq!(severities(rule(2), "85 96 85 96 85 96 85 85 50 50 50 50").0, own);
    }

    #[test]
    fn another_label_alone_is_no_change() {
        let turns = ["0 fired low", "1 resolved low", "1 fired high", "2 resolved high", "2 fired low"];
        check_rule(flapping(), "6 9 6 1", &[turns.as_slice(), &["3 resolved low"]].concat());
        let kept = Rule { keep_firing_for: minutes(1), ..flapping() };
        check_rule(kept, "6 9 6 9 6 1 1", &["0 fired low", "1 fired high", "5 resolved high", "6 resolved low"]);
    }

    #[test]
    fn a_series_that_falls_silent_keeps_no_displaced_alert() {
        check(
            "6 9 _ _ 9 1 1 1",
            &["0 fired low", "1 fired high", "2 no_data high", "3 resolved low", "4 data_back high", "7 resolved high"],
        );
    }
}
