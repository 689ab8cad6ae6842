//! For programs: one object per finding, the same as in the output of a dry run.

use serde::Serialize;

use super::{Diagnostic, Edit};

/// A finding as it stands in JSON output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiagnosticJson<'a> {
    /// Stable code.
    pub code: &'a str,
    /// `error`, `warning` or `note`.
    pub severity: &'a str,
    /// What is wrong.
    pub message: &'a str,
    /// The file, as it was given or found.
    pub file: &'a str,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Line of the end.
    pub end_line: u32,
    /// Column behind the last character that is meant.
    pub end_column: u32,
    /// What was expected there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<&'a str>,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<&'a str>,
    /// The mend, where it is certain: texts in the place of places.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fix: Vec<EditJson<'a>>,
}

/// A text in the place of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EditJson<'a> {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Line of the end.
    pub end_line: u32,
    /// Column behind the last character that goes.
    pub end_column: u32,
    /// What comes.
    pub text: &'a str,
}

impl<'a> From<&'a Diagnostic> for DiagnosticJson<'a> {
    fn from(diagnostic: &'a Diagnostic) -> Self {
        let (start, end) = (diagnostic.start(), diagnostic.end());
        Self {
            code: diagnostic.code,
            severity: diagnostic.level.as_str(),
            message: &diagnostic.message,
            file: &diagnostic.file.path,
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            label: diagnostic.label.as_deref(),
            help: diagnostic.help.as_deref(),
            fix: diagnostic.fix.iter().flat_map(|fix| &fix.edits).map(|edit| edit_of(diagnostic, edit)).collect(),
        }
    }
}

fn edit_of<'a>(diagnostic: &Diagnostic, edit: &'a Edit) -> EditJson<'a> {
    let (start, end) = (diagnostic.file.position(edit.span.start), diagnostic.file.position(edit.span.end));
    EditJson { line: start.line, column: start.column, end_line: end.line, end_column: end.column, text: &edit.text }
}

/// Renders findings as a JSON array.
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let list: Vec<DiagnosticJson<'_>> = diagnostics.iter().map(DiagnosticJson::from).collect();
    serde_json::to_string_pretty(&list).unwrap_or_else(|_| "[]".to_owned()) + "\n"
}
