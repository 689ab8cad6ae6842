//! What requests may bring between two readings of memory: a burst must not fill what was free at the last of them,
//! however late the next one comes.

use std::sync::atomic::{AtomicU64, Ordering};

use super::judge::Use;

/// Bytes of memory that a byte of a request takes at most, as samples of series that are new.
const COST: u64 = 6;
/// The part of each limit that nothing brought may touch.
const KEPT_SHARE: u64 = 10;

/// Room until the next reading.
#[derive(Debug)]
pub(super) struct Room {
    /// Bytes that may still be brought.
    bytes: AtomicU64,
    /// Bytes brought since the last reading.
    brought: AtomicU64,
}

impl Default for Room {
    /// Without limits and readings there is room for all.
    fn default() -> Self {
        Self { bytes: AtomicU64::new(u64::MAX), brought: AtomicU64::new(0) }
    }
}

impl Room {
    /// Takes a reading. What was brought just before it may not show in it yet.
    pub fn read(&self, uses: &[Use]) {
        let pending = self.brought.swap(0, Ordering::Relaxed);
        let free = |one: &Use| (one.max - one.max / KEPT_SHARE).saturating_sub(one.used) / COST;
        let room = uses.iter().filter(|one| one.counts()).map(free).min();
        let bytes = room.map_or(u64::MAX, |room| room.saturating_sub(pending));
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Whether so many bytes may come. The first after a reading always may: what is larger than the room would
    /// otherwise never come at all.
    pub fn admits(&self, bytes: u64) -> bool {
        let room = self.bytes.load(Ordering::Relaxed);
        let with = |before: u64| Some(before.saturating_add(bytes)).filter(|after| before == 0 || *after <= room);
        self.brought.try_update(Ordering::Relaxed, Ordering::Relaxed, with).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_comes_between_two_readings_fits_into_what_was_free_at_the_first() {
        let room = Room::default();
        assert!(room.admits(1 << 40) && room.admits(1 << 40), "nothing limits it");
        let full = |used: u64| [Use { limit: "cgroup", used: used * MIB, own: used * MIB, max: 100 * MIB }];
        room.read(&full(30));
        room.read(&full(30));
        // 60 MiB until nine tenths are full.
        assert_eq!([8, 2, 1].map(|mib| room.admits(mib * MIB)), [true, true, false]);
        room.read(&full(30));
        assert_eq!([1, 1].map(|mib| room.admits(mib * MIB)), [true, false], "what came may not show yet");
        room.read(&full(85));
        assert_eq!([4, 1].map(|mib| room.admits(mib * MIB)), [true, false], "one always comes through");
        let neighbours = [Use { limit: "cgroup", used: 99 * MIB, own: MIB, max: 100 * MIB }];
        room.read(&neighbours);
        assert!(room.admits(50 * MIB) && room.admits(50 * MIB), "turning away would not help");
    }
}
