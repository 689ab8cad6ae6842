//! A304: a label made of the value.

use super::{Check, Context, Found};
use crate::lint::subject::Subject;

pub(super) const CHECK: Check = Check::rule("A304", look);

fn look(rule: &Subject<'_>, _: &Context<'_>, out: &mut Found) {
    for pair in &rule.labels {
        let Some(template) = &pair.template else { continue };
        let text = template.text();
        // A branch on the value gives few labels; the value itself gives one for each.
        let read = ["$value", ".Value"].into_iter().find_map(|word| Some((word, printed(text, word)?)));
        let Some((word, at)) = read else { continue };
        let name = pair.key.text().unwrap_or_default();
        let message = format!("the label `{name}` holds the value: with each new value the alert is another one");
        let place = pair.value.locate(&rule.file.text, at..at + word.len());
        let found = crate::diag::Diagnostic::warning("A304", rule.file, place, message);
        out.push(
            found
                .with_label("changes with every evaluation")
                .with_help("put it into an annotation: `for` then counts, and nobody is told again and again"),
        );
    }
}

/// Where a template prints a word, rather than deciding by it.
fn printed(text: &str, word: &str) -> Option<usize> {
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        let action = text[..*at].rfind("{{").map_or("", |open| text[open + 2..*at].trim_start_matches(['-', ' ']));
        !["if", "else", "with", "range"].iter().any(|decides| action.starts_with(decides)) && !action.contains(":=")
    })
}
