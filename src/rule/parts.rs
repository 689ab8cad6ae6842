//! A long file of rules, read in parts by several threads: what is read does not depend on them.
//!
//! The items of its list of rules or groups are told by their dashes. Each part is read as a document of its own, with the
//! places of the file; whatever is not quite as expected, or wrong, is left to the reading of the file as a whole.

use std::ops::Range;
use std::sync::Arc;

use super::share::shared;
use crate::diag::{Diagnostic, SourceFile};
use crate::yaml::{self, Document, Kind, Node};

/// Bytes of a file that are worth a thread.
const PART_BYTES_MIN: usize = 128 << 10;

/// Reads a file; its findings are those of [`yaml::parse`].
pub(super) fn parse(file: &Arc<SourceFile>, threads: usize, out: &mut Vec<Diagnostic>) -> Option<Document> {
    let parts = threads.min(file.text.len() / PART_BYTES_MIN);
    match split(&file.text, parts).and_then(|(head, parts)| joined(file, head, &parts)) {
        Some(root) => Some(Document { root: Some(root) }),
        None => yaml::parse(file, out),
    }
}

/// Where the list begins, and its parts. Each ends where the dash of the next one stands, as it does for a reader who
/// looks for what comes next.
fn split(text: &str, parts: usize) -> Option<(usize, Vec<Range<usize>>)> {
    if parts < 2 || text.len() > yaml::FILE_BYTES_MAX || !is_plain(text) {
        return None;
    }
    let mut at = 0;
    let mut lines = text.split_inclusive('\n').map(|line| {
        at += line.len();
        (at - line.len(), line)
    });
    let head =
        lines.find(|(_, line)| matches!(line.trim_end(), "rules:" | "groups:")).map(|(at, line)| at + line.len())?;
    let (mut margin, mut items) = (None, Vec::new());
    for (start, line) in lines {
        let body = line.trim_start_matches(' ');
        if body.trim_end().is_empty() || body.starts_with('#') {
            continue;
        }
        // What is not there stands where the parser was before: in a part that is another place.
        let said = body.trim_start_matches(['-', ' ']).trim_end();
        if said.is_empty() || said.starts_with([':', '#']) {
            return None;
        }
        let indent = line.len() - body.len();
        let margin = *margin.get_or_insert(indent);
        if indent < margin || (indent == margin && !body.starts_with("- ")) {
            return None;
        }
        if indent == margin {
            items.push(start);
        }
    }
    let margin = margin?;
    let mut begins: Vec<usize> = (1..parts)
        .filter_map(|i| {
            let wanted = head + (text.len() - head) * i / parts;
            items.get(items.partition_point(|item| *item < wanted)).copied()
        })
        .collect();
    begins.dedup();
    let ends = begins.iter().map(|begin| begin + margin).chain([text.len()]);
    Some((head, [head].iter().chain(&begins).zip(ends).map(|(begin, end)| *begin..end).collect()))
}

/// Whether nothing in a text reaches over its parts: a further document, a directive, an anchor.
fn is_plain(text: &str) -> bool {
    let anchor = |(at, _): (usize, &str)| {
        let before = text[..at].chars().next_back();
        let behind = text[at + 1..].chars().next();
        before.is_none_or(|c| c.is_whitespace() || "[{,".contains(c))
            && behind.is_some_and(|c| !c.is_whitespace() && c != '&')
    };
    !text.starts_with(['%', '\u{feff}'])
        && !["\0", "\n---", "\n...", "\n%"].iter().any(|odd| text.contains(odd))
        && !text.match_indices('&').any(anchor)
}

fn joined(file: &Arc<SourceFile>, head: usize, parts: &[Range<usize>]) -> Option<Node> {
    let (mut root, mut nodes) = yaml::part(file, 0..head, 0)?;
    let one = |part: &Range<usize>| yaml::part(file, part.clone(), 1);
    let (mut list, mut place): (Vec<Node>, Option<Range<usize>>) = (Vec::new(), None);
    for part in shared(parts, (parts.len(), 1), |parts| parts.iter().map(one).collect()) {
        let (node, count) = part?;
        let Kind::Sequence(mut items) = node.kind else { return None };
        list.append(&mut items);
        nodes += count;
        place = Some(place.map_or(node.span.start, |place| place.start)..node.span.end);
    }
    let (Kind::Mapping(entries), Some(mut place), true) = (&mut root.kind, place, nodes <= yaml::NODES_MAX) else {
        return None;
    };
    if list.iter().any(Node::is_null) {
        return None;
    }
    if file.text.as_bytes().get(place.start.wrapping_sub(1)) == Some(&b'\n') {
        // To the parser a list that is not indented begins behind its first dash.
        place.start = list.first()?.span.start;
    }
    let (key, value) = entries.last_mut()?;
    if !value.is_null() || !matches!(key.text(), Some("rules" | "groups")) {
        return None;
    }
    root.span.end = place.end;
    *value = Node { kind: Kind::Sequence(list), span: place };
    Some(root)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(file: &Arc<SourceFile>) -> (Option<Node>, usize) {
        let mut out = Vec::new();
        (yaml::parse(file, &mut out).and_then(|document| document.root), out.len())
    }

    /// The tree of a text read in parts, which must be that of reading it whole.
    #[track_caller]
    fn check(text: &str, parts: usize) -> bool {
        let file = SourceFile::new("a.yaml", text);
        let Some(tree) = split(text, parts).and_then(|(head, parts)| joined(&file, head, &parts)) else { return false };
        assert_eq!((Some(tree), 0), whole(&file), "{text}");
        true
    }

    const RULE: &str = "  - name: a\n    expr: up == 0\n";

    #[test]
    fn a_list_of_rules_or_groups_is_read_in_parts() {
        for head in
            ["rules:\n", "---\n# words\nrules:\n", "defaults: {every: 1m}\n\nrules:   \n  # words\n", "groups:\n"]
        {
            assert!(check(&format!("{head}{}", RULE.repeat(20)), 3), "{head}");
        }
        assert!(check(&format!("rules:\n{}", RULE.repeat(20).replace("  -", "-").replace("    ", "  ")), 2));
        assert!(check(&format!("rules:\n{}", RULE.repeat(20)).replace('\n', "\r\n"), 4));
        assert!(check(&format!("rules:\n{}", RULE.repeat(20)).replace("== 0", "> 0 && total > 1"), 2));
    }

    #[test]
    fn what_reaches_over_the_parts_is_read_as_a_whole() {
        let rules = RULE.repeat(20);
        for text in [
            format!("rules:\n{rules}  - &a {{name: b}}\n"),
            format!("rules:\n{rules}---\nrules: []\n"),
            format!("rules:\n{rules}defaults: {{every: 1m}}\n"),
            format!("rules: []\nmore:\n{rules}"),
            format!("rules:\n{rules} - out: of line\n"),
            format!("rules:\n{rules}  - name: \"not\n  - closed\n{rules}"),
            format!("rules:\n{rules}  - [a,\n  - b]\n{rules}"),
            format!("rules: |\n{rules}"),
            format!("rules:\n{rules}\0"),
            format!("\u{feff}rules:\n{rules}"),
            "rules:\n".to_owned(),
            "rules:\n- :\n".to_owned(),
            "rules:\n- \n a\n".to_owned(),
        ] {
            assert!(!check(&text, 3), "{text}");
        }
        assert!(!check(&format!("rules:\n{rules}"), 1));
        let deep = format!("rules:\n{rules}  - {}{}\n", "[".repeat(63), "]".repeat(63));
        assert!(!check(&deep, 2) && whole(&SourceFile::new("a.yaml", deep.as_str())).1 == 1);
        let least = format!("rules:\n{rules}  - {}{}\n", "[".repeat(61), "]".repeat(61));
        assert!(check(&least, 2));
    }

    fn item() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            Just("up == 0".to_owned()),
            Just("'it''s\n      - quoted'".to_owned()),
            Just("\"a\\n- b\n\n      c\"".to_owned()),
            Just("|\n      - text\n\n       deeper".to_owned()),
            Just("|+\n      kept\n\n".to_owned()),
            Just(">-\n      folded\n      text\n".to_owned()),
            Just("{team: a, list: [1,\n      2]}".to_owned()),
            Just("words\n      more words".to_owned()),
            Just("  # nothing".to_owned()),
            Just(String::new()),
            Just("[{a: {b: []}}]".to_owned()),
            Just("ü ✓ # é".to_owned()),
            Just("\n      - a\n      - b: c\n        d:".to_owned()),
        ];
        let between =
            prop_oneof![Just(""), Just("\n"), Just("  # words\n"), Just("# words\n\n"), Just("      # words\n")];
        (prop::collection::vec(value, 1..4), between).prop_map(|(values, between)| {
            let keys = values
                .iter()
                .enumerate()
                .map(|(i, value)| format!("{}k{i}: {value}\n", if i == 0 { "  - " } else { "    " }));
            keys.collect::<String>() + between
        })
    }

    proptest! {
        #[test]
        fn parts_give_the_tree_and_the_places_of_the_whole(items in prop::collection::vec(item(), 2..12), parts in 2usize..6) {
            let text = format!("rules:\n{}", items.concat());
            let file = SourceFile::new("a.yaml", text.as_str());
            prop_assert!(check(&text, parts) || whole(&file).1 > 0, "{}", text);
        }

        #[test]
        fn no_text_is_read_otherwise_in_parts(text in "(rules|groups):\n(( {0,4})(- )?(a: )?[a-z#&*'\"|>\\[\\]{},: -]{0,12}\n){0,12}", parts in 2usize..5) {
            check(&text, parts);
        }
    }
}
