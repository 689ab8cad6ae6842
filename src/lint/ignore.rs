//! `# alertd: ignore A220 -- reason`: findings that people have looked at and let stand.
//!
//! A comment covers the key on its line with all of its value; standing alone, the key on the next line, and the whole
//! rule where that is a rule's first line. `ignore-file` covers the file. The reason is required. Errors cannot be
//! ignored: what cannot be used is not used.

use std::collections::{HashMap, HashSet};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use super::outline::Outline;
use super::{CHECKS, Selection};
use crate::diag::{Diagnostic, Edit, Fix, Level, SourceFile, codes};
use crate::rule::Page;
use crate::yaml::{self, Node};

/// What a comment begins with, behind `#`.
const MARK: &str = "alertd:";
/// Checks that find more when more is known of the metrics, or when other files are looked at too: a comment about them
/// is not idle where they find nothing.
const NEED_KNOWLEDGE: [&str; 11] =
    ["A210", "A220", "A221", "A235", "A236", "A237", "A450", "A451", "A517", "A605", "A702"];

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

/// The comments of a file, those that cover it whole before those of lines, which are in the order of their first line.
struct Comments {
    all: Vec<Comment>,
    /// How many cover the file.
    whole: usize,
    /// For each comment the last line that it, or another of lines before it, covers.
    reached: Vec<u32>,
}

impl Comments {
    fn new(mut all: Vec<Comment>) -> Self {
        all.sort_by_key(|comment| comment.lines.as_ref().map(|lines| *lines.start()));
        let mut last = 0;
        let reached = all.iter().map(|comment| {
            last = last.max(comment.lines.as_ref().map_or(0, |lines| *lines.end()));
            last
        });
        Self { whole: all.partition_point(|comment| comment.lines.is_none()), reached: reached.collect(), all }
    }

    /// Whether one of them covers a finding; those that do are of use.
    fn cover(&mut self, d: &Diagnostic) -> bool {
        let (first, last) = (d.start().line, d.end().line);
        let Self { all, whole, reached } = self;
        let begun = all.partition_point(|c| c.lines.as_ref().is_none_or(|lines| *lines.start() <= last));
        let near = (*whole..begun).rev().take_while(|i| reached[*i] >= first);
        let mut is = false;
        for i in near.chain(0..*whole) {
            let comment = &mut all[i];
            if comment.lines.as_ref().is_some_and(|lines| *lines.end() < first) {
                continue;
            }
            for (.., used) in comment.codes.iter_mut().filter(|(code, ..)| code == d.code) {
                (*used, is) = (true, true);
            }
        }
        is
    }
}

/// Comments by the path of their file.
type ByFile<'f> = HashMap<&'f str, Comments>;

/// Takes away what comments ignore, and adds what is wrong with comments.
pub fn apply(files: &[Arc<SourceFile>], pages: &[Page], selection: &Selection, found: &mut Vec<Diagnostic>) {
    let mut roots: HashMap<&str, Vec<&Node>> = HashMap::new();
    for page in pages {
        roots.entry(&page.file.path).or_default().push(&page.root);
    }
    let (mut wrong, mut comments) = (Vec::new(), ByFile::new());
    for file in files.iter().filter(|file| file.text.contains(MARK)) {
        let roots = roots.get(&*file.path).map_or(&[][..], Vec::as_slice);
        comments.insert(&file.path, Comments::new(read(file, roots, &mut wrong)));
    }
    if comments.is_empty() {
        return;
    }
    drop_covered(&mut comments, found);
    // A rule with an error in it is not looked at, so nothing can be said of what covers it.
    let errors = found.iter().filter(|d| d.level == Level::Error);
    let faulty: HashSet<Arc<str>> = errors.map(|d| Arc::clone(&d.file.path)).collect();
    for file in files.iter().filter(|file| !faulty.contains(&file.path)) {
        let of = comments.get(&*file.path).map_or(&[][..], |comments| &comments.all);
        of.iter().for_each(|comment| idle(comment, selection, &mut wrong));
    }
    found.append(&mut wrong);
}

/// Takes away what comments ignore, and says nothing of the comments: for readers that run no checks.
pub fn hide(files: &[Arc<SourceFile>], found: &mut Vec<Diagnostic>) {
    let mut comments = ByFile::new();
    for file in files.iter().filter(|file| file.text.contains(MARK)) {
        let roots = yaml::documents(file, &mut Vec::new()).unwrap_or_default();
        let roots: Vec<&Node> = roots.iter().collect();
        comments.insert(&file.path, Comments::new(read(file, &roots, &mut Vec::new())));
    }
    drop_covered(&mut comments, found);
}

fn drop_covered(comments: &mut ByFile<'_>, found: &mut Vec<Diagnostic>) {
    let mut covered = |d: &Diagnostic| comments.get_mut(&*d.file.path).is_some_and(|comments| comments.cover(d));
    found.retain(|d| d.level == Level::Error || !covered(d));
}

/// The comments of a file.
fn read(file: &Arc<SourceFile>, roots: &[&Node], wrong: &mut Vec<Diagnostic>) -> Vec<Comment> {
    let outline = Outline::new(file, roots);
    let mut comments = Vec::new();
    let mut offset = 0;
    for (i, line) in file.text.split_inclusive('\n').enumerate() {
        let start = offset;
        offset += line.len();
        let Some((at, body)) = marked(line, |at| outline.is_text(start + at)) else { continue };
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
        let lines = if whole_file { None } else { Some(outline.reach(number, alone)) };
        comments.push(Comment { file: file.clone(), span: start + at..end, lines, codes });
    }
    comments
}

/// Where a comment of ours begins in a line, and where what it says begins.
fn marked(line: &str, is_text: impl Fn(usize) -> bool) -> Option<(usize, usize)> {
    let at = line.match_indices('#').map(|(at, _)| at).find(|at| {
        let before = line[..*at].chars().next_back();
        before.is_none_or(char::is_whitespace) && line[at + 1..].trim_start().starts_with(MARK) && !is_text(*at)
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

/// Reports codes that covered nothing.
fn idle(comment: &Comment, selection: &Selection, out: &mut Vec<Diagnostic>) {
    let ran = |code: &str| match CHECKS.iter().find(|check| check.code == code) {
        _ if NEED_KNOWLEDGE.contains(&code) => false,
        Some(check) => selection.runs(check),
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
