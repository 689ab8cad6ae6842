//! An `alertmanager.yml`, read as it is: receivers become handlers, its tree of routes the tree of routes.
//!
//! Place in the flow: beside handler files ([`super::handlers`]), recognised by its keys. `keys` says what may stand in
//! it; `receivers` makes handlers of integrations, whose messages are worded by its own templates (`wording`). What
//! Alertmanager refuses is an error; what it does and alertd does not is a warning that says what will be different.

mod chat;
mod context;
mod http;
mod incidents;
mod keys;
mod mail;
mod receiver_keys;
mod receivers;
mod templates;
mod wording;

use std::sync::Arc;

pub use templates::{TemplateFile, patterns};
pub use wording::{Letter, Longest, Part, Text, Wording};

use super::handlers::Reading;
use super::{inhibit, route};
use crate::diag::{Diagnostic, SourceFile};
use crate::yaml::{Kind, Node, shape};
use context::Context;

/// Keys that have no equal, with what will be different.
const WITHOUT_EQUAL: &[(&str, &str)] =
    &[("tracing", "no traces are sent; the log carries the trace id of a request that has one")];
/// The same of `global`.
const GLOBAL_WITHOUT_EQUAL: &[(&str, &str)] = &[
    ("smtp_auth_secret", "mail servers are not asked for CRAM-MD5; `smtp_auth_password` is used"),
    ("smtp_auth_secret_file", "mail servers are not asked for CRAM-MD5; `smtp_auth_password` is used"),
    ("smtp_auth_identity", "the identity given to mail servers is the user"),
    ("wechat_api_url", "receivers of WeChat are not told"),
    ("wechat_api_secret", "receivers of WeChat are not told"),
    ("wechat_api_secret_file", "receivers of WeChat are not told"),
    ("wechat_api_corp_id", "receivers of WeChat are not told"),
    ("rocketchat_api_url", "receivers of Rocket.Chat are not told"),
    ("rocketchat_token", "receivers of Rocket.Chat are not told"),
    ("rocketchat_token_file", "receivers of Rocket.Chat are not told"),
    ("rocketchat_token_id", "receivers of Rocket.Chat are not told"),
    ("rocketchat_token_id_file", "receivers of Rocket.Chat are not told"),
    ("jira_api_url", "receivers of Jira are not told"),
    ("mattermost_webhook_url", "receivers of Mattermost are not told"),
    ("mattermost_webhook_url_file", "receivers of Mattermost are not told"),
];

/// Keys under which anything may stand, with the receivers that have them.
const FREE_TREES: &[(&str, &str)] = &[("webhook_configs", "payload"), ("pagerduty_configs", "details")];

/// Keys under which names stand that people choose.
const FREE_MAPS: &[&str] = &["headers", "http_headers", "custom_fields"];

/// Whether the file is one of Alertmanager.
pub(super) fn is_one(root: &Node) -> bool {
    let route = || root.get("route").is_some_and(|route| route.get("receiver").is_some());
    root.get("handlers").is_none() && (root.get("receivers").is_some() || route())
}

/// Reads the file: its handlers and routes go to `reading`.
pub(super) fn read(
    file: &Arc<SourceFile>,
    root: &Node,
    files: &[TemplateFile],
    reading: &mut Reading,
    out: &mut Vec<Diagnostic>,
) {
    // For Alertmanager a key without a value is not there.
    let root = &without_nulls(root, None);
    shape::check_known(file, root, &keys::FILE, out);
    let set = templates::set(file, root, files, out);
    let mut context = Context::new(file, root, set, out);
    context.without_equal(root, WITHOUT_EQUAL);
    if let Some(global) = root.get("global") {
        context.without_equal(global, GLOBAL_WITHOUT_EQUAL);
        context.one_or_its_file(global);
        let of_another = reading.files.resolve_timeout;
        reading.files.resolve_timeout = of_another.or_else(|| Context::duration(global, "resolve_timeout"));
    }
    receivers::read(&mut context, root, reading);
    for key in ["time_intervals", "mute_time_intervals"] {
        for interval in root.get(key).and_then(Node::items).unwrap_or_default() {
            reading.intervals.extend(interval.get("name").and_then(Node::text).map(str::to_owned));
        }
    }
    inhibit::read(file, root, reading, out);
    match root.entry("route") {
        Some((key, node)) => route::read_foreign(file, (key, node), reading, out),
        None => out.push(
            Diagnostic::error("A012", file, shape::anchor(root), "`route` is missing".to_owned())
                .with_help("add `route: {receiver: NAME}`: Alertmanager refuses a file without one"),
        ),
    }
}

/// The tree without keys that have no value. What stands in a free tree stays: there null is a value.
fn without_nulls(node: &Node, free: Option<&str>) -> Node {
    let inner = |key: &Node, value: &Node| match key.text() {
        Some(key) if Some(key) == free => value.clone(),
        key => {
            let own = FREE_TREES.iter().find(|(holder, _)| Some(*holder) == key);
            without_nulls(value, own.map(|(_, tree)| *tree).or(free))
        }
    };
    let kind = match &node.kind {
        Kind::Mapping(entries) => {
            let kept = entries.iter().filter(|(_, value)| !value.is_null());
            Kind::Mapping(kept.map(|(key, value)| (key.clone(), inner(key, value))).collect())
        }
        Kind::Sequence(items) => Kind::Sequence(items.iter().map(|item| without_nulls(item, free)).collect()),
        scalar @ Kind::Scalar { .. } => scalar.clone(),
    };
    Node { kind, span: node.span.clone() }
}
