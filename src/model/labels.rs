//! Label sets: sorted name/value pairs in one shared allocation, cheap to clone, compare and hash.
//!
//! Layout (after Prometheus's "stringlabels"): one `Arc<str>` holding, per pair in name order, the length of the
//! name, the name, the length of the value, the value. Lengths are ASCII digits of base 64 so that the whole stays
//! valid UTF-8 and can be sliced without `unsafe`.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The label that carries the name of a metric.
pub const METRIC_NAME: &str = "__name__";
/// The label that carries the name of an alert.
pub const ALERT_NAME: &str = "alertname";

/// An immutable set of labels, sorted by name, without empty values.
///
/// A label with an empty value equals a missing one, as in Prometheus; the builder drops it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

/// Identity of a label set: FNV-1a 64 over the sorted pairs, as Alertmanager computes it; shown as 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

const CONTINUES: u8 = 0x40;

fn push_len(out: &mut String, mut len: usize) {
    while len >= 0x40 {
        out.push(char::from(CONTINUES | (len & 0x3f) as u8));
        len >>= 6;
    }
    out.push(char::from(len as u8));
}

#[inline]
fn take_len(text: &str) -> (usize, &str) {
    // Nearly every name and value is shorter than 64 bytes: one digit.
    match text.as_bytes().first() {
        Some(digit) if digit & CONTINUES == 0 => (usize::from(*digit), &text[1..]),
        _ => take_long_len(text),
    }
}

fn take_long_len(text: &str) -> (usize, &str) {
    let mut len = 0usize;
    let mut shift = 0;
    for (i, b) in text.bytes().enumerate() {
        len |= usize::from(b & 0x3f) << shift;
        if b & CONTINUES == 0 {
            return (len, &text[i + 1..]);
        }
        shift += 6;
    }
    (0, "")
}

/// The next name or value, as bytes: they compare as the texts do, and cutting them needs no look for characters.
#[inline]
fn take_field(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (len, rest) = match bytes.split_first() {
        Some((digit, rest)) if digit & CONTINUES == 0 => (usize::from(*digit), rest),
        _ => take_long_field_len(bytes),
    };
    rest.split_at_checked(len).unwrap_or((rest, &[]))
}

fn take_long_field_len(bytes: &[u8]) -> (usize, &[u8]) {
    let mut len = 0usize;
    for (i, b) in bytes.iter().enumerate() {
        len |= usize::from(b & 0x3f) << (6 * i);
        if b & CONTINUES == 0 {
            return (len, &bytes[i + 1..]);
        }
    }
    (0, &[])
}

/// The next pair whose name is not `skipped`.
#[inline]
fn take_pair<'a>(rest: &mut &'a [u8], skipped: Option<&str>) -> Option<(&'a [u8], &'a [u8])> {
    while !rest.is_empty() {
        let (name, after) = take_field(rest);
        let (value, after) = take_field(after);
        *rest = after;
        if skipped.is_none_or(|skipped| name != skipped.as_bytes()) {
            return Some((name, value));
        }
    }
    None
}

fn compare(a: &str, b: &str, skipped: Option<&str>) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        match (take_pair(&mut a, skipped), take_pair(&mut b, skipped)) {
            (Some(left), Some(right)) => match left.cmp(&right) {
                Ordering::Equal => {}
                unequal => return unequal,
            },
            (left, right) => return left.is_some().cmp(&right.is_some()),
        }
    }
}

/// Iterates over the pairs of a [`Labels`], in name order.
#[derive(Clone)]
pub struct Iter<'a>(&'a str);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (n, rest) = take_len(self.0);
        let (name, rest) = rest.split_at(n);
        let (v, rest) = take_len(rest);
        let (value, rest) = rest.split_at(v);
        self.0 = rest;
        Some((name, value))
    }
}

impl Labels {
    /// The empty set.
    pub fn empty() -> Self {
        static EMPTY: std::sync::LazyLock<Arc<str>> = std::sync::LazyLock::new(|| Arc::from(""));
        Self(EMPTY.clone())
    }

    /// Builds a set from pairs in any order; of two pairs with one name the later wins, empty values are dropped.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name, value);
        }
        builder.build()
    }

    /// Builds a set from pairs that are already sorted by name, unique and non-empty.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut out = String::with_capacity(128);
        for (name, value) in pairs {
            push_len(&mut out, name.len());
            out.push_str(name);
            push_len(&mut out, value.len());
            out.push_str(value);
        }
        if out.is_empty() { Self::empty() } else { Self(Arc::from(out)) }
    }

    /// The pairs in name order.
    pub fn iter(&self) -> Iter<'_> {
        Iter(&self.0)
    }

    /// The value of a label, if it is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        for (n, v) in self.iter() {
            match n.cmp(name) {
                Ordering::Less => {}
                Ordering::Equal => return Some(v),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The metric's name (`__name__`), if it is there.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Bytes held by the set.
    pub fn byte_len(&self) -> usize {
        self.0.len()
    }

    /// The set without the labels for which `drop` holds.
    pub fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        if self.iter().all(|(n, _)| keep(n)) {
            return self.clone();
        }
        Self::from_sorted(self.iter().filter(|(n, _)| keep(n)))
    }

    /// What all of the sets have with the same value.
    pub fn common<'a>(mut sets: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let Some(first) = sets.next() else { return Self::empty() };
        first.filtered(|name| sets.clone().all(|other| other.get(name) == first.get(name)))
    }

    /// The set without the metric's name.
    pub fn without_name(&self) -> Self {
        self.filtered(|n| n != METRIC_NAME)
    }

    /// The set with one label set to a value (an empty value removes it).
    pub fn with(&self, name: &str, value: &str) -> Self {
        let before = self.iter().take_while(|(n, _)| *n < name);
        let after = self.iter().skip_while(|(n, _)| *n <= name);
        let set = (!value.is_empty()).then_some((name, value));
        Self::from_sorted(before.chain(set).chain(after))
    }

    /// Compares as [`Self::without_name`] of both would.
    pub fn cmp_without_name(&self, other: &Self) -> Ordering {
        if self.is_same(other) { Ordering::Equal } else { compare(&self.0, &other.0, Some(METRIC_NAME)) }
    }

    /// Whether both share one allocation: then they are equal, and that is known without looking at them.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The identity of the set (see [`Fingerprint`]).
    pub fn fingerprint(&self) -> Fingerprint {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let mut hash = OFFSET;
        let mut add = |bytes: &[u8]| {
            for b in bytes.iter().chain(std::iter::once(&0xff)) {
                hash = (hash ^ u64::from(*b)).wrapping_mul(PRIME);
            }
        };
        for (name, value) in self.iter() {
            add(name.as_bytes());
            add(value.as_bytes());
        }
        Fingerprint(hash)
    }
}

impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.is_same(other) { Ordering::Equal } else { compare(&self.0, &other.0, None) }
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

/// Whether a label or metric name can stand unquoted in PromQL.
pub fn is_legacy_name(name: &str, colons: bool) -> bool {
    let mut bytes = name.bytes();
    let head = |b: u8| b.is_ascii_alphabetic() || b == b'_' || (colons && b == b':');
    bytes.next().is_some_and(head) && bytes.all(|b| head(b) || b.is_ascii_digit())
}

/// A text in double quotes as PromQL reads it; what cannot be seen is escaped, as Go does.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut shown = text.escape_debug();
    while let Some(c) = shown.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        // Rust's escapes are those of Go, three apart.
        match shown.next() {
            Some('\'') => out.push('\''),
            Some('0') => out.push_str("\\x00"),
            Some('u') => {
                let digits: String = shown.by_ref().skip(1).take_while(|digit| *digit != '}').collect();
                let code = u32::from_str_radix(&digits, 16).unwrap_or(0);
                // `\x` stands for a byte, which is a character only in ASCII.
                out.push_str(&match code {
                    0..=0x7f => format!("\\x{code:02x}"),
                    0x80..=0xffff => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                });
            }
            Some(other) => out.extend(['\\', other]),
            None => {}
        }
    }
    out.push('"');
    out
}

impl fmt::Display for Labels {
    /// PromQL notation: `name{a="b"}`, or `{"dotted.name", a="b"}` where the name needs quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        let bare = name.filter(|n| is_legacy_name(n, true));
        if let Some(name) = bare {
            f.write_str(name)?;
            if self.len() == 1 {
                return Ok(());
            }
        }
        f.write_str("{")?;
        let mut first = true;
        if let (Some(name), None) = (name, bare) {
            f.write_str(&quote(name))?;
            first = false;
        }
        for (name, value) in self.iter().filter(|(n, _)| *n != METRIC_NAME) {
            if !std::mem::take(&mut first) {
                f.write_str(", ")?;
            }
            if is_legacy_name(name, false) {
                write!(f, "{name}={}", quote(value))?;
            } else {
                write!(f, "{}={}", quote(name), quote(value))?;
            }
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_pairs(BTreeMap::<String, String>::deserialize(deserializer)?))
    }
}

/// Collects labels in any order.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder(BTreeMap<String, String>);

impl LabelsBuilder {
    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        let (name, value) = (name.into(), value.into());
        if value.is_empty() {
            self.0.remove(&name);
        } else {
            self.0.insert(name, value);
        }
        self
    }

    /// Removes a label.
    pub fn remove(&mut self, name: &str) -> &mut Self {
        self.0.remove(name);
        self
    }

    /// The value set so far.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The finished set.
    pub fn build(&self) -> Labels {
        Labels::from_sorted(self.0.iter().map(|(n, v)| (n.as_str(), v.as_str())))
    }
}

impl From<&Labels> for LabelsBuilder {
    fn from(labels: &Labels) -> Self {
        Self(labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_back_sorted_whatever_their_length_or_script() {
        let long = "x".repeat(5000);
        let labels = Labels::from_pairs([("zone", "münchen"), ("a", long.as_str()), ("gone", ""), ("ключ", "\n")]);
        let pairs: Vec<_> = labels.iter().collect();
        assert_eq!(pairs, vec![("a", long.as_str()), ("zone", "münchen"), ("ключ", "\n")]);
        assert_eq!(labels.get("zone"), Some("münchen"));
        assert_eq!(labels.get("gone"), None);
        assert_eq!(labels.len(), 3);
    }

    #[test]
    fn a_quoted_text_has_the_escapes_of_promql() {
        let text = "a'b\"c\\\n\0\u{7f}\u{85}\u{2028}\u{e0001}é日";
        assert_eq!(quote(text), r#""a'b\"c\\\n\x00\x7f\u0085\u2028\U000e0001é日""#);
        assert_eq!(Labels::from_pairs([("a", "\u{202e}")]).to_string(), r#"{a="\u202e"}"#);
    }

    #[test]
    fn sets_compare_as_their_pairs_do() {
        let long = "y".repeat(70);
        let sets: Vec<Labels> = [
            vec![],
            vec![("a", "1")],
            vec![("a", "1"), ("b", "")],
            vec![("a", "10")],
            vec![("a", "2")],
            vec![("a", "1"), (METRIC_NAME, "m")],
            vec![("Z", "1"), (METRIC_NAME, "n")],
            vec![(METRIC_NAME, "m")],
            vec![("a", long.as_str())],
            vec![(long.as_str(), "1")],
            vec![("ä", "1"), ("z", "1")],
        ]
        .into_iter()
        .map(Labels::from_pairs)
        .collect();
        for a in &sets {
            for b in &sets {
                assert_eq!(a.cmp(b), a.iter().cmp(b.iter()), "{a} {b}");
                assert_eq!(a.cmp_without_name(b), a.without_name().cmp(&b.without_name()), "{a} {b}");
            }
        }
    }

    #[test]
    fn a_fingerprint_is_the_one_alertmanager_computes() {
        // prometheus/common model: LabelSet{}.Fingerprint() and a worked example of FNV-1a with 0xff separators.
        assert_eq!(Labels::empty().fingerprint().to_string(), "cbf29ce484222325");
        let a = Labels::from_pairs([("a", "b"), ("c", "d")]);
        let b = Labels::from_pairs([("a", "bc"), ("c", "d")]);
        assert_ne!(a.fingerprint(), b.fingerprint());
    }

    #[test]
    fn a_set_prints_as_promql_reads_it() {
        let plain = Labels::from_pairs([(METRIC_NAME, "up"), ("job", "a\"b")]);
        assert_eq!(plain.to_string(), r#"up{job="a\"b"}"#);
        let dotted = Labels::from_pairs([(METRIC_NAME, "llm.cost"), ("service.name", "x")]);
        assert_eq!(dotted.to_string(), r#"{"llm.cost", "service.name"="x"}"#);
        assert_eq!(Labels::from_pairs([(METRIC_NAME, "up")]).to_string(), "up");
        assert_eq!(Labels::empty().to_string(), "{}");
    }
}
