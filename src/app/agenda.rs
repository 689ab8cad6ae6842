//! When which rule is due: the next slot of every rule, and what to do with slots that were missed.
//!
//! Pure: `now` is an argument. Missed slots are skipped and counted, as in Prometheus; the evaluation is at the latest
//! slot, never at the wall clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::Timestamp;
use crate::rule::Rule;

/// Rules due at one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The slot.
    pub slot: Timestamp,
    /// Indexes of the rules, ascending.
    pub rules: Vec<usize>,
    /// Slots of these rules that were skipped.
    pub missed: u64,
}

/// The next slot of every enabled rule.
#[derive(Debug, Default)]
pub struct Agenda {
    next: BTreeMap<Timestamp, Vec<usize>>,
}

impl Agenda {
    /// An agenda on which every rule waits for its next slot after `now`, as a new group does in Prometheus.
    pub fn new(rules: &[Rule], now: Timestamp) -> Self {
        Self::going_on(rules, now, &BTreeMap::new())
    }

    /// The same, after another agenda: a rule that has a slot which came and was not taken is due at that.
    pub fn going_on(rules: &[Rule], now: Timestamp, overdue: &BTreeMap<Arc<str>, Timestamp>) -> Self {
        let mut agenda = Self::default();
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.enabled) {
            // Of a schedule that was edited the slot may be none.
            let is_slot = |slot: &&Timestamp| rule.schedule.latest_at_or_before(**slot) == Some(**slot);
            match overdue.get(&rule.uid).filter(is_slot) {
                Some(slot) => agenda.next.entry(*slot).or_default().push(index),
                None => agenda.put(index, rule, now),
            }
        }
        agenda
    }

    /// Slots that came by `now` and were not taken, by the uid of their rule.
    pub fn overdue(&self, rules: &[Rule], now: Timestamp) -> BTreeMap<Arc<str>, Timestamp> {
        let came = self.next.range(..=now).flat_map(|(slot, indexes)| indexes.iter().map(move |index| (slot, *index)));
        came.filter_map(|(slot, index)| Some((rules.get(index)?.uid.clone(), *slot))).collect()
    }

    /// An agenda that also has everything with an interval evaluated at the latest slot before `now`: after a clock was
    /// set or the machine slept nobody waits for the first verdict.
    pub fn catching_up(rules: &[Rule], now: Timestamp) -> Self {
        let mut agenda = Self::default();
        for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.enabled) {
            match (&rule.schedule, rule.schedule.latest_at_or_before(now)) {
                (crate::schedule::Schedule::Every(_), Some(slot)) => {
                    agenda.next.entry(slot).or_default().push(index);
                }
                _ => agenda.put(index, rule, now),
            }
        }
        agenda
    }

    fn put(&mut self, index: usize, rule: &Rule, after: Timestamp) {
        // A schedule that never comes again leaves the agenda.
        if let Some(slot) = rule.schedule.next_after(after) {
            self.next.entry(slot).or_default().push(index);
        }
    }

    /// The next slot of any rule.
    pub fn next(&self) -> Option<Timestamp> {
        self.next.keys().next().copied()
    }

    /// Takes everything that is due, grouped by slot, oldest first, and puts each rule down for its next slot.
    pub fn take_due(&mut self, rules: &[Rule], now: Timestamp) -> Vec<Due> {
        let mut due: BTreeMap<Timestamp, (Vec<usize>, u64)> = BTreeMap::new();
        while let Some(entry) = self.next.first_entry().filter(|entry| *entry.key() <= now) {
            let (planned, indexes) = entry.remove_entry();
            for index in indexes {
                let Some(rule) = rules.get(index) else { continue };
                let slot = rule.schedule.latest_at_or_before(now).filter(|slot| *slot >= planned).unwrap_or(planned);
                let missed = if slot > planned { 1 + rule.schedule.missed_between(planned, slot) } else { 0 };
                let at_slot = due.entry(slot).or_default();
                at_slot.0.push(index);
                at_slot.1 += missed;
                self.put(index, rule, slot);
            }
        }
        due.into_iter()
            .map(|(slot, (mut rules, missed))| {
                rules.sort_unstable();
                Due { slot, rules, missed }
            })
            .collect()
    }
}
