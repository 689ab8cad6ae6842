//! The time intervals of handler files.
//!
//! What a file may contain is checked with its handlers ([`super::handlers`]); this file judges what the texts mean. The
//! notation is Alertmanager's.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use chrono_tz::{TZ_VARIANTS, Tz};

use super::calendars::{CALENDARS_MAX, Calendars, place};
use crate::diag::{self, Diagnostic, SourceFile, suggest};
use crate::schedule::interval_fields::time_range;
use crate::schedule::{Field, FieldError, FieldRange, Holidays, IntervalFields, TimeInterval};
use crate::yaml::{self, Node};

/// Most elements of one interval.
pub const ELEMENTS_MAX: usize = 500;

/// The word that stands for the zone of the machine.
const LOCAL: &str = "Local";

/// The section of the manual about them, behind the tables of keys.
pub(super) const MANUAL: &str = r#"
## Time intervals

A rule that names time intervals in `mute` tells nobody while an instant lies in one of them; a rule that names some in `active` tells people in those alone. The alert itself fires and resolves as ever. An alert that was told before is told to be over, muted or not.

```yaml handlers
handlers:
  - {name: screen, type: console}
time_intervals:
  - name: office_hours
    time_intervals:
      - times: [{start_time: '09:00', end_time: '17:00'}]
        weekdays: ['monday:friday']
        location: Europe/Berlin
  - name: nights
    time_intervals:
      - times:
          - {start_time: '22:00', end_time: '24:00'}
          - {start_time: '00:00', end_time: '06:00'}
        location: Europe/Berlin
  - name: month_end
    time_intervals:
      - days_of_month: ['-2:-1']
      - {months: [december], days_of_month: ['24:31']}
  - name: holidays
    time_intervals:
      - {holidays: holidays.ics, location: Europe/Berlin}
```

```yaml rules
rules:
  - name: queue_long
    expr: queue_length > 1000
    active: [office_hours]
    mute: [month_end]
```

| written | is |
|---|---|
| `start_time: '09:00', end_time: '17:00'` | from 9:00:00 up to, not including, 17:00:00 |
| `weekdays: ['monday:friday']` | both ends included; the week begins on Sunday, so `saturday:sunday` is an error: write `[saturday, sunday]` |
| `days_of_month: ['-2:-1']` | the last two days of every month |
| `days_of_month: ['29:31']` | in February of a leap year the 29th, in other years no day |
| `months: [june, 12]` | June and December |
| two fields of one element | both must match |
| two elements, or two ranges of one field | one must match |
| `holidays: holidays.ics` | the whole days of an iCalendar file: events with `DTSTART;VALUE=DATE`, their ranges, and those that come again (`RRULE`, without `EXDATE`) |
| `location` | UTC without it; `Local` is the zone of the machine: `TZ`, else its configuration |

Times are those of the clock on the wall in that zone. When clocks go back, an hour happens twice and is in the interval twice; when they go forward, an hour does not happen. A change of the files takes effect with the reload.
A calendar file lies beside the handler file, or at the path from there. It is watched and reloaded as the others are, and has at most 10,000 events, 500 of them coming again. An event with a time of day is told and left out; what is wrong in it is told with its line. Which [rules](silences.md#windows-that-come-again) are known is the same as for silences.
`alertd check rules/` alone cannot know the names of intervals and does not judge them; give it the handler files too.
"#;

/// Reads the time intervals of handler files, in file order, and all findings about them. `local` is the zone that
/// `location: Local` stands for. An interval with an error is among them with what could be read of it, so that rules
/// that name it are not reported too; with an error nothing of the files may be used.
pub fn load(files: &[Arc<SourceFile>], local: Tz) -> (Vec<Arc<TimeInterval>>, Vec<Diagnostic>) {
    read(files, local, None)
}

/// The same with the calendars that the files name ([`super::calendars::named`]); without them none is looked at.
pub fn load_with(
    files: &[Arc<SourceFile>],
    local: Tz,
    calendars: &Calendars,
) -> (Vec<Arc<TimeInterval>>, Vec<Diagnostic>) {
    read(files, local, Some(calendars))
}

fn read(
    files: &[Arc<SourceFile>],
    local: Tz,
    calendars: Option<&Calendars>,
) -> (Vec<Arc<TimeInterval>>, Vec<Diagnostic>) {
    let mut days = BTreeMap::new();
    let (mut intervals, mut out) = (Vec::new(), Vec::new());
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        // What is wrong with the YAML itself is reported with the handlers.
        let Some(root) = yaml::parse(file, &mut Vec::new()).and_then(|document| document.root) else { continue };
        let mut reader = Reader { file, local, calendars, days: &mut days, out: &mut out };
        // Alertmanager's older name for them is read where its files are.
        let older = super::alertmanager::is_one(&root).then_some("mute_time_intervals");
        for key in older.into_iter().chain(["time_intervals"]) {
            for node in root.get(key).and_then(Node::items).unwrap_or_default() {
                intervals.extend(reader.interval(node, &mut seen));
            }
        }
    }
    diag::sort(&mut out);
    (intervals, out)
}

struct Reader<'a> {
    file: &'a Arc<SourceFile>,
    local: Tz,
    calendars: Option<&'a Calendars>,
    /// Calendars that were read before.
    days: &'a mut BTreeMap<PathBuf, Arc<Holidays>>,
    out: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn error(&mut self, code: &'static str, span: Range<usize>, message: impl Into<String>) -> &mut Diagnostic {
        self.out.push(Diagnostic::error(code, self.file, span, message.into()));
        let last = self.out.len() - 1;
        &mut self.out[last]
    }

    /// `None` for one that has no name of its own.
    fn interval(&mut self, node: &Node, seen: &mut BTreeMap<String, String>) -> Option<Arc<TimeInterval>> {
        let elements = self.elements(node);
        let (key, value) = node.entry("name")?;
        let name = value.text().filter(|_| !value.is_null())?;
        if name.trim().is_empty() {
            self.error("A018", value.span.clone(), "`name` is empty").label =
                Some("expected a name such as `office_hours`".to_owned());
            return None;
        }
        let here = format!("{}:{}", self.file.path, self.file.position(key.span.start).line);
        if let Some(first) = seen.get(name) {
            let (label, message) = (format!("first in {first}"), format!("two time intervals have the name `{name}`"));
            let found = self.error("A531", key.span.clone(), message);
            (found.label, found.help) = (Some(label), Some("rename one of them".to_owned()));
            return None;
        }
        seen.insert(name.to_owned(), here);
        Some(Arc::new(TimeInterval::new(name, &elements)))
    }

    fn elements(&mut self, node: &Node) -> Vec<IntervalFields> {
        let Some((key, list)) = node.entry("time_intervals") else { return Vec::new() };
        let items = list.items().unwrap_or_default();
        if items.len() > ELEMENTS_MAX {
            let message = format!("the time interval has {} elements, more than {ELEMENTS_MAX}", items.len());
            let found = self.error("A535", key.span.clone(), message);
            found.help = Some("put several ranges into one element, or make several intervals".to_owned());
            return Vec::new();
        }
        self.warn_of_nothing(key, list);
        items.iter().map(|item| self.element(item)).collect()
    }

    fn element(&mut self, node: &Node) -> IntervalFields {
        IntervalFields {
            times: self.list(node, "times", Self::times),
            weekdays: self.list(node, "weekdays", |reader, item| reader.range(item, Field::Weekday)),
            days_of_month: self.list(node, "days_of_month", |reader, item| reader.range(item, Field::DayOfMonth)),
            months: self.list(node, "months", |reader, item| reader.range(item, Field::Month)),
            years: self.list(node, "years", |reader, item| reader.range(item, Field::Year)),
            holidays: node.get("holidays").and_then(|place| self.holidays(place)),
            zone: node.get("location").and_then(|place| self.zone(place)).unwrap_or_default(),
        }
    }

    fn list(
        &mut self,
        node: &Node,
        key: &str,
        read: impl Fn(&mut Self, &Node) -> Option<FieldRange>,
    ) -> Option<Vec<FieldRange>> {
        let (key, list) = node.entry(key)?;
        let items = list.items()?;
        self.warn_of_nothing(key, list);
        Some(items.iter().filter_map(|item| read(self, item)).collect())
    }

    /// An empty list matches nothing, which is hardly ever meant.
    fn warn_of_nothing(&mut self, key: &Node, list: &Node) {
        if list.items().is_some_and(<[Node]>::is_empty) {
            let name = key.text().unwrap_or_default();
            let message = format!("`{name}` is empty, so it never matches");
            let found = Diagnostic::warning("A534", self.file, list.span.clone(), message);
            self.out.push(found.with_label("matches no time").with_help(format!("remove `{name}`, or name a range")));
        }
    }

    fn times(&mut self, node: &Node) -> Option<FieldRange> {
        let text = |key: &str| node.get(key).filter(|node| !node.is_null()).and_then(|node| Some((node, node.text()?)));
        let ((start, from), (end, to)) = (text("start_time")?, text("end_time")?);
        match time_range(from, to) {
            Ok(range) => Some(range),
            Err((error, at_end)) => {
                self.field_error(if at_end { end } else { start }, error);
                None
            }
        }
    }

    fn range(&mut self, node: &Node, field: Field) -> Option<FieldRange> {
        let text = node.text().filter(|_| !node.is_null())?;
        match field.range(text) {
            Ok(range) => Some(range),
            Err(error) => {
                self.field_error(node, error);
                None
            }
        }
    }

    /// The days of a calendar file; its findings are told once, however often it is named.
    fn holidays(&mut self, node: &Node) -> Option<Arc<Holidays>> {
        let written = node.text().filter(|_| !node.is_null())?;
        let calendars = self.calendars?;
        let path = place(self.file, written);
        if let Some(days) = self.days.get(&path) {
            return Some(Arc::clone(days));
        }
        let calendar = match calendars.get(&path) {
            Some(Ok(calendar)) => calendar,
            Some(Err(why)) => {
                let message = format!("the calendar `{}` cannot be used: {why}", path.display());
                let found = self.error("A536", node.span.clone(), message);
                found.help = Some("the path is relative to the folder of this file".to_owned());
                return None;
            }
            None => {
                let message = format!("more than {CALENDARS_MAX} calendars are named");
                self.error("A536", node.span.clone(), message);
                return None;
            }
        };
        let (days, problems) = Holidays::parse(&calendar.text);
        for problem in problems {
            let finding = match problem.fatal {
                true => Diagnostic::error("A536", calendar, problem.span, problem.message),
                false => Diagnostic::warning("A537", calendar, problem.span, problem.message),
            };
            self.out.push(finding.with_help(problem.help.to_owned()));
        }
        let days = Arc::new(days);
        self.days.insert(path, Arc::clone(&days));
        Some(days)
    }

    fn field_error(&mut self, node: &Node, error: FieldError) {
        let word = node.text().and_then(|text| text.get(error.span.clone())).unwrap_or_default().to_lowercase();
        // The first letters of a name mean that name.
        let begun = |name: &&&str| word.len() >= 3 && name.starts_with(&word);
        let meant = error.known.iter().find(begun).copied().or_else(|| suggest(&word, error.known.iter().copied()));
        let label = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if error.reversed => "ends before it begins".to_owned(),
            None => "cannot be read".to_owned(),
        };
        let place = node.locate(&self.file.text, error.span);
        let found = self.error(if error.reversed { "A533" } else { "A532" }, place, error.message);
        (found.label, found.help) = (Some(label), Some(error.help));
    }

    /// A zone by its IANA name, `Local`, or nothing for UTC.
    fn zone(&mut self, node: &Node) -> Option<Tz> {
        let name = node.text().filter(|_| !node.is_null())?;
        if name == LOCAL {
            return Some(self.local);
        }
        if name.is_empty() {
            return Some(Tz::UTC);
        }
        if let Ok(zone) = Tz::from_str(name) {
            return Some(zone);
        }
        self.out.push(unknown_zone(self.file, node, &[LOCAL]));
        None
    }
}

/// That a text names no zone. `others` are words that may stand there too.
pub(super) fn unknown_zone(file: &Arc<SourceFile>, node: &Node, others: &[&str]) -> Diagnostic {
    let name = node.text().unwrap_or_default();
    let known = TZ_VARIANTS.iter().map(|zone| zone.name()).chain(others.iter().copied());
    let label = match suggest(name, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "expected a name such as `Europe/Berlin`".to_owned(),
    };
    let shown: String = name.chars().take(60).collect();
    let local = if others.contains(&LOCAL) { ", `Local` is the zone of the machine" } else { "" };
    Diagnostic::error("A410", file, node.span.clone(), format!("unknown time zone `{shown}`"))
        .with_label(label)
        .with_help(format!("names are those of the IANA time zone database; `UTC` is one{local}"))
}
