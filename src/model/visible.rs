//! Makes foreign text harmless on a terminal and in a line of text: what would act instead of being read is written as
//! a visible escape. Used by logging, the console handler and the texts of messages; never changes what is stored.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character acts instead of being read: control characters (terminal escapes, newlines), and the invisible
/// ones that reorder or hide the text around them (bidirectional controls, separators, tags; UTS #39, CVE-2021-42574).
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text with every acting character as `\n`, `\t`, `\r`, `\x1b` or `\u{202e}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    escape(text, acts)
}

/// As [`visible`], and everything outside ASCII escaped too: for terminals whose character set is not UTF-8.
pub fn visible_ascii(text: &str) -> Cow<'_, str> {
    escape(text, |c| acts(c) || !c.is_ascii())
}

fn escape(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if !hidden(c) => out.push(c),
            c if u32::from(c) < 0x100 => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
        }
    }
    Cow::Owned(out)
}

/// The first `chars_max` characters, with `...` where something was cut.
pub fn shortened(text: &str, chars_max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars_max) {
        None => Cow::Borrowed(text),
        Some((cut, _)) => Cow::Owned(format!("{}...", text.get(..cut).unwrap_or_default())),
    }
}

/// The text as HTML that shows it: in an element or in a quoted attribute.
pub fn escaped_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_written_out_and_what_reads_is_kept() {
        for (text, want) in [
            ("plain ü 東京 👍🏽", "plain ü 東京 👍🏽"),
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("\u{1b}[2J\u{7}\u{9b}31m\u{0}", r"\x1b[2J\x07\x9b31m\x00"),
            ("abc\u{202e}fed\u{2066}\u{feff}", r"abc\u{202e}fed\u{2066}\u{feff}"),
            ("line\u{2028}sep \u{e0041}", r"line\u{2028}sep \u{e0041}"),
        ] {
            assert_eq!(visible(text), want);
        }
        assert_eq!(visible_ascii("ü\u{1b}"), r"\xfc\x1b");
        assert_eq!(shortened("äbc", 2), "äb...");
        assert_eq!(shortened("äb", 2), "äb");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        #[test]
        fn no_text_keeps_an_acting_character(text in "(\\PC|\\p{C}|[a-z]){0,40}") {
            let safe = visible(&text);
            proptest::prop_assert!(!safe.contains(acts), "{safe:?}");
            proptest::prop_assert!(visible_ascii(&text).bytes().all(|b| (0x20..0x7f).contains(&b)));
        }
    }
}
