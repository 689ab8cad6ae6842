//! The only reader of OS time: a system clock, a simulated one, and the time zone of the machine.
//!
//! The system clock also keeps [`Now`]'s other two readings apart from the wall clock: it compares the wall clock with
//! the monotonic one at every reading and takes a difference of more than [`JUMP_MIN`] for a clock that was set or a
//! machine that slept.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono_tz::Tz;

use crate::model::{Now, Timestamp};

/// Wall clock and monotonic clock may part by this much between two readings before it counts as a jump; less is
/// slewing by NTP.
pub const JUMP_MIN: Duration = Duration::from_secs(2);

/// Gives the time.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// The instant of an evaluation at `slot`, a moment of the wall clock.
    fn at_slot(&self, slot: Timestamp) -> Now;

    /// Time since an arbitrary fixed instant, never backwards: for measuring durations.
    fn monotonic(&self) -> Duration;

    /// The jumps seen since the last call, in milliseconds, forward positive.
    fn take_jumps(&self) -> Vec<i64>;

    /// Goes on from a saved instant: the time since then was downtime, which does not count as watched. A clock that
    /// has no downtime does nothing.
    fn resume(&self, _saved: Now) {}
}

/// The clock of the operating system.
pub struct SystemClock {
    start: Instant,
    /// Where another clock than the machine's counts: by how much that is ahead of the time since `start`, ms. The
    /// machine's wall clock may then be set as anybody likes. [`i64::MIN`] where the machine's counts.
    steered_ms: AtomicI64,
    state: Mutex<Discipline>,
}

/// Keeps the three readings of [`Now`] apart. Pure; guarded by the mutex in [`SystemClock`], which is held for a few
/// arithmetic operations only.
#[derive(Debug)]
pub struct Discipline {
    /// Wall minus monotonic at the last reading, ms.
    last_offset_ms: i64,
    /// Sum of the jumps and of the time not under watch: slot minus this is `watched_ms`.
    not_watched_ms: i64,
    /// Sum of the jumps: slot minus this is `elapsed_ms`.
    jumped_ms: i64,
    jumps: Vec<i64>,
}

impl Discipline {
    /// Starts with a reading of the two clocks.
    pub fn new(wall_ms: i64, monotonic_ms: i64) -> Self {
        Self { last_offset_ms: wall_ms - monotonic_ms, not_watched_ms: 0, jumped_ms: 0, jumps: Vec::new() }
    }

    /// Takes a reading of the two clocks: what they part by since the last one is a jump if it is more than
    /// [`JUMP_MIN`], otherwise slewing.
    pub fn observe(&mut self, wall_ms: i64, monotonic_ms: i64) {
        let offset = wall_ms - monotonic_ms;
        let jump = offset - self.last_offset_ms;
        self.last_offset_ms = offset;
        if jump.unsigned_abs() > JUMP_MIN.as_millis() as u64 {
            self.not_watched_ms += jump;
            self.jumped_ms += jump;
            // Nobody reads them faster than the clock is set; the cap only guards against a clock gone mad.
            if self.jumps.len() < 1000 {
                self.jumps.push(jump);
            }
        }
    }

    /// The instant of a slot.
    pub fn at_slot(&self, slot: Timestamp) -> Now {
        Now { slot, watched_ms: slot.0 - self.not_watched_ms, elapsed_ms: slot.0 - self.jumped_ms }
    }

    /// Goes on from a saved instant: the time since then was downtime.
    pub fn resume(&mut self, saved: Now, now: Timestamp) {
        self.not_watched_ms = now.0 - saved.watched_ms;
        // A clock that was set back while the process was down must not turn elapsed time back.
        self.jumped_ms = now.0 - saved.elapsed_ms - (now.0 - saved.slot.0).max(0);
    }

    /// The jumps since the last call, in milliseconds, forward positive.
    pub fn take_jumps(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.jumps)
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl SystemClock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self::starting(i64::MIN)
    }

    /// A clock that starts now, at this reading of another clock than the machine's, and goes on from there.
    pub fn steered(now: Timestamp) -> Self {
        Self::starting(now.0)
    }

    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads OS time")]
    fn starting(steered_ms: i64) -> Self {
        let start = Instant::now();
        let wall = if steered_ms == i64::MIN { wall_ms() } else { steered_ms };
        Self { start, steered_ms: AtomicI64::new(steered_ms), state: Mutex::new(Discipline::new(wall, 0)) }
    }

    /// By how many milliseconds it is ahead of the machine's wall clock.
    pub fn ahead_ms(&self) -> i64 {
        if self.is_steered() { self.wall() - wall_ms() } else { 0 }
    }

    /// Whether another clock than the machine's counts.
    pub fn is_steered(&self) -> bool {
        self.steered_ms.load(Ordering::Relaxed) != i64::MIN
    }

    /// It is this late now, as another clock than the machine's has it: more than [`JUMP_MIN`] is a jump.
    pub fn steer(&self, now: Timestamp) {
        self.steered_ms.store(now.0 - self.elapsed_ms(), Ordering::Relaxed);
    }

    fn wall(&self) -> i64 {
        match self.steered_ms.load(Ordering::Relaxed) {
            i64::MIN => wall_ms(),
            steered_ms => steered_ms.saturating_add(self.elapsed_ms()),
        }
    }

    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads OS time")]
    fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[allow(clippy::disallowed_methods, reason = "this is the one place that reads OS time")]
fn wall_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let wall = self.wall();
        lock(&self.state).observe(wall, self.elapsed_ms());
        Timestamp(wall)
    }

    fn at_slot(&self, slot: Timestamp) -> Now {
        self.now();
        lock(&self.state).at_slot(slot)
    }

    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads OS time")]
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn take_jumps(&self) -> Vec<i64> {
        lock(&self.state).take_jumps()
    }

    fn resume(&self, saved: Now) {
        let now = self.now();
        lock(&self.state).resume(saved, now);
    }
}

/// The time zone of the machine: `TZ`, else its configuration, else UTC. A zone that is not an IANA name counts as UTC.
pub fn local_zone() -> Tz {
    let named = std::env::var("TZ").ok();
    let configured = || iana_time_zone::get_timezone().ok();
    zone_of(named.or_else(configured).as_deref())
}

/// The zone of a setting as `TZ` has it: a name, a colon before it, or a file of the zone database.
fn zone_of(setting: Option<&str>) -> Tz {
    let name = setting.unwrap_or_default();
    let name = name.strip_prefix(':').unwrap_or(name);
    let name = name.rsplit_once("zoneinfo/").map_or(name, |(_, name)| name);
    name.parse().unwrap_or(Tz::UTC)
}

/// A clock that stands still until it is told to go on.
#[derive(Default)]
pub struct SimulatedClock(Mutex<Timestamp>);

impl SimulatedClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    /// Sets the time.
    pub fn set(&self, now: Timestamp) {
        *lock(&self.0) = now;
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        *lock(&self.0)
    }

    fn at_slot(&self, slot: Timestamp) -> Now {
        Now::simulated(slot)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.now().0).unwrap_or(0))
    }

    fn take_jumps(&self) -> Vec<i64> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readings of wall and monotonic clock in seconds; gives what has passed on the two other clocks since the first,
    /// and the jumps, in seconds.
    fn check(case: &str, readings: &[(i64, i64)], want: (i64, i64, &[i64])) {
        let (wall, mono) = readings[0];
        let mut discipline = Discipline::new(wall * 1000, mono * 1000);
        let first = discipline.at_slot(Timestamp::from_secs(wall));
        let mut last = wall;
        for (wall, mono) in &readings[1..] {
            discipline.observe(wall * 1000, mono * 1000);
            last = *wall;
        }
        let now = discipline.at_slot(Timestamp::from_secs(last));
        let jumps: Vec<i64> = discipline.take_jumps().iter().map(|ms| ms / 1000).collect();
        let passed = ((now.watched_ms - first.watched_ms) / 1000, (now.elapsed_ms - first.elapsed_ms) / 1000);
        assert_eq!((passed.0, passed.1, jumps.as_slice()), want, "{case}");
    }

    #[test]
    fn a_clock_that_is_set_moves_neither_for_nor_cooldown() {
        check("both clocks agree", &[(1000, 0), (1015, 15), (1030, 30)], (30, 30, &[]));
        check("an hour forward", &[(1000, 0), (4615, 15)], (15, 15, &[3600]));
        check("an hour back", &[(10_000, 0), (6415, 15)], (15, 15, &[-3600]));
        check(
            "a year forward and back",
            &[(1000, 0), (31_537_015, 15), (1030, 30)],
            (30, 30, &[31_536_000, -31_536_000]),
        );
        check("asleep for half an hour: the monotonic clock stood still", &[(1000, 0), (2815, 15)], (15, 15, &[1800]));
        check(
            "a leap second smeared over a day is no jump",
            &[(1000, 0), (44_199, 43_200), (87_399, 86_401)],
            (86_399, 86_399, &[]),
        );
    }

    #[test]
    fn the_zone_of_the_machine_is_read_as_others_read_it() {
        for (setting, zone) in [
            (Some("Europe/Berlin"), Tz::Europe__Berlin),
            (Some(":Europe/Berlin"), Tz::Europe__Berlin),
            (Some("/usr/share/zoneinfo/Asia/Tokyo"), Tz::Asia__Tokyo),
            (Some(""), Tz::UTC),
            (Some("CET-1CEST"), Tz::UTC),
            (None, Tz::UTC),
        ] {
            assert_eq!(zone_of(setting), zone, "{setting:?}");
        }
    }

    #[test]
    fn downtime_counts_for_cooldowns_and_not_for_for() {
        let saved = Now { slot: Timestamp::from_secs(1000), watched_ms: 500_000, elapsed_ms: 900_000 };
        let resumed = |now: i64| {
            let mut discipline = Discipline::new(now * 1000, 0);
            discipline.resume(saved, Timestamp::from_secs(now));
            let at = discipline.at_slot(Timestamp::from_secs(now));
            (at.watched_ms - saved.watched_ms, at.elapsed_ms - saved.elapsed_ms)
        };
        assert_eq!(resumed(1600), (0, 600_000), "ten minutes down");
        assert_eq!(resumed(400), (0, 0), "set back while down: elapsed time never goes back");
    }
}
