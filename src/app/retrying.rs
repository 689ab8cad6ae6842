//! Notices that were given up and are tried again by hand.
//!
//! Place in the flow: the API asks, the store has the rows. A message is sent as it was when it was given up, and routing
//! takes what it says for what its handler knows: what came of it since is told right behind it, so that nobody is left
//! with an alert that is long over. That is stored first, so that a killed process tells too much rather than too little.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::hub::{Core, Hub};
use super::keeper::Row;
use super::unsure::over;
use super::waiting::{Meant, WaitingError};
use crate::engine::Engine;
use crate::model::{Fingerprint, Now, ResolveReason, Timestamp, Transition};
use crate::notify::delivery::Entry;
use crate::persist::{HistoryKind, HistoryQuery, OutboxState, Which};
use crate::route::{FormerUids, Late};

/// Of so many alerts that are over and forgotten the history is asked how they ended; of others it is told that they are
/// over by now.
const ENDS_MAX: usize = 1_000;

type Alert = (Arc<str>, Fingerprint);
/// When alerts ended, and why.
type Ends = BTreeMap<Alert, (Timestamp, ResolveReason)>;

impl Hub {
    /// Makes dead notices wait again, with as much time as a new one, and puts them into their queues; their ids. What
    /// came of what they say is told behind them. One whose alerts its handler knows through another group by now stays
    /// dead: it would open what nothing closes.
    pub fn retry(&self, meant: &Meant) -> Result<Vec<String>, WaitingError> {
        let mut rows = self.meant(meant, Some(OutboxState::Dead))?;
        // A row that cannot be read cannot be delivered either.
        rows.retain(|row| row.entry.is_some());
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ends = self.ends_of(&rows);
        // Nothing else is decided meanwhile.
        let mut core = self.core();
        let now = self.now(&mut core);
        let former = former_uids(&core);
        let is_elsewhere = |entry: &Entry| core.router.is_elsewhere(&entry.notice, &former, &core.routes);
        rows.retain(|row| !row.entry.as_ref().is_some_and(is_elsewhere));
        let ids: Vec<String> = rows.iter().map(|row| row.stored.id.clone()).collect();
        if ids.is_empty() {
            return Ok(ids);
        }
        self.keeper.will_retry(&rows, now.slot).map_err(WaitingError::Store)?;
        let Core { router, routes, engine, .. } = &mut *core;
        let unknown = |t: &Transition| end_of(t, &ends, engine, now);
        let late = Late { routes, former: &former, end_of: &unknown, now };
        rows.iter().filter_map(|row| row.entry.as_ref()).for_each(|entry| router.told_late(&entry.notice, late));
        self.outbox.fallbacks().ask_anew();
        let further = self.decide(&mut core, &[], Some(Vec::new()), now);
        let retried = self.keeper.persist().retry(&Which::Ids(ids.clone()), now.slot);
        if retried.is_ok() {
            self.forget_dead(&rows);
            self.outbox.restore(self.keeper.begin_anew(rows, now));
        }
        self.put(further);
        retried.map(|_| ids).map_err(|error| WaitingError::Store(error.to_string()))
    }

    /// How the alerts of these notices ended of which nothing is known any more.
    fn ends_of(&self, rows: &[Row]) -> Ends {
        let forgotten: BTreeMap<Alert, Timestamp> = {
            let core = self.core();
            let former = former_uids(&core);
            let notices = rows.iter().filter_map(|row| row.entry.as_ref()).map(|entry| &entry.notice);
            let told = notices.flat_map(|notice| &notice.transitions);
            let over = told.filter(|t| core.router.is_forgotten(&t.alert, &former, &core.routes));
            over.take(ENDS_MAX).map(|t| ((t.alert.rule_uid.clone(), t.alert.fingerprint), t.at)).collect()
        };
        let end = |(alert, from): (Alert, Timestamp)| {
            let query = HistoryQuery {
                rule: Some(alert.0.to_string()),
                fingerprint: Some(alert.1),
                from: Some(from),
                kinds: vec![HistoryKind::Transition],
                limit: 20,
                ..HistoryQuery::default()
            };
            let rows = self.keeper.persist().history(&query).ok()?.rows;
            let end = rows.into_iter().find(|row| row.event.reason.as_deref() == Some("resolved"))?;
            let detail: serde_json::Value = serde_json::from_str(end.event.detail.as_deref()?).ok()?;
            let reason = ResolveReason::from_words(detail["why"].as_str()?)?;
            Some((alert, (end.event.at, reason)))
        };
        forgotten.into_iter().filter_map(end).collect()
    }
}

/// Rules that say which uid they had.
fn former_uids(core: &Core) -> FormerUids {
    let rules = core.engine.rules().iter();
    rules.filter_map(|rule| Some((rule.renamed_from.clone()?, (rule.uid.clone(), rule.name.clone())))).collect()
}

/// The end of an alert of which only what was told is left.
fn end_of(told: &Transition, ends: &Ends, engine: &Engine, now: Now) -> Transition {
    let alert = &told.alert;
    let rule_is_there = alert.is_received() || engine.state(&alert.rule_uid).is_some();
    let otherwise = if rule_is_there { ResolveReason::Recovered } else { ResolveReason::RuleRemoved };
    let known = ends.get(&(alert.rule_uid.clone(), alert.fingerprint));
    let (at, reason) = known.copied().unwrap_or((now.slot, otherwise));
    over(told, reason, at)
}

#[cfg(test)]
#[path = "retrying_tests.rs"]
mod tests;
