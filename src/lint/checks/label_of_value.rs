//! A304: a label made of the value.

use super::{Check, Context, Found};
use crate::lint::subject::Subject;

pub(super) const CHECK: Check = Check::rule("A304", look);

fn look(rule: &Subject<'_>, _: &Context<'_>, out: &mut Found) {
    for pair in &rule.labels {
        let Some(template) = pair.template else { continue };
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

/// Where a template prints a word, rather than deciding by it. What stands outside of `{{ … }}` is text.
fn printed(text: &str, word: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(open) = text.get(from..)?.find("{{") {
        let start = from + open + 2;
        let end = text[start..].find("}}").map_or(text.len(), |len| start + len);
        let action = text[start..end].trim_start_matches(['-', ' ']);
        let decides = ["if", "else", "with", "range", "end", "/*"].iter().any(|keyword| action.starts_with(keyword));
        let whole = |at: &usize| !text[at + word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        let mut read = text[start..end].match_indices(word).map(|(at, _)| start + at).filter(whole);
        if let Some(at) = read.next().filter(|_| !decides && !action.contains(":=")) {
            return Some(at);
        }
        from = end;
    }
    None
}
