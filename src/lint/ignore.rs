//! `# alertd: ignore A220 -- reason`: findings that people have looked at and let stand.
//!
//! A comment covers the key on its line with all of its value; standing alone, the key on the next line, and the whole
//! rule where that is a rule's first line. `ignore-file` covers the file. The reason is required. Errors cannot be ignored: what cannot be used is not used.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use super::{CHECKS, Page, Selection};
use crate::diag::{Diagnostic, Edit, Fix, Level, SourceFile, codes};
use crate::yaml::Node;

/// What a comment begins with, behind `#`.
const MARK: &str = "alertd:";
/// Checks that find more when more is known: without data they find nothing, and a comment about them is not idle.
const NEED_KNOWLEDGE: [&str; 4] = ["A220", "A221", "A236", "A237"];

/// A comment.
struct Comment {
    file: Arc<SourceFile>,
    /// From `#` to the end of the line.
    span: Range<usize>,
    /// The lines that it covers; `None`: all.
    lines: Option<RangeInclusive<u32>>,
    /// Codes, their places, and whether they were of use.
    codes: Vec<(String, Range<usize>, bool)>,
}

/// Takes away what comments ignore, and adds what is wrong with comments.
pub fn apply(files: &[Arc<SourceFile>], pages: &[Page], selection: &Selection, found: &mut Vec<Diagnostic>) {
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| file.text.contains(MARK)) {
        let root = pages.iter().find(|page| page.file.path == file.path).map(|page| &page.root);
        let mut comments = read(file, root, &mut wrong);
        found.retain(|d| d.level == Level::Error || d.file.path != file.path || !covered(d, &mut comments));
        // A rule with an error in it is not looked at, so nothing can be said of what covers it.
        if !found.iter().any(|d| d.level == Level::Error && d.file.path == file.path) {
            comments.iter().for_each(|comment| idle(comment, selection, &mut wrong));
        }
    }
    found.append(&mut wrong);
}

/// Takes away what comments ignore, and says nothing of the comments: for readers that run no checks.
pub fn hide(files: &[Arc<SourceFile>], found: &mut Vec<Diagnostic>) {
    for file in files.iter().filter(|file| file.text.contains(MARK)) {
        let mut comments = read(file, None, &mut Vec::new());
        found.retain(|d| d.level == Level::Error || d.file.path != file.path || !covered(d, &mut comments));
    }
}

fn covered(d: &Diagnostic, comments: &mut [Comment]) -> bool {
    let (first, last) = (d.start().line, d.end().line);
    let mut is = false;
    for comment in comments {
        let here = comment.lines.as_ref().is_none_or(|lines| first <= *lines.end() && last >= *lines.start());
        for (_, _, used) in comment.codes.iter_mut().filter(|(code, ..)| here && code == d.code) {
            (*used, is) = (true, true);
        }
    }
    is
}

/// The comments of a file.
fn read(file: &Arc<SourceFile>, root: Option<&Node>, wrong: &mut Vec<Diagnostic>) -> Vec<Comment> {
    let mut comments = Vec::new();
    let mut offset = 0;
    for (i, line) in file.text.split_inclusive('\n').enumerate() {
        let start = offset;
        offset += line.len();
        let Some((at, body)) = marked(line) else { continue };
        let end = start + line.trim_end().len();
        let number = u32::try_from(i + 1).unwrap_or(u32::MAX);
        let alone = line[..at].trim().is_empty();
        let text = &file.text[start + body..end];
        let (whole_file, list) = match (text.strip_prefix("ignore-file "), text.strip_prefix("ignore ")) {
            (Some(list), _) => (true, list),
            (_, Some(list)) => (false, list),
            _ => {
                wrong.push(unreadable(file, start + at..end, "expected `ignore CODE -- reason`"));
                continue;
            }
        };
        let Some((list, reason)) = list.split_once("--").filter(|(_, reason)| !reason.trim().is_empty()) else {
            wrong.push(unreadable(file, start + at..end, "the reason is missing"));
            continue;
        };
        let _ = reason;
        let base = start + body + text.len() - text.split_once("ignore").map_or(0, |(_, rest)| rest.len());
        let base = base + usize::from(whole_file) * "-file".len() + 1;
        let codes = read_codes(file, list, base, wrong);
        let lines = if whole_file { None } else { Some(reach(file, root, number, alone)) };
        comments.push(Comment { file: file.clone(), span: start + at..end, lines, codes });
    }
    comments
}

/// Where a comment of ours begins in a line, and where what it says begins.
fn marked(line: &str) -> Option<(usize, usize)> {
    let at = line.match_indices('#').map(|(at, _)| at).find(|at| {
        let before = line[..*at].chars().next_back();
        before.is_none_or(char::is_whitespace) && line[at + 1..].trim_start().starts_with(MARK)
    })?;
    let body = at + line[at..].find(MARK)? + MARK.len();
    let body = body + line[body..].len() - line[body..].trim_start().len();
    Some((at, body))
}

fn unreadable(file: &Arc<SourceFile>, span: Range<usize>, label: &str) -> Diagnostic {
    Diagnostic::warning("A491", file, span, "this comment ignores nothing".to_owned())
        .with_label(label)
        .with_help("write `# alertd: ignore A220 -- why it may stand`")
}

fn read_codes(
    file: &Arc<SourceFile>,
    list: &str,
    base: usize,
    wrong: &mut Vec<Diagnostic>,
) -> Vec<(String, Range<usize>, bool)> {
    let mut out = Vec::new();
    for word in list.split([' ', ',']).filter(|word| !word.is_empty()) {
        let at = word.as_ptr() as usize - list.as_ptr() as usize;
        let span = base + at..base + at + word.len();
        let code = word.to_ascii_uppercase();
        if codes::find(&code).is_some() {
            out.push((code, span, false));
        } else {
            let found = Diagnostic::warning("A491", file, span, format!("there is no code `{word}`"));
            wrong.push(found.with_label("ignores nothing").with_help("`alertd explain` shows what a code means"));
        }
    }
    out
}

/// The lines that a comment on a line covers.
fn reach(file: &SourceFile, root: Option<&Node>, number: u32, alone: bool) -> RangeInclusive<u32> {
    let line_of = |node: &Node| file.position(node.span.start).line;
    let to = |node: &Node| file.position(end_of(node)).line;
    let mut first = number;
    let last = u32::try_from(file.text.lines().count()).unwrap_or(u32::MAX);
    if alone {
        first += 1;
        while first <= last && matches!(file.line(first).trim_start().chars().next(), None | Some('#')) {
            first += 1;
        }
    }
    let rules = root.map(rules).unwrap_or_default();
    if let Some(rule) = rules.iter().find(|rule| alone && line_of(rule) == first) {
        return first..=to(rule);
    }
    // A key with a text of several lines is one thing.
    let entries = rules.iter().filter_map(|rule| rule.entries()).flatten();
    let end = entries.filter(|(key, _)| line_of(key) == first).map(|(_, value)| to(value)).max();
    first..=end.unwrap_or(first).max(first)
}

/// Where the last value of a node ends.
fn end_of(node: &Node) -> usize {
    let last = match (node.entries(), node.items()) {
        (Some(entries), _) => entries.iter().map(|(_, value)| end_of(value)).max(),
        (_, Some(items)) => items.iter().map(end_of).max(),
        _ => None,
    };
    last.unwrap_or_else(|| node.span.end.saturating_sub(1).max(node.span.start))
}

fn rules(root: &Node) -> Vec<&Node> {
    let own = root.get("rules").and_then(Node::items).unwrap_or_default();
    let groups = root.get("groups").and_then(Node::items).unwrap_or_default();
    let grouped = groups.iter().flat_map(|group| group.get("rules").and_then(Node::items).unwrap_or_default());
    own.iter().chain(grouped).collect()
}

/// Reports codes that covered nothing.
fn idle(comment: &Comment, selection: &Selection, out: &mut Vec<Diagnostic>) {
    let ran = |code: &str| match CHECKS.iter().find(|check| check.code == code) {
        Some(check) => selection.runs(check) && !NEED_KNOWLEDGE.contains(&code),
        None => !selection.ignore.iter().any(|ignored| code.starts_with(ignored.as_str())),
    };
    let unused: Vec<_> = comment.codes.iter().filter(|(code, _, used)| !used && ran(code)).collect();
    for (code, span, _) in &unused {
        let mut found = Diagnostic::warning("A490", &comment.file, span.clone(), format!("nothing here is `{code}`"));
        if unused.len() == comment.codes.len() {
            found.fix = Some(Fix { edits: vec![Edit { span: removal(comment), text: String::new() }] });
        }
        out.push(found.with_label("ignores nothing").with_help("remove the comment"));
    }
}

/// A comment with the blanks before it; where it stands alone, its whole line.
fn removal(comment: &Comment) -> Range<usize> {
    let text = &comment.file.text;
    let before = text[..comment.span.start].trim_end_matches([' ', '\t']).len();
    let alone = before == 0 || text[..before].ends_with('\n');
    let line_end = text[comment.span.end..].find('\n').map_or(text.len(), |at| comment.span.end + at + 1);
    if alone { before..line_end } else { before..comment.span.end }
}
