//! Every key of a preset's file: the reader's list of known keys, the JSON Schema and the manual.

use super::keys::{LABELS, TEXTS};
use crate::yaml::shape::{Key, Kind, Shape};

const METHODS: &[&str] = &["POST", "PUT", "PATCH"];
const STATUS: Kind = Kind::Integer(100, 599);

/// A preset.
pub static PRESET: Shape = Shape {
    name: "preset",
    doc: "How messages for one kind of receiver are made: `presets/NAME.yaml` beside the handler files. A file with the \
          name of a preset of the program takes its place.",
    keys: &[
        Key::new("url", Kind::Text, "https://api.example.org", "Where it goes if the handler names no `url`."),
        Key::new("path", Kind::Language("template"), "/v1/send", "Joined to the URL, unless the URL ends with it."),
        Key::new("method", Kind::OneOf(METHODS), "PUT", "Method of the request; the handler's comes first.").or("POST"),
        Key::new("content_type", Kind::Text, "text/plain", "Content type of the body.").or("application/json"),
        Key::new("headers", LABELS, "{Authorization: 'Key {{ api_key }}'}", "Headers; the values are templates."),
        Key::new("needs", TEXTS, "[url, params.channel]", "Keys that a handler must have."),
        Key::new("secrets", TEXTS, "[url]", "Those of them that must not stand in a file in the clear."),
        Key::new(
            "incidents",
            Kind::Boolean,
            "true",
            "Whether the receiver opens and closes incidents: what fired and resolved before it could be told is then \
             opened and closed.",
        )
        .or("false"),
        Key::new("success", Kind::Object(&SUCCESS), "{status: [202]}", "What an answer must be; without it any 2xx."),
        Key::new(
            "retry",
            Kind::List(&STATUS),
            "[409]",
            "Statuses after which it is tried again, besides 408, 425, 429 and 5xx.",
        ),
        Key::new(
            "retry_after",
            Kind::Text,
            "parameters.retry_after",
            "Where in a JSON answer the seconds to wait stand, for a receiver that sends no `Retry-After` header.",
        ),
        Key::new("limits", Kind::Object(&LIMITS), "{bytes: 28000, alerts: 20}", "What the receiver takes at most."),
        Key::new("body", Kind::Language("template"), "{\"text\": {{ text | tojson }}}", "The body.").required(),
        Key::new(
            "resolved",
            Kind::Object(&RESOLVED),
            "{path: /close, body: '{}'}",
            "What is sent when a group is resolved, where it differs.",
        ),
        Key::new(
            "acknowledged",
            Kind::Object(&ACKNOWLEDGED),
            "{path: /acknowledge, body: '{}'}",
            "What is sent to handlers with `on_mute: ack` when a group is acknowledged or muted.",
        ),
    ],
};

static SUCCESS: Shape = Shape {
    name: "success",
    doc: "What an answer must be to count as success. All that is given must hold.",
    keys: &[
        Key::new("status", Kind::List(&STATUS), "[200]", "Statuses; without it any 2xx."),
        Key::new("body", Kind::Text, "ok", "The whole body, without blanks around it."),
        Key::new("json", LABELS, "{ok: 'true'}", "Fields of a JSON body with the text of their values."),
    ],
};

static LIMITS: Shape = Shape {
    name: "limits",
    doc: "What the receiver takes at most. Of a body that is longer, fewer alerts are written out until it fits; a \
          template that reads `too_large` is asked first to say it shorter.",
    keys: &[
        Key::new("bytes", Kind::Integer(100, 100_000_000), "28000", "Bytes of a body."),
        Key::new("alerts", Kind::Integer(1, 1_000_000), "20", "Alerts that are written out; the rest is counted."),
    ],
};

static RESOLVED: Shape = Shape {
    name: "resolved request",
    doc: "The request that says that a group is resolved.",
    keys: &[
        Key::new("path", Kind::Language("template"), "/v1/close", "Joined to the URL."),
        Key::new("body", Kind::Language("template"), "{}", "The body.").required(),
    ],
};

static ACKNOWLEDGED: Shape = Shape {
    name: "acknowledged request",
    doc: "The request that says that somebody looks after a group.",
    keys: &[
        Key::new("path", Kind::Language("template"), "/v1/acknowledge", "Joined to the URL."),
        Key::new("body", Kind::Language("template"), "{}", "The body.").required(),
    ],
};
