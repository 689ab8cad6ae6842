//! What is derived from the labels of a rule's signals, kept from slot to slot.
//!
//! Place in the flow: [`super::Advance`] asks for the key of each signal and, of an anomaly rule, for the names under
//! which its band is published. A store hands out the same label sets as long as its series stay, so at nearly every
//! slot the answer is there, found by comparing addresses. It is a memory of work, never of state: it is not saved, and
//! two states that differ in it alone are equal.

use std::collections::BTreeMap;

use crate::eval::Signal;
use crate::model::Labels;
use crate::model::labels::METRIC_NAME;

use super::Instance;
use super::anomaly::SUFFIXES;

/// Labels under which the band of one signal is published, in the order of [`super::Band`].
pub type Published = [Labels; SUFFIXES.len()];

/// One signal of the last evaluation.
#[derive(Clone, Debug)]
struct Known {
    /// As it came.
    labels: Labels,
    /// Without the metric's name.
    key: Labels,
    published: Option<Box<Published>>,
    /// Labels of its alert, where they follow from the signal's labels alone.
    alert_labels: Option<Labels>,
}

/// The signals of the last evaluation, in their order.
#[derive(Clone, Debug, Default)]
pub struct SignalKeys {
    known: Vec<Known>,
    /// Whether the last signals were those of the evaluation before it, all of them and no others.
    unchanged: bool,
    /// Whether a signal carries a label that the rule sets too.
    overridden: Option<bool>,
}

impl SignalKeys {
    /// Takes the signals of an evaluation.
    pub(crate) fn take(&mut self, signals: &[Signal]) {
        let same = |(known, signal): (&Known, &Signal)| known.labels.is_same(&signal.labels);
        self.unchanged = self.known.len() == signals.len() && self.known.iter().zip(signals).all(same);
        if self.unchanged {
            return;
        }
        self.overridden = None;
        // Signals are in the order of their keys, and so is what is known: one walk finds those that stay.
        let mut before = std::mem::take(&mut self.known).into_iter().peekable();
        self.known.reserve_exact(signals.len());
        for signal in signals {
            while before.next_if(|known| known.labels.cmp_without_name(&signal.labels).is_lt()).is_some() {}
            let kept = before.next_if(|known| known.labels == signal.labels);
            self.known.push(match kept {
                Some(known) => Known { labels: signal.labels.clone(), ..known },
                None => Known {
                    labels: signal.labels.clone(),
                    key: signal.labels.without_name(),
                    published: None,
                    alert_labels: None,
                },
            });
        }
    }

    /// The key of the signal at a place.
    pub(super) fn key(&self, place: usize, signal: &Signal) -> Labels {
        self.known.get(place).map_or_else(|| signal.labels.without_name(), |known| known.key.clone())
    }

    /// For each signal, whether its alert is active; empty where none is. Signals and alerts both come in the order of
    /// their keys, so each is looked at once.
    pub(super) fn active(&self, instances: &BTreeMap<Labels, Instance>) -> Vec<bool> {
        let mut active = instances.iter().filter(|(_, i)| i.is_active()).map(|(key, _)| key).peekable();
        if active.peek().is_none() {
            return Vec::new();
        }
        let is_active = |key: &Labels| {
            while active.next_if(|a| *a < key).is_some() {}
            active.next_if(|a| *a == key).is_some()
        };
        self.keys().map(is_active).collect()
    }

    /// Labels of the alert of the signal at a place; `make` is asked once and must look at nothing but its labels.
    pub(crate) fn alert_labels(&mut self, place: usize, make: impl FnOnce() -> Labels) -> Labels {
        match self.known.get_mut(place) {
            Some(known) => known.alert_labels.get_or_insert_with(make).clone(),
            None => make(),
        }
    }

    /// Whether a signal carries one of the labels for which `overrides` holds; asked once while signals stay.
    pub(super) fn overridden(&mut self, overrides: impl Fn(&str) -> bool) -> bool {
        let known = &self.known;
        let any = || known.iter().any(|known| known.labels.iter().any(|(name, _)| overrides(name)));
        *self.overridden.get_or_insert_with(any)
    }

    /// Whether the last signals were those of the evaluation before it, all of them and no others.
    pub(crate) fn unchanged(&self) -> bool {
        self.unchanged
    }

    /// The keys of all signals.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Labels> {
        self.known.iter().map(|known| &known.key)
    }

    /// The names under which a rule publishes the band of the signal at a place.
    pub(crate) fn published(&mut self, place: usize, rule: &str) -> Option<&Published> {
        let known = self.known.get_mut(place)?;
        let key = &known.key;
        let name = |suffix: &str| key.with(METRIC_NAME, &format!("{rule}:{suffix}"));
        Some(known.published.get_or_insert_with(|| Box::new(SUFFIXES.map(name))))
    }

    /// Forgets everything: after an evaluation that failed, and where the rule was edited.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl PartialEq for SignalKeys {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(name: &str, host: &str) -> Signal {
        let labels = Labels::from_pairs([(METRIC_NAME, name), ("host", host)]);
        Signal { labels, value: 1.0, reached: 0, kept: 0 }
    }

    #[test]
    fn keys_follow_signals_that_come_stay_and_go() {
        let [a, b, c] = ["a", "b", "c"].map(|host| signal("m", host));
        let mut keys = SignalKeys::default();
        for (signals, unchanged) in [
            (vec![a.clone(), c.clone()], false),
            (vec![a.clone(), c.clone()], true),
            (vec![a.clone(), b.clone(), c.clone()], false),
            (vec![b.clone()], false),
            // Another metric's series of the same key.
            (vec![signal("n", "b"), c], false),
            (vec![], false),
            (vec![a, b], false),
        ] {
            keys.take(&signals);
            assert_eq!(keys.unchanged(), unchanged, "{signals:?}");
            let expected: Vec<Labels> = signals.iter().map(|s| s.labels.without_name()).collect();
            assert_eq!(keys.keys().cloned().collect::<Vec<_>>(), expected);
            for (place, key) in expected.iter().enumerate() {
                let published = keys.published(place, "r").expect("there is a signal").clone();
                assert_eq!(published[0], key.with(METRIC_NAME, "r:value"));
                assert_eq!(published[4], key.with(METRIC_NAME, "r:score"));
            }
        }
    }

    #[test]
    fn what_is_derived_from_labels_is_made_once_while_they_stay() {
        let signals = [signal("m", "a")];
        let mut keys = SignalKeys::default();
        keys.take(&signals);
        let made = keys.alert_labels(0, || Labels::from_pairs([("x", "1")]));
        keys.take(&signals);
        assert_eq!(keys.alert_labels(0, || unreachable!("known")), made);
        assert!(keys.overridden(|name| name == "host"));
        keys.clear();
        keys.take(&signals);
        assert_eq!(keys.alert_labels(0, Labels::empty), Labels::empty());
        assert!(!keys.overridden(|name| name == "severity"));
    }
}
