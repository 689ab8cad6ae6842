//! Checks of what stands in HTTP requests: addresses and headers, as far as they are written out.

use std::sync::Arc;

use url::Url;

use super::secret::SecretText;
use crate::diag::{Diagnostic, SourceFile};
use crate::yaml::Node;

/// Headers that the sender makes itself, with what to write instead.
const OWN_HEADERS: &[(&str, &str)] = &[
    ("host", "it is the host of `url`"),
    ("content-length", "it is counted"),
    ("transfer-encoding", "the body is sent whole"),
    ("connection", "connections are kept for the next message"),
    ("content-type", "write it under `content_type`"),
    ("idempotency-key", "it is the identity of the message"),
    ("x-alertd-signature", "it is made with `hmac_secret`"),
];

/// A header's name: a token (RFC 9110), and not one that the sender makes.
pub(super) fn header_name(file: &Arc<SourceFile>, key: &Node, out: &mut Vec<Diagnostic>) {
    let name = key.text().unwrap_or_default();
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let found =
        |message: String, label: &str| Diagnostic::error("A514", file, key.span.clone(), message).with_label(label);
    if name.is_empty() || !name.bytes().all(token) {
        out.push(
            found(format!("`{}` is no name of a header", name.escape_debug()), "expected letters, digits and dashes")
                .with_help("for example `X-Team`"),
        );
    } else if let Some((_, why)) = OWN_HEADERS.iter().find(|(own, _)| name.eq_ignore_ascii_case(own)) {
        out.push(found(format!("the header `{name}` cannot be set"), "is made by alertd").with_help(*why));
    }
}

/// A header's value, as far as it is written out.
pub(super) fn header_value(file: &Arc<SourceFile>, value: &Node, out: &mut Vec<Diagnostic>) {
    let text = value.text().unwrap_or_default();
    if let Some((at, c)) = text.char_indices().find(|(_, c)| c.is_control() && *c != '\t') {
        let place = value.locate(&file.text, at..at + c.len_utf8());
        out.push(
            Diagnostic::error("A514", file, place, "a header's value is one line".to_owned())
                .with_label(format!("{} is not allowed", c.escape_default())),
        );
    }
}

/// An address that is written out: `http` or `https`, with a host. False where it is none.
pub(super) fn web_address(
    file: &Arc<SourceFile>,
    node: &Node,
    text: &str,
    key: &str,
    out: &mut Vec<Diagnostic>,
) -> bool {
    let (problem, label) = match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => (
            format!("`{key}` is no web address: its scheme is `{}`", url.scheme()),
            "expected `http://…` or `https://…`",
        ),
        Ok(url) if url.host_str().is_none_or(str::is_empty) => (format!("`{key}` names no host"), "expected a host"),
        Ok(_) if text.contains(|c: char| c.is_control() || c.is_whitespace()) => {
            (format!("`{key}` holds blanks or line ends"), "expected one word")
        }
        Ok(_) => return true,
        // The address itself may be a secret, so the message does not repeat it.
        Err(error) => (format!("`{key}` is no web address: {error}"), "expected `http://…` or `https://…`"),
    };
    out.push(Diagnostic::error("A505", file, node.span.clone(), problem).with_label(label));
    false
}

/// An address in which references may stand: what is written out is checked.
pub(super) fn secret_address(
    file: &Arc<SourceFile>,
    node: &Node,
    text: &SecretText,
    key: &str,
    out: &mut Vec<Diagnostic>,
) {
    let written = text.resolve(|_| Err(()));
    if let Ok(written) = written {
        web_address(file, node, &written, key, out);
        return;
    }
    let head = node.text().unwrap_or_default().split("${").next().unwrap_or_default();
    let begins = ["http://", "https://"].iter().any(|scheme| head.starts_with(scheme) || scheme.starts_with(head));
    if !begins {
        out.push(
            Diagnostic::error("A505", file, node.span.clone(), format!("`{key}` is no web address"))
                .with_label("expected `http://…` or `https://…`"),
        );
    }
}
