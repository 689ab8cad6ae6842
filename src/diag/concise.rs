//! For editors and grep: one line per finding.

use std::fmt::Write as _;

use super::{Diagnostic, harmless};

/// Renders `file:line:col: error[A102] message`, one line each.
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for d in diagnostics {
        let at = d.start();
        let (path, message) = (harmless(&d.file.path), harmless(&d.message));
        let _ = writeln!(out, "{path}:{}:{}: {}[{}] {message}", at.line, at.column, d.level.as_str(), d.code);
    }
    out
}
