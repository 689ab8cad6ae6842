//! Keeps secrets out of whatever is told of an exchange: answers of receivers and stores, and errors, are searched for
//! every secret that went into it, in the forms in which the other side may repeat it.

use url::Url;

use crate::model::visible::{shortened, visible};

/// Most characters of an answer that are told.
pub const QUOTE_CHARS_MAX: usize = 200;
/// Most bytes of an answer that are searched for secrets, to tell its beginning.
const QUOTE_BYTES_MAX: usize = 64 * 1024;
/// What stands in a secret's place.
pub const REDACTED: &str = "<redacted>";
/// Shorter secrets are not searched for: they would be found in every text.
const SECRET_BYTES_MIN: usize = 4;
/// Parts of a URL's path from this length on are taken for tokens.
const TOKEN_BYTES_MIN: usize = 8;

/// The secrets of an exchange.
#[derive(Clone, Default)]
pub struct Scrub {
    /// Longest first, so that a secret that holds another one is replaced whole.
    secrets: Vec<String>,
}

impl Scrub {
    /// Keeps a secret, also as it stands in JSON and in a URL.
    pub fn keep(&mut self, secret: &str) {
        let secret = secret.trim();
        let json = serde_json::to_string(secret).unwrap_or_default();
        let json = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for form in [secret, json, &encoded] {
            if form.len() >= SECRET_BYTES_MIN && !self.secrets.iter().any(|known| known == form) {
                self.secrets.push(form.to_owned());
            }
        }
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// Keeps what is secret in a URL: user, password, query, and the parts of the path that may be tokens.
    pub fn keep_url(&mut self, url: &Url) {
        self.keep(url.as_str());
        for part in [url.path(), url.query().unwrap_or_default(), url.username(), url.password().unwrap_or_default()] {
            if part.len() >= TOKEN_BYTES_MIN {
                self.keep(part);
            }
        }
        let values = url.query_pairs().map(|(_, value)| value.into_owned());
        let parts = url.path_segments().into_iter().flatten().map(str::to_owned);
        for token in values.chain(parts).filter(|token| token.len() >= TOKEN_BYTES_MIN) {
            self.keep(&token);
        }
    }

    /// The text without any of the secrets.
    pub fn clean(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in &self.secrets {
            if out.contains(secret.as_str()) {
                out = out.replace(secret.as_str(), REDACTED);
            }
        }
        out
    }
}

/// The address as it may be shown: scheme, host and port.
pub fn shown(url: &Url) -> String {
    format!("{}/{REDACTED}", url.origin().ascii_serialization())
}

/// The beginning of an answer, without secrets and harmless to read. Secrets go first: cut in two they are not found.
pub fn quote(body: &[u8], scrub: &Scrub) -> String {
    // Blanks before it must not push the end of a secret out of sight.
    let body = body.trim_ascii_start();
    let text = scrub.clean(&String::from_utf8_lossy(body.get(..QUOTE_BYTES_MAX).unwrap_or(body)));
    let text = text.trim();
    visible(&shortened(text, QUOTE_CHARS_MAX)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_every_form_in_which_a_receiver_may_repeat_it() {
        let mut scrub = Scrub::default();
        scrub.keep("se\"cr/et\n");
        scrub.keep("xy");
        scrub.keep_url(
            &Url::parse("https://user:hunter22@h.example/services/T0001/B0002/abcDEF12345?key=zzzzyyyy").unwrap(),
        );
        for (text, want) in [
            ("got se\"cr/et!", "got <redacted>!"),
            (r#"{"e":"se\"cr/et"}"#, r#"{"e":"<redacted>"}"#),
            ("q=se%22cr%2Fet", "q=<redacted>"),
            ("no such hook: abcDEF12345", "no such hook: <redacted>"),
            ("POST /services/T0001/B0002/abcDEF12345", "POST <redacted>"),
            ("bad key zzzzyyyy for hunter22", "bad key <redacted> for <redacted>"),
            ("xy is too short to be told apart", "xy is too short to be told apart"),
        ] {
            assert_eq!(scrub.clean(text), want);
        }
        assert_eq!(
            shown(&Url::parse("https://u:p@h.example:8443/a/b?c").unwrap()),
            "https://h.example:8443/<redacted>"
        );
    }

    #[test]
    fn a_quote_is_short_harmless_and_without_secrets_even_where_it_is_cut() {
        let mut scrub = Scrub::default();
        scrub.keep("CANARY-0123456789");
        let long = format!("{}CANARY-0123456789", "x".repeat(195));
        let quoted = quote(long.as_bytes(), &scrub);
        assert!(!quoted.contains("CANARY") && quoted.chars().count() <= QUOTE_CHARS_MAX + 3, "{quoted}");
        assert_eq!(quote(b" \x1b[2Jno\r\nsuch\x00 \xff ", &scrub), "\\x1b[2Jno\\r\\nsuch\\x00 \u{fffd}");
    }
}
