//! Markup under construction: text goes in escaped, markup only as literals of this program, so that no label,
//! annotation or comment can become markup.

use crate::model::Timestamp;
use crate::notify::links::anchor;
use crate::telemetry::visible::{escaped_html, shortened, visible};

/// Longest text of one label, annotation or query.
pub(super) const TEXT_CHARS_MAX: usize = 500;

/// Markup under construction.
pub(super) struct Html(pub(super) String);

impl Html {
    /// The beginning of a page, up to its title; `refresh` has the browser load it again every 15 seconds.
    pub(super) fn page(refresh: bool) -> Self {
        let mut html = Self(String::with_capacity(16 * 1024));
        html.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">")
            .raw("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">")
            .raw("<meta name=\"color-scheme\" content=\"light dark\">");
        if refresh {
            html.raw("<meta http-equiv=\"refresh\" content=\"15\">");
        }
        html.raw("<link rel=\"stylesheet\" href=\"assets/style.css\"><title>");
        html
    }

    /// Appends markup; only literals can be given.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Appends text, shortened and made harmless.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.escaped(&visible(&shortened(text, TEXT_CHARS_MAX)))
    }

    /// Appends what somebody typed, to be sent again as it is.
    pub(super) fn typed(&mut self, text: &str) -> &mut Self {
        self.escaped(text)
    }

    /// Appends a text as the value of a parameter of a link.
    pub(super) fn parameter(&mut self, text: &str) -> &mut Self {
        let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        self.escaped(&encoded)
    }

    fn escaped(&mut self, text: &str) -> &mut Self {
        self.0.push_str(&escaped_html(text));
        self
    }

    /// Appends the name by which messages link to a rule; its characters have no meaning in markup.
    pub(super) fn anchor(&mut self, rule_uid: &str) -> &mut Self {
        self.0.push_str(&anchor(rule_uid));
        self
    }

    /// Appends a time, in whole seconds.
    pub(super) fn time(&mut self, at: Timestamp) -> &mut Self {
        let whole = Timestamp::from_secs(at.0.div_euclid(1000));
        self.raw("<time>").text(&whole.to_string()).raw("</time>")
    }

    /// Appends a number.
    pub(super) fn count(&mut self, n: usize) -> &mut Self {
        self.text(&n.to_string())
    }

    /// Appends a number of things: `1 alert`, `2 alerts`.
    pub(super) fn many(&mut self, n: usize, one: &'static str) -> &mut Self {
        self.count(n).raw(" ").raw(one).raw(if n == 1 { "" } else { "s" })
    }
}
