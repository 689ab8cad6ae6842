//! Regular expressions as Go means them (RE2), compiled by the regex crate, kept for the next rendering.
//!
//! The two syntaxes differ in little: in Go `\d \w \s \b` are ASCII, `\Q…\E` quotes, and `[`, `&&`, `~~` are plain
//! characters within brackets.

use std::sync::Mutex;

use regex::{Regex, RegexBuilder};

/// Longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 4096;
/// Largest compiled program, in bytes.
const PROGRAM_BYTES_MAX: usize = 128 * 1024;
/// Compiled patterns kept per template.
const KEPT_MAX: usize = 16;

/// Compiled patterns of one template.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    /// Held for a lookup only, never while compiling or matching.
    compiled: Mutex<Vec<(Box<str>, Regex)>>,
}

impl Patterns {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Box<str>, Regex)>> {
        self.compiled.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A pattern compiled before; cheap.
    pub(super) fn find(&self, pattern: &str) -> Option<Regex> {
        self.lock().iter().find(|(known, _)| &**known == pattern).map(|(_, regex)| regex.clone())
    }

    /// Compiles a pattern, which takes up to milliseconds, and keeps it if there is room.
    pub(super) fn compile(&self, pattern: &str) -> Result<Regex, String> {
        let regex = compile(pattern)?;
        let mut compiled = self.lock();
        if compiled.len() < KEPT_MAX {
            compiled.push((pattern.into(), regex.clone()));
        }
        Ok(regex)
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("regular expression is longer than {PATTERN_BYTES_MAX} bytes"));
    }
    RegexBuilder::new(&translate(pattern)).size_limit(PROGRAM_BYTES_MAX).dfa_size_limit(1 << 20).build().map_err(|e| {
        let why = match e {
            regex::Error::CompiledTooBig(limit) => format!("compiles to more than {limit} bytes"),
            other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        };
        format!("error parsing regexp: {why}: `{pattern}`")
    })
}

/// Rewrites a Go pattern for the regex crate.
fn translate(pattern: &str) -> String {
    if !pattern.contains(['\\', '[']) {
        return pattern.to_owned();
    }
    let mut out = String::with_capacity(pattern.len() + 32);
    let mut chars = pattern.chars();
    // Position within brackets: a `]` that comes first is plain.
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('Q') => {
                    let rest = chars.as_str();
                    let (quoted, after) = rest.split_once("\\E").unwrap_or((rest, ""));
                    out.push_str(&regex::escape(quoted));
                    chars = after.chars();
                }
                Some(escape) => push_escape(&mut out, escape, in_class),
                None => out.push('\\'),
            },
            '[' if in_class && chars.as_str().starts_with(':') => {
                // A POSIX class goes through as it is.
                let rest = chars.as_str();
                let end = rest.find(":]").map_or(0, |i| i + 2);
                out.push('[');
                out.push_str(rest.get(..end).unwrap_or(""));
                chars = rest.get(end..).unwrap_or("").chars();
            }
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                for mark in ['^', ']'] {
                    if chars.as_str().starts_with(mark) {
                        chars.next();
                        out.push_str(if mark == ']' { "\\]" } else { "^" });
                    }
                }
            }
            '[' | '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            ']' => {
                in_class = false;
                out.push(']');
            }
            _ => out.push(c),
        }
    }
    out
}

fn push_escape(out: &mut String, escape: char, in_class: bool) {
    match escape {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        's' => out.push_str(r"[\t\n\f\r ]"),
        'S' => out.push_str(r"[^\t\n\f\r ]"),
        'b' if !in_class => out.push_str(r"(?-u:\b)"),
        // The negated ASCII boundary may split a character, which the crate does not allow on text.
        _ => {
            out.push('\\');
            out.push(escape);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, matches: bool) {
        let regex = compile(pattern).unwrap();
        assert_eq!(regex.is_match(text), matches, "{pattern} on {text:?}");
    }

    #[test]
    fn go_patterns_mean_what_they_mean_in_go() {
        check(r"^\w+$", "münchen", false);
        check(r"^\w+$", "munchen_1", true);
        check(r"^[\w.-]+$", "a-b.c", true);
        check(r"^[^\d]+$", "abc", true);
        check(r"^[^\d]+$", "ab1", false);
        check(r"^\d$", "٣", false);
        check(r"\Qa.b\E", "axb", false);
        check(r"\Qa.b\E", "a.b", true);
        check(r"^[]a]$", "]", true);
        check(r"^[^]a]$", "]", false);
        check(r"^[[a]$", "[", true);
        check(r"^[a&&b]$", "&", true);
        check(r"^[[:alpha:]_]+$", "ab_", true);
        check(r"\bcpu\b", "the cpu is", true);
        check(r"^.$", "ü", true);
        check(r"^\pL$", "ü", true);
    }

    #[test]
    fn a_pattern_that_is_too_large_is_refused() {
        assert!(compile(&"a".repeat(PATTERN_BYTES_MAX + 1)).is_err());
        assert!(compile("((a{100}){100}){100}").unwrap_err().contains("compiles to more than"));
        assert!(compile("(").unwrap_err().starts_with("error parsing regexp: unclosed group: `(`"));
    }
}
