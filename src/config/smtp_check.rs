//! Checks what the shape cannot say about a mail handler. Reads no secret and asks no name server.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use minijinja::Environment;

use super::handlers::missing;
use super::secret::SecretText;
use super::smtp::{
    AddressError, RECIPIENTS_MAX, SUBJECT_NAMES, SmtpConfig, SmtpTls, header_problem, is_domain, mailbox, mailboxes,
};
use super::webhook_check;
use crate::diag::{Diagnostic, SourceFile, suggest};
use crate::yaml::Node;

/// A handler under check.
struct Check<'a> {
    file: &'a Arc<SourceFile>,
    node: &'a Node,
    out: &'a mut Vec<Diagnostic>,
}

/// What the shape cannot say about a mail handler.
pub(super) fn check(file: &Arc<SourceFile>, node: &Node, config: &SmtpConfig, out: &mut Vec<Diagnostic>) {
    let mut check = Check { file, node, out };
    check.host(config);
    check.addresses(config);
    check.login(config);
    check.certificates(config);
    check.encryption(config);
    check.headers(config);
    if let (Some(value), Some(template)) = (node.get("subject"), &config.subject) {
        check.subject(value, template);
    }
}

/// The text, where nothing of it is read from elsewhere.
fn literal<'a>(node: &'a Node, text: Option<&SecretText>) -> Option<&'a str> {
    text.filter(|text| text.references().next().is_none()).and(node.text())
}

impl Check<'_> {
    fn error(&mut self, code: &'static str, place: Range<usize>, message: String) -> Option<&mut Diagnostic> {
        self.out.push(Diagnostic::error(code, self.file, place, message));
        self.out.last_mut()
    }

    fn host(&mut self, config: &SmtpConfig) {
        let Some(node) = self.node.get("host") else {
            return missing(self.file, self.node, "host", "mail.example.org", self.out);
        };
        if let Some(hello) = self.node.get("hello")
            && let Some(name) = hello.text().filter(|name| !is_domain(name))
            && let Some(found) = self.error("A505", hello.span.clone(), format!("`{name}` is no name of a host"))
        {
            found.label = Some("expected letters, digits, hyphens and dots".to_owned());
        }
        let Some(host) = literal(node, config.host.as_ref()) else { return };
        if host.parse::<IpAddr>().is_ok() || is_domain(host.trim_end_matches('.')) {
            return;
        }
        // Letters beyond ASCII are for the name server to judge.
        if host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.')) && !host.is_ascii() {
            return;
        }
        let help = match host.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() && is_domain(name) => {
                format!("write `host: {name}` and `port: {port}`")
            }
            _ => {
                "write the name or address alone, such as `mail.example.org`; the port has a key of its own".to_owned()
            }
        };
        if let Some(found) = self.error("A505", node.span.clone(), format!("`{host}` is no mail server")) {
            found.label = Some("expected a name or an address".to_owned());
            found.help = Some(help);
        }
    }

    fn addresses(&mut self, config: &SmtpConfig) {
        match self.node.get("from") {
            None => missing(self.file, self.node, "from", "alertd@example.org", self.out),
            Some(node) => {
                if let Some(text) = literal(node, config.from.as_ref()) {
                    self.address(node, mailbox(text).err());
                }
            }
        }
        let Some(node) = self.node.get("to") else {
            return missing(self.file, self.node, "to", "[ops@example.org]", self.out);
        };
        let each: Vec<&Node> = node.items().map_or_else(|| vec![node], |items| items.iter().collect());
        if each.is_empty()
            && let Some(found) = self.error("A012", node.span.clone(), "`to` names nobody".to_owned())
        {
            found.help = Some("write for example `to: [ops@example.org]`".to_owned());
        }
        let mut count = 0;
        for (item, text) in each.iter().zip(&config.to) {
            let Some(text) = literal(item, Some(text)) else { continue };
            match mailboxes(text) {
                Ok(found) => count += found.len(),
                Err(error) => self.address(item, Some(error)),
            }
        }
        if count > RECIPIENTS_MAX {
            let message = format!("`to` has {count} recipients, at most {RECIPIENTS_MAX}");
            if let Some(found) = self.error("A015", node.span.clone(), message) {
                found.help = Some("send to a mailing list".to_owned());
            }
        }
    }

    fn address(&mut self, node: &Node, error: Option<AddressError>) {
        let Some(error) = error else { return };
        let place = if error.span.is_empty() { node.span.clone() } else { node.locate(&self.file.text, error.span) };
        if let Some(found) = self.error("A505", place, error.message) {
            found.label = Some("expected `name@host` or `Name <name@host>`".to_owned());
        }
    }

    fn login(&mut self, config: &SmtpConfig) {
        for (have, lack) in [("username", "password"), ("password", "username")] {
            if let (Some((key, _)), None) = (self.node.entry(have), self.node.get(lack))
                && let Some(found) = self.error("A012", key.span.clone(), format!("`{have}` without `{lack}`"))
            {
                let example = if lack == "password" { "'${env:SMTP_PASSWORD}'" } else { "alertd" };
                found.help =
                    Some(format!("add `{lack}: {example}`, or take `{have}` out if the server asks for no login"));
            }
        }
        if let Some(node) = self.node.get("password")
            && literal(node, config.password.as_ref()).is_some()
        {
            self.out.push(
                Diagnostic::warning("A510", self.file, node.span.clone(), "`password` stands in the file".to_owned())
                    .with_label("whoever reads the file has it")
                    .with_help("write `${env:NAME}` or `${file:PATH}`"),
            );
        }
    }

    fn certificates(&mut self, config: &SmtpConfig) {
        let Some((key, tls)) = self.node.entry("tls_config") else { return };
        if config.tls == SmtpTls::None {
            let message = "`tls_config` has no meaning with `tls: none`".to_owned();
            if let Some(found) = self.error("A016", key.span.clone(), message) {
                found.label = Some("has no effect here".to_owned());
            }
        }
        webhook_check::tls(self.file, tls, &config.tls_config, self.out);
    }

    /// Mail in the clear leaves this machine only where somebody has said that it may.
    fn encryption(&mut self, config: &SmtpConfig) {
        let allowed = self.node.entry("allow_plaintext").filter(|_| config.allow_plaintext);
        let (Some(tls), SmtpTls::None) = (self.node.get("tls"), config.tls) else {
            if let Some((key, _)) = allowed
                && let Some(found) =
                    self.error("A016", key.span.clone(), "`allow_plaintext` is for `tls: none` alone".to_owned())
            {
                found.label = Some("has no effect here".to_owned());
            }
            return;
        };
        if let Some((key, _)) = allowed {
            let message = "mail and password may leave this machine in the clear".to_owned();
            self.out.push(
                Diagnostic::warning("A520", self.file, key.span.clone(), message)
                    .with_label("everyone on the way can read and change them")
                    .with_help("use `tls: starttls` or `tls: implicit` if the server has either"),
            );
            return;
        }
        let host = self.node.get("host").and_then(|node| literal(node, config.host.as_ref()));
        let here = |host: &str| {
            host.eq_ignore_ascii_case("localhost")
                || host.to_ascii_lowercase().ends_with(".localhost")
                || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
        };
        if let Some(host) = host.filter(|host| !here(host)) {
            let message = format!("`tls: none` reaches this machine only, and `{host}` is another");
            if let Some(found) = self.error("A520", tls.span.clone(), message) {
                found.label = Some("everyone on the way could read mail and password".to_owned());
                found.help = Some("write `tls: starttls`, or add `allow_plaintext: true` if it must be".to_owned());
            }
        }
    }

    fn headers(&mut self, config: &SmtpConfig) {
        let Some(headers) = self.node.get("headers") else { return };
        for name in config.headers.keys() {
            let Some((key, _)) = headers.entry(name) else { continue };
            if let Some(problem) = header_problem(name) {
                self.error("A016", key.span.clone(), format!("`{}` {problem}", crate::diag::harmless(name)));
            }
        }
    }

    fn subject(&mut self, node: &Node, template: &str) {
        let environment = Environment::new();
        let read = match environment.template_from_str(template) {
            Ok(read) => read,
            Err(error) => {
                let place = error.range().map_or(node.span.clone(), |range| node.locate(&self.file.text, range));
                let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
                if let Some(found) = self.error("A521", place, format!("the subject cannot be read: {detail}")) {
                    found.help = Some("for example `[{{ status }}] {{ title }}`".to_owned());
                }
                return;
            }
        };
        let mut unknown: Vec<String> = read.undeclared_variables(false).into_iter().collect();
        unknown.retain(|name| !SUBJECT_NAMES.contains(&name.as_str()));
        unknown.sort();
        for name in unknown {
            let at = template.find(&name).unwrap_or(0);
            let place = node.locate(&self.file.text, at..at + name.len());
            let label = match suggest(&name, SUBJECT_NAMES.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "not known here".to_owned(),
            };
            if let Some(found) = self.error("A521", place, format!("a subject has no `{name}`")) {
                found.label = Some(label);
                found.help = Some("docs/handlers/smtp.md lists what a subject may read".to_owned());
            }
        }
    }
}
