//! Comparisons of labels, as routes, silences and inhibition rules are written (prometheus/alertmanager:matcher/parse).

use regex::Regex;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Labels;

/// Most matchers of one list.
pub const MATCHERS_MAX: usize = 64;
/// Longest name and pattern of a matcher, in bytes.
const PATTERN_BYTES_MAX: usize = 4096;

/// A matcher that is none.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{text}` is no matcher: {reason}")]
pub struct MatcherError {
    /// As written.
    pub text: String,
    /// Why.
    pub reason: String,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MatchOp {
    /// `=`
    #[serde(rename = "=")]
    Equal,
    /// `!=`
    #[serde(rename = "!=")]
    NotEqual,
    /// `=~`, anchored
    #[serde(rename = "=~")]
    Matches,
    /// `!~`, anchored
    #[serde(rename = "!~")]
    NotMatches,
}

impl MatchOp {
    /// As written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::NotMatches => "!~",
        }
    }
}

/// A comparison of one label; a missing label is empty.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "RawMatcher", into = "RawMatcher")]
pub struct LabelMatcher {
    /// The label.
    pub name: String,
    /// How.
    pub op: MatchOp,
    /// With what.
    pub value: String,
    regex: Option<Regex>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct RawMatcher {
    name: String,
    op: MatchOp,
    value: String,
}

impl TryFrom<RawMatcher> for LabelMatcher {
    type Error = MatcherError;

    fn try_from(raw: RawMatcher) -> Result<Self, MatcherError> {
        Self::new(&raw.name, raw.op, &raw.value)
    }
}

impl From<LabelMatcher> for RawMatcher {
    fn from(matcher: LabelMatcher) -> Self {
        Self { name: matcher.name, op: matcher.op, value: matcher.value }
    }
}

impl PartialEq for LabelMatcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

/// A text in double quotes, as matchers are read.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The bytes of a name in double quotes that a text begins with; 0 where it begins with none.
fn quoted_len(text: &str) -> usize {
    let mut escaped = false;
    let closes = |(at, c): (usize, char)| {
        let ends = c == '"' && !escaped && at > 0;
        escaped = c == '\\' && !escaped;
        ends.then_some(at + 1)
    };
    if text.starts_with('"') { text.char_indices().find_map(closes).unwrap_or(text.len()) } else { 0 }
}

/// As [`LabelMatcher::parse`] reads it.
impl std::fmt::Display for LabelMatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = self.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-'));
        let name = if plain && !self.name.is_empty() { self.name.clone() } else { quoted(&self.name) };
        write!(f, "{name}{}{}", self.op.as_str(), quoted(&self.value))
    }
}

impl LabelMatcher {
    /// From its parts; patterns are anchored and of linear time.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Self, MatcherError> {
        let bad = |reason: String| MatcherError { text: format!("{name}{}{value:?}", op.as_str()), reason };
        if name.is_empty() {
            return Err(bad("it names no label".to_owned()));
        }
        if name.len() > PATTERN_BYTES_MAX || value.len() > PATTERN_BYTES_MAX {
            return Err(bad(format!("longer than {PATTERN_BYTES_MAX} bytes")));
        }
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Matches | MatchOp::NotMatches => {
                let anchored = format!("^(?s:{value})$");
                let built = regex::RegexBuilder::new(&anchored).size_limit(1 << 20).build();
                Some(built.map_err(|_| bad("its pattern is no regular expression".to_owned()))?)
            }
        };
        Ok(Self { name: name.to_owned(), op, value: value.to_owned(), regex })
    }

    /// Reads several, with commas between them, in braces or without: `{team="a", severity=~"warning|critical"}`.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, MatcherError> {
        let inner = text.trim();
        let braced = inner.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let inner = braced.unwrap_or(inner);
        let (mut all, mut begin, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
        for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
            let ends = at == inner.len();
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                ',' if ends || !quoted => {
                    let part = inner.get(begin..at).unwrap_or_default();
                    begin = at + 1;
                    // A comma may stand behind the last one; braces may be empty.
                    if !(part.trim().is_empty() && ends && (braced.is_some() || !all.is_empty())) {
                        if all.len() >= MATCHERS_MAX {
                            let text: String = part.chars().take(60).collect();
                            return Err(MatcherError {
                                text,
                                reason: format!("more than {MATCHERS_MAX} stand in one list"),
                            });
                        }
                        all.push(Self::parse(part)?);
                    }
                }
                _ => {}
            }
        }
        Ok(all)
    }

    /// Reads `name="value"`, `name=value`, `name=~"pattern"`, `name!=…`, `name!~…` as people type them.
    pub fn parse(text: &str) -> Result<Self, MatcherError> {
        let bad = |reason: &str| MatcherError { text: text.to_owned(), reason: reason.to_owned() };
        let trimmed = text.trim_start();
        let (begun, open) = trimmed.split_at(quoted_len(trimmed));
        let at = open.find(['=', '!']).ok_or_else(|| bad("write it as name=\"value\""))?;
        let (name, rest) = trimmed.split_at(begun.len() + at);
        let found =
            [("=~", MatchOp::Matches), ("!~", MatchOp::NotMatches), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)]
                .into_iter()
                .find_map(|(word, op)| Some((op, rest.strip_prefix(word)?)));
        let (op, value) = found.ok_or_else(|| bad("write it as name=\"value\""))?;
        let value = value.trim();
        let value = match value.strip_prefix('"') {
            None => value.to_owned(),
            Some(_) => serde_json::from_str(value).map_err(|_| bad("its quotes are not right"))?,
        };
        let name = name.trim();
        let name = match name.strip_prefix('"') {
            None if name.contains(['{', '}', '"', '\'', ',', '\\']) || name.contains(char::is_whitespace) => {
                return Err(bad("a label of such a name is written in double quotes"));
            }
            None => name.to_owned(),
            Some(_) => serde_json::from_str(name).map_err(|_| bad("its quotes are not right"))?,
        };
        Self::new(&name, op, &value)
    }

    /// Whether it fits a label set that lacks the label.
    pub fn fits_nothing(&self) -> bool {
        self.fits("")
    }

    /// Whether a value fits.
    fn fits(&self, value: &str) -> bool {
        match (self.op, &self.regex) {
            (MatchOp::Equal, _) => value == self.value,
            (MatchOp::NotEqual, _) => value != self.value,
            (MatchOp::Matches, Some(regex)) => regex.is_match(value),
            (MatchOp::NotMatches, Some(regex)) => !regex.is_match(value),
            // A pattern is always there: `new` is the only way to make one.
            (MatchOp::Matches | MatchOp::NotMatches, None) => false,
        }
    }

    /// Whether a label set fits.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.fits(labels.get(&self.name).unwrap_or(""))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn matchers_are_read_as_people_type_them() {
        let labels = Labels::from_pairs([("alertname", "DiskFull"), ("host.name", "a \"b\"")]);
        for (text, fits) in [
            ("alertname=DiskFull", true),
            ("alertname=\"DiskFull\"", true),
            ("alertname =~ \"Disk.*\"", true),
            ("alertname=~isk", false),
            ("alertname!~Disk", true),
            ("alertname!=DiskFull", false),
            ("\"host.name\"=\"a \\\"b\\\"\"", true),
            ("missing=", true),
            ("missing!=x", true),
        ] {
            assert_eq!(LabelMatcher::parse(text).unwrap().matches(&labels), fits, "{text}");
        }
        for text in ["", "alertname", "=x", "a=~(", "a=\"x", "a!x"] {
            assert!(LabelMatcher::parse(text).is_err(), "{text}");
            assert!(LabelMatcher::parse_all(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(
            name in "\\PC{1,8}|[a-z\"=!~\\\\, {}\u{0}\n\u{200b}ä]{1,8}",
            op in 0..4usize,
            value in "\\PC{0,8}|[a-z\"=!~\\\\, {}\u{0}\n\u{200b}ä]{0,8}",
        ) {
            let op = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Matches, MatchOp::NotMatches][op];
            if let Ok(matcher) = LabelMatcher::new(&name, op, &value) {
                let shown = matcher.to_string();
                prop_assert_eq!(LabelMatcher::parse(&shown), Ok(matcher.clone()), "{}", shown);
                let two = format!("{{{shown}, {shown}}}");
                prop_assert_eq!(LabelMatcher::parse_all(&two), Ok(vec![matcher.clone(), matcher]), "{}", two);
            }
        }
    }

    #[test]
    fn lists_of_matchers_are_read_as_people_type_them() {
        for (text, want) in [
            ("{}", ""),
            ("a=b", "a=\"b\""),
            ("{ a=\"b,c\" , d!~\"e\\\"},\", }", "a=\"b,c\" d!~\"e\\\"},\""),
            ("a=b,c=", "a=\"b\" c=\"\""),
            ("a=b,", "a=\"b\""),
        ] {
            let all = LabelMatcher::parse_all(text).unwrap();
            assert_eq!(all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), want, "{text}");
        }
        assert!(LabelMatcher::parse_all(&vec!["a=b"; MATCHERS_MAX].join(",")).is_ok());
        assert!(LabelMatcher::parse_all(&vec!["a=b"; MATCHERS_MAX + 1].join(",")).is_err());
        for text in ["a=b,,c=d", ",", "{a=b", "a=\"b,c=d"] {
            assert!(LabelMatcher::parse_all(text).is_err(), "{text}");
        }
    }
}
