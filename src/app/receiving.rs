//! Alerts that other programs report: taken over, told like those of rules, over when their end has come.
//!
//! Place in the flow: the HTTP API brings reports, the evaluator the time; [`Received`] says what changed, and
//! `Hub::tell` does with it what it does with the transitions of rules. A report counts at once; that it is on the
//! disk is what an answer without an error says.

use std::collections::BTreeSet;
use std::time::Duration;

use thiserror::Error;
use tracing::info;

use super::hub::{Core, Hub};
use crate::model::alert::RECEIVED;
use crate::model::{Fingerprint, Timestamp, Transition};
use crate::received::{Received, ReceivedAlert, Refused, Report, ReportError};

/// Most alerts of one request.
pub const REPORTS_MAX: usize = 20_000;
/// How long one of which only what was told is left waits for its source.
const ADOPTED_FOR: Duration = Duration::from_secs(5 * 60);

/// Why not everything of a request was taken. The rest of it was.
#[derive(Debug, Error)]
pub enum ReceiveError {
    /// Too many at once; none was taken.
    #[error("{0} alerts at once, at most {REPORTS_MAX} are taken")]
    Many(usize),
    /// Some reports are wrong; for others there may be no room.
    #[error("{0}")]
    Wrong(String),
    /// There is no room for some of them.
    #[error("{refused} of {all} alerts were not taken: {}", ReportError::Full)]
    Full {
        /// How many were refused.
        refused: usize,
        /// Of how many.
        all: usize,
    },
    /// They were taken and would not outlive the process.
    #[error("the alerts were taken and cannot be stored, a restart would forget them: {0}")]
    NotStored(String),
}

impl Hub {
    /// Takes reports of alerts. One without an end is over after `resolve_timeout`.
    pub fn receive(&self, reports: Vec<Report>, resolve_timeout: Duration) -> Result<(), ReceiveError> {
        let all = reports.len();
        if all > REPORTS_MAX {
            self.metrics.received("refused", all);
            return Err(ReceiveError::Many(all));
        }
        let mut core = self.core();
        let now = self.now(&mut core);
        let taken = core.received.take(reports, resolve_timeout, now.slot);
        let changed = !taken.transitions.is_empty();
        self.tell(&mut core, taken.transitions, Some(Vec::new()), now);
        if changed {
            self.count_alerts(&core);
        }
        drop(core);
        let (no_room, wrong): (Vec<Refused>, Vec<Refused>) =
            taken.refused.into_iter().partition(|refused| refused.error == ReportError::Full);
        let full = no_room.len();
        let counts = [("firing", taken.firing), ("resolved", taken.resolved), ("full", full)];
        counts.into_iter().for_each(|(result, count)| self.metrics.received(result, count));
        self.metrics.received("invalid", wrong.len());
        let displaced = || self.keeper.displaced().then(|| "another process took over".to_owned());
        if let Some(trouble) = self.keeper.trouble().or_else(displaced) {
            return Err(ReceiveError::NotStored(trouble));
        }
        let no_room = (full > 0).then_some(ReceiveError::Full { refused: full, all });
        if wrong.is_empty() {
            return no_room.map_or(Ok(()), Err);
        }
        let mut told: Vec<String> = wrong.iter().filter_map(named).collect();
        if wrong.len() > told.len() {
            told.push(format!("and {} more", wrong.len() - told.len()));
        }
        told.extend(no_room.map(|error| error.to_string()));
        Err(ReceiveError::Wrong(told.join("; ")))
    }

    /// Ends reported alerts whose end has come. No jump of the clock may stand between `now` and what was taken of it.
    pub(super) fn expire_received(&self, core: &mut Core, now: Timestamp) {
        if core.received.next().is_none_or(|due| due > now) {
            return;
        }
        let over = core.received.expire(now);
        if !over.is_empty() {
            self.tell(core, over, Some(Vec::new()), self.clock.at_slot(now));
            self.count_alerts(core);
        }
    }

    /// Goes on from what is stored. What is left of an alert on one side alone is made whole: one that people were told
    /// of waits for its source, one that nobody was told of fires anew with its next report. `alive` is when an earlier
    /// process was last at work: since then nobody could report.
    pub(super) fn restore_received(&self, core: &mut Core, stored: Vec<ReceivedAlert>, alive: Option<Timestamp>) {
        let now = self.clock.now();
        let mut received = Received::restore(stored);
        let uid = RECEIVED.into();
        let told: Vec<&Transition> = core.router.believed(&uid).collect();
        let known: BTreeSet<Fingerprint> = told.iter().map(|told| told.alert.fingerprint).collect();
        received.keep_known(|fingerprint| known.contains(&fingerprint));
        // Those that are adopted end by the clock as it is now.
        received.spare(alive, now);
        told.iter().for_each(|told| received.adopt(told, ADOPTED_FOR, now));
        let firing = received.firing().count();
        if firing > 0 {
            info!(alerts = firing, "Alerts that others report go on");
        }
        core.received = received;
    }
}

fn named(refused: &Refused) -> Option<String> {
    refused.name.as_ref().map(|name| format!("alert {} {name}: {}", refused.place + 1, refused.error))
}

#[cfg(test)]
#[path = "receiving_tests.rs"]
mod tests;
