//! Receivers that are chats: Slack, Discord, Teams, Telegram, Webex. What they are sent has Alertmanager's form.

use serde_json::Value as Json;

use super::context::Context;
use super::receivers::{Integration, Request, ok_or_json};
use super::wording::{Part, Text, default_of};
use crate::config::handlers::HandlerKind;
use crate::config::preset::Success;
use crate::config::scrape::Authorization;
use crate::config::secret::SecretText;
use crate::template::Manner;
use crate::yaml::Node;

/// Where a bot of Slack posts.
const SLACK_POST: &str = "https://slack.com/api/chat.postMessage";
/// Longest message of Webex.
const WEBEX_BYTES_MAX: usize = 7439;
const SLACK_WITHOUT_EQUAL: &[(&str, &str)] = &[
    ("update_message", "every message is posted anew"),
    ("post_updates_to_thread", "every message is posted to the channel"),
];
/// What makes the parts of a Slack message be read as markup.
const SLACK_MARKUP: [&str; 3] = ["fallback", "pretext", "text"];

pub(super) fn slack(context: &mut Context<'_>, integration: &Integration<'_>) -> Option<HandlerKind> {
    let node = integration.node;
    context.without_equal(node, SLACK_WITHOUT_EQUAL);
    context.one_of_both(node, "api_url", "app_token");
    context.one_of_both(node, "api_url", "app_token_file");
    let own_url = Context::secret(node, "api_url").is_some();
    let token = context.secret_or_global(node, "app_token", "slack_app_token").filter(|_| !own_url);
    let url = match &token {
        Some(_) => integration.address(context, "app_url", "slack_app_url", SLACK_POST),
        None => integration.address(context, "api_url", "slack_api_url", ""),
    };
    if url.is_none() {
        context.missing(node, "api_url", "add it here, or `slack_api_url` under `global`");
    }
    let attachment = slack_attachment(context, node);
    let body = Part::object([
        ("channel", context.optional(node, "channel", "")),
        ("username", context.optional(node, "username", &default_of("slack", "username"))),
        ("icon_emoji", context.optional(node, "icon_emoji", &default_of("slack", "iconemoji"))),
        ("icon_url", context.optional(node, "icon_url", &default_of("slack", "iconurl"))),
        ("link_names", Part::always(Context::flag(node, "link_names").unwrap_or_default()).optional()),
        ("text", context.optional(node, "message_text", "")),
        ("attachments", Part::List(vec![attachment])),
    ]);
    let wording = integration.wording(context, body);
    integration.webhook(context, Request { preset: "slack", url, wording }, |preset, config| {
        preset.success = ok_or_json();
        if let Some(credentials) = token {
            config.authorization = Some(Authorization { kind: "Bearer".to_owned(), credentials });
        }
    })
}

fn slack_attachment(context: &mut Context<'_>, node: &Node) -> Part {
    let title = context.telling(node, "title", &default_of("slack", "title"));
    let markup = node.get("mrkdwn_in").and_then(Node::items).unwrap_or_default();
    let markup = match markup.is_empty() {
        true => SLACK_MARKUP.iter().map(|name| Part::always(*name)).collect(),
        false => markup.iter().filter_map(Node::text).map(Part::always).collect(),
    };
    let color = default_of("slack", "color");
    let text = |context: &mut Context<'_>, key: &str, name: &str| {
        Part::from(context.text(node, key, &default_of("slack", name)))
    };
    Part::object([
        ("title", Part::from(title.chars(1024)).optional()),
        ("title_link", text(context, "title_link", "titlelink").optional()),
        ("pretext", text(context, "pretext", "pretext").optional()),
        ("text", context.telling(node, "text", &default_of("slack", "text")).into()),
        ("fallback", text(context, "fallback", "fallback")),
        ("callback_id", text(context, "callback_id", "callbackid")),
        ("fields", slack_fields(context, node).optional()),
        ("actions", slack_actions(context, node).optional()),
        ("image_url", context.optional(node, "image_url", "")),
        ("thumb_url", context.optional(node, "thumb_url", "")),
        ("footer", text(context, "footer", "footer")),
        ("color", context.optional(node, "color", &color)),
        ("mrkdwn_in", Part::List(markup)),
    ])
}

fn items<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    node.get(key).and_then(Node::items).unwrap_or_default()
}

/// Keys of an element that must be there.
fn needs(context: &mut Context<'_>, node: &Node, keys: &[&str]) {
    for key in keys.iter().filter(|key| Context::literal(node, key).is_none()) {
        context.missing(node, key, &format!("add `{key}: …`"));
    }
}

fn slack_fields(context: &mut Context<'_>, node: &Node) -> Part {
    let short = Context::flag(node, "short_fields").unwrap_or_default();
    let mut fields = Vec::new();
    for field in items(node, "fields") {
        needs(context, field, &["title", "value"]);
        fields.push(Part::object([
            ("title", context.optional(field, "title", "")),
            ("value", context.optional(field, "value", "")),
            ("short", Part::always(Context::flag(field, "short").unwrap_or(short))),
        ]));
    }
    Part::List(fields)
}

fn slack_actions(context: &mut Context<'_>, node: &Node) -> Part {
    let mut actions = Vec::new();
    for action in items(node, "actions") {
        needs(context, action, &["type", "text"]);
        let leads = Context::literal(action, "url").is_some();
        if !leads && Context::literal(action, "name").is_none() {
            context.missing(action, "url", "an action needs `url` or `name`");
        }
        let mut fields: Vec<(String, Part)> = Vec::new();
        // A button that leads somewhere has no more than that.
        let keys: &[&str] =
            if leads { &["type", "text", "url", "style"] } else { &["type", "text", "style", "name", "value"] };
        for key in keys {
            fields.push(((*key).to_owned(), context.optional(action, key, "")));
        }
        if let Some(confirm) = action.get("confirm").filter(|_| !leads) {
            needs(context, confirm, &["text"]);
            let keys = ["text", "title", "ok_text", "dismiss_text"];
            let asked = keys.map(|key| (key.to_owned(), context.optional(confirm, key, "")));
            fields.push(("confirm".to_owned(), Part::Object(asked.into())));
        }
        actions.push(Part::Object(fields));
    }
    Part::List(actions)
}

/// The address of a hook, which must be given.
fn hook(context: &mut Context<'_>, integration: &Integration<'_>) -> Option<SecretText> {
    let url = integration.address(context, "webhook_url", "", "");
    if url.is_none() {
        context.missing(integration.node, "webhook_url", "add it, or `webhook_url_file`");
    }
    url
}

pub(super) fn discord(context: &mut Context<'_>, integration: &Integration<'_>) -> Option<HandlerKind> {
    let (node, url) = (integration.node, hook(context, integration));
    let title = context.telling(node, "title", &default_of("discord", "title"));
    let message = context.telling(node, "message", &default_of("discord", "message"));
    let content = context.text(node, "content", &default_of("discord", "content"));
    let body = Part::object([
        ("content", content.chars(2000).into()),
        (
            "embeds",
            Part::List(vec![Part::object([
                ("title", title.chars(256).into()),
                ("description", message.chars(4096).into()),
                ("color", Part::by_status(0x99_2D22, 0x2E_CC71)),
            ])]),
        ),
        ("username", context.optional(node, "username", "")),
        ("avatar_url", context.optional(node, "avatar_url", "")),
    ]);
    let wording = integration.wording(context, body);
    integration.webhook(context, Request { preset: "discord", url, wording }, |_, _| {})
}

pub(super) fn teams(context: &mut Context<'_>, integration: &Integration<'_>) -> Option<HandlerKind> {
    let (node, url) = (integration.node, hook(context, integration));
    let mut text = |key: &str| Part::from(context.telling(node, key, &default_of("msteams", key)));
    let body = Part::object([
        ("@context", Part::always("http://schema.org/extensions")),
        ("type", Part::always("MessageCard")),
        ("title", text("title")),
        ("summary", text("summary")),
        ("text", text("text")),
        ("themeColor", Part::by_status("8C1A1A", "2DC72D")),
    ]);
    let wording = integration.wording(context, body);
    integration.webhook(context, Request { preset: "teams", url, wording }, |_, _| {})
}

pub(super) fn teams_v2(context: &mut Context<'_>, integration: &Integration<'_>) -> Option<HandlerKind> {
    let (node, url) = (integration.node, hook(context, integration));
    let mut text = |key: &str| Part::from(context.telling(node, key, &default_of("msteamsv2", key)));
    let title = Part::object([
        ("type", Part::always("TextBlock")),
        ("text", text("title")),
        ("weight", Part::always("Bolder")),
        ("size", Part::always("Medium")),
        ("wrap", Part::always(true)),
        ("style", Part::always("heading")),
        ("color", Part::by_status("Attention", "Good")),
    ]);
    let block =
        Part::object([("type", Part::always("TextBlock")), ("text", text("text")), ("wrap", Part::always(true))]);
    let card = Part::object([
        ("$schema", Part::always("http://adaptivecards.io/schemas/adaptive-card.json")),
        ("type", Part::always("AdaptiveCard")),
        ("version", Part::always("1.2")),
        ("body", Part::List(vec![title, block])),
        ("msteams", Part::object([("width", Part::always("full"))])),
    ]);
    let attachment = Part::object([
        ("contentType", Part::always("application/vnd.microsoft.card.adaptive")),
        ("contentUrl", Part::Json(Json::Null)),
        ("content", card),
    ]);
    let body = Part::object([("type", Part::always("message")), ("attachments", Part::List(vec![attachment]))]);
    let wording = integration.wording(context, body);
    integration.webhook(context, Request { preset: "teams", url, wording }, |_, _| {})
}

pub(super) fn telegram(context: &mut Context<'_>, integration: &Integration<'_>) -> Option<HandlerKind> {
    let node = integration.node;
    let token = context.secret_or_global(node, "bot_token", "telegram_bot_token");
    if token.is_none() {
        context.missing(node, "bot_token", "add it, or `bot_token_file`");
    }
    let chat = Context::secret(node, "chat_id");
    if chat.is_none() {
        context.missing(node, "chat_id", "add the number of the chat");
    }
    for key in ["chat_id", "message_thread_id"] {
        if let Some(place) = node.get(key)
            && place.text().is_some_and(|text| text.parse::<i64>().is_err() || (key == "chat_id" && text == "0"))
        {
            context.error("A015", place, format!("`{key}` is no number of a chat"), "expected a whole number");
        }
    }
    let mode = node.get("parse_mode").and_then(Node::text).unwrap_or("HTML");
    if let (false, Some(place)) = (matches!(mode, "" | "HTML" | "Markdown" | "MarkdownV2"), node.get("parse_mode")) {
        let message = format!("`{mode}` is no `parse_mode`");
        context.error("A015", place, message, "expected `HTML`, `Markdown`, `MarkdownV2` or nothing");
    }
    let message = context.telling(node, "message", &default_of("telegram", "message"));
    let manner = if mode == "HTML" { Manner::Html } else { Manner::Text };
    let thread =
        Context::literal(node, "message_thread_id").and_then(|text| text.parse::<i64>().ok()).filter(|id| *id != 0);
    let body = Part::object([
        ("chat_id", Part::Parameter("chat_id")),
        ("text", Text { manner, ..message.chars(4096) }.into()),
        ("parse_mode", Part::always(mode).optional()),
        ("disable_notification", Part::always(Context::flag(node, "disable_notifications").unwrap_or_default())),
        ("disable_web_page_preview", Part::always(true)),
        ("message_thread_id", Part::always(thread).optional()),
    ]);
    let url = integration.address(context, "api_url", "telegram_api_url", "https://api.telegram.org");
    let wording = integration.wording(context, body);
    integration.webhook(context, Request { preset: "telegram", url, wording }, |_, config| {
        (config.bot_token, config.chat_id) = (token, chat);
    })
}

pub(super) fn webex(context: &mut Context<'_>, integration: &Integration<'_>) -> Option<HandlerKind> {
    let node = integration.node;
    needs(context, node, &["room_id"]);
    if node.get("http_config").and_then(|http| http.get("authorization")).is_none() {
        context.missing(node, "http_config", "add `http_config: {authorization: {credentials_file: PATH}}`");
    }
    let message = context.telling(node, "message", &default_of("webex", "message"));
    let room = context.optional(node, "room_id", "");
    let body = Part::object([("markdown", message.bytes(WEBEX_BYTES_MAX).into()), ("roomId", room)]);
    let url = integration.address(context, "api_url", "webex_api_url", "https://webexapis.com/v1/messages");
    let wording = integration.wording(context, body);
    integration.webhook(context, Request { preset: "webex", url, wording }, |preset, _| {
        // The address is whole, and `http_config` says who asks.
        preset.request.path = None;
        preset.headers.clear();
        preset.success = Success::default();
    })
}
