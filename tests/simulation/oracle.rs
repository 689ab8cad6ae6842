//! What must hold, judged from what people can see: what fires, what each receiver got and when, who was silenced.
//!
//! It knows the files of a scenario and the contents of messages. It does not know how the router decides: who is meant
//! by a route, what a silence covers and when somebody should have been told is worked out here once more, in another
//! way.
//!
//! - At least once: who is meant is told, once nothing has hindered it for as long as all waits together take.
//! - The end of what was delivered is delivered, silenced or not.
//! - An end is told only after a beginning; a beginning only once; a change of level only where it is one.
//! - Between two beginnings lies the cooldown, unless it got worse.
//! - What is silenced, or looked after by somebody, is in no message that is decided on while it is, but to say so to a
//!   handler that wants to hear that.
//! - A step of an escalation tells nobody before its time; whoever it told is told everything further.
//! - A message comes twice only where it may not have come.

use std::collections::{BTreeMap, BTreeSet};

use alertd::model::alert::RECEIVED;
use alertd::model::{
    Alert, Fingerprint, Labels, Notice, NoticeKind, NoticeReason, Severity, Timestamp, Transition, TransitionKind,
};
use alertd::route::derived_id;

use crate::meant::{Meant, all, longest_step, meant};
use crate::scenario::{Files, RouteFacts, RuleFacts, STEP};

/// Longest pause after a failure, and the pause of the whole lane after it.
const BACKOFF_MS: i64 = 2 * 60_000;
/// The longest interval of a rule, and what a rate limit holds up.
const SLACK_MS: i64 = 60_000 + 180_000;
/// Who was told that long before a crash may not be known to have been told.
const UNSETTLED_MS: i64 = 10_000;

/// An alert: uid of the rule and fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlertId {
    pub rule: String,
    pub fingerprint: Fingerprint,
}

impl AlertId {
    pub fn of(alert: &Alert) -> Self {
        Self { rule: alert.rule_uid.to_string(), fingerprint: alert.fingerprint }
    }
}

/// What fires: level and labels as they leave.
pub type Truth = BTreeMap<AlertId, (Severity, Labels)>;

/// A silence as it was asked for.
#[derive(Clone, Debug)]
pub struct SilenceFacts {
    pub id: String,
    pub matchers: Vec<(String, String)>,
    pub starts_at: Timestamp,
    pub ends_at: Timestamp,
    /// When it was made or ended.
    pub made_at: Timestamp,
}

/// Since when an alert fires, and at its level.
#[derive(Clone, Debug)]
struct Fires {
    since_ms: i64,
    level: Severity,
    level_since_ms: i64,
    labels: Labels,
}

/// What was decided to tell of an alert to a handler.
#[derive(Clone, Copy, Debug, Default)]
struct Decided {
    firing: bool,
    /// It was over since, and whoever was told does not want to hear of that: a beginning may be told anew.
    anew: bool,
    level: Severity,
    begun_ms: Option<i64>,
}

/// How often a message came.
#[derive(Clone, Copy, Debug, Default)]
struct Came {
    at_ms: i64,
    unsure: bool,
}

/// A handler and an alert.
pub type Key = (String, AlertId);

/// The judge.
#[derive(Debug)]
pub struct Oracle {
    files: Files,
    /// Handlers that, by some set of files, do not want to hear that alerts are over.
    deaf: BTreeSet<String>,
    silences: Vec<SilenceFacts>,
    /// Alerts that somebody looks after, and until when, if not until they are over or worse.
    acks: BTreeMap<AlertId, Option<Timestamp>>,
    known: BTreeSet<String>,
    /// Ids that copies for fallbacks have or would have.
    copies: BTreeSet<String>,
    decided: BTreeMap<Key, Decided>,
    /// What fallbacks believe in the place of others.
    stood_in: BTreeSet<Key>,
    /// When they heard there of an end: one that stands in for several hears it for each.
    stood_in_until: BTreeMap<Key, i64>,
    /// What each receiver was told last.
    believed: BTreeMap<Key, Option<Severity>>,
    /// Who was told last of an alert that somebody looks after it.
    told_quiet: BTreeSet<Key>,
    /// When each receiver was told last, and by which message.
    told_ms: BTreeMap<Key, (i64, String)>,
    came: BTreeMap<String, Came>,
    fires: BTreeMap<AlertId, Fires>,
    over_since: BTreeMap<AlertId, i64>,
    /// When an alert was quiet last, and since when it is.
    quiet_ms: BTreeMap<AlertId, i64>,
    quiet_since: BTreeMap<AlertId, i64>,
    /// From when times of steps can count: when it began, or somebody stopped to look after it.
    steps_from: BTreeMap<AlertId, i64>,
    disturbed_ms: i64,
    /// When the clock was set last.
    clock_ms: Option<i64>,
    /// What receivers will not be told, because somebody removed it.
    dropped: BTreeSet<Key>,
    /// Receivers that are not well, and when the others became so.
    unwell: BTreeSet<String>,
    well_since: BTreeMap<String, i64>,
    told_of: BTreeSet<(String, AlertId, &'static str)>,
}

impl Oracle {
    pub fn new(sets: &[Files]) -> Self {
        let handlers = sets.iter().flat_map(|files| &files.handlers);
        let deaf = handlers.filter(|handler| !handler.send_resolved).map(|handler| handler.name.clone());
        Self {
            files: sets[0].clone(),
            deaf: deaf.collect(),
            silences: Vec::new(),
            acks: BTreeMap::new(),
            known: BTreeSet::new(),
            copies: BTreeSet::new(),
            decided: BTreeMap::new(),
            stood_in: BTreeSet::new(),
            stood_in_until: BTreeMap::new(),
            believed: BTreeMap::new(),
            told_quiet: BTreeSet::new(),
            told_ms: BTreeMap::new(),
            came: BTreeMap::new(),
            fires: BTreeMap::new(),
            over_since: BTreeMap::new(),
            quiet_ms: BTreeMap::new(),
            quiet_since: BTreeMap::new(),
            steps_from: BTreeMap::new(),
            disturbed_ms: 0,
            clock_ms: None,
            dropped: BTreeSet::new(),
            unwell: BTreeSet::new(),
            well_since: BTreeMap::new(),
            told_of: BTreeSet::new(),
        }
    }

    /// All waits together.
    fn patience_ms(&self) -> i64 {
        let mut routes = Vec::new();
        all(&self.files.route, &mut routes);
        let most = |of: fn(&RouteFacts) -> u64| routes.iter().map(|route| of(route)).max().unwrap_or(0);
        let cooldown = self.files.rules.values().map(|rule| rule.cooldown).max().unwrap_or(0);
        let secs = most(|r| r.wait) + most(|r| r.interval) + cooldown + longest_step(&self.files);
        i64::try_from(secs * 1000).unwrap() + BACKOFF_MS + SLACK_MS
    }

    /// The same in steps.
    pub fn patience_steps(&self) -> usize {
        usize::try_from(self.patience_ms()).unwrap() / 1000 / usize::try_from(STEP).unwrap()
    }

    pub fn knows(&self, id: &str) -> bool {
        self.known.contains(id)
    }

    /// A notice is tried: one that was made of several while they waited is heard of only then.
    pub fn tried(&mut self, id: &str) {
        self.known.insert(id.to_owned());
    }

    /// Something happened after which everybody has all waits before them again.
    pub fn disturbed(&mut self, _what: &str, now_ms: i64) {
        self.disturbed_ms = self.disturbed_ms.max(now_ms);
    }

    /// The wall clock is set to an instant: what people did and saw with silences is done, whatever the clock says of it.
    pub fn clock_set(&mut self, now_ms: i64, wall: Timestamp) {
        self.disturbed("clock", now_ms);
        for silence in self.silences.iter_mut().filter(|silence| silence.made_at > wall) {
            for at in [&mut silence.starts_at, &mut silence.ends_at] {
                *at = if *at <= silence.made_at { wall.min(*at) } else { *at };
            }
        }
        self.clock_ms = Some(now_ms);
    }

    /// Somebody removed notices: their handlers, and what they said something of.
    pub fn dropped(&mut self, of: Vec<Key>, now_ms: i64) {
        self.dropped.extend(of);
        self.disturbed("notices were removed", now_ms);
    }

    pub fn mood(&mut self, handler: &str, well: bool, now_ms: i64) {
        if well {
            self.unwell.remove(handler);
        } else {
            self.unwell.insert(handler.to_owned());
        }
        self.well_since.insert(handler.to_owned(), now_ms);
    }

    pub fn silence(&mut self, silence: SilenceFacts, _now_ms: i64) {
        self.silences.push(silence);
    }

    pub fn end_silence(&mut self, id: &str, wall: Timestamp, now_ms: i64) {
        for silence in self.silences.iter_mut().filter(|silence| silence.id == id && silence.ends_at > wall) {
            (silence.ends_at, silence.made_at) = (wall, wall);
        }
        self.disturbed("a silence ended", now_ms);
    }

    /// Somebody looks after these.
    pub fn acknowledged(&mut self, ids: Vec<AlertId>, until: Option<Timestamp>) {
        self.acks.extend(ids.into_iter().map(|id| (id, until)));
    }

    /// Nobody looks after these any more.
    pub fn withdrawn(&mut self, ids: &[AlertId], now_ms: i64) {
        for id in ids {
            self.acks.remove(id);
            self.steps_from.insert(id.clone(), now_ms);
        }
        self.disturbed("an acknowledgement was withdrawn", now_ms);
    }

    /// The process died: of what was sent just now it may not know.
    pub fn crashed(&mut self, now_ms: i64) {
        self.came.values_mut().filter(|came| now_ms - came.at_ms <= UNSETTLED_MS).for_each(|came| came.unsure = true);
    }

    pub fn reloaded(&mut self, files: Files, now_ms: i64) {
        self.disturbed("reload", now_ms);
        self.files = files;
        self.cool(now_ms);
    }

    /// Forgets beginnings whose cooldown is over, by the rules as they are now; a rule that is gone has none.
    fn cool(&mut self, now_ms: i64) {
        let rules = &self.files.rules;
        for ((_, id), decided) in &mut self.decided {
            let cooldown_ms = i64::try_from(rules.get(&id.rule).map_or(0, |rule| rule.cooldown)).unwrap() * 1000;
            decided.begun_ms = decided.begun_ms.filter(|begun| now_ms - begun < cooldown_ms);
        }
    }

    pub fn is_silenced(&self, labels: &Labels, wall: Timestamp) -> bool {
        let covers = |silence: &SilenceFacts| {
            silence.starts_at <= wall
                && wall < silence.ends_at
                && silence.matchers.iter().all(|(name, value)| labels.get(name) == Some(value))
        };
        self.silences.iter().any(covers)
    }

    /// Whether nobody is to be told of it now.
    fn is_quiet(&self, alert: (&AlertId, &Labels), wall: Timestamp) -> bool {
        let (id, labels) = alert;
        let acked = self.acks.get(id).is_some_and(|until| until.is_none_or(|until| until > wall));
        acked || self.is_silenced(labels, wall)
    }

    /// Whether a quiet alert stands in a message about ends, so that it does not say to a receiver who knows of that
    /// alert that all is over.
    fn keeps_open(&self, notice: &Notice, alert: &Transition, wall: Timestamp) -> bool {
        let over = |t: &Transition| matches!(t.kind, TransitionKind::Resolved { .. });
        let quiet = |t: &Transition| {
            t.kind == TransitionKind::StillFiring && self.is_quiet((&AlertId::of(&t.alert), &t.alert.labels), wall)
        };
        let key = (notice.handler.to_string(), AlertId::of(&alert.alert));
        // Of a copy it was judged whether the one that could not be told knew.
        let told = || self.decided.get(&key).is_some_and(|decided| decided.firing);
        let known = self.copies.contains(&notice.id) || self.stood_in.contains(&key) || told();
        let all = &notice.transitions;
        known && all.iter().any(|t| over(t)) && all.iter().all(|t| over(t) || quiet(t))
    }

    /// A notice is told late, because somebody has it tried again: its handler believes what it says.
    pub fn told_late(&mut self, notice: &Notice) {
        for t in &notice.transitions {
            let key = (notice.handler.to_string(), AlertId::of(&t.alert));
            let firing = !matches!(t.kind, TransitionKind::Resolved { .. });
            let before = self.decided.entry(key).or_default();
            let begun_ms = before.begun_ms.filter(|_| firing);
            // Whoever does not want to hear of ends hears of the next beginning.
            let anew = firing && !self.fires.contains_key(&AlertId::of(&t.alert));
            *before = Decided { firing, anew, level: t.alert.severity, begun_ms };
        }
    }

    /// A fallback may be given a copy of this, under an identity of its own.
    pub fn may_be_copied(&mut self, notice: &Notice) {
        let copies = self.files.handlers.iter().map(|h| derived_id(&notice.id, &h.name));
        self.copies.extend(copies);
    }

    /// Whether a fallback hears this of an alert in the place of others alone.
    fn is_of_stand_in(&self, key: &Key, notice: &Notice, t: &Transition, now_ms: i64) -> bool {
        let is_news = begins(t.kind) || notice.held_over.contains(&t.alert.fingerprint);
        let stands_in = self.stood_in.contains(key) || self.stood_in_until.get(key) == Some(&now_ms);
        !is_news && stands_in && !self.decided.get(key).is_some_and(|decided| decided.firing)
    }

    /// A notice was decided on.
    pub fn decided(&mut self, notice: &Notice, now_ms: i64, wall: Timestamp) -> Vec<String> {
        self.known.insert(notice.id.clone());
        self.cool(now_ms);
        let mut wrong = Vec::new();
        // Where the clock was set forward the slot that is made up for lies before now: times count from it.
        let slot_ms = i64::try_from(STEP).unwrap() * 1000;
        let at_ms = now_ms - (wall.0 - notice.at.0).clamp(0, slot_ms);
        // A fallback is told of what others could not be told: of beginnings and ends as they come.
        let is_copy = self.copies.contains(&notice.id);
        // Of what it is told instead it was decided earlier.
        let is_instead = notice.note.as_ref().is_some_and(|note| note.contains(" could not be told: "));
        for t in &notice.transitions {
            let id = AlertId::of(&t.alert);
            let over = matches!(t.kind, TransitionKind::Resolved { .. });
            let say = |what: &str| format!("{} {} to {}: {what}", t.alert.rule, t.alert.labels, notice.handler);
            let quiet = !over && !is_instead && self.is_quiet((&id, &t.alert.labels), wall);
            if quiet && notice.kind != NoticeKind::Acknowledged && !self.keeps_open(notice, t, wall) {
                wrong.push(say("it is silenced or looked after, and told"));
            }
            // What stands there only to keep an incident open is no news: how bad it has become is told when it may be.
            // But whoever reads that it is less bad now is to hear when it gets worse again.
            let key = (notice.handler.to_string(), id);
            if is_copy || self.is_of_stand_in(&key, notice, t, now_ms) {
                if !over {
                    self.stood_in.insert(key);
                } else if self.stood_in.remove(&key) {
                    self.stood_in_until.insert(key, now_ms);
                }
                continue;
            }
            if quiet {
                self.decided.entry(key).and_modify(|decided| decided.level = decided.level.min(t.alert.severity));
                continue;
            }
            let begins = !over && !self.decided.get(&key).is_some_and(|before| before.firing);
            if begins && let Some(what) = self.too_early(&key, t, now_ms, wall) {
                wrong.push(say(what));
            }
            let before = self.decided.entry(key).or_default();
            wrong.extend(step(before, t, notice.reason, at_ms).map(say));
        }
        wrong
    }

    /// A receiver has a message; `sure` if whoever sent it will hear of that.
    pub fn received(&mut self, notice: &Notice, now_ms: i64, sure: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(before) = self.came.get(&notice.id)
            && !before.unsure
        {
            wrong.push(format!("{} to {}: it was delivered and came again", notice.id, notice.handler));
        }
        self.came.insert(notice.id.clone(), Came { at_ms: now_ms, unsure: !sure });
        for t in &notice.transitions {
            let over = matches!(t.kind, TransitionKind::Resolved { .. });
            let key = (notice.handler.to_string(), AlertId::of(&t.alert));
            self.told_ms.insert(key.clone(), (now_ms, notice.id.clone()));
            self.dropped.remove(&key);
            match notice.kind {
                NoticeKind::Acknowledged => _ = self.told_quiet.insert(key.clone()),
                _ => _ = self.told_quiet.remove(&key),
            }
            self.believed.insert(key, (!over).then(|| level_of(&t.alert)));
        }
        wrong
    }

    /// Looks at what is so, and at what people believe.
    pub fn look(&mut self, now_ms: i64, wall: Timestamp, truth: Truth, dead: &[Key]) -> Vec<String> {
        self.follow(now_ms, wall, truth);
        let patient_ms = now_ms - self.patience_ms();
        if self.disturbed_ms > patient_ms {
            return Vec::new();
        }
        let mut wrong: Vec<(String, AlertId, &'static str)> = Vec::new();
        for handler in &self.files.handlers {
            let name = handler.name.as_str();
            let well = !self.unwell.contains(name) && self.well_since.get(name).is_none_or(|at| *at <= patient_ms);
            if !well {
                continue;
            }
            let gave_up = |id: &AlertId| {
                let is_it = |(h, alert): &Key| h == name && alert == id;
                dead.iter().chain(&self.dropped).any(is_it)
            };
            for ((_, id), level) in self.believed.iter().filter(|((h, _), _)| h == name) {
                let over = self.over_since.get(id).is_some_and(|since| *since <= patient_ms);
                if level.is_some() && over && !self.deaf.contains(name) && !gave_up(id) {
                    wrong.push((name.to_owned(), id.clone(), "it is over and was not told so"));
                }
            }
            if handler.on_mute == "resolve" {
                let long_quiet = self.quiet_since.iter().filter(|(_, since)| **since <= patient_ms).map(|(id, _)| id);
                let believes = |id: &&AlertId| {
                    let key = (name.to_owned(), (*id).clone());
                    // What it is told in the place of others is told as they want to hear it.
                    let own = self.decided.get(&key).is_some_and(|decided| decided.firing);
                    own && matches!(self.believed.get(&key), Some(Some(_))) && !self.told_quiet.contains(&key)
                };
                // Whoever no route leads to any more hears the end alone.
                let meant = |id: &&AlertId| self.fires.get(id).is_some_and(|fires| self.is_meant(id, fires, name));
                let wrongly = long_quiet.filter(believes).filter(meant).filter(|id| !gave_up(id));
                wrong.extend(wrongly.map(|id| (name.to_owned(), id.clone(), "it is quiet and was not told so")));
            }
            let min: Severity = serde_json::from_value(handler.min_severity.into()).unwrap();
            for (id, fires) in &self.fires {
                // One of a rule that was changed and cannot be evaluated since: its level and labels of now were never
                // found, people know those of before.
                let is_of_before = id.rule != RECEIVED && fires.labels.get("severity").is_none();
                let hindered = is_of_before
                    || fires.since_ms > patient_ms
                    || self.quiet_ms.get(id).is_some_and(|at| *at > patient_ms)
                    || gave_up(id);
                if hindered || fires.level < min || !self.is_meant(id, fires, name) {
                    continue;
                }
                match self.believed.get(&(name.to_owned(), id.clone())) {
                    Some(Some(level)) if *level != fires.level && fires.level_since_ms <= patient_ms => {
                        wrong.push((name.to_owned(), id.clone(), "its level is another than was told"));
                    }
                    Some(Some(_)) => {}
                    _ => wrong.push((name.to_owned(), id.clone(), "it fires and was not told")),
                }
            }
        }
        wrong.retain(|found| self.told_of.insert(found.clone()));
        let told = |(handler, id, what): (String, AlertId, &str)| {
            let last = self.told_ms.get(&(handler.clone(), id.clone())).map_or("nothing", |(_, notice)| notice);
            format!("{} {} to {handler}: {what}; its last message is {last}", id.rule, id.fingerprint)
        };
        wrong.into_iter().map(told).collect()
    }

    /// Whether a receiver believes that an alert fires; none where that is not beyond doubt, because something was sent
    /// to it a moment ago.
    pub fn believes(&self, handler: &str, id: &AlertId, now_ms: i64) -> Option<bool> {
        let at = self.told_ms.get(&(handler.to_owned(), id.clone()));
        let (at_ms, notice) = at?;
        let sure = self.came.get(notice).is_some_and(|came| !came.unsure);
        (sure && now_ms - at_ms > UNSETTLED_MS)
            .then(|| self.believed.get(&(handler.to_owned(), id.clone())).is_some_and(Option::is_some))
    }

    /// Something happened to an alert. Who looks after it looks after this episode, at this level.
    pub fn happened(&mut self, t: &Transition, now_ms: i64, wall: Timestamp) {
        let id = AlertId::of(&t.alert);
        let over = matches!(t.kind, TransitionKind::Resolved { .. });
        // It may have happened in a slot that was missed.
        let at_ms = now_ms - (wall.0 - t.at.0).max(0);
        // Where somebody heard of its last beginning and not of its end it goes on.
        let goes_on = self.decided.iter().any(|((_, of), decided)| *of == id && decided.firing);
        if t.kind == TransitionKind::Fired && !goes_on {
            self.steps_from.insert(id.clone(), at_ms);
        }
        if (over || begins(t.kind))
            && let Some(until) = self.acks.remove(&id)
        {
            // One whose time was up ended then: getting worse alone has no step begin anew.
            let ended_ms = until.filter(|until| !over && *until <= t.at).map(|until| at_ms - (t.at.0 - until.0));
            self.steps_from.insert(id.clone(), ended_ms.unwrap_or(at_ms));
        }
        if over {
            self.over(&id);
        }
    }

    /// An alert is over. Whoever does not want to hear of that hears of its next beginning.
    fn over(&mut self, id: &AlertId) {
        for handler in self.files.handlers.iter().filter(|handler| !handler.send_resolved) {
            let key = (handler.name.clone(), id.clone());
            self.decided.entry(key).and_modify(|decided| decided.anew = true);
        }
    }

    /// Notes since when things are so.
    fn follow(&mut self, now_ms: i64, wall: Timestamp, truth: Truth) {
        let told: BTreeSet<AlertId> = self.decided.keys().map(|(_, id)| id.clone()).collect();
        told.iter().filter(|id| !truth.contains_key(id)).for_each(|id| self.over(id));
        for (_, id) in self.believed.keys() {
            if truth.contains_key(id) {
                self.over_since.remove(id);
            } else {
                self.over_since.entry(id.clone()).or_insert(now_ms);
            }
        }
        self.fires.retain(|id, _| truth.contains_key(id));
        self.quiet_since.retain(|id, _| truth.contains_key(id));
        self.acks.retain(|id, _| truth.contains_key(id));
        for (id, (level, labels)) in truth {
            if self.is_quiet((&id, &labels), wall) {
                self.quiet_ms.insert(id.clone(), now_ms);
                self.quiet_since.entry(id.clone()).or_insert(now_ms);
            } else {
                self.quiet_since.remove(&id);
            }
            let new = Fires { since_ms: now_ms, level, level_since_ms: now_ms, labels: labels.clone() };
            let fires = self.fires.entry(id).or_insert(new);
            if fires.level != level {
                (fires.level, fires.level_since_ms) = (level, now_ms);
            }
            if fires.labels != labels {
                // Labels that follow the level may lead elsewhere: all waits begin anew.
                (fires.labels, fires.since_ms) = (labels, now_ms);
            }
        }
    }

    /// Who is to be told of an alert. What others report is of no rule.
    fn meant(&self, id: &AlertId, labels: &Labels) -> Meant {
        let reported = RuleFacts::default();
        let rule = if id.rule == RECEIVED { Some(&reported) } else { self.files.rules.get(&id.rule) };
        meant(&self.files, rule, labels)
    }

    /// Whether a handler is to be told of an alert.
    fn is_meant(&self, id: &AlertId, fires: &Fires, handler: &str) -> bool {
        self.meant(id, &fires.labels).contains_key(handler)
    }

    /// Whether a handler is told of an alert as nobody is by the files, or by a step whose time has not come. Where the
    /// clock was set meanwhile nobody can say what the time is.
    fn too_early(&self, (handler, id): &Key, t: &Transition, now_ms: i64, wall: Timestamp) -> Option<&'static str> {
        // Of a rule that was changed and cannot be evaluated since people know the labels of before.
        if !self.files.rules.contains_key(&id.rule) || t.alert.labels.get("severity").is_none() {
            return None;
        }
        let Some(after) = self.meant(id, &t.alert.labels).get(handler).copied() else {
            return Some("it is told and by no route");
        };
        let ack_ended = self.acks.get(id).copied().flatten().map(|until| now_ms - (wall.0 - until.0));
        let from_ms = ack_ended.max(self.steps_from.get(id).copied())?;
        let early = now_ms - from_ms < i64::try_from(after).unwrap() * 1000;
        (early && self.clock_ms.is_none_or(|set| set < from_ms)).then_some("it is told by a step before its time")
    }
}

const fn begins(kind: TransitionKind) -> bool {
    matches!(kind, TransitionKind::Fired | TransitionKind::Raised { .. })
}

/// How bad an alert is by its label; where it has none, by what is said of it. An alert whose rule was changed and
/// cannot be evaluated since has the label of before.
pub fn level_of(alert: &Alert) -> Severity {
    alert.labels.get("severity").and_then(Severity::from_label).unwrap_or(alert.severity)
}

/// Judges one step of what is told, and notes it.
fn step(before: &mut Decided, t: &Transition, reason: NoticeReason, now_ms: i64) -> Option<&'static str> {
    let level = t.alert.severity;
    let was = *before;
    match t.kind {
        TransitionKind::Resolved { .. } => {
            (before.firing, before.anew) = (false, false);
            return (!was.firing && reason != NoticeReason::FiredAndResolved)
                .then_some("its end is told and its beginning was not");
        }
        _ if !was.firing || (was.anew && begins(t.kind)) => {
            *before = Decided { firing: true, anew: false, level, begun_ms: Some(now_ms) };
            return (was.begun_ms.is_some() && level <= was.level).then_some("it is told again inside its cooldown");
        }
        _ => before.level = level,
    }
    match t.kind {
        TransitionKind::Fired => Some("its beginning is told twice"),
        TransitionKind::Raised { .. } if level <= was.level => Some("it is told to be worse and is not"),
        TransitionKind::Lowered { .. } if level >= was.level => Some("it is told to be less bad and is not"),
        _ => None,
    }
}
