//! The settings of a mail handler with its secrets read: made anew for each attempt, so that a rotated password needs
//! no reload.

use std::net::IpAddr;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::extension::ClientId;

use super::dialogue::is_here;
use crate::config::smtp::{HEADER_CHARS_MAX, RECIPIENTS_MAX, header_problem, is_domain, mailbox, mailboxes};
use crate::config::{SecretText, SmtpConfig, SmtpTls, TlsConfig};
use crate::notify::secrets::Secrets;
use crate::telemetry::visible::{shortened, visible};

/// Longest part of a server's answer that is told, in characters.
const WORDS_CHARS_MAX: usize = 300;
/// What stands for a secret that a server repeats.
const HIDDEN: &str = "<secret>";

/// What one attempt needs.
pub(super) struct Settings {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    pub tls_config: TlsConfig,
    pub credentials: Option<Credentials>,
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    /// Further headers: name and value.
    pub headers: Vec<(String, String)>,
    pub timeout: Duration,
    hello: Option<String>,
    anywhere: bool,
    /// Texts that no message may show: user, password, and how they go over the wire.
    hidden: Vec<String>,
}

impl Settings {
    /// Reads every secret. The error says which one, never a value.
    pub fn read(config: &SmtpConfig, secrets: &Secrets) -> Result<Self, String> {
        let text = |key: &str, value: Option<&SecretText>| match value {
            Some(value) => secrets.read(value).map(|s| s.expose().to_owned()).map_err(|e| format!("{key}: {e}")),
            None => Err(format!("{key}: not given")),
        };
        let user = config.username.as_ref().map(|u| text("username", Some(u))).transpose()?;
        let password = config.password.as_ref().map(|p| text("password", Some(p))).transpose()?;
        let mut to = Vec::new();
        for value in &config.to {
            let read = mailboxes(&text("to", Some(value))?);
            // An address from a file may be a secret, so it is not repeated.
            to.extend(read.map_err(|e| format!("to: {}", e.message))?);
        }
        if to.len() > RECIPIENTS_MAX {
            return Err(format!("to: {} recipients, at most {RECIPIENTS_MAX}", to.len()));
        }
        let mut headers = Vec::new();
        for (name, value) in &config.headers {
            if let Some(problem) = header_problem(name) {
                return Err(format!("headers: `{name}` {problem}"));
            }
            headers.push((name.clone(), one_line(&text(name, Some(value))?, HEADER_CHARS_MAX)));
        }
        let hidden = hidden(user.as_deref(), password.as_deref());
        Ok(Self {
            host: text("host", config.host.as_ref())?.trim().to_owned(),
            port: config.port(),
            tls: config.tls,
            tls_config: config.tls_config.clone(),
            credentials: user.zip(password).map(|(user, password)| Credentials::new(user, password)),
            from: mailbox(&text("from", config.from.as_ref())?).map_err(|e| format!("from: {}", e.message))?,
            to,
            headers,
            timeout: config.timeout,
            hello: config.hello.clone().filter(|name| is_domain(name)),
            anywhere: config.allow_plaintext || config.tls != SmtpTls::None,
            hidden,
        })
    }

    /// Whether a connection to the address may be opened.
    pub fn may_reach(&self, address: IpAddr) -> bool {
        self.anywhere || is_here(address)
    }

    /// The name for `EHLO`: the one that is set, this machine's where it is a full one, else the address of this end
    /// (RFC 5321 4.1.3); servers refuse names without a dot.
    pub fn hello(&self, here: Option<IpAddr>) -> ClientId {
        let full = |name: &String| name.contains('.') && is_domain(name);
        match (self.hello.clone().or_else(|| sysinfo::System::host_name().ok().filter(full)), here) {
            (Some(name), _) => ClientId::Domain(name),
            (None, Some(IpAddr::V4(address))) => ClientId::Ipv4(address),
            (None, Some(IpAddr::V6(address))) => ClientId::Ipv6(address),
            (None, None) => ClientId::Domain("localhost".to_owned()),
        }
    }

    /// Foreign words, fit to be shown: shortened, without secrets, and without characters that act.
    pub fn harmless(&self, words: &str) -> String {
        let mut words = words.to_owned();
        for secret in &self.hidden {
            words = words.replace(secret, HIDDEN);
        }
        visible(&shortened(words.trim(), WORDS_CHARS_MAX)).into_owned()
    }
}

/// A text as one line that holds nothing that acts; no encoded word either (RFC 2047), which a reader would decode to
/// what it is not.
pub(super) fn one_line(text: &str, chars_max: usize) -> String {
    let line = text.split(['\r', '\n', '\t']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>();
    shortened(&visible(&line.join(" ")), chars_max).replace("=?", "= ?")
}

fn hidden(user: Option<&str>, password: Option<&str>) -> Vec<String> {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let mut hidden = Vec::new();
    if let (Some(user), Some(password)) = (user, password) {
        hidden.push(BASE64_STANDARD.encode(format!("\0{user}\0{password}")));
        hidden.push(BASE64_STANDARD.encode(format!("user={user}\u{1}auth=Bearer {password}\u{1}\u{1}")));
    }
    // A name of one or two letters is in every text.
    for secret in [password, user.filter(|user| user.len() > 2)].into_iter().flatten() {
        hidden.push(BASE64_STANDARD.encode(secret));
        hidden.push(secret.to_owned());
    }
    hidden.retain(|secret| !secret.is_empty());
    // The longest first: a user that is part of the password must not spoil it.
    hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    hidden
}
