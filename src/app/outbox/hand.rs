//! Delivery by hand: the lanes of an outbox, run by whoever holds them, in any time.
//!
//! Place in the flow: a simulation moves its clock and calls [`Lanes::turn`]; it answers for the receivers. What is tried,
//! merged, given up and put down is decided by the same code as in the daemon. Starts no thread and never waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::lane::Lane;
use super::{Outbox, lock};
use crate::model::Notice;
use crate::notify::Outcome;
use crate::notify::delivery::Entry;

/// The lanes of an outbox made with [`Outbox::by_hand`].
#[derive(Default)]
pub struct Lanes(BTreeMap<Arc<str>, Lane>);

/// What a turn gave.
#[derive(Debug, Default)]
pub struct Turn {
    /// Notices that came, in their order for each handler.
    pub came: Vec<Arc<Notice>>,
    /// Attempts that are begun now: each is to be answered.
    pub attempts: Vec<Entry>,
    /// How long until there is something to do again, if nothing comes before.
    pub wait: Duration,
}

impl Lanes {
    /// Takes what came and begins what may be begun, handler by handler.
    pub fn turn(&mut self, outbox: &Outbox) -> Turn {
        self.hear(outbox);
        let mut turn = Turn { wait: Duration::MAX, ..Turn::default() };
        for lane in self.0.values_mut() {
            let of_lane = lane.turn();
            turn.came.extend(of_lane.came);
            turn.attempts.extend(of_lane.starting);
            turn.wait = turn.wait.min(of_lane.wait);
        }
        turn
    }

    /// Takes what came and answers what is asked; begins nothing.
    pub fn hear(&mut self, outbox: &Outbox) {
        for lane in std::mem::take(&mut *lock(&outbox.shared.begun)) {
            self.0.insert(Arc::clone(lane.name()), lane);
        }
        self.0.values_mut().for_each(Lane::hear);
    }

    /// Tells what became of an attempt.
    pub fn answer(&mut self, handler: &str, id: &str, outcome: Outcome) {
        if let Some(lane) = self.0.get_mut(handler) {
            lane.settle(id, outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::outbox::{MemoryLedger, Target};
    use crate::app::own_metrics::OwnMetrics;
    use crate::app::tests::bench::Bench;
    use crate::clock::SimulatedClock;
    use crate::config::Delivery;
    use crate::model::{NoticeKind, NoticeReason, Timestamp};
    use crate::notify::{Attempt, Failure, FailureClass, Handler, Phase, Preview, Sending};
    use crate::telemetry::Registry;

    struct Named(&'static str);

    impl Handler for Named {
        fn name(&self) -> &str {
            self.0
        }
        fn kind(&self) -> &'static str {
            "webhook"
        }
        fn preview(&self, _notice: &Notice) -> Preview {
            Preview::default()
        }
        fn send<'a>(&'a self, _notice: &'a Notice, _attempt: Attempt<'a>) -> Sending<'a> {
            Box::pin(std::future::pending())
        }
    }

    /// What a bench decides to tell, for another handler.
    fn notices(values: &[f64]) -> Vec<Arc<Notice>> {
        let bench = Bench::new();
        bench.mood(crate::app::tests::bench::Mood::Hangs);
        values.iter().for_each(|value| bench.tick(*value));
        let rows = bench.hub.keeper.rows(&Default::default()).unwrap();
        let notices = rows.into_iter().filter_map(|row| row.entry).map(|entry| Notice::clone(&entry.notice));
        notices.map(|notice| Arc::new(Notice { handler: "main".into(), ..notice })).collect()
    }

    #[test]
    fn a_fallback_hears_at_once_that_what_it_is_told_of_is_over() {
        let clock = Arc::new(SimulatedClock::new(Timestamp(0)));
        let outbox = Outbox::by_hand(clock, OwnMetrics::new(Arc::new(Registry::new())), Arc::new(MemoryLedger), 1);
        let main = Target::new(Arc::new(Named("main")));
        let delivery = Delivery { fallback: Some("spare".into()), ..Delivery::default() };
        outbox.replace(vec![Target { delivery, ..main }, Target::new(Arc::new(Named("spare")))]);
        let told = notices(&[9.0, 1.0]);
        assert_eq!(told.len(), 2, "it fires and is over");
        told.iter().for_each(|notice| outbox.put(Arc::clone(notice)));
        let mut lanes = Lanes::default();
        let begun = lanes.turn(&outbox).attempts;
        assert_eq!(begun.iter().map(|entry| &entry.notice.id).collect::<Vec<_>>(), [&told[0].id]);
        let failure = Failure {
            class: FailureClass::ClientError,
            phase: Phase::Answer,
            message: "no such channel".to_owned(),
            maybe_taken: false,
        };
        lanes.answer("main", &told[0].id, Outcome::Rejected { failure });
        let (mut spare, mut main) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            for entry in lanes.turn(&outbox).attempts {
                let of = if &*entry.notice.handler == "spare" { &mut spare } else { &mut main };
                of.push((entry.notice.kind, entry.notice.reason));
            }
        }
        // Before, it was told the beginning alone and never the end.
        assert_eq!(spare, [(NoticeKind::Resolved, NoticeReason::FiredAndResolved)]);
        assert_eq!(main, [(NoticeKind::Resolved, NoticeReason::Resolved)]);
    }
}
