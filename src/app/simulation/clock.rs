//! A clock that somebody moves: the wall and the steady clock apart, so that the wall can be set.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Discipline};
use crate::model::time::millis;
use crate::model::{Now, Timestamp};

/// The two clocks of a simulated machine. Stands still until it is told to go on.
#[derive(Debug)]
pub struct StagedClock(Mutex<Hands>);

#[derive(Debug)]
struct Hands {
    wall_ms: i64,
    steady_ms: i64,
    discipline: Discipline,
}

impl StagedClock {
    /// A process that starts at this time of the wall clock and of the steady one.
    pub fn new(wall: Timestamp, steady_ms: i64) -> Self {
        let discipline = Discipline::new(wall.0, steady_ms);
        Self(Mutex::new(Hands { wall_ms: wall.0, steady_ms, discipline }))
    }

    /// Time passes.
    pub fn pass(&self, span: Duration) {
        let mut hands = self.hands();
        hands.wall_ms = hands.wall_ms.saturating_add(millis(span));
        hands.steady_ms = hands.steady_ms.saturating_add(millis(span));
    }

    /// The wall clock is set, forward or back.
    pub fn set_by(&self, ms: i64) {
        let mut hands = self.hands();
        hands.wall_ms = hands.wall_ms.saturating_add(ms);
    }

    /// The steady clock, in milliseconds.
    pub fn steady_ms(&self) -> i64 {
        self.hands().steady_ms
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for StagedClock {
    fn now(&self) -> Timestamp {
        let mut hands = self.hands();
        let (wall_ms, steady_ms) = (hands.wall_ms, hands.steady_ms);
        hands.discipline.observe(wall_ms, steady_ms);
        Timestamp(wall_ms)
    }

    fn at_slot(&self, slot: Timestamp) -> Now {
        self.now();
        self.hands().discipline.at_slot(slot)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.steady_ms()).unwrap_or(0))
    }

    fn take_jumps(&self) -> Vec<i64> {
        self.hands().discipline.take_jumps()
    }

    fn resume(&self, saved: Now) {
        let now = self.now();
        self.hands().discipline.resume(saved, now);
    }
}
