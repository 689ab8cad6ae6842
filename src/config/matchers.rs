//! Matchers as handler files write them: lists of texts, and Alertmanager's older maps.

use std::ops::Range;
use std::sync::Arc;

use crate::diag::{Diagnostic, SourceFile};
use crate::model::{LabelMatcher, MatchOp};
use crate::yaml::Node;

/// The keys of a list of matchers, of a map of values, and of a map of patterns.
pub(super) type MatcherKeys = [&'static str; 3];

/// All matchers under the keys of a mapping.
pub(super) fn read(
    file: &Arc<SourceFile>,
    node: &Node,
    [list, equal, pattern]: MatcherKeys,
    out: &mut Vec<Diagnostic>,
) -> Vec<LabelMatcher> {
    let mut all = Vec::new();
    for item in node.get(list).and_then(Node::items).unwrap_or_default() {
        match item.text().map(LabelMatcher::parse_all) {
            Some(Ok(matchers)) => all.extend(matchers),
            Some(Err(error)) => out.push(no_matcher(file, item.span.clone(), &error.to_string())),
            // Said with the shape.
            None => {}
        }
    }
    for (key, op) in [(equal, MatchOp::Equal), (pattern, MatchOp::Matches)] {
        for (name, value) in node.get(key).and_then(Node::entries).unwrap_or_default() {
            let (Some(label), Some(text)) = (name.text(), value.text()) else { continue };
            match LabelMatcher::new(label, op, text) {
                Ok(matcher) => all.push(matcher),
                Err(error) => out.push(no_matcher(file, value.span.clone(), &error.to_string())),
            }
        }
    }
    all
}

fn no_matcher(file: &Arc<SourceFile>, place: Range<usize>, error: &str) -> Diagnostic {
    Diagnostic::error("A541", file, place, error.to_owned())
        .with_label("cannot be read")
        .with_help("write `'severity=\"critical\"'`; the others are `!=`, `=~` and `!~`, anchored")
}
