//! For GitHub Actions: workflow commands that become annotations.
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>

use std::fmt::Write as _;

use super::{Diagnostic, Level, codes};

/// Renders one command per finding, worst first, because only ten errors and ten warnings of a step are shown.
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let mut ordered: Vec<&Diagnostic> = diagnostics.iter().collect();
    ordered.sort_by_key(|d| std::cmp::Reverse(d.level));
    let mut out = String::new();
    for d in ordered {
        let command = if d.level == Level::Note { "notice" } else { d.level.as_str() };
        let (start, end) = (d.start(), d.end());
        let title = match codes::find(d.code) {
            Some(code) => format!("{} {}", d.code, code.title),
            None => d.code.to_owned(),
        };
        let mut message = d.message.clone();
        for extra in [&d.label, &d.help].into_iter().flatten() {
            message.push('\n');
            message.push_str(extra);
        }
        // An endColumn is understood only where the finding stays on one line.
        let end_column = if start.line == end.line { format!(",endColumn={}", end.column) } else { String::new() };
        let _ = writeln!(
            out,
            "::{command} file={},line={},col={},endLine={}{end_column},title={}::{}",
            property(&d.file.path),
            start.line,
            start.column,
            end.line,
            property(&title),
            data(&message),
        );
    }
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
