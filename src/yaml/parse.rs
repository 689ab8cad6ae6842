//! From text to tree: one pass over the parser's events, every limit checked before memory is spent on what exceeds it.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::mend::{Cursor, Mended};
use super::{Kind, Node};
use crate::diag::{Diagnostic, SourceFile};

/// Largest file, in bytes. A file of 10,000 rules is about 3 MiB.
pub const FILE_BYTES_MAX: usize = 4 << 20;
/// Deepest nesting of lists and mappings.
pub const DEPTH_MAX: usize = 64;
/// Most values in a file as written.
pub const NODES_MAX: usize = 1_000_000;
/// Most values that anchors, aliases and merge keys may add to those (long strings count once per 64 bytes).
pub const ALIAS_BUDGET_MAX: usize = 200_000;

/// Bytes of the character that marks UTF-8 text.
const BOM: char = '\u{feff}';

/// The first document of a file.
#[derive(Debug)]
pub struct Document {
    /// Its tree; `None` if the file holds nothing but comments.
    pub root: Option<Node>,
}

/// Reads the first document of a file. An error stops the reading (YAML has no way to go on after one), so there is at
/// most one; a warning about further documents is put into `diagnostics`.
pub fn parse(file: &Arc<SourceFile>, diagnostics: &mut Vec<Diagnostic>) -> Option<Document> {
    if let Some(refusal) = refuse(file) {
        diagnostics.push(refusal);
        return None;
    }
    let (root, second) = read(file, false, diagnostics)?;
    if let Some(second) = second {
        diagnostics.push(
            Diagnostic::warning("A008", file, second, "only the first document of a file is read".to_owned())
                .with_label("this and all that follows is ignored")
                .with_help("put the second document into a file of its own"),
        );
    }
    Some(Document { root: root.into_iter().next() })
}

/// Reads all documents of a file, but for those that hold nothing. After an error there are none.
pub fn documents(file: &Arc<SourceFile>, diagnostics: &mut Vec<Diagnostic>) -> Option<Vec<Node>> {
    if let Some(refusal) = refuse(file) {
        diagnostics.push(refusal);
        return None;
    }
    read(file, true, diagnostics).map(|(roots, _)| roots)
}

/// Documents, and where another begins that was not asked for.
type Read = (Vec<Node>, Option<Range<usize>>);

/// Reads one document or all of them, mending lines of quoted values that are indented too little.
fn read(file: &Arc<SourceFile>, all: bool, diagnostics: &mut Vec<Diagnostic>) -> Option<Read> {
    let skip = if file.text.starts_with(BOM) { BOM.len_utf8() } else { 0 };
    let mut mended = Mended::new(&file.text[skip..]);
    loop {
        let mut builder = Builder::new(file, &mended, skip);
        let mut roots = Vec::new();
        let result = builder.run(all.then_some(&mut roots));
        let (root, outdented) = (builder.root.take(), builder.outdented.take());
        match (result, outdented) {
            (Ok(second), _) => {
                roots.extend(root);
                return Some((roots, second));
            }
            (Err(_), Some(start)) if mended.mend(start - skip) => {
                let message = "a line of this text is indented too little for YAML".to_owned();
                let found = Diagnostic::warning("A004", file, start..start + 1, message);
                diagnostics
                    .push(found.with_label("begins here").with_help("indent its further lines by more than its key"));
            }
            (Err(error), _) => {
                diagnostics.push(*error);
                return None;
            }
        }
    }
}

/// Reads a part of a file as a document of its own that stands within so many lists and mappings; with the number of its
/// values. `None`: by itself it is none.
pub(crate) fn part(file: &Arc<SourceFile>, range: Range<usize>, within: usize) -> Option<(Node, usize)> {
    let mended = Mended::new(file.text.get(range.clone())?);
    let mut builder = Builder { within, ..Builder::new(file, &mended, range.start) };
    let second = builder.run(None).ok()?;
    builder.root.take().filter(|_| second.is_none()).map(|root| (root, builder.nodes))
}

/// What makes a text unfit before it is looked at as YAML.
fn refuse(file: &Arc<SourceFile>) -> Option<Diagnostic> {
    if file.text.len() > FILE_BYTES_MAX {
        return Some(too_large(file));
    }
    let nul = file.text.find('\0')?;
    Some(
        Diagnostic::error("A003", file, nul..nul + 1, "the file contains a NUL byte".to_owned())
            .with_label("NUL byte")
            .with_help("the file is damaged or is no text file; write it again as UTF-8 text"),
    )
}

/// The finding for a file above [`FILE_BYTES_MAX`].
pub(crate) fn too_large(file: &Arc<SourceFile>) -> Diagnostic {
    let mib = FILE_BYTES_MAX >> 20;
    Diagnostic::error("A002", file, 0..0, format!("the file is larger than {mib} MiB"))
        .with_help("split it into several files of the same folder")
}

type Failure = Box<Diagnostic>;

/// A list or mapping that is still open.
struct Open {
    anchor: usize,
    start: usize,
    key: Option<Node>,
    kind: OpenKind,
}

enum OpenKind {
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

/// What an anchor stands for: the value, its weight and its height, or nothing while it is still open.
struct Anchored {
    node: Node,
    weight: usize,
    height: usize,
}

struct Builder<'a> {
    file: &'a Arc<SourceFile>,
    /// What the parser reads.
    text: &'a str,
    cursor: Cursor<'a>,
    stack: Vec<Open>,
    /// Lists and mappings around what is read.
    within: usize,
    anchors: BTreeMap<usize, Option<Anchored>>,
    nodes: usize,
    /// Where the last value ended.
    last_end: usize,
    alias_budget: usize,
    root: Option<Node>,
    /// Where a quoted value begins whose further lines are indented too little.
    outdented: Option<usize>,
}

impl<'a> Builder<'a> {
    fn new(file: &'a Arc<SourceFile>, mended: &'a Mended<'_>, skip: usize) -> Self {
        Self {
            file,
            text: &mended.text,
            cursor: Cursor::new(mended, skip),
            stack: Vec::new(),
            within: 0,
            anchors: BTreeMap::new(),
            nodes: 0,
            last_end: skip,
            alias_budget: ALIAS_BUDGET_MAX,
            root: None,
            outdented: None,
        }
    }

    /// Reads to the end of the first document; the place of a second one, if there is one. With a place for documents
    /// it reads on: all but the last go there.
    fn run(&mut self, mut all: Option<&mut Vec<Node>>) -> Result<Option<Range<usize>>, Failure> {
        let mut parser = Parser::new_from_str(self.text);
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|e| self.syntax_error(&e))?;
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if let (true, Some(all)) = (documents > 1, all.as_deref_mut()) {
                        all.extend(self.root.take());
                        self.anchors.clear();
                    } else if documents > 1 {
                        let range = self.cursor.range(span);
                        return Ok(Some(range.start..range.end.max(range.start + 1).min(self.file.text.len())));
                    }
                }
                Event::StreamEnd => break,
                other => self.event(other, span)?,
            }
        }
        Ok(None)
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Failure> {
        let range = self.cursor.range(span);
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                self.count_node(&range)?;
                let empty = value.is_empty() && style == ScalarStyle::Plain;
                let start = if anchor > 0 || tag.is_some() { self.behind_properties(&range) } else { range.start };
                let range = start..range.end.max(start);
                let range = match style {
                    _ if empty => self.empty_at(),
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                        range.start..self.quoted_end(range.start, range.end)
                    }
                    _ => range,
                };
                self.last_end = range.end;
                let tag = tag.map(|t| tag_text(&t));
                let mut value = value.into_owned();
                // The parser leaves room for more than most texts need.
                value.shrink_to_fit();
                let node = Node { kind: Kind::Scalar { value, style, tag }, span: range };
                self.close(node, anchor)
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, &range, OpenKind::Sequence(Vec::new())),
            Event::MappingStart(anchor, _) => self.open(anchor, &range, OpenKind::Mapping(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.stack.pop() else { return Ok(()) };
                let end = self.collection_end(&range, open.start);
                self.last_end = end;
                let kind = match open.kind {
                    OpenKind::Sequence(items) => Kind::Sequence(items),
                    OpenKind::Mapping(entries) => Kind::Mapping(self.finish_mapping(entries)?),
                };
                self.close(Node { kind, span: open.start..end }, open.anchor)
            }
            Event::Alias(anchor) => {
                self.last_end = range.end;
                let node = self.resolve(anchor, &range)?;
                self.add(node)
            }
            _ => Ok(()),
        }
    }

    /// The place of an empty value: right behind the `:` or `-` it belongs to. (The parser gives that of the next token.)
    fn empty_at(&self) -> Range<usize> {
        let text = &self.file.text;
        let mut at = self.last_end;
        loop {
            let rest = text.get(at..).unwrap_or("");
            let blank = rest.len() - rest.trim_start().len();
            let rest = &rest[blank..];
            if rest.starts_with([':', '-', '?']) {
                return at + blank + 1..at + blank + 1;
            }
            if !rest.starts_with('#') {
                return self.last_end..self.last_end;
            }
            at += blank + rest.find('\n').unwrap_or(rest.len());
        }
    }

    /// Where the value itself begins when a tag or an anchor stands before it.
    fn behind_properties(&self, range: &Range<usize>) -> usize {
        let text = self.file.text.get(range.clone()).unwrap_or("");
        let mut rest = text;
        while rest.starts_with(['!', '&']) {
            rest = rest.trim_start_matches(|c: char| !c.is_whitespace()).trim_start();
        }
        if rest.len() < text.len() && rest.starts_with(['|', '>']) {
            // A block scalar begins with its first line that is not blank, as it does without properties.
            rest = rest.split_once('\n').map_or("", |(_, body)| body).trim_start();
        }
        if rest.is_empty() { range.start } else { range.end - rest.len() }
    }

    /// The end of a quoted scalar: the parser's span may go on to the next token.
    fn quoted_end(&self, start: usize, end: usize) -> usize {
        let text = self.file.text.get(start..end).unwrap_or("");
        let mut bytes = text.bytes().enumerate();
        let Some((_, quote)) = bytes.next() else { return end };
        while let Some((i, byte)) = bytes.next() {
            if byte == b'\\' && quote == b'"' {
                bytes.next();
            } else if byte == quote {
                if quote == b'"' || text.as_bytes().get(i + 1) != Some(&quote) {
                    return start + i + 1;
                }
                bytes.next();
            }
        }
        end
    }

    /// The end of a list or mapping: its closing bracket, or for a block the end of its last value.
    fn collection_end(&self, at: &Range<usize>, start: usize) -> usize {
        match self.file.text.as_bytes().get(at.start) {
            Some(b']' | b'}') if at.end > at.start => at.start + 1,
            _ => self.last_end.max(start),
        }
    }

    fn count_node(&mut self, at: &Range<usize>) -> Result<(), Failure> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(self.limit(at, format!("the file holds more than {NODES_MAX} values")));
        }
        Ok(())
    }

    fn limit(&self, at: &Range<usize>, message: String) -> Failure {
        let help = "write the file with less nesting, fewer values or fewer aliases";
        Box::new(Diagnostic::error("A005", self.file, at.clone(), message).with_help(help))
    }

    fn open(&mut self, anchor: usize, range: &Range<usize>, kind: OpenKind) -> Result<(), Failure> {
        self.count_node(range)?;
        if self.within + self.stack.len() >= DEPTH_MAX {
            return Err(self.limit(range, format!("values are nested more than {DEPTH_MAX} deep")));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        self.stack.push(Open { anchor, start: range.start, key: None, kind });
        Ok(())
    }

    /// A value is complete: remembers it if it is anchored, and puts it where it belongs.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Failure> {
        if anchor > 0 {
            let (weight, height) = node.measure();
            self.spend(weight, &node.span)?;
            self.anchors.insert(anchor, Some(Anchored { node: node.clone(), weight, height }));
        }
        self.add(node)
    }

    fn spend(&mut self, weight: usize, at: &Range<usize>) -> Result<(), Failure> {
        match self.alias_budget.checked_sub(weight) {
            Some(left) => {
                self.alias_budget = left;
                Ok(())
            }
            None => Err(self.limit(at, format!("aliases expand to more than {ALIAS_BUDGET_MAX} values"))),
        }
    }

    fn resolve(&mut self, anchor: usize, range: &Range<usize>) -> Result<Node, Failure> {
        let (weight, height) = match self.anchors.get(&anchor) {
            Some(Some(found)) => (found.weight, found.height),
            _ => {
                return Err(Box::new(
                    Diagnostic::error("A007", self.file, range.clone(), "the alias contains itself".to_owned())
                        .with_label("stands inside the value it refers to"),
                ));
            }
        };
        self.spend(weight, range)?;
        if self.stack.len() + height > DEPTH_MAX {
            return Err(self.limit(range, format!("values are nested more than {DEPTH_MAX} deep")));
        }
        let node = self.anchors.get(&anchor).and_then(|a| a.as_ref()).map(|a| a.node.clone());
        node.ok_or_else(|| self.limit(range, "unknown alias".to_owned()))
    }

    fn add(&mut self, node: Node) -> Result<(), Failure> {
        let Some(top) = self.stack.last_mut() else {
            // A document of nothing but comments is one empty scalar to the parser.
            let nothing =
                matches!(&node.kind, Kind::Scalar { value, style: ScalarStyle::Plain, .. } if value.is_empty());
            self.root = (!nothing).then_some(node);
            return Ok(());
        };
        match (&mut top.kind, top.key.take()) {
            (OpenKind::Sequence(items), _) => items.push(node),
            (OpenKind::Mapping(_), None) => top.key = Some(node),
            (OpenKind::Mapping(entries), Some(key)) => entries.push((key, node)),
        }
        Ok(())
    }

    /// Refuses duplicate keys and resolves `<<`.
    fn finish_mapping(&mut self, entries: Vec<(Node, Node)>) -> Result<Vec<(Node, Node)>, Failure> {
        self.refuse_duplicates(&entries)?;
        let is_merge =
            |key: &Node| matches!(&key.kind, Kind::Scalar { value, style: ScalarStyle::Plain, .. } if value == "<<");
        if !entries.iter().any(|(key, _)| is_merge(key)) {
            return Ok(entries);
        }
        let (merges, mut kept): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| is_merge(key));
        for (_, value) in merges {
            let span = value.span.clone();
            let sources = match value.kind {
                Kind::Sequence(items) => items,
                kind => vec![Node { kind, span: span.clone() }],
            };
            for source in sources {
                let Kind::Mapping(pairs) = source.kind else {
                    return Err(Box::new(
                        Diagnostic::error("A011", self.file, source.span, "`<<` merges mappings only".to_owned())
                            .with_label("expected an alias of a mapping"),
                    ));
                };
                for (key, value) in pairs {
                    if !kept.iter().any(|(k, _)| k.text().is_some() && k.text() == key.text()) {
                        self.spend(1, &span)?;
                        kept.push((key, value));
                    }
                }
            }
        }
        Ok(kept)
    }

    fn refuse_duplicates(&self, entries: &[(Node, Node)]) -> Result<(), Failure> {
        let second = if entries.len() <= 24 {
            let mut rest = entries.iter().enumerate().skip(1);
            rest.find(|(i, (key, _))| entries[..*i].iter().any(|(k, _)| k.text().is_some() && k.text() == key.text()))
                .map(|(_, (key, _))| key)
        } else {
            let mut seen = HashSet::with_capacity(entries.len());
            entries.iter().map(|(key, _)| key).find(|key| key.text().is_some_and(|text| !seen.insert(text)))
        };
        let Some(key) = second else { return Ok(()) };
        let name = key.text().unwrap_or_default();
        let first = entries.iter().find(|(k, _)| k.text() == Some(name)).map_or(0, |(k, _)| k.span.start);
        let line = self.file.position(first).line;
        Err(Box::new(
            Diagnostic::error("A006", self.file, key.span.clone(), format!("the key `{name}` is given twice"))
                .with_label(format!("first given on line {line}"))
                .with_help("keep one of the two"),
        ))
    }

    fn syntax_error(&mut self, error: &saphyr_parser::ScanError) -> Failure {
        let (info, text) = (error.info(), &self.file.text);
        let mut start = self.cursor.byte(*error.marker());
        if info.contains("invalid indentation in quoted") {
            self.outdented = Some(start);
        }
        if info.contains("tab") {
            // The parser names the value before the tab.
            start = tab_in_margin(text, start).unwrap_or(start);
        }
        if start >= text.len() {
            // What is missing at the end of a file is missed behind its last word.
            start = text.trim_end().len();
        }
        let next = text.get(start..).and_then(|t| t.chars().next());
        if info.contains("recursion limit") {
            return self.limit(&(start..start), format!("values are nested more than {DEPTH_MAX} deep"));
        }
        let end = start + next.filter(|c| !matches!(c, '\n' | '\r')).map_or(0, char::len_utf8);
        let found = Diagnostic::error("A004", self.file, start..end, format!("not valid YAML: {info}"));
        Box::new(if next == Some('\t') || info.contains("tab") {
            found.with_help("YAML is indented by spaces; replace the tab")
        } else if info.contains("block scalar, did not find") {
            found.with_help("a text that begins with `>` or `|` must be put in quotes: `\"> 80\"`")
        } else if info.contains("mapping values are not allowed") {
            found.with_help("a text that contains `: ` must be put in quotes")
        } else if info.contains("unexpected end of stream") {
            found.with_help("close the quote")
        } else if let Some((bracket, line)) = self.open_bracket() {
            found.with_help(format!("the `{bracket}` on line {line} may not be closed"))
        } else {
            found
        })
    }

    /// The innermost bracket that is still open, and its line.
    fn open_bracket(&self) -> Option<(char, u32)> {
        let start = self.stack.last()?.start;
        let bracket = self.file.text.get(start..)?.chars().next().filter(|c| matches!(c, '[' | '{'))?;
        Some((bracket, self.file.position(start).line))
    }
}

/// The first tab in the margin of the line at `start` or of one that follows.
fn tab_in_margin(text: &str, start: usize) -> Option<usize> {
    let line_start = text.get(..start)?.rfind('\n').map_or(0, |i| i + 1);
    let mut at = line_start;
    for line in text.get(line_start..)?.split_inclusive('\n') {
        let margin = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = line[..margin].find('\t') {
            return Some(at + tab);
        }
        at += line.len();
    }
    None
}

fn tag_text(tag: &Tag) -> Box<str> {
    let handle = if tag.is_yaml_core_schema() { "!!" } else { tag.handle.as_str() };
    format!("{handle}{}", tag.suffix).into()
}
