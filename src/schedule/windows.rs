//! Windows that come again: a length of time from every start that a cron expression or a recurrence rule gives.
//!
//! Place in the flow: people write them into silences, routing asks whether an instant lies in one. Starts are local
//! times of a zone: one that a change of clocks leaves out begins when the gap ends, one that it repeats begins the first
//! time. The length is real time, so that a window of two hours has two hours on every day.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{Days, NaiveDateTime, Timelike};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::cron::parse_zone;
use super::{CHANGE_DAYS_MAX, CronError, CronSchedule, Rrule, RruleError, rrule, zone};
use crate::model::time::millis;
use crate::model::{DurationError, Timestamp, parse_duration};

/// Longest window.
const WINDOW_MAX: Duration = Duration::from_secs(31 * 86_400);
/// Shortest window.
const WINDOW_MIN: Duration = Duration::from_secs(60);
/// Most windows that are joined into one because each begins before the one before it ends.
const JOINED_MAX: usize = 500;
/// Most windows that are looked at for the longest of them, those that are joined included.
const LOOKED_AT_MAX: usize = 2000;

/// Why windows cannot be as somebody wants them.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RecurrenceError {
    /// Neither or both of a cron expression and a rule.
    #[error("a recurrence has either a `cron` or an `rrule`")]
    Starts,
    /// The cron expression or the zone.
    #[error("{}{}", .0.message, hint(.0.help.as_deref()))]
    Cron(CronError),
    /// The rule.
    #[error("{}{}", .0.message, hint(Some(&.0.help)))]
    Rrule(RruleError),
    /// The length is no duration.
    #[error("the length of its windows: {0}")]
    Duration(DurationError),
    /// The length is too great or too small.
    #[error("a window lasts between a minute and 31 days, not {0}")]
    Length(String),
    /// Its beginning is no local time.
    #[error("`{0}` is no local time: write `dtstart` as in 2027-01-30T22:00")]
    Start(String),
    /// A beginning makes no difference to a cron expression.
    #[error("`dtstart` belongs to an `rrule`; a `cron` says its times itself")]
    StartOfCron,
}

fn hint(help: Option<&str>) -> String {
    help.map(|help| format!(" ({help})")).unwrap_or_default()
}

/// Windows as people write them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecurrenceText {
    /// Starts by cron, with seconds first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// Starts by a rule of RFC 5545.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rrule: Option<String>,
    /// The local time at which the rule begins, and the time of day that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtstart: Option<String>,
    /// How long each window lasts.
    pub duration: String,
    /// An IANA time zone; UTC without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// From when to when: the end is not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Its beginning.
    pub starts_at: Timestamp,
    /// Its end; that of the last one where windows join.
    pub ends_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
enum Starts {
    Cron(Box<CronSchedule>),
    Rule(Box<Rrule>),
}

/// Windows that come again.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RecurrenceText", into = "RecurrenceText")]
pub struct Recurrence {
    text: RecurrenceText,
    starts: Starts,
    length_ms: i64,
    zone: Tz,
    over_at: Option<Timestamp>,
    found: Found,
}

/// The window that was found last: asked for again and again while alerts are routed, and the same for every instant
/// from the first that asked, or from its beginning, up to its end.
#[derive(Default)]
struct Found(Mutex<Option<(Timestamp, Window)>>);

impl Found {
    fn get(&self, at: Timestamp) -> Option<Window> {
        let (from, window) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(window).filter(|window| (from..window.ends_at).contains(&at))
    }

    fn keep(&self, from: Timestamp, window: Window) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((from, window));
    }
}

impl Clone for Found {
    fn clone(&self) -> Self {
        Self(Mutex::new(*self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// What was found makes no difference.
impl PartialEq for Found {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Where windows that are joined end.
struct End {
    at: Timestamp,
    /// How many were joined to the first.
    joined: usize,
    /// Whether the last of them was found: they may go on without end.
    known: bool,
}

impl fmt::Debug for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl TryFrom<RecurrenceText> for Recurrence {
    type Error = RecurrenceError;

    fn try_from(text: RecurrenceText) -> Result<Self, RecurrenceError> {
        Self::new(text, Timestamp(0))
    }
}

impl From<Recurrence> for RecurrenceText {
    fn from(recurrence: Recurrence) -> Self {
        recurrence.text
    }
}

impl Recurrence {
    /// Reads windows. A rule that names no beginning begins at `start`.
    pub fn new(mut text: RecurrenceText, start: Timestamp) -> Result<Self, RecurrenceError> {
        let zone = text.timezone.as_deref().map_or(Ok(Tz::UTC), parse_zone).map_err(RecurrenceError::Cron)?;
        let length = parse_duration(&text.duration).map_err(RecurrenceError::Duration)?;
        if !(WINDOW_MIN..=WINDOW_MAX).contains(&length) {
            return Err(RecurrenceError::Length(text.duration));
        }
        let starts = match (&text.cron, &text.rrule) {
            (Some(_), None) if text.dtstart.is_some() => return Err(RecurrenceError::StartOfCron),
            (Some(cron), None) => {
                let cron = CronSchedule::parse(cron, text.timezone.as_deref()).map_err(RecurrenceError::Cron)?;
                Starts::Cron(Box::new(cron))
            }
            (None, Some(rule)) => {
                let begins = first_local(&text, zone, start)?;
                let rule = Rrule::parse(rule, begins, zone).map_err(RecurrenceError::Rrule)?;
                text.dtstart = Some(begins.format("%Y-%m-%dT%H:%M:%S").to_string());
                Starts::Rule(Box::new(rule))
            }
            _ => return Err(RecurrenceError::Starts),
        };
        let length_ms = millis(length);
        let last = match &starts {
            Starts::Rule(rule) => rule.last().and_then(|last| zone::instant_of(zone, last)),
            Starts::Cron(_) => None,
        };
        let over_at = last.map(|secs| Timestamp(Timestamp::from_secs(secs).0.saturating_add(length_ms)));
        Ok(Self { text, starts, length_ms, zone, over_at, found: Found::default() })
    }

    /// As written; a rule's beginning is said.
    pub fn text(&self) -> &RecurrenceText {
        &self.text
    }

    /// No window is later, where they come to an end.
    pub fn over_at(&self) -> Option<Timestamp> {
        self.over_at
    }

    /// Whether an instant lies in a window.
    pub fn contains(&self, at: Timestamp) -> bool {
        match self.found.get(at) {
            Some(window) => window.starts_at <= at,
            None => self.start_about(at).is_some(),
        }
    }

    /// The window that an instant lies in, else the next, if there is one within [`CHANGE_DAYS_MAX`] days.
    pub fn around(&self, at: Timestamp) -> Option<Window> {
        if let Some(window) = self.found.get(at) {
            return Some(window);
        }
        let window = self.at(at).or_else(|| self.next(at))?;
        self.found.keep(window.starts_at.min(at), window);
        Some(window)
    }

    /// The window that an instant lies in.
    fn at(&self, at: Timestamp) -> Option<Window> {
        let start = self.start_about(at)?;
        Some(Window { starts_at: self.begin_of(start), ends_at: self.end_of(start).at })
    }

    /// The first window that begins later than an instant.
    fn next(&self, after: Timestamp) -> Option<Window> {
        let starts_at = self.next_start(after)?;
        Some(Window { starts_at, ends_at: self.end_of(starts_at).at })
    }

    /// The longest of the windows between two instants: of the first of them where there are many. Where one has no end
    /// that could be found, as if it had none.
    pub fn longest(&self, from: Timestamp, to: Timestamp) -> Option<Duration> {
        let (mut longest, mut looked_at) = (None, 0);
        let mut start = self.start_about(from).or_else(|| self.next_start(from));
        while let Some(begin) = start.filter(|at| *at < to && looked_at < LOOKED_AT_MAX) {
            let end = self.end_of(begin);
            if !end.known {
                return Some(to.since(from));
            }
            looked_at += 1 + end.joined;
            longest = longest.max(Some(end.at.min(to).since(begin.max(from))));
            start = self.next_start(end.at);
        }
        longest
    }

    /// The first start later than an instant, if there is one within [`CHANGE_DAYS_MAX`] days.
    pub fn next_start(&self, after: Timestamp) -> Option<Timestamp> {
        self.first_start(after, after.plus(Duration::from_secs(CHANGE_DAYS_MAX.unsigned_abs() * 86_400)))
    }

    /// The first start of a window, by itself, that an instant lies in.
    fn start_about(&self, at: Timestamp) -> Option<Timestamp> {
        self.first_start(Timestamp(at.0.saturating_sub(self.length_ms)), at)
    }

    /// The first start in `(after, until]`.
    fn first_start(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let rule = match &self.starts {
            Starts::Cron(cron) => return cron.next_after(after).filter(|at| *at <= until),
            Starts::Rule(rule) => rule,
        };
        let date = |at: Timestamp| Some(zone::local_of(self.zone, at.0.div_euclid(1000))?.date());
        // A start that the zone leaves out may fall on the date before.
        let from = date(after)?.checked_sub_days(Days::new(1))?;
        let mut instants = rule.between(from, date(until)?).filter_map(|local| zone::instant_of(self.zone, local));
        instants.find_map(|secs| Some(Timestamp::from_secs(secs)).filter(|at| *at > after)).filter(|at| *at <= until)
    }

    /// When the window that begins then ends, those joined that touch or overlap.
    fn end_of(&self, start: Timestamp) -> End {
        let ends = |start: Timestamp| Timestamp(start.0.saturating_add(self.length_ms));
        let mut last = start;
        for joined in 0..JOINED_MAX {
            // A start in the later half of it spares those before.
            let half = Timestamp(last.0.saturating_add(self.length_ms / 2));
            match self.first_start(half, ends(last)).or_else(|| self.first_start(last, half)) {
                Some(next) => last = next,
                None => return End { at: ends(last), joined, known: true },
            }
        }
        End { at: ends(last), joined: JOINED_MAX, known: false }
    }

    /// When the window of a start begins, those joined that touch or overlap.
    fn begin_of(&self, start: Timestamp) -> Timestamp {
        let mut begin = start;
        for _ in 0..JOINED_MAX {
            let after = begin.0.saturating_sub(self.length_ms).saturating_sub(1);
            match self.first_start(Timestamp(after), Timestamp(begin.0.saturating_sub(1))) {
                Some(before) => begin = before,
                None => break,
            }
        }
        begin
    }
}

/// The local time at which a rule begins. One that is not said is that of the silence, in whole minutes; in whole hours
/// where the rule names hours alone, so that `BYHOUR=2` means two o'clock.
fn first_local(text: &RecurrenceText, zone: Tz, start: Timestamp) -> Result<NaiveDateTime, RecurrenceError> {
    let Some(written) = &text.dtstart else {
        let local = zone::local_of(zone, start.0.div_euclid(1000));
        let by_hour = text.rrule.as_ref().is_some_and(|rule| rule.to_ascii_uppercase().contains("BYHOUR"));
        let whole = local.and_then(|at| if by_hour { at.with_minute(0) } else { Some(at) }?.with_second(0));
        return whole.ok_or_else(|| RecurrenceError::Start(start.to_string()));
    };
    match rrule::moment(written.trim()) {
        Some((date, Some(time), false)) => Ok(date.and_time(time)),
        _ => Err(RecurrenceError::Start(written.clone())),
    }
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
