//! `email_configs`: mail, worded by the file's templates.

use std::sync::Arc;

use super::context::Context;
use super::http;
use super::receivers::Integration;
use super::wording::{Letter, Text, default_of};
use crate::config::handlers::HandlerKind;
use crate::config::secret::SecretText;
use crate::config::smtp::{
    HEADER_CHARS_MAX, SUBJECT_CHARS_MAX, SmtpConfig, SmtpTls, header_problem, is_domain, mailbox, mailboxes,
};
use crate::template::Manner;
use crate::yaml::Node;

const WITHOUT_EQUAL: &[(&str, &str)] = &[
    ("auth_secret", "mail servers are not asked for CRAM-MD5; `auth_password` is used"),
    ("auth_secret_file", "mail servers are not asked for CRAM-MD5; `auth_password` is used"),
    ("auth_identity", "the identity given to mail servers is the user"),
    ("threading", "mails of a group are one conversation, whatever stands here"),
];

pub(super) fn read(context: &mut Context<'_>, integration: &Integration<'_>) -> Option<HandlerKind> {
    let node = integration.node;
    context.without_equal(node, WITHOUT_EQUAL);
    let mut config = SmtpConfig::default();
    server(context, node, &mut config);
    config.username =
        context.literal_or_global(node, "auth_username", "smtp_auth_username").map(|u| SecretText::literal(&u));
    config.password = context.secret_or_global(node, "auth_password", "smtp_auth_password");
    if config.username.is_none() || config.password.is_none() {
        // Without a user Alertmanager does not log in; a user without a password waits for a secret of CRAM-MD5.
        (config.username, config.password) = (None, None);
    }
    let hello = context.literal_or_global(node, "hello", "smtp_hello").unwrap_or_else(|| "localhost".to_owned());
    if is_domain(&hello) {
        config.hello = Some(hello);
    } else if let Some(place) = node.get("hello").or_else(|| context.global.and_then(|g| g.get("smtp_hello"))) {
        context.differs(
            place,
            format!("`{hello}` is no name of a host"),
            "mail servers are greeted with this machine's name",
        );
    }
    let holder = if node.get("tls_config").is_some() { Some(node) } else { context.global };
    if let Some(holder) = holder {
        config.tls_config = http::tls(context, holder);
    }
    let letter = letter(context, integration, &mut config);
    config.letter = Some(Arc::new(letter));
    Some(HandlerKind::Smtp(Box::new(config)))
}

/// Host, port and how the connection is encrypted.
fn server(context: &mut Context<'_>, node: &Node, config: &mut SmtpConfig) {
    let place = node.get("smarthost").or_else(|| context.global.and_then(|global| global.get("smtp_smarthost")));
    let Some(place) = place.filter(|place| place.text().is_some_and(|text| !text.is_empty())) else {
        return context.missing(node, "smarthost", "add it here, or `smtp_smarthost` under `global`");
    };
    let text = place.text().unwrap_or_default();
    let host_port = text.rsplit_once(':').and_then(|(host, port)| {
        let named = if port == "smtp" {
            Some(25)
        } else if port == "submission" {
            Some(587)
        } else {
            None
        };
        Some((host.trim_start_matches('[').trim_end_matches(']'), named.or_else(|| port.parse::<u16>().ok())?))
    });
    let Some((host, port)) = host_port.filter(|(host, _)| !host.is_empty()) else {
        let message = format!("`{text}` is no mail server with a port");
        return context.error("A505", place, message, "expected one such as `mail.example.org:587`");
    };
    (config.host, config.port) = (Some(SecretText::literal(host)), Some(port));
    let global = |key: &str| context.global.and_then(|global| Context::flag(global, key));
    let implicit = Context::flag(node, "force_implicit_tls")
        .or_else(|| Context::flag(node, "implicit_tls"))
        .or_else(|| global("smtp_force_implicit_tls"))
        .unwrap_or(port == 465);
    let required = Context::flag(node, "require_tls").or_else(|| global("smtp_require_tls")).unwrap_or(true);
    config.tls = match (implicit, required) {
        (true, _) => SmtpTls::Implicit,
        (false, true) => SmtpTls::Starttls,
        (false, false) => SmtpTls::None,
    };
    // The file asks for it.
    config.allow_plaintext = config.tls == SmtpTls::None;
}

fn letter(context: &mut Context<'_>, integration: &Integration<'_>, config: &mut SmtpConfig) -> Letter {
    let node = integration.node;
    let mut letter = Letter {
        receiver: Arc::clone(&integration.receiver),
        to: None,
        from: None,
        subject: context.fixed(&default_of("email", "subject")).chars(SUBJECT_CHARS_MAX),
        headers: Vec::new(),
        html: None,
        text: None,
        files: Arc::clone(&context.files),
    };
    let to = node.get("to").filter(|to| to.text().is_some_and(|text| !text.is_empty()));
    let from = node.get("from").or_else(|| context.global.and_then(|global| global.get("smtp_from")));
    match to {
        None => context.missing(node, "to", "add the recipients"),
        Some(place) if is_template(place) => letter.to = Some(context.template(place)),
        Some(place) => {
            config.to = addresses(context, place, |text| mailboxes(text).map(drop)).into_iter().collect();
        }
    }
    match from {
        None => context.missing(node, "from", "add it here, or `smtp_from` under `global`"),
        Some(place) if is_template(place) => letter.from = Some(context.template(place)),
        Some(place) => config.from = addresses(context, place, |text| mailbox(text).map(drop)),
    }
    headers(context, node, &mut letter);
    let html = match node.get("html") {
        Some(place) => Some(place).filter(|p| p.text() != Some("")).map(|place| context.template(place)),
        None => Some(context.fixed(&default_of("email", "html"))),
    };
    letter.html = html.map(|text| Text { manner: Manner::Html, ..text.telling() });
    let text = node.get("text").filter(|place| place.text() != Some(""));
    letter.text = text.map(|place| context.template(place).telling());
    letter
}

fn is_template(node: &Node) -> bool {
    node.text().is_some_and(|text| text.contains("{{"))
}

/// Addresses as they stand. Alertmanager finds out about a wrong one when it sends, so it is told and kept.
fn addresses(
    context: &mut Context<'_>,
    place: &Node,
    read: impl Fn(&str) -> Result<(), crate::config::smtp::AddressError>,
) -> Option<SecretText> {
    let text = place.text().unwrap_or_default();
    if let Err(error) = read(text) {
        context.differs(place, error.message, "no mail is sent");
    }
    Some(SecretText::literal(text))
}

fn headers(context: &mut Context<'_>, node: &Node, letter: &mut Letter) {
    let mut seen: Vec<String> = Vec::new();
    for (key, value) in node.get("headers").and_then(Node::entries).unwrap_or_default() {
        let name = key.text().unwrap_or_default();
        let lower = name.to_ascii_lowercase();
        if seen.contains(&lower) {
            context.error("A503", key, format!("the header `{name}` stands twice"), "names are equal in either case");
        }
        if lower == "subject" {
            letter.subject = context.template(value).chars(SUBJECT_CHARS_MAX);
        } else if let Some(problem) = header_problem(name) {
            context.differs(key, format!("the header `{name}` {problem}"), "it is left out");
        } else {
            letter.headers.push((name.to_owned(), context.template(value).chars(HEADER_CHARS_MAX)));
        }
        seen.push(lower);
    }
}
