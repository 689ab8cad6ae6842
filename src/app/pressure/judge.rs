//! From what is used of each limit on memory to what is turned away: a judgement on figures, which reads nothing.

use std::time::Duration;

/// What is turned away for want of memory; each step beside the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    #[default]
    Calm,
    /// Samples that are brought, and scraped ones that no rule reads.
    Ingest,
    /// Queries and the page as well.
    All,
}

/// How a limit on memory stands, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Which limit.
    pub limit: &'static str,
    /// What counts against it.
    pub used: u64,
    /// Of that, what this process uses.
    pub own: u64,
    /// The limit.
    pub max: u64,
}

/// How much must be free: a share of the limit, and of a large limit no more than so many bytes.
#[derive(Clone, Copy)]
struct Margin {
    percent: u64,
    bytes_max: u64,
}

const fn margin(percent: u64, mib_max: u64) -> Margin {
    Margin { percent, bytes_max: mib_max << 20 }
}

/// When each level begins, and until when it goes on once it has begun.
const STEPS: [(Level, Margin, Margin); 2] =
    [(Level::Ingest, margin(20, 512), margin(30, 768)), (Level::All, margin(10, 256), margin(20, 512))];

/// How long there must be room again before a level ends.
const CALM_FOR: Duration = Duration::from_secs(10);

/// Where neighbours use more than this many times what the process does, nothing that it could turn away would help.
const NEIGHBOURS_FACTOR: u64 = 4;

impl Use {
    fn free(&self) -> u64 {
        self.max.saturating_sub(self.used)
    }

    /// Whether turning work away would help against it.
    pub(super) fn counts(&self) -> bool {
        self.own.saturating_mul(NEIGHBOURS_FACTOR) >= self.used
    }

    fn lacks(&self, margin: Margin) -> bool {
        let wanted = (self.max / 100).saturating_mul(margin.percent).min(margin.bytes_max);
        self.counts() && self.free() < wanted
    }
}

/// What was judged so far.
#[derive(Debug, Default)]
pub struct Judge {
    level: Level,
    /// Since when the level could end.
    roomy_since: Option<Duration>,
}

impl Judge {
    /// What is turned away from `now` on, a time of the steady clock. A level begins at once and ends late, so that it
    /// does not come and go with what it frees.
    pub fn step(&mut self, uses: &[Use], now: Duration) -> Level {
        let greatest = |of: fn(&(Level, Margin, Margin)) -> Margin| {
            let lacking = STEPS.iter().filter(|step| uses.iter().any(|one| one.lacks(of(step))));
            lacking.map(|(level, ..)| *level).max().unwrap_or_default()
        };
        let (begins, goes_on) = (greatest(|step| step.1), greatest(|step| step.2));
        if goes_on >= self.level {
            self.level = self.level.max(begins);
            self.roomy_since = None;
        } else if now.saturating_sub(*self.roomy_since.get_or_insert(now)) >= CALM_FOR {
            self.level = goes_on;
            self.roomy_since = None;
        }
        self.level
    }
}

/// How full a limit is, in millionths.
pub fn filled(one: &Use) -> u128 {
    u128::from(one.used) * 1_000_000 / u128::from(one.max.max(1))
}

/// Of the limits against which turning work away would help, the one that is nearest to its end.
pub fn tightest(uses: &[Use]) -> Option<Use> {
    uses.iter().copied().filter(Use::counts).max_by_key(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn of(used: u64, max: u64) -> Use {
        Use { limit: "memory_max", used, own: used, max }
    }

    /// Figures in MiB of a limit of `max`, each `seconds` after the one before, and the level after each.
    #[track_caller]
    fn check(max: u64, course: &[(u64, u64, Level)]) {
        let (mut judge, mut now) = (Judge::default(), 0);
        for (i, (seconds, used, want)) in course.iter().enumerate() {
            now += seconds;
            let got = judge.step(&[of(used * MIB, max * MIB)], Duration::from_secs(now));
            assert_eq!(got, *want, "step {i}: {used} of {max} MiB at {now} s");
        }
    }

    #[test]
    fn levels_begin_at_once_and_end_after_there_was_room_for_a_while() {
        use Level::{All, Calm, Ingest};
        check(100, &[(0, 80, Calm), (1, 81, Ingest), (1, 75, Ingest), (100, 71, Ingest)]);
        check(100, &[(0, 91, All), (1, 85, All), (100, 81, All)]);
        // Room for ten seconds, without a break.
        check(100, &[(0, 81, Ingest), (1, 60, Ingest), (9, 60, Ingest), (1, 60, Calm)]);
        check(
            100,
            &[(0, 81, Ingest), (1, 60, Ingest), (8, 71, Ingest), (1, 60, Ingest), (9, 60, Ingest), (1, 60, Calm)],
        );
        // Down as far as there is room.
        check(100, &[(0, 95, All), (1, 75, All), (10, 75, Ingest), (10, 75, Ingest), (1, 50, Ingest), (10, 50, Calm)]);
        check(100, &[(0, 95, All), (1, 10, All), (10, 10, Calm)]);
        check(100, &[(0, 200, All)]);
    }

    #[test]
    fn of_a_large_limit_no_more_than_some_hundred_mebibytes_must_be_free() {
        check(64 << 10, &[(0, (64 << 10) - 513, Level::Calm), (1, (64 << 10) - 511, Level::Ingest)]);
        check(64 << 10, &[(0, (64 << 10) - 255, Level::All), (1, (64 << 10) - 600, Level::All)]);
    }

    #[test]
    fn the_limit_that_is_nearest_decides_and_neighbours_do_not() {
        let level = |uses: &[Use]| Judge::default().step(uses, Duration::ZERO);
        let (roomy, tight) = (of(10 * MIB, 1000 * MIB), of(95 * MIB, 100 * MIB));
        assert_eq!(level(&[roomy, tight]), Level::All);
        assert_eq!(tightest(&[roomy, tight, roomy]), Some(tight));
        let shared = |own: u64| Use { own: own * MIB, ..tight };
        assert_eq!((level(&[shared(23)]), level(&[shared(24)])), (Level::Calm, Level::All));
        assert_eq!((level(&[]), tightest(&[])), (Level::Calm, None));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_read_more_use_never_turns_less_away(
            max in 1u64.., first in 0u64.., second in 0u64.., now in 0u64..1_000_000
        ) {
            let (less, more) = (first.min(second), first.max(second));
            let level = |used| Judge::default().step(&[of(used, max)], Duration::from_secs(now));
            proptest::prop_assert!(level(less) <= level(more));
        }
    }
}
