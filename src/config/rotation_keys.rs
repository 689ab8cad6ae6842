//! The keys of `rotations` of handler files.

use super::keys::TEXTS;
use crate::yaml::shape::{Key, Kind, Shape};

/// An element of `rotations:`.
pub static ROTATION: Shape = Shape {
    name: "rotation",
    doc: "A name under which handlers are told in turns: whoever is on duty.",
    keys: &[
        Key::new(
            "name",
            Kind::Text,
            "oncall",
            "The name: it may stand where that of a handler may, but for `fallback`.",
        )
        .required(),
        Key::new("handlers", TEXTS, "[alice, bob]", "Names of handlers, in the order of their turns.").required(),
        Key::new("every", Kind::Duration, "1w", "How long a turn is: whole days.").or("1w"),
        Key::new(
            "starts",
            Kind::Language("local time"),
            "2026-01-05T09:00",
            "When a turn of the first handler begins or began; all turns begin at this time of the day.",
        )
        .required(),
        Key::new("timezone", Kind::Language("time zone"), "Europe/Berlin", "Whose clocks the times are of.").or("UTC"),
        Key::new(
            "overrides",
            Kind::List(&Kind::Object(&OVERRIDE)),
            "[{from: 2026-02-02T09:00, until: 2026-02-03T09:00, handler: bob}]",
            "Who is on duty instead, for a time. No two at one time.",
        ),
    ],
};

/// An element of `overrides:`.
pub static OVERRIDE: Shape = Shape {
    name: "override",
    doc: "A time at which somebody else is on duty.",
    keys: &[
        Key::new("from", Kind::Language("local time"), "2026-02-02T09:00", "From when.").required(),
        Key::new("until", Kind::Language("local time"), "2026-02-03T09:00", "Until when.").required(),
        Key::new("handler", Kind::Text, "bob", "Who: any handler.").required(),
    ],
};
