//! Which firing alerts keep which others from being told: for every inhibit rule an index of its sources and of its
//! targets by the values that must be equal, kept current as alerts fire and resolve. All sources are kept, so that one
//! that goes never uncovers what another one still covers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::Routes;
use super::told::{AlertKey, Known};
use crate::model::labels::ALERT_NAME;
use crate::model::{Alert, InhibitRule, Labels, Transition};

/// A source of a rule, and values of its labels that must be equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    rule: usize,
    source: usize,
    values: Arc<str>,
}

/// What an alert is to the rules.
#[derive(Clone, Debug, Default, PartialEq)]
struct Roles {
    /// Where it mutes, and whether it is a target of that rule too.
    sources: Vec<(Place, bool)>,
    /// Where it is muted from, in the order of the rules and their sources, and whether it fits that source too.
    targets: Vec<(Place, bool)>,
}

/// The firing alerts that mute others from one place.
#[derive(Debug, Default)]
struct Sources {
    /// Those that are no targets of the rule.
    only: BTreeMap<AlertKey, Arc<Transition>>,
    /// Those that are targets of it too: they mute no other such target. In a map of their own, so that a place where
    /// thousands fire that are both is asked at no greater cost.
    both: BTreeMap<AlertKey, Arc<Transition>>,
}

impl Sources {
    fn side(&mut self, both: bool) -> &mut BTreeMap<AlertKey, Arc<Transition>> {
        if both { &mut self.both } else { &mut self.only }
    }

    fn is_empty(&self) -> bool {
        self.only.is_empty() && self.both.is_empty()
    }

    /// The first that mutes a target, which may fit the source itself.
    fn first(&self, fits: bool) -> Option<&Transition> {
        let both = self.both.iter().next().filter(|_| !fits);
        self.only.iter().next().into_iter().chain(both).min_by_key(|(key, _)| *key).map(|(_, fired)| &**fired)
    }
}

/// What mutes an alert.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Inhibition<'a> {
    /// The rule.
    pub rule: &'a InhibitRule,
    /// One alert of every source.
    pub by: Vec<&'a Transition>,
}

impl fmt::Display for Inhibition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, source) in self.by.iter().enumerate() {
            f.write_str(if n == 0 { "" } else { " and " })?;
            f.write_str(&named(&source.alert))?;
        }
        self.rule.name.as_ref().map_or(Ok(()), |name| write!(f, " (inhibit rule `{name}`)"))
    }
}

/// Firing alerts as the inhibit rules see them.
#[derive(Debug, Default)]
pub(super) struct Inhibitions {
    rules: Arc<[InhibitRule]>,
    external_labels: Labels,
    /// Whether it is to be made anew.
    old: bool,
    sources: BTreeMap<Place, Sources>,
    targets: BTreeMap<Place, BTreeSet<AlertKey>>,
    of: BTreeMap<AlertKey, Roles>,
}

impl Inhibitions {
    /// One that knows no alert yet.
    pub fn unknown() -> Self {
        Self { old: true, ..Self::default() }
    }

    /// Alerts have other names now.
    pub fn forget(&mut self) {
        self.old = true;
    }

    /// Takes the rules as they are now; where these are others, everything is found anew.
    pub fn follow(&mut self, routes: &Routes, alerts: &BTreeMap<AlertKey, Known>) {
        if !self.old && Arc::ptr_eq(&self.rules, &routes.inhibit) && self.external_labels == routes.external_labels {
            return;
        }
        let (rules, external_labels) = (Arc::clone(&routes.inhibit), routes.external_labels.clone());
        *self = Self { rules, external_labels, ..Self::default() };
        for (key, known) in alerts {
            self.update(key, Some(known), routes);
        }
    }

    /// Takes what became of an alert; alerts that are muted by other ones now, or by none.
    pub fn update(&mut self, key: &AlertKey, known: Option<&Known>, routes: &Routes) -> BTreeSet<AlertKey> {
        let fires = known.filter(|known| known.firing && !self.rules.is_empty() && !routes.is_proof(known));
        let roles = fires.map(|known| self.roles(&routes.leaving(&known.transition.alert))).unwrap_or_default();
        let before = self.of.remove(key).unwrap_or_default();
        let mut touched = BTreeSet::new();
        if before != roles {
            for (place, _) in &before.targets {
                if let Some(at) = self.targets.get_mut(place) {
                    at.remove(key);
                    if at.is_empty() {
                        self.targets.remove(place);
                    }
                }
            }
            for (place, _) in &roles.targets {
                self.targets.entry(place.clone()).or_default().insert(key.clone());
            }
            touched.insert(key.clone());
        }
        if before.sources != roles.sources {
            let places: BTreeSet<&Place> =
                before.sources.iter().chain(&roles.sources).map(|(place, _)| place).collect();
            let strength: Vec<_> = places.iter().map(|place| self.strength(place)).collect();
            for (place, both) in &before.sources {
                if let Some(at) = self.sources.get_mut(place) {
                    at.side(*both).remove(key);
                    if at.is_empty() {
                        self.sources.remove(place);
                    }
                }
            }
            for (place, both) in &roles.sources {
                let Some(known) = fires else { continue };
                let at = self.sources.entry(place.clone()).or_default();
                at.side(*both).insert(key.clone(), Arc::clone(&known.transition));
            }
            for (place, before) in places.iter().zip(strength) {
                if self.strength(place) != before {
                    touched.extend(self.targets.get(place).into_iter().flatten().cloned());
                }
            }
        }
        if roles != Roles::default() {
            self.of.insert(key.clone(), roles);
        }
        touched
    }

    fn roles(&self, labels: &Labels) -> Roles {
        let mut roles = Roles::default();
        for (rule, written) in self.rules.iter().enumerate() {
            let aimed_at = written.aims_at(labels);
            for (source, side) in written.sources.iter().enumerate() {
                let fits = side.fits(labels);
                if fits {
                    roles.sources.push((Place { rule, source, values: side.values(labels) }, aimed_at));
                }
                if aimed_at {
                    roles.targets.push((Place { rule, source, values: side.wanted(labels) }, fits));
                }
            }
        }
        roles
    }

    /// Whether there is a source for targets that do not fit it themselves, and one for those that do.
    fn strength(&self, place: &Place) -> (bool, bool) {
        let at = self.sources.get(place);
        (at.is_some(), at.is_some_and(|at| !at.only.is_empty()))
    }

    /// All that mutes an alert: the rules of which every source has a firing alert.
    pub fn all<'a>(&'a self, key: &AlertKey) -> impl Iterator<Item = Inhibition<'a>> + use<'a> {
        let targets = self.of.get(key).map(|roles| roles.targets.as_slice()).unwrap_or_default();
        targets.chunk_by(|(a, _), (b, _)| a.rule == b.rule).filter_map(|of_rule| self.by_rule(of_rule))
    }

    /// What mutes by one rule, of whose sources these are the places.
    fn by_rule(&self, of_rule: &[(Place, bool)]) -> Option<Inhibition<'_>> {
        let one = |(place, fits): &(Place, bool)| self.sources.get(place)?.first(*fits);
        let by = of_rule.iter().map(one).collect::<Option<Vec<_>>>()?;
        Some(Inhibition { rule: self.rules.get(of_rule.first()?.0.rule)?, by })
    }

    /// What would mute an alert with these labels, as it leaves, if it began to fire.
    pub fn of_labels(&self, labels: &Labels) -> Option<Inhibition<'_>> {
        let roles = self.roles(labels);
        roles.targets.chunk_by(|(a, _), (b, _)| a.rule == b.rule).find_map(|of_rule| self.by_rule(of_rule))
    }

    /// What mutes an alert, if anything does: the first rule that does.
    pub fn of(&self, key: &AlertKey) -> Option<Inhibition<'_>> {
        self.all(key).next()
    }
}

impl Routes {
    /// Whether an alert is for receivers alone that prove that alerts are told: it is nobody's alert.
    fn is_proof(&self, known: &Known) -> bool {
        let named = &known.transition.alert.notify;
        !named.is_empty() && named.iter().all(|name| self.receiver(name).is_some_and(|r| r.by_name_only))
    }
}

/// An alert in words: its name and the labels that tell it from others.
fn named(alert: &Alert) -> String {
    let own = alert.labels.filtered(|name| name != ALERT_NAME && name != "severity");
    if own.is_empty() { alert.rule.to_string() } else { format!("{}{own}", alert.rule) }
}
