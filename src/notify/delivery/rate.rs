//! A rate limit: so many messages in so much time (generic cell rate algorithm, ITU-T I.371).

use std::time::Duration;

/// Lets `count` through at once and after that one every `per / count`.
#[derive(Clone, Debug)]
pub struct Rate {
    /// Time that one message takes up, in microseconds.
    step_us: i64,
    /// How far ahead of now the theoretical arrival may be.
    burst_us: i64,
    /// When the next message would be due if they came evenly.
    arrival_us: i64,
}

impl Rate {
    /// A limit of which nothing is used.
    pub fn new(count: u32, per: Duration) -> Self {
        let per_us = i64::try_from(per.as_micros()).unwrap_or(i64::MAX / 4).max(1);
        let step_us = (per_us / i64::from(count.max(1))).max(1);
        Self { step_us, burst_us: per_us.saturating_sub(step_us), arrival_us: i64::MIN / 2 }
    }

    /// When the next message may go, at `now_ms` or later.
    pub fn ready_ms(&self, now_ms: i64) -> i64 {
        let ready_us = self.arrival_us.saturating_sub(self.burst_us);
        // Up to the next millisecond: a moment too early would ask again.
        now_ms.max(ready_us.saturating_add(999) / 1000)
    }

    /// How many messages may go at once at `now_ms`.
    pub fn free(&self, now_ms: i64) -> i64 {
        (self.burst_us - self.ahead_us(now_ms)).div_euclid(self.step_us) + 1
    }

    /// How long the last of so many messages would wait, if they went as soon as they may.
    pub fn wait_ms(&self, now_ms: i64, messages: usize) -> i64 {
        let messages = i64::try_from(messages).unwrap_or(i64::MAX);
        messages.saturating_sub(self.free(now_ms)).saturating_mul(self.step_us).max(0) / 1000
    }

    fn ahead_us(&self, now_ms: i64) -> i64 {
        self.arrival_us.saturating_sub(now_ms.saturating_mul(1000)).max(0)
    }

    /// A message goes.
    pub fn take(&mut self, now_ms: i64) {
        self.arrival_us = self.arrival_us.max(now_ms.saturating_mul(1000)).saturating_add(self.step_us);
    }
}
