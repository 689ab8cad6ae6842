//! Holidays: the whole days of a calendar file (iCalendar, RFC 5545).
//!
//! Place in the flow: `config` reads the files that time intervals name, an interval keeps the days and asks them for
//! dates. Only days count: what has a time of day is told and left out, and so is nothing silently.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use chrono::{Days, NaiveDate, NaiveTime};
use chrono_tz::Tz;

use super::Rrule;
use super::rrule::moment;

/// Most events of one file.
pub const EVENTS_MAX: usize = 10_000;
/// Most events of one file that come again.
pub const SERIES_MAX: usize = 500;
/// Longest event, in days.
pub const EVENT_DAYS_MAX: u64 = 366;
/// Most days of all events of one file that do not come again.
const DATES_MAX: u64 = 50_000;
/// Deepest nesting of components.
const DEPTH_MAX: usize = 8;
/// Most findings of one file; of what is wrong further on the first thing is told that makes the file useless.
const PROBLEMS_MAX: usize = 50;

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The bytes that are wrong.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: &'static str,
    /// Whether the file cannot be used; else an event is left out.
    pub fatal: bool,
}

/// An event that comes again.
#[derive(Clone, Debug, PartialEq)]
struct Series {
    uid: String,
    rule: Rrule,
    days: u64,
    except: BTreeSet<NaiveDate>,
}

/// Whole days.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Holidays {
    dates: BTreeSet<NaiveDate>,
    series: Vec<Series>,
}

impl Holidays {
    /// Reads a calendar file, and everything that is wrong with it.
    pub fn parse(text: &str) -> (Self, Vec<Problem>) {
        let mut reader = Reader::default();
        reader.read(text);
        let Reader { mut holidays, mut problems, moved, once, .. } = reader;
        let is_moved = |uid: &String, first: NaiveDate| moved.get(uid).is_some_and(|dates| dates.contains(&first));
        for (uid, first, days) in once {
            if !uid.is_some_and(|uid| is_moved(&uid, first)) {
                holidays.dates.extend((0..days).filter_map(|n| first.checked_add_days(Days::new(n))));
            }
        }
        for series in &mut holidays.series {
            series.except.extend(moved.get(&series.uid).into_iter().flatten());
        }
        if holidays.is_empty() && problems.is_empty() {
            problems.push(Problem {
                span: 0..text.lines().next().unwrap_or_default().len(),
                message: "the calendar has no event of whole days".to_owned(),
                help: "holidays are events with `DTSTART;VALUE=DATE:…`",
                fatal: false,
            });
        }
        (holidays, problems)
    }

    /// Whether there is no day at all.
    pub fn is_empty(&self) -> bool {
        self.dates.is_empty() && self.series.is_empty()
    }

    /// Whether a date is one of them.
    pub fn contains(&self, date: NaiveDate) -> bool {
        let began = |series: &Series| {
            let first = date.checked_sub_days(Days::new(series.days - 1));
            let mut starts = first.into_iter().flat_map(|first| series.rule.between(first, date));
            starts.any(|start| !series.except.contains(&start.date()))
        };
        self.dates.contains(&date) || self.series.iter().any(began)
    }
}

/// A line with what belongs to it, unfolded.
struct Line {
    span: Range<usize>,
    name: String,
    parameters: String,
    value: String,
}

/// An event as far as it was read.
#[derive(Default)]
struct Event {
    begin: Range<usize>,
    uid: String,
    start: Option<(String, Range<usize>)>,
    end: Option<(String, Range<usize>)>,
    duration: Option<(String, Range<usize>)>,
    rule: Option<(String, Range<usize>)>,
    except: BTreeSet<NaiveDate>,
    more: BTreeSet<NaiveDate>,
    instead_of: Option<NaiveDate>,
    cancelled: bool,
    /// What is wrong with it, if its days count at all.
    problems: Vec<Problem>,
}

impl Event {
    fn problem(&mut self, span: Range<usize>, message: impl Into<String>, help: &'static str, fatal: bool) {
        put_down(&mut self.problems, Problem { span, message: message.into(), help, fatal });
    }
}

/// Keeps a finding, if there are not too many; what makes the file useless is kept however much stands before it.
fn put_down(problems: &mut Vec<Problem>, problem: Problem) {
    let first_fatal = problem.fatal && !problems.iter().any(|problem| problem.fatal);
    if first_fatal || problems.len() < PROBLEMS_MAX {
        problems.push(problem);
    }
}

#[derive(Default)]
struct Reader {
    holidays: Holidays,
    problems: Vec<Problem>,
    /// First days of events that do not come again, and how many each has; with the uid, unless it stands in for one.
    once: Vec<(Option<String>, NaiveDate, u64)>,
    /// How many days those are.
    days: u64,
    /// Days of series that another event of the same uid stands in for.
    moved: BTreeMap<String, BTreeSet<NaiveDate>>,
    /// The components that are open.
    open: Vec<String>,
    event: Option<Event>,
    events: usize,
}

impl Reader {
    fn problem(&mut self, span: Range<usize>, message: impl Into<String>, help: &'static str, fatal: bool) {
        put_down(&mut self.problems, Problem { span, message: message.into(), help, fatal });
    }

    fn read(&mut self, text: &str) {
        let mut begun = false;
        for line in lines(text) {
            if !begun && (line.name != "BEGIN" || !line.value.eq_ignore_ascii_case("VCALENDAR")) {
                let help = "a calendar file begins with `BEGIN:VCALENDAR`";
                return self.problem(line.span, "this is no iCalendar file", help, true);
            }
            begun = true;
            if self.problems.iter().filter(|problem| problem.fatal).count() > 0 && self.open.is_empty() {
                return;
            }
            self.line(line);
        }
        if !begun || !self.open.is_empty() {
            let message = match self.open.last() {
                Some(open) => format!("the file ends within `BEGIN:{open}`"),
                None => "the file is empty".to_owned(),
            };
            self.problem(text.len()..text.len(), message, "it may have been written only in part", true);
        }
    }

    fn line(&mut self, line: Line) {
        match line.name.as_str() {
            "BEGIN" => {
                let name = line.value.to_ascii_uppercase();
                if self.open.len() >= DEPTH_MAX {
                    return self.problem(line.span, "components are nested too deeply", "see RFC 5545", true);
                }
                if name == "VEVENT" && self.event.is_none() {
                    self.event = Some(Event { begin: line.span, ..Event::default() });
                }
                self.open.push(name);
            }
            "END" => {
                if !self.open.last().is_some_and(|open| line.value.eq_ignore_ascii_case(open)) {
                    let message = format!("`END:{}` ends nothing that is open", shown(&line.value));
                    return self.problem(line.span, message, "components end in the order in which they begin", true);
                }
                self.open.pop();
                if line.value.eq_ignore_ascii_case("VEVENT")
                    && let Some(event) = self.event.take()
                {
                    self.take(event);
                }
            }
            // Alarms of an event have properties of the same names.
            _ if self.open.last().is_some_and(|open| open == "VEVENT") => self.property(line),
            _ => {}
        }
    }

    fn property(&mut self, line: Line) {
        let Some(event) = &mut self.event else { return };
        let dates = || line.value.split(',').map(|text| Some(moment(text.trim())?.0)).collect::<Option<BTreeSet<_>>>();
        let parameters = line.parameters.to_ascii_uppercase();
        match line.name.as_str() {
            "UID" => event.uid = line.value,
            "DTSTART" => event.start = Some((line.value, line.span)),
            "DTEND" => event.end = Some((line.value, line.span)),
            "DURATION" => event.duration = Some((line.value, line.span)),
            "RRULE" if event.rule.is_none() => event.rule = Some((line.value, line.span)),
            "RRULE" | "EXRULE" => {
                let message = format!("{} is not known beside another rule", line.name);
                event.problem(line.span, message, "keep one RRULE, and name days with RDATE or EXDATE", true);
            }
            "RDATE" if parameters.contains("PERIOD") => {
                let help = "holidays are whole days: `RDATE;VALUE=DATE:20261225`";
                event.problem(line.span, "the periods have a time of day and are left out", help, false);
            }
            "RECURRENCE-ID" if parameters.contains("THISANDFUTURE") => {
                let help = "end the series with UNTIL, and write another one for what follows";
                event.problem(line.span, "RANGE=THISANDFUTURE is not known", help, true);
            }
            "EXDATE" | "RDATE" | "RECURRENCE-ID" => match (line.name.as_str(), dates()) {
                ("EXDATE", Some(dates)) => event.except.extend(dates),
                ("RDATE", Some(dates)) => event.more.extend(dates),
                (_, Some(dates)) => event.instead_of = dates.first().copied(),
                (_, None) => {
                    let message = format!("`{}` is no date", shown(&line.value));
                    event.problem(line.span, message, "write it as in 20261225", true);
                }
            },
            "STATUS" => event.cancelled = line.value.eq_ignore_ascii_case("CANCELLED"),
            _ => {}
        }
    }

    fn take(&mut self, event: Event) {
        self.events += 1;
        if self.events > EVENTS_MAX {
            if self.events == EVENTS_MAX + 1 {
                let message = format!("the calendar has more than {EVENTS_MAX} events");
                self.problem(event.begin, message, "keep the holidays in a file of their own", true);
            }
            return;
        }
        if let Some(date) = event.instead_of {
            self.moved.entry(event.uid.clone()).or_default().insert(date);
        }
        // An event that has a time of day counts for nothing, whatever else it says.
        let is_timed = |(text, _): &(String, Range<usize>)| moment(text).is_some_and(|(_, time, _)| time.is_some());
        if !event.start.as_ref().is_some_and(is_timed) {
            event.problems.into_iter().for_each(|problem| put_down(&mut self.problems, problem));
        }
        if event.cancelled {
            return;
        }
        let Some((text, span)) = event.start else {
            return self.problem(
                event.begin,
                "the event has no DTSTART",
                "write it as `DTSTART;VALUE=DATE:20261225`",
                true,
            );
        };
        let start = match moment(&text) {
            Some((date, None, _)) => date,
            Some(_) => {
                let help = "holidays are whole days: `DTSTART;VALUE=DATE:20261225`";
                return self.problem(span, "the event has a time of day and is left out", help, false);
            }
            None => {
                let message = format!("`{}` is no date", shown(&text));
                return self.problem(span, message, "write it as in 20261225", true);
            }
        };
        let days = match days(start, event.end.as_ref(), event.duration.as_ref()) {
            Ok(days) => days,
            Err((span, message)) => {
                return self.problem(
                    span,
                    message,
                    "an event lasts for whole days, at most 366; DTEND is not included",
                    true,
                );
            }
        };
        let once = event.more.iter().copied().chain(event.rule.is_none().then_some(start));
        for first in once.filter(|date| !event.except.contains(date)) {
            let uid = Some(event.uid.clone()).filter(|_| event.instead_of.is_none());
            self.once.push((uid, first, days));
            self.days += days;
        }
        if self.days > DATES_MAX {
            let message = format!("the calendar has more than {DATES_MAX} days");
            return self.problem(span, message, "keep the holidays in a file of their own", true);
        }
        if let Some((rule, span)) = event.rule {
            self.series(Recurring { uid: event.uid, rule, span, start, days, except: event.except });
        }
    }

    fn series(&mut self, recurring: Recurring) {
        let Recurring { uid, rule, span, start, days, except } = recurring;
        if self.holidays.series.len() >= SERIES_MAX {
            let message = format!("the calendar has more than {SERIES_MAX} events that come again");
            return self.problem(span, message, "keep the holidays in a file of their own", true);
        }
        match Rrule::parse(&rule, start.and_time(NaiveTime::MIN), Tz::UTC) {
            Ok(rule) => self.holidays.series.push(Series { uid, rule, days, except }),
            Err(error) => {
                // One that can be read and ends before it begins has no days.
                let message = format!("{} ({})", error.message, error.help);
                self.problem(span, message, "see silences.md for the rules that are known", !error.never);
            }
        }
    }
}

/// An event that comes again, as far as it was read.
struct Recurring {
    uid: String,
    rule: String,
    span: Range<usize>,
    start: NaiveDate,
    days: u64,
    except: BTreeSet<NaiveDate>,
}

type Written<'a> = Option<&'a (String, Range<usize>)>;

/// How many days an event has.
fn days(start: NaiveDate, end: Written<'_>, duration: Written<'_>) -> Result<u64, (Range<usize>, String)> {
    let (found, span, text) = match (end, duration) {
        (Some((text, span)), _) => {
            let end = moment(text).filter(|(_, time, _)| time.is_none()).map(|(date, ..)| date);
            // An end on the first day is what some programs write for one day.
            (end.map(|end| end.signed_duration_since(start).num_days().max(1)), span, text)
        }
        (None, Some((text, span))) => (whole_days(text), span, text),
        (None, None) => return Ok(1),
    };
    match found.and_then(|days| u64::try_from(days).ok()).filter(|days| (1..=EVENT_DAYS_MAX).contains(days)) {
        Some(days) if end.is_none_or(|(text, _)| moment(text).is_some_and(|(end, ..)| end >= start)) => Ok(days),
        _ => Err((span.clone(), format!("`{}` cannot be the length of the event", shown(text)))),
    }
}

/// `P3D`, `P1W`, `P1W2D`
fn whole_days(text: &str) -> Option<i64> {
    let mut rest = text.trim().to_ascii_uppercase();
    rest = rest.strip_prefix('P')?.to_owned();
    let mut days = 0i64;
    for (unit, length) in [('W', 7), ('D', 1)] {
        if let Some((number, after)) = rest.split_once(unit) {
            days = days.checked_add(number.parse::<i64>().ok()?.checked_mul(length)?)?;
            rest = after.to_owned();
        }
    }
    matches!(rest.as_str(), "" | "T0S" | "T0H0M0S" | "T0M").then_some(days)
}

/// A text that is told: no longer than it need be.
fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

/// The lines of a file, those that begin with a blank joined to the one before.
fn lines(text: &str) -> impl Iterator<Item = Line> {
    let mut places: Vec<(Range<usize>, String)> = Vec::new();
    let mut at = 0;
    for raw in text.split_inclusive('\n') {
        let line = raw.trim_end_matches(['\n', '\r']);
        let span = at..at + line.len();
        at += raw.len();
        let line = if span.start == 0 { line.trim_start_matches('\u{feff}') } else { line };
        match (line.strip_prefix([' ', '\t']), places.last_mut()) {
            (Some(rest), Some((whole, joined))) => {
                joined.push_str(rest);
                whole.end = span.end;
            }
            _ if line.trim().is_empty() => {}
            _ => places.push((span, line.to_owned())),
        }
    }
    places.into_iter().map(|(span, text)| line(span, &text))
}

/// Name, parameters and value; colons within quotes belong to parameters.
fn line(span: Range<usize>, text: &str) -> Line {
    let mut quoted = false;
    let colon = text.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == ':' && !quoted
    });
    let (head, value) = colon.map_or((text, ""), |(at, _)| (&text[..at], &text[at + 1..]));
    let (name, parameters) = head.split_once(';').unwrap_or((head, ""));
    Line {
        span,
        name: name.trim().to_ascii_uppercase(),
        parameters: parameters.to_owned(),
        value: value.trim().to_owned(),
    }
}

#[cfg(test)]
#[path = "holidays_tests.rs"]
mod tests;
