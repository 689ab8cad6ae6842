//! Settings of a mail handler, as written: secrets are references, templates are texts. And what an address, a header
//! and a name in `EHLO` may look like, for the check and for the handler alike.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use lettre::Address;
use lettre::message::Mailbox;
use serde::{Deserialize, Deserializer};

use super::alertmanager::Letter;
use super::secret::SecretText;
use super::webhook::TlsConfig;

pub(super) use super::smtp_check::check;

/// Most recipients of one handler.
pub const RECIPIENTS_MAX: usize = 100;
/// Longest subject that a receiver's template gives, in characters.
pub const SUBJECT_CHARS_MAX: usize = 300;
/// Longest value of an own header, in characters.
pub const HEADER_CHARS_MAX: usize = 900;
/// Longest mail address, in bytes (RFC 5321 4.5.3.1).
const ADDRESS_BYTES_MAX: usize = 254;
/// Names that a template of a subject can read.
pub const SUBJECT_NAMES: &[&str] = &[
    "common_annotations",
    "common_labels",
    "external_url",
    "firing",
    "group_labels",
    "route_labels",
    "handler",
    "reason",
    "resolved",
    "severity",
    "status",
    "title",
];

/// How the connection to the mail server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// In the clear at first, then STARTTLS; refused where the server does not offer it (RFC 3207).
    #[default]
    Starttls,
    /// From the first byte (RFC 8314).
    Implicit,
    /// Not at all.
    None,
}

/// A mail handler.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SmtpConfig {
    /// The mail server.
    pub host: Option<SecretText>,
    /// Its port, where not the usual one.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub tls: SmtpTls,
    /// User.
    pub username: Option<SecretText>,
    /// Password.
    pub password: Option<SecretText>,
    /// Sender.
    pub from: Option<SecretText>,
    /// Recipients.
    #[serde(deserialize_with = "one_or_many")]
    pub to: Vec<SecretText>,
    /// Further headers.
    pub headers: BTreeMap<String, SecretText>,
    /// Name given in EHLO.
    pub hello: Option<String>,
    /// Own subject, a minijinja template.
    pub subject: Option<String>,
    /// Whether `tls: none` is allowed to another machine.
    pub allow_plaintext: bool,
    /// Certificates.
    pub tls_config: TlsConfig,
    /// Deadline of one attempt.
    #[serde(deserialize_with = "super::server::duration")]
    pub timeout: Duration,
    /// What it says, where it is a receiver of an `alertmanager.yml`.
    #[serde(skip)]
    pub letter: Option<Arc<Letter>>,
}

impl Default for SmtpConfig {
    fn default() -> Self {
        Self {
            host: None,
            port: None,
            tls: SmtpTls::Starttls,
            username: None,
            password: None,
            from: None,
            to: Vec::new(),
            headers: BTreeMap::new(),
            hello: None,
            subject: None,
            allow_plaintext: false,
            tls_config: TlsConfig::default(),
            timeout: super::handlers::TIMEOUT,
            letter: None,
        }
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SecretText>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(SecretText),
        Many(Vec<SecretText>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

impl SmtpConfig {
    /// The port: the one that is set, else the usual one.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            SmtpTls::Starttls => 587,
            SmtpTls::Implicit => 465,
            SmtpTls::None => 25,
        })
    }
}

/// Why a text is no mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What is wrong, without the text itself.
    pub message: String,
}

/// Reads `name@host` or `Name <name@host>`. A host with letters beyond ASCII becomes its ASCII form, so that every
/// server takes it.
pub fn mailbox(text: &str) -> Result<Mailbox, AddressError> {
    let start = text.len() - text.trim_start().len();
    let span = start..start + text.trim().len();
    let text = text.trim();
    let fail = |message: &str| AddressError { span: span.clone(), message: message.to_owned() };
    if text.is_empty() {
        return Err(fail("the address is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(fail("a control character stands in the address"));
    }
    let read: Mailbox = text.parse().map_err(|_| fail("this is no mail address"))?;
    let (user, host) = (read.email.user(), read.email.domain());
    let host = if host.is_ascii() { Some(host.to_owned()) } else { idna::domain_to_ascii(host).ok() };
    let plain = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\\');
    if user.contains(plain) {
        return Err(fail("quoted names of mailboxes are not taken"));
    }
    let email = host.and_then(|host| Address::new(user, host).ok()).ok_or_else(|| fail("this is no mail address"))?;
    if AsRef::<str>::as_ref(&email).len() > ADDRESS_BYTES_MAX {
        return Err(fail("the address is too long"));
    }
    Ok(Mailbox::new(read.name, email))
}

/// Reads addresses with commas between them, as Alertmanager's `to` has them: nothing between two commas is no address
/// (RFC 5322 4.4). Every address stands once.
pub fn mailboxes(text: &str) -> Result<Vec<Mailbox>, AddressError> {
    let mut found: Vec<Mailbox> = Vec::new();
    let (mut quoted, mut start) = (false, 0);
    let ends = text.char_indices().filter(|(_, c)| {
        quoted ^= *c == '"';
        *c == ',' && !quoted
    });
    for end in ends.map(|(i, _)| i).chain([text.len()]).collect::<Vec<_>>() {
        let shift = |e: AddressError| AddressError { span: e.span.start + start..e.span.end + start, ..e };
        let part = text.get(start..end).unwrap_or_default();
        let nothing = part.trim().is_empty() && (end < text.len() || !found.is_empty());
        let read = (!nothing).then(|| mailbox(part)).transpose().map_err(shift)?;
        found.extend(read.filter(|read| !found.iter().any(|known| known.email == read.email)));
        start = end + 1;
    }
    Ok(found)
}

/// Letters, digits, hyphens and dots: what may stand in `EHLO`.
pub fn is_domain(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    name.len() <= 253 && name.split('.').all(part)
}

/// What is wrong with the name of an own header.
pub fn header_problem(name: &str) -> Option<&'static str> {
    const TAKEN: &[&str] = &[
        "auto-submitted",
        "date",
        "from",
        "in-reply-to",
        "message-id",
        "mime-version",
        "received",
        "references",
        "return-path",
        "sender",
        "subject",
        "to",
        "x-auto-response-suppress",
    ];
    let lower = name.to_ascii_lowercase();
    let fits = !name.is_empty() && name.len() <= 76 && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    match lower.as_str() {
        _ if !fits => Some("is no name of a header"),
        "cc" | "bcc" => Some("would name people who do not get the mail: add them to `to`"),
        "subject" => Some("has a key of its own: `subject`"),
        _ if TAKEN.contains(&lower.as_str()) => Some("is set by alertd"),
        _ if lower.starts_with("content-") || lower.starts_with("x-alertd-") => Some("is set by alertd"),
        _ => None,
    }
}
