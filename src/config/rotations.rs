//! `rotations` of handler files: names under which handlers are told in turns.
//!
//! Place in the flow: read when the handlers of all files are known, so that a name stands for one thing; routing asks
//! them who is on duty ([`crate::schedule::Rotation`]).

use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use chrono::NaiveDateTime;
use chrono_tz::Tz;

use super::handlers::Reading;
use super::intervals::unknown_zone;
use super::route::unknown_name;
use crate::diag::{Diagnostic, SourceFile};
use crate::model::parse_duration;
use crate::schedule::rotation::{TURN_DAYS_MAX, local_time, whole_days};
use crate::schedule::{Override, Rotation, Turns};
use crate::yaml::Node;

/// Most rotations of all files.
pub const ROTATIONS_MAX: usize = 1_000;
/// Most handlers of one.
pub const ROTATION_HANDLERS_MAX: usize = 500;
/// Most overrides of one.
pub const OVERRIDES_MAX: usize = 1_000;

/// Notes the rotations of a file, to be read once all handlers are known.
pub(super) fn note(file: &Arc<SourceFile>, root: &Node, reading: &mut Reading) {
    let written = root.get("rotations").and_then(Node::items).unwrap_or_default();
    reading.rotations_at.extend(written.iter().map(|node| (Arc::clone(file), node.clone())));
}

/// Reads the rotations that were noted.
pub(super) fn read(reading: &mut Reading, out: &mut Vec<Diagnostic>) {
    let handlers: Vec<String> = reading.seen.keys().cloned().collect();
    let deaf = reading.files.handlers.iter().filter(|handler| !handler.is_told());
    let deaf: Vec<String> = deaf.map(|handler| handler.name.to_string()).collect();
    let several = reading.files.receivers.iter().filter(|(_, handlers)| handlers.len() > 1);
    let several: Vec<String> = several.map(|(name, _)| name.clone()).collect();
    for (number, (file, node)) in std::mem::take(&mut reading.rotations_at).iter().enumerate() {
        if number == ROTATIONS_MAX {
            let message = format!("there are more than {ROTATIONS_MAX} rotations");
            let found = Diagnostic::error("A547", file, node.span.clone(), message);
            out.push(found.with_help("one rotation may stand in many routes"));
            return;
        }
        let mut reader = Reader { file, handlers: &handlers, deaf: &deaf, several: &several, out };
        let Some((key, name)) = reader.name(node) else { continue };
        let here = format!("{}:{}", file.path, file.position(key.start).line);
        if let Some(first) = reading.seen.insert(name.to_owned(), here) {
            let what =
                if reading.rotations.contains(name) { "two rotations have" } else { "a handler and a rotation have" };
            let found = Diagnostic::error("A503", file, key, format!("{what} the name `{name}`"));
            out.push(found.with_label(format!("first in {first}")).with_help("rename one of them"));
            continue;
        }
        reading.rotations.insert(name.to_owned());
        reading.files.rotations.extend(reader.rotation(name, node));
    }
}

struct Reader<'a> {
    file: &'a Arc<SourceFile>,
    /// Names of handlers.
    handlers: &'a [String],
    /// Those of them that are told of no alert.
    deaf: &'a [String],
    /// Receivers of an `alertmanager.yml` that have become more than one handler.
    several: &'a [String],
    out: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    fn wrong(&mut self, place: &Node, message: String, help: &str) {
        self.out.push(Diagnostic::error("A547", self.file, place.span.clone(), message).with_help(help));
    }

    /// The name, and where its key stands.
    fn name<'n>(&mut self, node: &'n Node) -> Option<(Range<usize>, &'n str)> {
        let (key, value) = node.entry("name")?;
        let name = value.text().filter(|_| !value.is_null())?;
        if name.trim().is_empty() {
            let found = Diagnostic::error("A018", self.file, value.span.clone(), "`name` is empty".to_owned());
            self.out.push(found.with_label("expected a name such as `oncall`"));
            return None;
        }
        Some((key.span.clone(), name))
    }

    /// `None` where something of it cannot be used, which was reported.
    fn rotation(&mut self, name: &str, node: &Node) -> Option<Rotation> {
        let handlers = self.members(node);
        let days = node.get("every").map_or(Some(7), |place| self.days(place));
        let zone = node.get("timezone").map_or(Some(Tz::UTC), |place| self.zone(place));
        let starts = node.get("starts").and_then(|place| self.time(place));
        let turns = Turns { starts: starts?, days: days?, zone: zone? };
        let overrides = self.overrides(node, turns);
        let handlers = handlers.filter(|handlers| !handlers.is_empty())?;
        Some(Rotation { name: Arc::from(name), handlers, turns, overrides: overrides? })
    }

    fn members(&mut self, node: &Node) -> Option<Vec<Arc<str>>> {
        let list = node.get("handlers")?;
        let items = list.items()?;
        if items.is_empty() {
            let found = Diagnostic::error("A018", self.file, list.span.clone(), "`handlers` is empty".to_owned());
            self.out.push(found.with_label("nobody would be told").with_help("name those who take turns"));
        }
        if items.len() > ROTATION_HANDLERS_MAX {
            let message = format!("the rotation has {} handlers, more than {ROTATION_HANDLERS_MAX}", items.len());
            self.wrong(list, message, "make several rotations");
            return None;
        }
        items.iter().map(|item| self.handler("handlers", item)).collect()
    }

    /// The name of a handler; a rotation may not stand in another.
    fn handler(&mut self, key: &str, item: &Node) -> Option<Arc<str>> {
        let name = item.text()?;
        if !self.handlers.iter().any(|known| known == name) {
            let names: Vec<&str> = self.handlers.iter().map(String::as_str).collect();
            let message = format!("`{key}` names no handler: `{name}`");
            self.out.push(unknown_name(("A501", "handler"), (self.file, &item.span), (name, message), &names));
            return None;
        }
        if self.deaf.iter().any(|known| known == name) {
            self.wrong(item, format!("`{name}` is told of no alert"), "name handlers that tell people");
            return None;
        }
        if self.several.iter().any(|receiver| receiver == name) {
            let message =
                format!("the receiver `{name}` has several handlers, and only the first of them takes the turn");
            let found = Diagnostic::warning("A547", self.file, item.span.clone(), message);
            self.out.push(found.with_help("give each a receiver of its own, and make a rotation for each kind"));
        }
        Some(Arc::from(name))
    }

    fn days(&mut self, place: &Node) -> Option<u64> {
        let every = parse_duration(place.text()?).ok()?;
        let days = whole_days(every);
        if days.is_none() {
            let message = format!("`every` is not a number of whole days from 1 to {TURN_DAYS_MAX}");
            self.wrong(place, message, "write `1d`, `1w` or `2w`; turns begin at the time of the day in `starts`");
        }
        days
    }

    fn zone(&mut self, place: &Node) -> Option<Tz> {
        let name = place.text().filter(|_| !place.is_null())?;
        let zone = Tz::from_str(name).ok();
        if zone.is_none() {
            self.out.push(unknown_zone(self.file, place, &[]));
        }
        zone
    }

    fn time(&mut self, place: &Node) -> Option<NaiveDateTime> {
        let text = place.text().filter(|_| !place.is_null())?;
        let time = local_time(text);
        if time.is_none() {
            let shown: String = text.chars().take(60).collect();
            self.wrong(place, format!("`{shown}` is no local time"), "write it as `2026-01-05T09:00`, without a zone");
        }
        time
    }

    /// The overrides in the order of time; no two may be at one time.
    fn overrides(&mut self, node: &Node, turns: Turns) -> Option<Vec<Override>> {
        let Some(list) = node.get("overrides") else { return Some(Vec::new()) };
        let items = list.items()?;
        if items.len() > OVERRIDES_MAX {
            let message = format!("the rotation has {} overrides, more than {OVERRIDES_MAX}", items.len());
            self.wrong(list, message, "remove those that are over");
            return None;
        }
        let mut all: Vec<Override> = Vec::with_capacity(items.len());
        let mut whole = true;
        for item in items {
            let Some(instead) = self.instead(item, turns) else {
                whole = false;
                continue;
            };
            if all.iter().any(|other| other.from < instead.until && instead.from < other.until) {
                let message = "two overrides are at one time".to_owned();
                self.wrong(item.get("from").unwrap_or(item), message, "let the first end when the second begins");
            }
            all.push(instead);
        }
        all.sort_by_key(|instead| instead.from);
        whole.then_some(all)
    }

    fn instead(&mut self, item: &Node, turns: Turns) -> Option<Override> {
        let mut time = |key: &str| item.get(key).and_then(|place| turns.instant(self.time(place)?));
        let (from, until) = (time("from"), time("until"));
        let handler = item.get("handler").and_then(|place| self.handler("handler", place));
        let (from, until) = (from?, until?);
        if until <= from {
            let message = "the override ends before it begins".to_owned();
            self.wrong(item.get("until")?, message, "`until` is later than `from`");
            return None;
        }
        Some(Override { from, until, handler: handler? })
    }
}
