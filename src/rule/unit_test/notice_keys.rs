//! The keys of a unit-test file that are about messages, as data: all of them alertd's own.

use super::keys::NUMBER_OF;
use super::notices::{REASONS, RECEIVES};
use crate::yaml::shape::{Key, Kind, Shape};

const PATH: Kind = Kind::Language("path");
const ANYTHING: Kind = Kind::Map(&Kind::Any);
const MATCHERS: Kind = Kind::List(&Kind::Language("matcher"));

/// `config`, of a file and of a test group.
pub const CONFIG: Key = Key::new(
    "config",
    Kind::Either(&[PATH, ANYTHING]),
    "../alertd.yaml",
    "Own key of alertd: the configuration of `notice_test`, as a path from this file or written out.",
);

/// `handlers`, of a file and of a test group.
pub const HANDLERS: Key = Key::new(
    "handlers",
    Kind::Either(&[PATH, Kind::List(&PATH), ANYTHING]),
    "[../handlers/]",
    "Own key of alertd: handler files of `notice_test`, instead of those that `config` names, or the keys of one written out.",
);

/// `no_other_notices`
pub const NO_OTHER_NOTICES: Key = Key::new(
    "no_other_notices",
    Kind::Boolean,
    "true",
    "Own key of alertd: a message that no element of `notice_test` names fails the test.",
)
.or("false");

/// An element of `silences:`.
pub static SILENCE: Shape = Shape {
    name: "silence of a test",
    doc: "A silence.",
    keys: &[
        Key::new("matchers", MATCHERS, "['host=\"a\"']", "What it covers; all of them must fit.").required(),
        Key::new("starts", Kind::Duration, "5m", "From here, since the start.").or("0s"),
        Key::new("ends", Kind::Duration, "1h", "To here, since the start; without it to the end of the test."),
        Key::new(
            "recurrence",
            Kind::Object(&RECURRENCE),
            "{cron: '0 0 22 * * Sat', duration: 2h, timezone: Europe/Berlin}",
            "In windows that come again alone, between its start and its end.",
        ),
        Key::new("comment", Kind::Text, "maintenance", "Why."),
    ],
};

/// `recurrence:` of a silence: the keys that it has in the API.
static RECURRENCE: Shape = Shape {
    name: "recurrence",
    doc: "Windows that come again.",
    keys: &[
        Key::new("cron", Kind::Language("cron expression"), "0 0 22 * * Sat", "When they begin, seconds first."),
        Key::new(
            "rrule",
            Kind::Language("recurrence rule"),
            "FREQ=MONTHLY;BYDAY=2TU;BYHOUR=22",
            "When they begin, by a rule of RFC 5545; instead of `cron`.",
        ),
        Key::new(
            "dtstart",
            Kind::Language("local time"),
            "2027-01-30T22:00",
            "The local time at which the rule begins; without it the start of the silence.",
        ),
        Key::new("duration", Kind::Duration, "2h", "How long each of them lasts.").required(),
        Key::new("timezone", Kind::Language("time zone"), "Europe/Berlin", "Time zone of their beginnings.").or("UTC"),
    ],
};

/// An element of `acks:`.
pub static ACK: Shape = Shape {
    name: "acknowledgement of a test",
    doc: "Somebody looks after the alerts that fire at this instant and fit.",
    keys: &[
        Key::new("at", Kind::Duration, "5m", "The instant, since the start.").required(),
        Key::new("matchers", MATCHERS, "['host=\"a\"']", "Which alerts; all of them must fit.").required(),
        Key::new("ends", Kind::Duration, "1h", "Until here, since the start; without it until the alert is over."),
        Key::new("by", Kind::Text, "ann", "Who.").or("a test"),
        Key::new("comment", Kind::Text, "on it", "What they say."),
    ],
};

/// An element of `notice_test:`.
pub static NOTICE: Shape = Shape {
    name: "notice test",
    doc: "Between two instants a handler receives so many messages that fit all that is said here.",
    keys: &[
        Key::new(
            "between",
            Kind::Either(&[Kind::List(&Kind::Duration), Kind::Language("span of time")]),
            "2m and 2m30s",
            "The first and the last instant, since the start, both included; also `[2m, 2m30s]`.",
        ),
        Key::new("at", Kind::Duration, "2m", "Instead: at this instant."),
        Key::new("by", Kind::Duration, "5m", "Instead: from the start to this instant."),
        Key::new("handler", Kind::Text, "oncall", "Who receives.").required(),
        Key::new(
            "receives",
            Kind::OneOf(RECEIVES),
            "firing",
            "What the message says; with `nothing` no message may fit. Without it anything.",
        ),
        Key::new("times", NUMBER_OF, "2", "How many messages fit.").or("1"),
        Key::new("reason", Kind::OneOf(REASONS), "repeat", "Why the message goes out."),
        Key::new(
            "alerts",
            Kind::List(&Kind::Object(&NOTICE_ALERT)),
            "[{labels: {host: a}}]",
            "Alerts of the message, each another one; it may have more.",
        ),
        Key::new("count", NUMBER_OF, "2", "How many alerts the message has."),
        Key::new("text", Kind::Text, "disk is full", "What stands in the message as the handler would send it."),
    ],
};

/// An element of `alerts:`.
pub static NOTICE_ALERT: Shape = Shape {
    name: "alert of a notice test",
    doc: "An alert of a message.",
    keys: &[
        Key::new(
            "labels",
            Kind::Map(&Kind::Text),
            "{alertname: Full, host: a}",
            "Labels that it has, `alertname` and `severity` among them.",
        ),
        Key::new("annotations", Kind::Map(&Kind::Text), "{summary: full}", "Annotations that it has."),
        Key::new(
            "state",
            Kind::OneOf(&["firing", "resolved"]),
            "resolved",
            "Whether it fires in the message or is over.",
        ),
    ],
};
