//! What receivers of an `alertmanager.yml` are sent, written out in `tests/amtool/receivers.json` (`UPDATE=1` writes it anew);
//! templates that fail; messages that are too long; and text that may not act in a page.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::letter::LETTER_BYTES_MAX;
use crate::config::{Handler as Config, HandlerKind, handlers};
use crate::diag::{Level, SourceFile, TextStyle, text};
use crate::model::{Labels, Notice, NoticeKind, NoticeReason, Transition, TransitionKind};
use crate::notify::console::tests::transition;
use crate::notify::message::tests::{resolved, second, told};
use crate::notify::{Handler, Secrets, SmtpHandler, WebhookHandler};
use crate::template::{Manner, Notification, NotifiedAlert, TemplateSet};

const RECEIVERS: &str = include_str!("../../../tests/amtool/receivers.yml");

fn read(source: &str) -> Vec<Config> {
    let (said, found) = handlers::load(&[SourceFile::new("alertmanager.yml", source)]);
    assert!(found.iter().all(|d| d.level != Level::Error), "{}", text(&found, TextStyle::default()));
    said.handlers
}

fn preview(config: &Config, notice: &Notice) -> String {
    let (url, secrets) = ("https://alerts.example.org", Arc::new(Secrets::default()));
    match &config.kind {
        HandlerKind::Webhook(webhook) => {
            WebhookHandler::new(&config.name, webhook, url, secrets).unwrap().preview(notice).payload
        }
        HandlerKind::Smtp(smtp) => {
            let handler = SmtpHandler::new(Arc::clone(&config.name), (**smtp).clone(), url.to_owned(), secrets);
            handler.preview(notice).payload
        }
        _ => panic!("{} sends nothing", config.name),
    }
}

fn firing() -> Notice {
    told(NoticeKind::Firing, NoticeReason::NewAlerts, vec![transition(TransitionKind::Fired), second()])
}

fn over() -> Notice {
    told(NoticeKind::Resolved, NoticeReason::Resolved, vec![resolved()])
}

/// One receiver with one integration.
fn one(integration: &str) -> Config {
    read(&format!("route: {{receiver: a}}\nreceivers:\n  - name: a\n    {integration}\n")).remove(0)
}

fn slack(keys: &str) -> Config {
    one(&format!("slack_configs: [{{api_url: 'http://127.0.0.1:9/x', {keys}}}]"))
}

#[test]
fn what_each_receiver_is_sent_is_as_it_is_written_down() {
    let body = |text: String| serde_json::from_str::<Json>(&text).unwrap_or(Json::String(text));
    let missed = told(NoticeKind::Resolved, NoticeReason::FiredAndResolved, vec![resolved()]);
    let mut all = serde_json::Map::new();
    for config in read(RECEIVERS) {
        let said = json!({
            "ends are told": config.send_resolved,
            "two alerts of a group": body(preview(&config, &firing())),
            "resolved": body(preview(&config, &over())),
            "fired and resolved": body(preview(&config, &missed)),
        });
        all.insert(config.name.to_string(), said);
    }
    assert!(all.len() >= 14, "{} receivers", all.len());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/amtool/receivers.json");
    let want = format!("{:#}\n", Json::Object(all));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &want).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == want, "`UPDATE=1 cargo test` rewrites it\n{want}");
}

#[test]
fn a_template_that_fails_costs_no_message_and_no_form() {
    let sent: Json = serde_json::from_str(&preview(
        &slack("title: '{{ template \"nobody\" . }}', color: '{{ .Nope }}', channel: '#a'"),
        &firing(),
    ))
    .unwrap();
    let attachment = &sent["attachments"][0];
    let title = attachment["title"].as_str().unwrap();
    assert!(title.contains("HighCPU") && title.contains("a template of the receiver failed"), "{title}");
    assert_eq!((&sent["channel"], attachment.get("color")), (&json!("#a"), None));
}

#[test]
fn a_text_that_cannot_be_read_fails_when_it_is_sent_and_is_told_before() {
    let source = "route: {receiver: a}\nreceivers:\n  - name: a\n    slack_configs: [{api_url: 'http://x', title: '{{ if }}'}]\n";
    let (said, found) = handlers::load(&[SourceFile::new("alertmanager.yml", source)]);
    assert_eq!(found.iter().map(|d| (d.code, d.level)).collect::<Vec<_>>(), [("A563", Level::Warning)]);
    let sent: Json = serde_json::from_str(&preview(&said.handlers[0], &firing())).unwrap();
    assert!(sent["attachments"][0]["title"].as_str().unwrap().contains("HighCPU"), "{sent}");
}

fn many(count: usize) -> Notice {
    let alert = |index: usize| -> Transition {
        let mut one = second();
        one.alert.labels = one.alert.labels.with("host", &format!("web-{index}"));
        one.alert.annotations = Labels::from_pairs([("summary", "x".repeat(1000))]);
        one
    };
    told(NoticeKind::Firing, NoticeReason::NewAlerts, (0..count).map(alert).collect())
}

#[test]
fn a_message_that_is_too_long_is_told_with_fewer_alerts() {
    let pager = one("pagerduty_configs: [{routing_key: k}]");
    let event = preview(&pager, &many(2000));
    assert!(event.len() <= 512_000, "{}", event.len());
    let event: Json = serde_json::from_str(&event).unwrap();
    assert!(event["payload"]["custom_details"]["firing"].as_str().unwrap().contains("web-1"), "alerts are listed");

    let mail = one("email_configs: [{to: a@example.org, from: b@example.org, smarthost: 'h:25'}]");
    let page = preview(&mail, &many(2000));
    assert!(page.len() <= LETTER_BYTES_MAX + 2000 && page.contains("web-1"), "{}", page.len());

    let chat = one("telegram_configs: [{bot_token: t, chat_id: 1}]");
    let sent: Json = serde_json::from_str(&preview(&chat, &many(300))).unwrap();
    let message = sent["text"].as_str().unwrap();
    assert!(message.chars().count() <= 4096 && message.contains("web-"), "{message}");

    let long: Json = serde_json::from_str(&preview(
        &slack("title: '{{ range .Alerts }}{{ .Annotations.summary }}{{ end }}'"),
        &many(5),
    ))
    .unwrap();
    assert_eq!(long["attachments"][0]["title"].as_str().unwrap().chars().count(), 1024);
}

#[test]
fn at_most_so_many_alerts_are_in_a_webhook_as_it_says() {
    let hook = one("webhook_configs: [{url: 'http://127.0.0.1:9/x', max_alerts: 3}]");
    let body: Json = serde_json::from_str(&preview(&hook, &many(10))).unwrap();
    assert_eq!((body["alerts"].as_array().unwrap().len(), &body["truncatedAlerts"]), (3, &json!(7)));
}

/// What a receiver is sent, as JSON.
fn sent(config: &Config, notice: &Notice) -> Json {
    serde_json::from_str(&preview(config, notice)).unwrap()
}

fn mail(keys: &str) -> Config {
    one(&format!("email_configs: [{{to: a@example.org, from: b@example.org, smarthost: 'h:25', {keys}}}]"))
}

/// An alert with an annotation of this text.
fn saying(text: &str) -> Notice {
    let mut alert = transition(TransitionKind::Fired);
    alert.alert.annotations = Labels::from_pairs([("summary", text)]);
    told(NoticeKind::Firing, NoticeReason::NewAlerts, vec![alert])
}

#[test]
fn a_subject_is_one_line_that_ends_and_one_that_fails_is_alertds_own() {
    let subject = |template: &str, notice: &Notice| {
        let mail = preview(&mail(&format!("headers: {{Subject: '{template}'}}")), notice);
        mail.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap().to_owned()
    };
    for failing in ["{{ .Nope }}", "{{ template \"nobody\" . }}", "{{ if }}"] {
        assert_eq!(subject(failing, &firing()), "[FIRING:2] HighCPU (critical)", "{failing}");
    }
    let hostile = saying("a\r\nBcc: c@example.org\u{202e}=?utf-8?q?x?=");
    assert_eq!(
        subject("{{ (index .Alerts 0).Annotations.summary }}", &hostile),
        r"a Bcc: c@example.org\u{202e}= ?utf-8?q?x?="
    );
    let long = subject("{{ (index .Alerts 0).Annotations.summary }}", &saying(&"ü".repeat(5000)));
    assert_eq!(long.chars().count(), 300);
    assert!(long.ends_with('…'));
}

#[test]
fn a_mail_that_not_even_one_alert_fits_into_is_alertds_own_and_headers_count() {
    let long = saying(&"<&> ".repeat(50_000));
    for keys in [
        "text: '{{ (index .Alerts 0).Annotations.summary }}'",
        "html: '{{ (index .Alerts 0).Annotations.summary }}'",
        "html: '{{ .Nope }}', text: '{{ .Nope }}{{ (index .Alerts 0).Annotations.summary }}'",
    ] {
        let page = preview(&mail(keys), &long);
        assert!(page.len() < 160 * 1024 && page.contains("HighCPU"), "{keys}: {} bytes", page.len());
    }
    let page = preview(&mail("text: '{{ (index .Alerts 0).Annotations.summary }}', html: ''"), &long);
    assert!(page.contains("the mail was longer than 163840 bytes"), "{page}");
    let header = "{{ range .Alerts }}{{ .Annotations.summary }}{{ end }}";
    let headers: Vec<String> = (0..200).map(|i| format!("X-{i}: '{header}'")).collect();
    let page = preview(&mail(&format!("headers: {{{}}}", headers.join(", "))), &many(400));
    assert!(page.contains("HighCPU") && !page.contains("X-7:") && page.len() < 160 * 1024, "{} bytes", page.len());
}

#[test]
fn a_body_that_not_even_one_alert_fits_into_tells_briefly_and_keeps_its_form() {
    let pager = one(
        "pagerduty_configs: [{routing_key: k, severity: warning, details: {all: '{{ (index .Alerts 0).Annotations.summary }}'}}]",
    );
    let event = sent(&pager, &saying(&"x".repeat(600_000)));
    assert!(event.to_string().len() < 512_000);
    let payload = &event["payload"];
    assert_eq!((&payload["severity"], &payload["custom_details"]["all"]), (&json!("warning"), &json!("")));
    let summary = payload["summary"].as_str().unwrap();
    assert!(summary.contains("HighCPU") && summary.contains("longer than 512000 bytes"), "{summary}");
    assert_eq!(event["dedup_key"].as_str().unwrap().len(), 64);

    let card = sent(
        &one(
            "msteams_configs: [{webhook_url: 'http://127.0.0.1:9/x', text: '{{ (index .Alerts 0).Annotations.summary }}'}]",
        ),
        &saying(&"\u{1}".repeat(9_000)),
    );
    assert!(card.to_string().len() <= 28_000 && card["text"].as_str().unwrap().contains("HighCPU"), "{card}");
}

#[test]
fn a_body_is_as_long_as_the_receiver_takes() {
    for kind in ["msteams", "msteamsv2"] {
        let teams = one(&format!("{kind}_configs: [{{webhook_url: 'http://127.0.0.1:9/x'}}]"));
        let body = preview(&teams, &many(60));
        assert!(body.len() <= 28_000 && body.contains("web-1"), "{kind}: {} bytes", body.len());
    }
}

/// `maxMessageSize` of Alertmanager's notifier, of which three bytes are the mark (`TruncateInBytes`).
#[test]
fn a_message_of_webex_is_cut_at_7439_bytes_between_characters() {
    let webex = one(
        "webex_configs: [{room_id: r, http_config: {authorization: {credentials: c}}, message: '{{ (index .Alerts 0).Annotations.summary }}'}]",
    );
    let message = |text: &str| sent(&webex, &saying(text))["markdown"].as_str().unwrap().to_owned();
    for (text, want) in [
        ("x".repeat(7439), "x".repeat(7439)),
        ("x".repeat(7440), format!("{}…", "x".repeat(7436))),
        ("京".repeat(2479), "京".repeat(2479)),
        ("京".repeat(2480), format!("{}…", "京".repeat(2478))),
        ("👍".repeat(2000), format!("{}…", "👍".repeat(1859))),
    ] {
        let have = message(&text);
        assert!(have == want && have.len() <= 7439, "{} bytes, not {}", have.len(), want.len());
    }
}

/// The limits of Alertmanager's notifiers, in characters: the integration with the key that is worded, and where its text
/// stands in what is sent.
const LIMITS: &[(&str, &str, usize)] = &[
    // notify/slack: maxTitleLenRunes.
    ("slack_configs: [{api_url: 'http://127.0.0.1:9', title: TEXT}]", "/attachments/0/title", 1024),
    // notify/discord: maxTitleLenRunes, maxDescriptionLenRunes, maxContentLenRunes.
    ("discord_configs: [{webhook_url: 'http://127.0.0.1:9', title: TEXT}]", "/embeds/0/title", 256),
    ("discord_configs: [{webhook_url: 'http://127.0.0.1:9', message: TEXT}]", "/embeds/0/description", 4096),
    ("discord_configs: [{webhook_url: 'http://127.0.0.1:9', content: TEXT}]", "/content", 2000),
    // notify/telegram: maxMessageLenRunes.
    ("telegram_configs: [{bot_token: t, chat_id: 1, parse_mode: '', message: TEXT}]", "/text", 4096),
    // notify/pagerduty: maxV2SummaryLenRunes, maxV1DescriptionLenRunes.
    ("pagerduty_configs: [{routing_key: k, description: TEXT}]", "/payload/summary", 1024),
    ("pagerduty_configs: [{service_key: k, description: TEXT}]", "/description", 1024),
    // notify/opsgenie: maxMessageLenRunes.
    ("opsgenie_configs: [{api_key: k, message: TEXT}]", "/message", 130),
    // notify/victorops: maxMessageLenRunes.
    ("victorops_configs: [{api_key: k, routing_key: r, state_message: TEXT}]", "/state_message", 20_480),
    // notify/pushover: maxTitleLenRunes, maxMessageLenRunes, maxURLLenRunes.
    ("pushover_configs: [{user_key: u, token: t, title: TEXT}]", "/title", 250),
    ("pushover_configs: [{user_key: u, token: t, message: TEXT}]", "/message", 1024),
    ("pushover_configs: [{user_key: u, token: t, url: TEXT}]", "/url", 512),
];

#[test]
fn texts_are_cut_where_alertmanager_cuts_them() {
    for (integration, place, max) in LIMITS {
        let config = one(&integration.replace("TEXT", "'{{ (index .Alerts 0).Annotations.summary }}'"));
        for (length, want) in [(*max, "ü".repeat(*max)), (max + 1, format!("{}…", "ü".repeat(max - 1)))] {
            let body = sent(&config, &saying(&"ü".repeat(length)));
            let text = body.pointer(place).and_then(Json::as_str).unwrap_or_default();
            assert!(text == want, "{integration}: {} characters of {length}", text.chars().count());
        }
    }
}

#[test]
fn pushover_is_sent_no_message_of_blanks_and_none_with_blanks_around_it() {
    let message = |template: &str| {
        let pushover = one(&format!("pushover_configs: [{{user_key: u, token: t, message: '{template}'}}]"));
        sent(&pushover, &firing())["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(message(""), "(no details)");
    assert_eq!(message(" {{ .CommonLabels.nothing }}  "), "(no details)");
    assert_eq!(message("  {{ .Status }} "), "firing");
}

#[test]
fn names_in_a_payload_are_templates_and_null_is_a_value() {
    let hook = one(
        "webhook_configs: [{url: 'http://127.0.0.1:9/x', payload: {'{{ .Status }}-x': {'{{ len .Alerts }}': ~}, none: null, list: [~, 1]}}]",
    );
    assert_eq!(sent(&hook, &firing()), json!({"firing-x": {"2": null}, "none": null, "list": [null, 1]}));
    let pager = one("pagerduty_configs: [{routing_key: k, details: {none: ~, a: {'{{ .Status }}': b}}}]");
    let details = &sent(&pager, &firing())["payload"]["custom_details"];
    assert_eq!((details.get("none"), &details["a"]), (Some(&Json::Null), &json!({"firing": "b"})));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever a label holds, it stands in a page as text: no tag, no quote and no scheme of its own.
    #[test]
    fn values_never_act_in_a_page(value in "\\PC{0,40}|[<>\"'&:/a-z(){};=` ]{0,40}|javascript:[a-z()]{1,10}") {
        let labels = Labels::from_pairs([("v", value.as_str())]);
        let alert = NotifiedAlert {
            status: "firing",
            labels: labels.clone(),
            annotations: Labels::empty(),
            starts_at: Default::default(),
            ends_at: None,
            generator_url: value.clone(),
            fingerprint: String::new(),
        };
        let data = Notification { status: "firing", alerts: vec![alert], common_labels: labels, ..Notification::default() };
        let page = |template: &str| {
            TemplateSet::default().template(template).unwrap().notification(&data.dot(), Manner::Html, Default::default()).unwrap()
        };
        let inner = |text: &str, open: &str, close: &str| {
            text.strip_prefix(open).unwrap().strip_suffix(close).unwrap().to_owned()
        };
        let shown = inner(&page("<b>{{ .CommonLabels.v }}</b>"), "<b>", "</b>");
        prop_assert!(!shown.contains(['<', '>', '"', '\'']), "{shown}");
        let quoted = inner(&page("<b title=\"{{ .CommonLabels.v }}\">"), "<b title=\"", "\">");
        prop_assert!(!quoted.contains(['<', '>', '"']), "{quoted}");
        let bare = inner(&page("<b title={{ .CommonLabels.v }}>"), "<b title=", ">");
        prop_assert!(!bare.is_empty() && !bare.contains(['<', '>', '"', '\'', ' ', '=', '`', '\t', '\n']), "{bare}");
        let passed = inner(&page("<b title=\"{{ .CommonLabels.v | html }}\">"), "<b title=\"", "\">");
        prop_assert!(!passed.contains(['<', '>', '"']), "{passed}");
        let passed = inner(&page("<b title={{ .CommonLabels.v | html }}>"), "<b title=", ">");
        let ends = ['<', '>', '"', '\'', ' ', '=', '`', '\t', '\n', '\r', '\u{c}'];
        prop_assert!(!passed.is_empty() && !passed.contains(ends), "{passed}");
        let safe = inner(&page("<b title={{ .CommonLabels.v | safeHtml }}>"), "<b title=", ">");
        prop_assert!(!safe.is_empty() && !safe.contains(ends), "{safe}");
        let passed = inner(&page("<title>{{ .CommonLabels.v | html }}</title>"), "<title>", "</title>");
        prop_assert!(!passed.contains('<'), "{passed}");
        let link = inner(&page("<a href=\"{{ (index .Alerts 0).GeneratorURL }}\">"), "<a href=\"", "\">");
        prop_assert!(!link.contains(['<', '>', '"', ' ']) && !link.starts_with("javascript:"), "{link}");
        let style = inner(&page("<b style=\"color:{{ .CommonLabels.v }}\">"), "<b style=\"color:", "\">");
        let style = style.replace("&amp;", "&").replace("&#43;", "+");
        prop_assert!(!style.contains(['<', '>', '"', '(', ';', '{']), "{style}");
        let script = inner(&page("<script>f({{ .CommonLabels.v }})</script>"), "<script>f(", ")</script>");
        prop_assert!(!script.contains('<') && serde_json::from_str::<Json>(&script).is_ok(), "{script}");
        let code = "// it's\ns.replace(/'/, /* it's */ `${ '}' } '`, ";
        let script = inner(&page(&format!("<script>{code}{{{{ .CommonLabels.v }}}})</script>")), &format!("<script>{code}"), ")</script>");
        prop_assert!(!script.contains('<') && serde_json::from_str::<Json>(&script).is_ok(), "{script}");
        let literal = inner(&page("<script>`it's {{ .CommonLabels.v }}`</script>"), "<script>`it's ", "`</script>");
        prop_assert!(!literal.contains(['`', '$', '{', '<']), "{literal}");
        let regexp = inner(&page("<script>/{{ .CommonLabels.v }}/</script>"), "<script>/", "/</script>");
        prop_assert!(!regexp.is_empty() && !regexp.contains(['/', '[', '*', '\n', '<']), "{regexp}");
    }
}
