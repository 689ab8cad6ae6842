//! Receivers that open and close incidents (PagerDuty, Opsgenie, VictorOps), Pushover, and webhooks.

use serde_json::Value as Json;

use super::context::Context;
use super::receivers::{Integration, Request};
use super::wording::{Part, Text, default_of};
use crate::config::handlers::HandlerKind;
use crate::config::secret::SecretText;
use crate::template::Manner;
use crate::yaml::{Kind, Node};

/// What the first version of PagerDuty's events is sent to.
const PAGERDUTY_V1: &str = "https://events.pagerduty.com/generic/2010-04-15/create_event.json";
/// Fields of VictorOps that custom ones cannot have.
const VICTOROPS_FIELDS: &[&str] = &[
    "routing_key",
    "message_type",
    "state_message",
    "entity_display_name",
    "monitoring_tool",
    "entity_id",
    "entity_state",
];
/// What Pushover, which refuses a message of blanks, is sent in its place.
const PUSHOVER_BLANK: &str = "(no details)";
const RESPONDERS: &[&str] = &["team", "teams", "user", "escalation", "schedule"];

/// A secret that may be a template: then it is a text of the message.
fn key_part(context: &mut Context<'_>, node: &Node, key: &str, parameter: &'static str) -> Part {
    match node.get(key).filter(|value| value.text().is_some_and(|text| text.contains("{{"))) {
        Some(value) => Part::Text(context.template(value)),
        None => Part::Parameter(parameter),
    }
}

/// A free tree of templates: values and the names of fields.
fn tree(context: &mut Context<'_>, node: &Node, typed: bool) -> Part {
    match &node.kind {
        _ if node.is_null() => Part::Json(Json::Null),
        Kind::Mapping(entries) => {
            let mut fields = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                fields.push((context.template(key), tree(context, value, typed)));
            }
            Part::Tree(fields)
        }
        Kind::Sequence(items) => Part::List(items.iter().map(|item| tree(context, item, typed)).collect()),
        Kind::Scalar { .. } if typed => Part::Typed(context.template(node)),
        Kind::Scalar { .. } => Part::Text(context.template(node)),
    }
}

pub(super) fn webhook(context: &mut Context<'_>, integration: &Integration<'_>) -> Option<HandlerKind> {
    let node = integration.node;
    // An address may be a template; then the message decides where it goes.
    if let Some(place) = node.get("url").filter(|url| url.text().is_some_and(|text| text.contains("{{"))) {
        context.differs(place, "an address with a template has no equal".to_owned(), "nothing is sent to it");
        return None;
    }
    let url = integration.address(context, "url", "", "");
    if url.is_none() {
        context.missing(node, "url", "add it, or `url_file`");
    }
    let body = match node.get("payload") {
        Some(payload) => tree(context, payload, true),
        None => Part::Message,
    };
    let mut wording = integration.wording(context, body);
    let max = Context::literal(node, "max_alerts").and_then(|text| text.parse().ok());
    wording.alerts_max = max.unwrap_or_default();
    integration.webhook(context, Request { preset: "generic", url, wording }, |_, _| {})
}

pub(super) fn pagerduty(context: &mut Context<'_>, integration: &Integration<'_>) -> Option<HandlerKind> {
    let node = integration.node;
    let old = Context::secret(node, "service_key");
    let key = old.clone().or_else(|| Context::secret(node, "routing_key"));
    if key.is_none() {
        context.missing(node, "routing_key", "add it, or `routing_key_file`");
    }
    let details = pagerduty_details(context, node);
    let url = match old {
        Some(_) => Some(SecretText::literal(PAGERDUTY_V1)),
        None => integration.address(context, "url", "pagerduty_url", "https://events.pagerduty.com/v2/enqueue"),
    };
    let body = match old {
        Some(_) => pagerduty_v1(context, node, details),
        None => pagerduty_v2(context, node, details),
    };
    let wording = integration.wording(context, body);
    let is_old = old.is_some();
    integration.webhook(context, Request { preset: "pagerduty", url, wording }, |preset, config| {
        config.routing_key = key;
        // The address is whole.
        preset.request.path = None;
        if let Some(resolved) = &mut preset.resolved {
            resolved.path = None;
        }
        if is_old {
            preset.retry.push(403);
        }
    })
}

fn pagerduty_details(context: &mut Context<'_>, node: &Node) -> Part {
    let mut fields: Vec<(String, Part)> = Vec::new();
    let given = node.get("details");
    for (key, value) in given.and_then(Node::entries).unwrap_or_default() {
        fields.push((key.text().unwrap_or_default().to_owned(), tree(context, value, false)));
    }
    let defaults = [
        ("firing", r#"{{ template "pagerduty.default.instances" .Alerts.Firing }}"#),
        ("resolved", r#"{{ template "pagerduty.default.instances" .Alerts.Resolved }}"#),
        ("num_firing", "{{ .Alerts.Firing | len }}"),
        ("num_resolved", "{{ .Alerts.Resolved | len }}"),
    ];
    for (name, source) in defaults {
        if !fields.iter().any(|(known, _)| known == name) {
            fields.push((name.to_owned(), context.fixed(source).into()));
        }
    }
    Part::Object(fields)
}

fn pagerduty_v1(context: &mut Context<'_>, node: &Node, details: Part) -> Part {
    let description = context.telling(node, "description", &default_of("pagerduty", "description"));
    let client = context.optional(node, "client", &default_of("pagerduty", "client"));
    let client_url = context.optional(node, "client_url", &default_of("pagerduty", "clientURL"));
    let opening = |part: Part| Part::ByStatus(Box::new(part), Box::new(Part::Json(Json::Null))).optional();
    Part::object([
        ("service_key", key_part(context, node, "service_key", "routing_key")),
        ("incident_key", Part::Group),
        ("event_type", Part::by_status("trigger", "resolve")),
        ("description", description.chars(1024).into()),
        ("client", opening(client)),
        ("client_url", opening(client_url)),
        ("details", details),
    ])
}

fn pagerduty_v2(context: &mut Context<'_>, node: &Node, details: Part) -> Part {
    let description = context.telling(node, "description", &default_of("pagerduty", "description"));
    let client_default = default_of("pagerduty", "client");
    let client = context.optional(node, "client", &client_default);
    let source = match (Context::literal(node, "source"), Context::literal(node, "client")) {
        (Some(_), _) => context.text(node, "source", ""),
        (None, Some(_)) => context.text(node, "client", ""),
        (None, None) => context.fixed(&client_default),
    };
    let client_url = context.optional(node, "client_url", &default_of("pagerduty", "clientURL"));
    let mut pictures = Vec::new();
    for image in node.get("images").and_then(Node::items).unwrap_or_default() {
        let part = |context: &mut Context<'_>, key: &str| Part::Text(context.text(image, key, ""));
        let fields = [("src", part(context, "src")), ("alt", part(context, "alt")), ("href", part(context, "href"))];
        pictures.push(Part::With("src", Box::new(Part::object(fields))));
    }
    let mut links = Vec::new();
    for link in node.get("links").and_then(Node::items).unwrap_or_default() {
        let part = |context: &mut Context<'_>, key: &str| Part::Text(context.text(link, key, ""));
        let fields = [("href", part(context, "href")), ("text", part(context, "text"))];
        links.push(Part::With("href", Box::new(Part::object(fields))));
    }
    let payload = Part::object([
        ("summary", description.chars(1024).into()),
        ("source", Part::Text(source)),
        ("severity", context.text(node, "severity", "error").into()),
        ("class", context.optional(node, "class", "")),
        ("component", context.optional(node, "component", "")),
        ("group", context.optional(node, "group", "")),
        ("custom_details", details),
    ]);
    Part::object([
        ("routing_key", key_part(context, node, "routing_key", "routing_key")),
        ("dedup_key", Part::Group),
        ("event_action", Part::by_status("trigger", "resolve")),
        ("payload", payload),
        ("client", client),
        ("client_url", client_url),
        ("images", Part::List(pictures).optional()),
        ("links", Part::List(links).optional()),
    ])
}

pub(super) fn opsgenie(context: &mut Context<'_>, integration: &Integration<'_>) -> Option<HandlerKind> {
    let node = integration.node;
    let key = context.secret_or_global(node, "api_key", "opsgenie_api_key");
    if key.is_none() {
        context.missing(node, "api_key", "add it here, or `opsgenie_api_key` under `global`");
    }
    if Context::flag(node, "update_alerts") == Some(true) {
        context.without_equal(node, &[("update_alerts", "message and description of an open alert stay as they were")]);
    }
    let message = context.telling(node, "message", &default_of("opsgenie", "message"));
    let mut details = Vec::new();
    for (name, value) in node.get("details").and_then(Node::entries).unwrap_or_default() {
        details.push((name.text().unwrap_or_default().to_owned(), context.template(value).into()));
    }
    let source = default_of("opsgenie", "source");
    let body = Part::object([
        ("alias", Part::Group),
        ("message", message.chars(130).into()),
        (
            "description",
            Part::Text(context.telling(node, "description", &default_of("opsgenie", "description"))).optional(),
        ),
        ("details", Part::CommonLabels(details)),
        ("source", context.text(node, "source", &source).into()),
        ("responders", responders(context, node, "responders").optional()),
        ("visibleTo", responders(context, node, "visible_to").optional()),
        ("tags", Part::Items(context.text(node, "tags", "")).optional()),
        ("note", context.optional(node, "note", "")),
        ("priority", context.optional(node, "priority", "")),
        ("entity", context.optional(node, "entity", "")),
        ("actions", Part::Items(context.text(node, "actions", "")).optional()),
    ]);
    let mut wording = integration.wording(context, body);
    wording.resolved = Some(Part::object([("source", context.text(node, "source", &source).into())]));
    let url = integration.address(context, "api_url", "opsgenie_api_url", "https://api.opsgenie.com/");
    integration.webhook(context, Request { preset: "opsgenie", url, wording }, |_, config| config.api_key = key)
}

fn responders(context: &mut Context<'_>, node: &Node, key: &str) -> Part {
    let mut all = Vec::new();
    for responder in node.get(key).and_then(Node::items).unwrap_or_default() {
        if ["id", "name", "username"].iter().all(|key| Context::literal(responder, key).is_none()) {
            context.missing(responder, "name", "a responder needs `id`, `name` or `username`");
        }
        let kind = Context::literal(responder, "type").unwrap_or_default();
        let lower = kind.to_lowercase();
        if !kind.contains("{{") && !RESPONDERS.contains(&lower.as_str()) {
            let place = responder.get("type").unwrap_or(responder);
            let message = format!("`{kind}` is no type of a responder");
            context.error("A015", place, message, "expected `team`, `teams`, `user`, `escalation` or `schedule`");
        }
        if lower == "teams" {
            all.push(Part::Teams(context.text(responder, "name", "")));
            continue;
        }
        let of_type =
            if kind.contains("{{") { context.text(responder, "type", "").into() } else { Part::always(lower) };
        all.push(Part::object([
            ("id", context.optional(responder, "id", "")),
            ("name", context.optional(responder, "name", "")),
            ("username", context.optional(responder, "username", "")),
            ("type", of_type),
        ]));
    }
    Part::List(all)
}

pub(super) fn victorops(context: &mut Context<'_>, integration: &Integration<'_>) -> Option<HandlerKind> {
    let node = integration.node;
    let key = context.secret_or_global(node, "api_key", "victorops_api_key");
    if key.is_none() {
        context.missing(node, "api_key", "add it here, or `victorops_api_key` under `global`");
    }
    let routing = Context::literal(node, "routing_key");
    match &routing {
        None => context.missing(node, "routing_key", "add it"),
        Some(text) if text.contains("{{") => {
            context.without_equal(node, &[("routing_key", "one with a template leads nowhere: nothing is sent")]);
            return None;
        }
        Some(_) => {}
    }
    let mut custom = Vec::new();
    for (name, value) in node.get("custom_fields").and_then(Node::entries).unwrap_or_default() {
        let text = name.text().unwrap_or_default();
        if VICTOROPS_FIELDS.contains(&text) {
            context.error("A016", name, format!("`{text}` is a field of its own"), "cannot be a custom field");
        }
        custom.push((text.to_owned(), context.template(value).into()));
    }
    let message = context.telling(node, "state_message", &default_of("victorops", "state_message"));
    let kind = context.text(node, "message_type", "CRITICAL");
    let kind = Text { one_of: &["CRITICAL", "WARNING", "INFO"], ..kind };
    let mut fields = vec![
        ("message_type".to_owned(), Part::ByStatus(Box::new(Part::Text(kind)), Box::new(Part::always("RECOVERY")))),
        ("entity_id".to_owned(), Part::Group),
        ("state_message".to_owned(), message.chars(20_480).into()),
    ];
    for key in ["entity_display_name", "monitoring_tool"] {
        fields.push((key.to_owned(), Part::Text(context.text(node, key, &default_of("victorops", key)))));
    }
    fields.extend(custom);
    let base = "https://alert.victorops.com/integrations/generic/20131114/alert/";
    let address = integration.address(context, "api_url", "victorops_api_url", base)?;
    let slash = if address.written().is_some_and(|text| text.ends_with('/')) { "" } else { "/" };
    let rest = SecretText::literal(&format!("/{}", routing.unwrap_or_default()));
    let url = SecretText::joined([address, SecretText::literal(slash), key.unwrap_or_default(), rest]);
    let wording = integration.wording(context, Part::Object(fields));
    let request = Request { preset: "generic", url: Some(url), wording };
    integration.webhook(context, request, |preset, _| preset.incidents = true)
}

pub(super) fn pushover(context: &mut Context<'_>, integration: &Integration<'_>) -> Option<HandlerKind> {
    let node = integration.node;
    let (user, token) = (Context::secret(node, "user_key"), Context::secret(node, "token"));
    for (key, value) in [("user_key", &user), ("token", &token)] {
        if value.is_none() {
            context.missing(node, key, &format!("add it, or `{key}_file`"));
        }
    }
    let (html, fixed) = (Context::flag(node, "html") == Some(true), Context::flag(node, "monospace") == Some(true));
    if let (true, Some((key, _))) = (html && fixed, node.entry("monospace")) {
        context.error("A016", key, "`html` and `monospace` exclude each other".to_owned(), "keep one of them");
    }
    let title = context.telling(node, "title", &default_of("pushover", "title"));
    let message = context.telling(node, "message", &default_of("pushover", "message"));
    let manner = if html { Manner::Html } else { Manner::Text };
    let link = context.text(node, "url", &default_of("pushover", "url"));
    let mut time = |key: &str, default: u64| {
        let seconds = Context::duration(node, key).map_or(default, |time| time.as_secs());
        if let (Some(place), None) = (node.get(key), Context::duration(node, key)) {
            context.error("A015", place, format!("`{key}` is no length of time"), "expected one such as `1m`");
        }
        Part::always(seconds)
    };
    let (retry, expire, ttl) = (time("retry", 60), time("expire", 3600), time("ttl", 0));
    let flag = |on: bool| Part::always(on.then_some(1)).optional();
    let body = Part::object([
        ("token", Part::Parameter("api_key")),
        ("user", Part::Parameter("params.user")),
        ("title", title.chars(250).into()),
        ("message", Text { manner, if_blank: Some(PUSHOVER_BLANK), ..message.chars(1024) }.into()),
        ("html", flag(html)),
        ("monospace", flag(fixed)),
        ("url", link.chars(512).into()),
        ("url_title", context.text(node, "url_title", "").into()),
        (
            "priority",
            Part::Text(context.text(node, "priority", r#"{{ if eq .Status "firing" }}2{{ else }}0{{ end }}"#)),
        ),
        ("retry", retry),
        ("expire", expire),
        ("ttl", ttl.optional()),
        ("device", context.optional(node, "device", "")),
        ("sound", context.optional(node, "sound", "")),
    ]);
    let wording = integration.wording(context, body);
    let request = Request { preset: "pushover", url: None, wording };
    integration.webhook(context, request, |preset, config| {
        preset.secrets.retain(|secret| secret != "url");
        config.api_key = token;
        config.params.extend(user.map(|user| ("user".to_owned(), user)));
    })
}
