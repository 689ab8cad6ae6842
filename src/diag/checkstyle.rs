//! For Jenkins, reviewdog and others: Checkstyle XML, one element per file.
//! <https://github.com/checkstyle/checkstyle/blob/master/src/main/java/com/puppycrawl/tools/checkstyle/XMLLogger.java>

use std::fmt::Write as _;

use super::xml::escape;
use super::{Diagnostic, Level};

/// Renders the findings; those of one file stand together, since they come sorted by file.
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<checkstyle version=\"4.3\">\n");
    for found in diagnostics.chunk_by(|a, b| a.file.path == b.file.path) {
        let Some(first) = found.first() else { continue };
        let _ = writeln!(out, "  <file name=\"{}\">", escape(&first.file.path));
        for d in found {
            let at = d.start();
            let severity = match d.level {
                Level::Error => "error",
                Level::Warning => "warning",
                Level::Note => "info",
            };
            let message = match &d.help {
                Some(help) => format!("{} ({help})", d.message),
                None => d.message.clone(),
            };
            let _ = writeln!(
                out,
                "    <error line=\"{}\" column=\"{}\" severity=\"{severity}\" message=\"{}\" source=\"alertd.{}\"/>",
                at.line,
                at.column,
                escape(&message),
                d.code
            );
        }
        out.push_str("  </file>\n");
    }
    out.push_str("</checkstyle>\n");
    out
}
