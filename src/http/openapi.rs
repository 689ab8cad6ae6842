//! What the API takes and gives, as an OpenAPI document: one table, and the shapes it names.
//!
//! A test asks a server for every line of the table, and compares the table with the manual.

use serde_json::{Value, json};

/// What a parameter holds.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// May be repeated.
    Texts,
    Flag,
    Count,
    /// RFC 3339 or Unix seconds.
    Time,
    /// `30s`, `1h30m`, or seconds.
    Span,
}

use Kind::{Count, Flag, Span, Text, Texts, Time};

/// Name, what it holds, and what it means.
type Parameter = (&'static str, Kind, &'static str);

/// Bodies and answers.
#[derive(Clone, Copy)]
enum Content {
    Nothing,
    /// `{"status": "success", "data": …}`
    Success,
    /// A shape of [`shapes`].
    One(&'static str),
    /// A list of them.
    Many(&'static str),
    /// Text or bytes of one of these media types.
    Media(&'static [&'static str]),
}

use Content::{Many, Media, Nothing, One, Success};

/// Method, path, what it does, parameters, body, answer.
type Operation = (&'static str, &'static str, &'static str, &'static [Parameter], Content, Content);

const FILTER: Parameter = ("filter", Texts, "A matcher such as severity=\"critical\"; all must fit.");
const MATCH: Parameter = ("match[]", Texts, "A series selector.");
const LIMIT: Parameter = ("limit", Count, "At most so many.");
const START: Parameter = ("start", Time, "From here.");
const END: Parameter = ("end", Time, "To here.");
const QUERY: Parameter = ("query", Text, "PromQL.");
const TIMEOUT: Parameter = ("timeout", Span, "How long it may take.");
const LOOKBACK: Parameter = ("lookback_delta", Span, "How old the newest sample of a series may be.");
const STATS: Parameter = ("stats", Text, "Whether it is told what the query cost.");
const RECEIVER: Parameter = ("receiver", Text, "A regular expression for the whole name of a handler.");
const RECEIVER_MATCHERS: Parameter = ("receiver_matchers", Texts, "A matcher for the label `name` of a handler.");
const ACTIVE: Parameter = ("active", Flag, "What nothing holds.");
const SILENCED: Parameter = ("silenced", Flag, "What a silence covers.");
const INHIBITED: Parameter = ("inhibited", Flag, "What another alert inhibits.");
const UNPROCESSED: Parameter = ("unprocessed", Flag, "Changes nothing: no alert is ever unprocessed.");
const MUTED: Parameter = ("muted", Flag, "Groups whose route tells nobody now.");
const ALERTS: &[Parameter] = &[FILTER, RECEIVER, RECEIVER_MATCHERS, ACTIVE, SILENCED, INHIBITED, UNPROCESSED];
const GROUPS: &[Parameter] = &[FILTER, RECEIVER, RECEIVER_MATCHERS, ACTIVE, SILENCED, INHIBITED, UNPROCESSED, MUTED];
const SILENCES: &[Parameter] = &[
    FILTER,
    ("creator", Texts, "Of these authors."),
    ("hiding", Flag, "Counts the alerts that each hides now."),
    ("active", Flag, "Those in force."),
    ("pending", Flag, "Those yet to begin."),
    ("expired", Flag, "Those that are over."),
];
const INSTANT: &[Parameter] =
    &[QUERY, ("time", Time, "When; now where it is missing."), TIMEOUT, LIMIT, LOOKBACK, STATS];
const RANGE: &[Parameter] =
    &[QUERY, START, END, ("step", Span, "From instant to instant."), TIMEOUT, LIMIT, LOOKBACK, STATS];
const SERIES: &[Parameter] = &[MATCH, START, END, LIMIT];
const RULES: &[Parameter] = &[
    ("type", Text, "`alert` or `record`."),
    ("rule_name[]", Texts, "Rules of these names."),
    ("rule_group[]", Texts, "Groups of these names."),
    ("file[]", Texts, "Groups of these files."),
    MATCH,
    ("exclude_alerts", Flag, "Leaves the alerts out."),
    ("group_limit", Count, "Groups of a page."),
    ("group_next_token", Text, "`groupNextToken` of the page before."),
];
const HISTORY: &[Parameter] = &[
    ("from", Time, "From here; an age such as -1h is one too."),
    ("to", Time, "To here."),
    ("rule", Text, "Of this rule."),
    ("severity", Text, "`error`: that or worse; `=error`: just that."),
    ("handler", Text, "Of this handler."),
    ("kind", Texts, "Of these kinds."),
    MATCH,
    ("fingerprint", Text, "Of this alert."),
    LIMIT,
    ("cursor", Text, "`next` of the page before."),
    ("format", Text, "`json` or `csv`."),
];
const WHY: &[Parameter] = &[
    ("alert", Text, "The rule and labels, such as `HighCPU{host=\"a\"}`."),
    ("time", Time, "The instant; an age such as -1h is one too."),
];
const ROUTE: &[Parameter] = &[
    ("labels", Text, "The labels of an alert, such as `{severity=\"critical\"}`."),
    ("time", Time, "The instant whose time intervals hold."),
];
const OUTBOX: &[Parameter] = &[
    ("handler", Text, "Of this handler."),
    ("state", Text, "`pending` or `dead`."),
    LIMIT,
    ("after", Count, "`next` of the page before."),
];
const PREVIEW: &[Parameter] = &[("filter[]", Texts, "A matcher of one set."), ("set[]", Texts, "A whole set.")];
const TEXT: Content = Media(&["text/plain"]);
const EXPOSITION: Content = Media(&["text/plain", "application/openmetrics-text"]);

/// Every operation, by path.
const OPERATIONS: &[Operation] = &[
    ("get", "/", "The page", &[], Nothing, Media(&["text/html"])),
    ("get", "/-/healthy", "Whether the process answers", &[], Nothing, TEXT),
    ("get", "/-/active", "Whether this is the process that decides and tells; else 503", &[], Nothing, TEXT),
    ("get", "/-/ready", "Whether rules are loaded and evaluated in time; else 503", &[], Nothing, One("Readiness")),
    ("post", "/-/reload", "Reads rules, handlers and configuration again", &[], Nothing, Success),
    ("get", "/metrics", "Metrics of alertd", &[], Nothing, EXPOSITION),
    ("get", "/federate", "Newest samples, for a Prometheus that federates", &[MATCH], Nothing, TEXT),
    ("get", "/silences", "The page of silences", &[], Nothing, Media(&["text/html"])),
    (
        "post",
        "/silences",
        "Makes or ends a silence",
        &[],
        Media(&["application/x-www-form-urlencoded"]),
        Media(&["text/html"]),
    ),
    ("get", "/ack/{name}", "Where the link of a message leads", &[], Nothing, Media(&["text/html"])),
    (
        "post",
        "/ack/{name}",
        "Acknowledges by the link of a message",
        &[],
        Media(&["application/x-www-form-urlencoded"]),
        Media(&["text/html"]),
    ),
    ("get", "/api/openapi.json", "This document", &[], Nothing, Media(&["application/json"])),
    ("post", "/api/v1/acks", "Somebody looks after alerts that fire", &[], One("PostableAck"), Success),
    ("post", "/api/v1/acks/withdraw", "Nobody looks after them any more", &[], One("WithdrawnAck"), Success),
    ("get", "/api/v1/alerts", "Pending and firing alerts", &[], Nothing, Success),
    ("get", "/api/v1/format_query", "A query in its canonical form", &[QUERY], Nothing, Success),
    ("get", "/api/v1/heartbeat", "Jobs that ping", &[], Nothing, Success),
    ("post", "/api/v1/heartbeat/{name}", "A job pings", &[], Nothing, Success),
    ("delete", "/api/v1/heartbeat/{name}", "Forgets a job", &[], Nothing, Success),
    ("get", "/api/v1/history", "What happened, newest first", HISTORY, Nothing, Success),
    ("get", "/api/v1/why", "Why an alert was told or not at an instant", WHY, Nothing, Success),
    ("get", "/api/v1/route", "Where an alert with these labels would go", ROUTE, Nothing, Success),
    ("post", "/api/v1/import", "Takes samples", &[], Media(&["application/jsonl"]), Success),
    ("post", "/api/v1/import/prometheus", "Takes samples", &[], EXPOSITION, Success),
    ("get", "/api/v1/label/{name}/values", "Values of a label", SERIES, Nothing, Success),
    ("get", "/api/v1/labels", "Names of labels", SERIES, Nothing, Success),
    (
        "get",
        "/api/v1/metadata",
        "What is known of metrics",
        &[("metric", Text, "Of this one."), LIMIT, ("limit_per_metric", Count, "At most so many of each.")],
        Nothing,
        Success,
    ),
    ("get", "/api/v1/outbox", "Messages on their way, and those given up", OUTBOX, Nothing, Success),
    ("post", "/api/v1/outbox/drop", "Removes messages undelivered", &[], One("Chosen"), Success),
    ("post", "/api/v1/outbox/retry", "Tries messages again that were given up", &[], One("Chosen"), Success),
    ("get", "/api/v1/query", "PromQL at one instant", INSTANT, Nothing, Success),
    ("get", "/api/v1/query_exemplars", "None: exemplars are not kept", &[QUERY, START, END], Nothing, Success),
    ("get", "/api/v1/query_range", "PromQL over a range", RANGE, Nothing, Success),
    (
        "get",
        "/api/v1/rotations",
        "Who is on duty, and who comes next",
        &[("time", Time, "The instant.")],
        Nothing,
        Success,
    ),
    ("get", "/api/v1/rules", "Rules with their state", RULES, Nothing, Success),
    ("get", "/api/v1/series", "Label sets of series", SERIES, Nothing, Success),
    ("get", "/api/v1/silences/preview", "What a silence would cover now", PREVIEW, Nothing, Success),
    ("get", "/api/v1/status", "How alertd stands", &[], Nothing, Success),
    ("get", "/api/v1/status/buildinfo", "Version", &[], Nothing, Success),
    ("get", "/api/v1/status/config", "Settings, without secrets", &[], Nothing, Success),
    ("get", "/api/v1/status/flags", "Options, without secrets", &[], Nothing, Success),
    ("get", "/api/v1/status/runtimeinfo", "Start and limits", &[], Nothing, Success),
    (
        "post",
        "/api/v1/write",
        "Takes samples by remote write 1.0 or 2.0",
        &[],
        Media(&["application/x-protobuf"]),
        Nothing,
    ),
    ("get", "/api/v2/alerts", "Alerts that fire", ALERTS, Nothing, Many("Alert")),
    ("post", "/api/v2/alerts", "Takes alerts that another program reports", &[], Many("PostableAlert"), Nothing),
    ("get", "/api/v2/alerts/groups", "Groups in which alerts are told", GROUPS, Nothing, Many("AlertGroup")),
    ("get", "/api/v2/receivers", "Handlers", &[RECEIVER_MATCHERS], Nothing, Many("Receiver")),
    ("get", "/api/v2/silence/{id}", "A silence", &[], Nothing, One("Silence")),
    ("delete", "/api/v2/silence/{id}", "Ends a silence", &[], Nothing, Nothing),
    ("get", "/api/v2/silences", "Silences, those in force first", SILENCES, Nothing, Many("Silence")),
    ("post", "/api/v2/silences", "Makes or changes a silence", &[], One("PostableSilence"), One("SilenceID")),
    ("get", "/api/v2/status", "Version, start, routes and handlers", &[], Nothing, One("AlertmanagerStatus")),
];

/// The document.
pub fn document() -> Value {
    let mut paths = serde_json::Map::new();
    for operation in OPERATIONS {
        let (method, path, ..) = operation;
        let at = paths.entry((*path).to_owned()).or_insert_with(|| json!({}));
        at[*method] = described(operation);
    }
    json!({
        "openapi": "3.0.3",
        "info": {"title": "alertd", "version": env!("CARGO_PKG_VERSION"), "license": {"name": "MIT OR Apache-2.0"}},
        "paths": paths,
        "components": {"schemas": shapes()},
    })
}

/// Every operation: its method in capitals, and its path.
pub fn operations() -> impl Iterator<Item = (String, &'static str)> {
    OPERATIONS.iter().map(|(method, path, ..)| (method.to_uppercase(), *path))
}

fn described((_, path, summary, parameters, body, answer): &Operation) -> Value {
    let in_path = path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
    let asked = parameters
        .iter()
        .map(|(name, kind, about)| json!({"name": name, "in": "query", "description": about, "schema": kind.shape()}));
    let parameters: Vec<Value> = in_path.chain(asked).collect();
    let wrong = if path.starts_with("/api/v2/") { One("Message") } else { One("Error") };
    let mut ok = json!({"description": "Done."});
    ok.as_object_mut()
        .into_iter()
        .for_each(|ok| drop(answer.content().map(|content| ok.insert("content".into(), content))));
    let mut described = json!({
        "summary": summary,
        "parameters": parameters,
        "responses": {"200": ok, "default": {"description": "Refused.", "content": wrong.content()}},
    });
    if let Some(content) = body.content() {
        described["requestBody"] = json!({"required": true, "content": content});
    }
    described
}

impl Kind {
    fn shape(self) -> Value {
        match self {
            Self::Text | Self::Time | Self::Span => json!({"type": "string"}),
            Self::Texts => json!({"type": "array", "items": {"type": "string"}}),
            Self::Flag => json!({"type": "boolean"}),
            Self::Count => json!({"type": "integer", "minimum": 0}),
        }
    }
}

impl Content {
    fn content(self) -> Option<Value> {
        let shape = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
        let json_of = |shape: Value| Some(json!({"application/json": {"schema": shape}}));
        match self {
            Self::Nothing => None,
            Self::Success => json_of(shape("Success")),
            Self::One(name) => json_of(shape(name)),
            Self::Many(name) => json_of(json!({"type": "array", "items": shape(name)})),
            Self::Media(kinds) => Some(kinds.iter().map(|kind| ((*kind).to_owned(), json!({}))).collect()),
        }
    }
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

fn shapes() -> Value {
    let text = || json!({"type": "string"});
    let time = || json!({"type": "string", "format": "date-time"});
    let texts = || json!({"type": "object", "additionalProperties": {"type": "string"}});
    let list = |name: &str| json!({"type": "array", "items": {"$ref": format!("#/components/schemas/{name}")}});
    let words = || json!({"type": "array", "items": {"type": "string"}});
    let matcher =
        json!({"name": text(), "value": text(), "isRegex": {"type": "boolean"}, "isEqual": {"type": "boolean"}});
    let recurrence =
        json!({"cron": text(), "rrule": text(), "dtstart": text(), "duration": text(), "timezone": text()});
    let silence = json!({
        "id": text(), "matchers": list("Matcher"), "matcherSets": list("MatcherSet"), "annotations": texts(),
        "recurrence": object(recurrence, &["duration"]), "startsAt": time(), "endsAt": time(), "createdBy": text(),
        "comment": text(),
    });
    let mut shown = silence.clone();
    shown["updatedAt"] = time();
    shown["status"] =
        object(json!({"state": {"type": "string", "enum": ["active", "pending", "expired"]}}), &["state"]);
    let posted = json!({
        "labels": texts(), "annotations": texts(), "startsAt": time(), "endsAt": time(), "generatorURL": text(),
    });
    let state = json!({"type": "string", "enum": ["active", "suppressed"]});
    let status = json!({"state": state, "silencedBy": words(), "inhibitedBy": words(), "mutedBy": words()});
    let mut alert = posted.clone();
    for (name, shape) in [
        ("fingerprint", text()),
        ("updatedAt", time()),
        ("receivers", list("Receiver")),
        ("status", object(status, &["state", "silencedBy", "inhibitedBy", "mutedBy"])),
    ] {
        alert[name] = shape;
    }
    json!({
        "Success": object(json!({"status": text(), "data": {}, "warnings": words(), "infos": words()}), &["status"]),
        "Error": object(json!({"status": text(), "errorType": text(), "error": text()}), &["status", "errorType", "error"]),
        "Message": text(),
        "PostableAck": object(
            json!({"fingerprint": text(), "matchers": words(), "by": text(), "comment": text(), "until": time(), "for": text()}),
            &["by"],
        ),
        "WithdrawnAck": object(json!({"fingerprint": text(), "matchers": words(), "by": text()}), &[]),
        "Readiness": object(json!({"ready": {"type": "boolean"}, "reasons": words()}), &["ready", "reasons"]),
        "Chosen": object(json!({"ids": words(), "handler": text(), "state": text()}), &[]),
        "Matcher": object(matcher, &["name", "value"]),
        "MatcherSet": object(json!({"matchers": list("Matcher")}), &["matchers"]),
        "PostableSilence": object(silence, &["startsAt", "endsAt", "createdBy", "comment"]),
        "Silence": object(shown, &["id", "matchers", "startsAt", "endsAt", "createdBy", "comment", "updatedAt", "status"]),
        "SilenceID": object(json!({"silenceID": text()}), &["silenceID"]),
        "PostableAlert": object(posted, &["labels"]),
        "Alert": object(alert, &["labels", "annotations", "fingerprint", "startsAt", "updatedAt", "endsAt", "receivers", "status"]),
        "AlertGroup": object(
            json!({"labels": texts(), "receiver": {"$ref": "#/components/schemas/Receiver"}, "alerts": list("Alert")}),
            &["labels", "receiver", "alerts"],
        ),
        "Receiver": object(json!({"name": text(), "labels": texts()}), &["name"]),
        "AlertmanagerStatus": object(
            json!({
                "cluster": object(json!({"status": text(), "peers": {"type": "array", "items": {}}}), &["status"]),
                "config": object(json!({"original": text()}), &["original"]), "uptime": time(),
                "versionInfo": texts(),
            }),
            &["cluster", "config", "uptime", "versionInfo"],
        ),
    })
}
