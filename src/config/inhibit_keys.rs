//! Every key of `inhibit_rules:` in handler files.

use crate::yaml::shape::{Key, Kind, Shape};

const MATCHERS: Kind = Kind::List(&Kind::Language("matcher"));
const TEXT_MAP: Kind = Kind::Map(&Kind::Text);
const EQUAL_LABEL: Kind = Kind::Either(&[Kind::Text, Kind::Object(&EQUAL)]);
const EQUAL_DOC: &str = "Labels that must have the same value in the source and the target; one that neither has is equal. \
                         `{source: host, target: instance}` compares two labels of different names.";

/// An element of `inhibit_rules:`.
pub static INHIBIT_RULE: Shape = Shape {
    name: "inhibit rule",
    doc: "While an alert fires that the source's matchers fit, alerts that the target's fit are not told. As in Alertmanager.",
    keys: &[
        Key::new("name", Kind::Text, "host_down", "What it is called where it holds something."),
        Key::new("source_matchers", MATCHERS, "['alertname=\"HostDown\"']", "All of them fit the alert that mutes."),
        Key::new("source_match", TEXT_MAP, "{severity: critical}", "Alertmanager's older form of `=`."),
        Key::new("source_match_re", TEXT_MAP, "{severity: critical|error}", "Alertmanager's older form of `=~`."),
        Key::new(
            "sources",
            Kind::List(&Kind::Object(&INHIBIT_SOURCE)),
            "[{matchers: ['alertname=\"LinkADown\"']}, {matchers: ['alertname=\"LinkBDown\"']}]",
            "Several sources: an alert of each must fire. In place of the keys above and of `equal`.",
        ),
        Key::new("target_matchers", MATCHERS, "['severity=\"warning\"']", "All of them fit the alerts that are muted."),
        Key::new("target_match", TEXT_MAP, "{severity: warning}", "Alertmanager's older form of `=`."),
        Key::new("target_match_re", TEXT_MAP, "{severity: warning|info}", "Alertmanager's older form of `=~`."),
        Key::new("equal", Kind::List(&EQUAL_LABEL), "[cluster, {source: host, target: instance}]", EQUAL_DOC),
    ],
};

/// An element of `sources:`.
pub static INHIBIT_SOURCE: Shape = Shape {
    name: "inhibit source",
    doc: "One of several sources of an inhibit rule.",
    keys: &[
        Key::new("matchers", MATCHERS, "['alertname=\"LinkDown\"', 'link=\"a\"']", "All of them fit the alert.")
            .required(),
        Key::new("equal", Kind::List(&EQUAL_LABEL), "[cluster]", EQUAL_DOC),
    ],
};

/// An element of `equal:` with two names.
pub static EQUAL: Shape = Shape {
    name: "equal labels",
    doc: "A label of the source and one of the target that must have the same value.",
    keys: &[
        Key::new("source", Kind::Text, "host", "Label of the source.").required(),
        Key::new("target", Kind::Text, "instance", "Label of the target.").required(),
    ],
};

/// Keys that `sources` stands in place of.
pub(super) const ONE_SOURCE: &[&str] = &["source_matchers", "source_match", "source_match_re", "equal"];
