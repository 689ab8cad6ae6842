//! The routes and handlers in use as an Alertmanager would have them written: for `amtool config` and for who looks at a
//! data source of Alertmanager's kind. Nothing secret is in it, and nothing is read back from it.
//!
//! A route there has one receiver: handlers that are told together are one receiver, named by all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::load::Inputs;
use crate::config::handlers::{Handler, HandlerKind};
use crate::model::{InhibitRule, LabelMatcher, format_duration};
use crate::route::{GroupBy, Route};
use crate::schedule::interval_fields::{MONTHS, WEEKDAYS};
use crate::schedule::{FieldRange, IntervalFields, Rotation, TimeInterval};

const HEAD: &str = "# The routes and handlers that alertd uses, in Alertmanager's language. What is secret is left out: every URL\n\
                    # stands as http://masked.invalid/, a rotation as all its handlers, escalations not at all. Rules that\n\
                    # name their handlers take no route. Inhibit rules with\n\
                    # several sources, or whose labels have two names, have no like in that language, nor have elements\n\
                    # of time intervals that name holidays: those are left out.\n";
/// What stands for the URL of a webhook.
const MASKED: &str = "http://masked.invalid/";
/// What stands for a password, as in Alertmanager.
const SECRET: &str = "<secret>";
/// The receiver of a route that leads to nobody.
const NOBODY: &str = "nobody";

#[derive(Serialize)]
struct Config {
    global: BTreeMap<&'static str, String>,
    route: Node,
    receivers: Vec<Receiver>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inhibit_rules: Vec<Inhibit>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    time_intervals: Vec<Interval>,
}

#[derive(Serialize)]
struct Node {
    receiver: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    matchers: Vec<String>,
    #[serde(rename = "continue", skip_serializing_if = "std::ops::Not::not")]
    goes_on: bool,
    group_by: Vec<String>,
    group_wait: String,
    group_interval: String,
    repeat_interval: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mute_time_intervals: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    active_time_intervals: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<Node>,
}

#[derive(Clone, Default, Serialize)]
struct Receiver {
    name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    webhook_configs: Vec<Webhook>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    email_configs: Vec<Email>,
}

#[derive(Clone, Serialize)]
struct Webhook {
    send_resolved: bool,
    url: &'static str,
}

#[derive(Clone, Serialize)]
struct Email {
    send_resolved: bool,
    to: String,
    from: String,
    smarthost: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_password: Option<&'static str>,
}

#[derive(Serialize)]
struct Inhibit {
    source_matchers: Vec<String>,
    target_matchers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    equal: Vec<String>,
}

/// An inhibit rule, where Alertmanager has its like: one source, and labels that are equal under one name.
fn inhibit(rule: &InhibitRule) -> Option<Inhibit> {
    let [source] = rule.sources.as_slice() else { return None };
    let texts = |matchers: &[LabelMatcher]| matchers.iter().map(LabelMatcher::to_string).collect();
    let equal = source.equal.iter().map(|label| (label.source == label.target).then(|| label.source.clone()));
    Some(Inhibit {
        source_matchers: texts(&source.matchers),
        target_matchers: texts(&rule.target),
        equal: equal.collect::<Option<_>>()?,
    })
}

#[derive(Serialize)]
struct Interval {
    name: String,
    time_intervals: Vec<Fields>,
}

#[derive(Serialize)]
struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<Vec<Times>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weekdays: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    days_of_month: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    months: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    years: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
}

#[derive(Serialize)]
struct Times {
    start_time: String,
    end_time: String,
}

/// The text.
pub fn text(inputs: &Inputs) -> String {
    let root = inputs.route.clone().unwrap_or_default();
    let told = inputs.handlers.iter().filter(|handler| handler.is_told()).collect();
    let mut writing = Writing { foreign: &inputs.receivers, rotations: &inputs.rotations, told, made: BTreeMap::new() };
    let mut route = writing.node(&root);
    if !root.times.is_empty() {
        // Alertmanager's root has no time intervals.
        let inner = std::mem::replace(&mut route, writing.node(&Route { routes: Vec::new(), ..root.clone() }));
        route.routes.push(inner);
    }
    (route.mute_time_intervals, route.active_time_intervals) = (Vec::new(), Vec::new());
    let receivers = writing.receivers();
    let mut intervals: BTreeMap<&str, &TimeInterval> = BTreeMap::new();
    for times in root.all().into_iter().map(|route| &route.times) {
        intervals.extend(times.mute.iter().chain(&times.active).map(|interval| (&*interval.name, &**interval)));
    }
    let config = Config {
        global: BTreeMap::from([("resolve_timeout", format_duration(inputs.config.resolve_timeout()))]),
        route,
        receivers,
        inhibit_rules: inputs.inhibit.iter().filter_map(inhibit).collect(),
        time_intervals: intervals.into_values().map(interval).collect(),
    };
    // Texts, lists and maps of texts: this cannot fail.
    format!("{HEAD}{}", serde_yaml::to_string(&config).unwrap_or_default())
}

struct Writing<'a> {
    /// Receivers of an `alertmanager.yml`, with the handlers that each has become.
    foreign: &'a BTreeMap<String, Vec<Arc<str>>>,
    /// Names that stand for handlers in turns.
    rotations: &'a [Rotation],
    /// The handlers that can be told.
    told: Vec<&'a Handler>,
    /// Receivers that stand for several of them, or for none.
    made: BTreeMap<String, Receiver>,
}

impl Writing<'_> {
    fn node(&mut self, route: &Route) -> Node {
        let names = |intervals: &[Arc<TimeInterval>]| intervals.iter().map(|i| i.name.to_string()).collect();
        Node {
            receiver: self.receiver_of(route),
            matchers: route.matchers.iter().map(LabelMatcher::to_string).collect(),
            goes_on: route.goes_on,
            group_by: match &route.group_by {
                GroupBy::All => vec!["...".to_owned()],
                GroupBy::Labels(names) => names.clone(),
            },
            group_wait: format_duration(route.group_wait),
            group_interval: not_zero(route.group_interval),
            repeat_interval: not_zero(route.repeat_interval),
            mute_time_intervals: names(&route.times.mute),
            active_time_intervals: names(&route.times.active),
            routes: route.routes.iter().map(|below| self.node(below)).collect(),
        }
    }

    /// All receivers: those of files of Alertmanager, other handlers, and those that stand for several.
    fn receivers(self) -> Vec<Receiver> {
        let of = |names: &Vec<Arc<str>>| -> Vec<&Handler> {
            self.told.iter().filter(|handler| names.contains(&handler.name)).copied().collect()
        };
        let mut receivers: Vec<Receiver> =
            self.foreign.iter().map(|(name, handlers)| receiver(name, &of(handlers))).collect();
        let own = self.told.iter().filter(|handler| !self.foreign.values().any(|of| of.contains(&handler.name)));
        receivers.extend(own.map(|handler| receiver(&handler.name, &[handler])));
        let made = self.made.into_iter().filter(|(name, _)| receivers.iter().all(|other| other.name != *name));
        let made: Vec<Receiver> = made.map(|(_, receiver)| receiver).collect();
        receivers.extend(made);
        receivers
    }

    fn receiver_of(&mut self, route: &Route) -> String {
        let in_turn = |name: &Arc<str>| {
            let of = |rotation: &&Rotation| route.handlers.contains(&rotation.name);
            self.rotations.iter().filter(of).any(|rotation| rotation.everybody().any(|handler| handler == name))
        };
        let is_named = |name: &Arc<str>| route.handlers.contains(name) || in_turn(name);
        let meant = |handler: &&&Handler| route.handlers.is_empty() || is_named(&handler.name);
        let handlers: Vec<&Handler> = self.told.iter().filter(meant).copied().collect();
        let names = || handlers.iter().map(|handler| &handler.name);
        let is_one =
            |of: &Vec<Arc<str>>| !of.is_empty() && of.len() == handlers.len() && names().all(|n| of.contains(n));
        if let Some((name, _)) = self.foreign.iter().find(|(_, of)| is_one(of)) {
            return name.clone();
        }
        if let [one] = handlers.as_slice() {
            return one.name.to_string();
        }
        let names: Vec<&str> = handlers.iter().map(|handler| &*handler.name).collect();
        let name = if names.is_empty() { NOBODY.to_owned() } else { names.join(",") };
        self.made.entry(name.clone()).or_insert_with(|| receiver(&name, &handlers));
        name
    }
}

/// Alertmanager refuses an interval of zero: the least that it can be told stands for it.
fn not_zero(interval: Duration) -> String {
    format_duration(interval.max(Duration::from_millis(1)))
}

fn receiver(name: &str, handlers: &[&Handler]) -> Receiver {
    let mut receiver = Receiver { name: name.to_owned(), ..Receiver::default() };
    for handler in handlers {
        let send_resolved = handler.send_resolved;
        match &handler.kind {
            HandlerKind::Webhook(_) => receiver.webhook_configs.push(Webhook { send_resolved, url: MASKED }),
            HandlerKind::Smtp(mail) => receiver.email_configs.push(Email {
                send_resolved,
                to: SECRET.to_owned(),
                from: SECRET.to_owned(),
                smarthost: format!("masked.invalid:{}", mail.port()),
                auth_password: mail.password.as_ref().map(|_| SECRET),
            }),
            HandlerKind::Console { .. } | HandlerKind::Heartbeat(_) => {}
        }
    }
    receiver
}

fn interval(interval: &TimeInterval) -> Interval {
    // Without its holidays an element would fit more days, and of holidays alone every one.
    let plain = interval.written().iter().filter(|written| written.holidays.is_none());
    Interval { name: interval.name.to_string(), time_intervals: plain.map(fields).collect() }
}

fn fields(written: &IntervalFields) -> Fields {
    let ranges = |field: &Option<Vec<FieldRange>>, word: fn(i32) -> String| {
        let one = |range: &FieldRange| match range.begin == range.end {
            true => word(range.begin),
            false => format!("{}:{}", word(range.begin), word(range.end)),
        };
        field.as_ref().map(|ranges| ranges.iter().map(one).collect())
    };
    let clock = |minutes: i32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let times = |range: &FieldRange| Times { start_time: clock(range.begin), end_time: clock(range.end) };
    Fields {
        times: written.times.as_ref().map(|ranges| ranges.iter().map(times).collect()),
        weekdays: ranges(&written.weekdays, |day| named(&WEEKDAYS, day)),
        days_of_month: ranges(&written.days_of_month, |day| day.to_string()),
        months: ranges(&written.months, |month| named(&MONTHS, month - 1)),
        years: ranges(&written.years, |year| year.to_string()),
        location: Some(written.zone.name().to_owned()).filter(|zone| zone != "UTC"),
    }
}

fn named(names: &[&str], place: i32) -> String {
    usize::try_from(place)
        .ok()
        .and_then(|place| names.get(place))
        .map_or_else(|| place.to_string(), |n| (*n).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Holidays;

    #[test]
    fn an_element_that_names_holidays_is_left_out_and_never_fits_every_day() {
        let weekend = IntervalFields { weekdays: Some(vec![FieldRange { begin: 6, end: 6 }]), ..Default::default() };
        let holidays = Some(Arc::new(Holidays::default()));
        let feasts = IntervalFields { holidays: holidays.clone(), ..Default::default() };
        let at_weekends = IntervalFields { holidays, ..weekend.clone() };
        let free = interval(&TimeInterval::new("free", &[feasts.clone(), weekend, at_weekends]));
        let want = "name: free\ntime_intervals:\n- weekdays:\n  - saturday\n";
        assert_eq!(serde_yaml::to_string(&free).unwrap(), want);
        let only = interval(&TimeInterval::new("only", &[feasts]));
        assert_eq!(serde_yaml::to_string(&only).unwrap(), "name: only\ntime_intervals: []\n");
    }
}
