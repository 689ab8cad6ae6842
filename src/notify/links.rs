//! The links of a message: annotations that are web addresses, and the server's own page. Whatever else an annotation
//! holds, a browser is never sent there.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::Labels;
use crate::model::visible::{shortened, visible};

/// Longest URL that becomes a link, in bytes.
const LINK_BYTES_MAX: usize = 2000;
/// Most links of one alert.
const LINKS_MAX: usize = 10;
/// Longest name of a link, in characters.
const NAME_CHARS_MAX: usize = 200;

/// A link of a message: `http` or `https` alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// What it leads to.
    pub text: String,
    /// Where it leads.
    pub href: String,
}

/// Annotations that are URLs, by name without `_url`.
pub fn links(annotations: &Labels) -> Vec<Link> {
    let mut found = BTreeMap::new();
    for (name, value) in annotations.iter() {
        if let Some(href) = web_address(value.trim()) {
            let text = name.strip_suffix("_url").unwrap_or(name);
            found.entry(visible(&shortened(text, NAME_CHARS_MAX)).into_owned()).or_insert(href);
        }
    }
    // The runbook first: it is what one looks for.
    let mut links: Vec<Link> = found.into_iter().map(|(text, href)| Link { text, href }).collect();
    links.sort_by_key(|link| !link.text.starts_with("runbook"));
    links.truncate(LINKS_MAX);
    links
}

/// The address, if the whole text is one that a browser may be sent to.
fn web_address(text: &str) -> Option<String> {
    let begins = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    if !begins || text.len() > LINK_BYTES_MAX || text.contains(char::is_whitespace) {
        return None;
    }
    let url = url::Url::parse(text).ok().filter(|url| url.has_host())?;
    let text = String::from(url);
    (text.len() <= LINK_BYTES_MAX && !text.contains(['<', '>', '"', '|'])).then_some(text)
}

/// The server's address if somebody else than this machine can follow it.
pub fn public(external_url: &str) -> String {
    let Ok(url) = url::Url::parse(external_url) else { return String::new() };
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unspecified(),
        None => true,
    };
    if local { String::new() } else { web_address(external_url).unwrap_or_default() }
}

/// Where a rule is seen: the server's page.
pub fn generator(external_url: &str, rule_uid: &str) -> String {
    format!("{}/#{}", external_url.trim_end_matches('/'), anchor(rule_uid))
}

/// What names a rule on the page: the `id` of its row, as it stands behind `#`.
pub fn anchor(rule_uid: &str) -> String {
    url::form_urlencoded::byte_serialize(rule_uid.as_bytes()).collect()
}
