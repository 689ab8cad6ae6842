//! Findings about files, and how they are shown.
//!
//! A [`Diagnostic`] is a value: code, severity, place, message, help. This room shows them (one renderer per file) and
//! never decides what is wrong. Every renderer takes the findings in the order of [`sort`] and writes to a string; none
//! reads the environment: width and colour are arguments.

mod checkstyle;
pub mod codes;
mod concise;
mod diff;
mod github;
mod gitlab;
mod json;
mod junit;
mod sarif;
mod suggest;
#[cfg(test)]
mod tests;
mod text;
pub mod xml;

use std::ops::Range;
use std::sync::Arc;

pub use checkstyle::render as checkstyle;
pub use concise::render as concise;
pub use diff::render as diff;
pub use github::render as github;
pub use gitlab::render as gitlab;
pub use json::{DiagnosticJson, render as json};
pub use junit::{Case, render as junit};
pub use sarif::render as sarif;
pub use suggest::{certain, suggest};
pub use text::{TextStyle, render as text};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Likely a mistake; does not change the exit code unless asked.
    Warning,
    /// The file cannot be used.
    Error,
}

impl Level {
    /// The word shown to people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Marks a text as UTF-8; no column of its own.
const BOM: char = '\u{feff}';

/// A file as it was read, with what is needed to find lines.
#[derive(Debug)]
pub struct SourceFile {
    /// Path as given or found.
    pub path: Arc<str>,
    /// The text (empty where it could not be read).
    pub text: String,
    line_starts: Vec<usize>,
}

/// A place in a file, counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl SourceFile {
    /// Indexes the lines of a text.
    pub fn new(path: impl Into<Arc<str>>, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
        Arc::new(Self { path: path.into(), text, line_starts })
    }

    /// The position of a byte offset; offsets past the end give the end.
    pub fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset) - 1;
        let before = self.text.get(self.line_starts[line]..offset).unwrap_or("");
        let before = if line == 0 { before.trim_start_matches(BOM) } else { before };
        let column = before.chars().count();
        Position {
            line: u32::try_from(line + 1).unwrap_or(u32::MAX),
            column: u32::try_from(column + 1).unwrap_or(u32::MAX),
        }
    }

    /// The bytes of a line counted from 1, without the blanks around what stands on it.
    pub fn line_span(&self, line: u32) -> Range<usize> {
        let start = self.line_starts.get(line.saturating_sub(1) as usize).copied().unwrap_or(self.text.len());
        let text = self.line(line);
        let lead = text.len() - text.trim_start().len();
        let start = (start + lead).min(self.text.len());
        start..(start + text.trim().len()).min(self.text.len())
    }

    /// The text of a line counted from 1, without its end.
    pub fn line(&self, line: u32) -> &str {
        let index = line.saturating_sub(1) as usize;
        let Some(&start) = self.line_starts.get(index) else { return "" };
        let end = self.line_starts.get(index + 1).copied().unwrap_or(self.text.len());
        let line = self.text[start..end].trim_end_matches(['\n', '\r']);
        if index == 0 { line.trim_start_matches(BOM) } else { line }
    }
}

/// A text in the place of bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that go.
    pub span: Range<usize>,
    /// What comes.
    pub text: String,
}

/// A mend that is certain: what stands there can have meant nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// Changes that belong together.
    pub edits: Vec<Edit>,
}

impl Fix {
    /// One text in the place of another.
    pub fn replace(span: Range<usize>, text: impl Into<String>) -> Self {
        Self { edits: vec![Edit { span, text: text.into() }] }
    }
}

/// One finding.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Stable code such as `A101`.
    pub code: &'static str,
    /// How bad.
    pub level: Level,
    /// The file.
    pub file: Arc<SourceFile>,
    /// Bytes of the file that are meant.
    pub span: Range<usize>,
    /// What is wrong, in one line.
    pub message: String,
    /// What stands beside the caret: what was expected there.
    pub label: Option<String>,
    /// How to mend it.
    pub help: Option<String>,
    /// The mend, where it is certain.
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: &'static str, file: &Arc<SourceFile>, span: Range<usize>, message: String) -> Self {
        Self { code, level: Level::Error, file: file.clone(), span, message, label: None, help: None, fix: None }
    }

    /// A warning at a place.
    pub fn warning(code: &'static str, file: &Arc<SourceFile>, span: Range<usize>, message: String) -> Self {
        Self { level: Level::Warning, ..Self::error(code, file, span, message) }
    }

    /// Says beside the caret what was expected.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Says how to mend it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Where it starts.
    pub fn start(&self) -> Position {
        self.file.position(self.span.start)
    }

    /// Where it ends: the position right behind its last character, on the last line that has one.
    pub fn end(&self) -> Position {
        let text = self.file.text.get(self.span.clone()).unwrap_or("");
        self.file.position(self.span.start + text.trim_end_matches(['\n', '\r']).len())
    }
}

/// Puts findings into the order in which they are shown (file, place, worst first) and drops repetitions: a mistake in
/// `defaults:` is found once per rule, but is one mistake.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        let key = |d: &Diagnostic| (d.span.start, std::cmp::Reverse(d.level), d.span.end, d.code);
        a.file.path.cmp(&b.file.path).then_with(|| key(a).cmp(&key(b))).then_with(|| a.message.cmp(&b.message))
    });
    diagnostics
        .dedup_by(|a, b| a.code == b.code && a.span == b.span && a.message == b.message && a.file.path == b.file.path);
}

/// A text with control characters made visible, so that what stands in a file cannot steer a terminal or break a
/// line-based format.
pub fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' | '\n' | '\r' => ' ',
            // Pictures of the C0 control characters stand at U+2400.
            '\0'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
            '\u{7f}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                '\u{fffd}'
            }
            '\u{2028}' | '\u{2029}' | '\u{feff}' => ' ',
            other => other,
        })
        .collect()
}
