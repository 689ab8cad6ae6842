//! What the value of an attribute is: a text, an address, style or script (html/template/attr.go).

/// What an attribute's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Plain,
    Url,
    Style,
    Script,
}

/// Attributes that hold addresses.
const URLS: &[&str] = &[
    "action",
    "archive",
    "background",
    "cite",
    "classid",
    "codebase",
    "data",
    "formaction",
    "href",
    "icon",
    "longdesc",
    "manifest",
    "poster",
    "profile",
    "src",
    "srcset",
    "usemap",
    "xmlns",
];

/// Attributes whose names look like those of addresses and are none.
const PLAIN: &[&str] = &["srcdoc", "srclang"];

impl Content {
    /// By the attribute's name; names that nobody knows are judged by what they look like.
    pub(super) fn of_attribute(name: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        let name = match (lower.strip_prefix("data-"), lower.split_once(':')) {
            (Some(rest), _) => rest,
            (None, Some(("xmlns", _))) => return Self::Url,
            (None, Some((_, rest))) => rest,
            (None, None) => &lower,
        };
        match name {
            "style" => Self::Style,
            _ if URLS.contains(&name) => Self::Url,
            _ if PLAIN.contains(&name) => Self::Plain,
            _ if name.starts_with("on") => Self::Script,
            _ if ["src", "uri", "url"].iter().any(|part| name.contains(part)) => Self::Url,
            _ => Self::Plain,
        }
    }
}
