//! When the notices of a queue become a digest: where a storm has more of them than the rate limit lets through.
//!
//! A part of [`Queue`]: it takes out what waits and puts in one notice, which the caller puts down before it asks again.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Entry, Next, Queue};
use crate::model::{Notice, format_duration};
use crate::notify::delivery::digest::digest;

/// What waits is told as one where the last of it would wait for longer than this.
const DIGEST_AFTER_MS: i64 = 10_000;
/// From one digest to the next.
const DIGEST_PAUSE_MS: i64 = 30_000;

impl Queue {
    /// More waits than the rate limit lets through in good time: all of it becomes one message.
    pub(super) fn digest(&mut self, now_ms: i64) -> Option<Next> {
        let rate = self.rate.as_ref().filter(|_| self.settings.digest && self.failures == 0)?;
        let waiting = self.ids.len() - self.in_flight.len();
        let due_ms = self.digested_ms.saturating_add(DIGEST_PAUSE_MS);
        if due_ms > now_ms || rate.free(now_ms) > 1 || rate.wait_ms(now_ms, waiting) <= DIGEST_AFTER_MS {
            return None;
        }
        let (mut absorbed, limit) = (self.take_all_unseen(), self.limit_text());
        let notices: Vec<Arc<Notice>> = absorbed.iter().map(|entry| Arc::clone(&entry.notice)).collect();
        let told = digest(&notices, &limit)?;
        let mut entry = absorbed.pop()?;
        self.digested_ms = now_ms;
        entry.notice = Arc::new(told);
        // A fallback stands in for it unless it was told of everything in it.
        entry.tried.retain(|handler| absorbed.iter().all(|before| before.tried.contains(handler)));
        entry.since_ms = absorbed.iter().map(|before| before.since_ms).min().unwrap_or(i64::MAX).min(entry.since_ms);
        entry.not_before_ms = i64::MIN;
        self.count_in(&entry);
        let key = entry.notice.group.key.clone();
        self.groups.entry(key.clone()).or_default().push_back(entry.clone());
        self.wait_in_turn(key);
        Some(Next::Digest { absorbed, told: Box::new(entry) })
    }

    /// Takes out everything that waits and of which the receiver has seen nothing, in the order in which it came.
    fn take_all_unseen(&mut self) -> Vec<Entry> {
        let mut taken: Vec<Entry> = Vec::with_capacity(self.ids.len());
        self.groups.retain(|_, waiting| {
            let unseen = |entry: &Entry| !entry.maybe_taken && entry.done.is_empty();
            let (out, stay): (VecDeque<Entry>, _) = std::mem::take(waiting).into_iter().partition(unseen);
            taken.extend(out);
            *waiting = stay;
            !waiting.is_empty()
        });
        taken.sort_by_cached_key(|entry| self.ids.get(&entry.notice.id).map_or(0, |(place, _)| *place));
        taken.iter().for_each(|entry| self.count_out(entry));
        taken
    }

    /// The rate limit in words.
    fn limit_text(&self) -> String {
        let limit =
            self.settings.rate_limit.map(|(count, per)| format!("{count} messages in {}", format_duration(per)));
        limit.unwrap_or_default()
    }
}
