//! On which lines the rules of a file and their keys stand, and what of it is text: what comments need to know.

use std::collections::HashMap;
use std::ops::{Range, RangeInclusive};

use crate::diag::SourceFile;
use crate::yaml::{Kind, Node};

/// The lines of a file.
pub(super) struct Outline<'a> {
    file: &'a SourceFile,
    last_line: u32,
    /// First and last line of each rule.
    rules: HashMap<u32, u32>,
    /// The same of each key of a rule with its value: a key with a text of several lines is one thing.
    keys: HashMap<u32, u32>,
    /// Values with a `#` in them that are no queries, in order: what looks like a comment there is none.
    texts: Vec<Range<usize>>,
}

impl<'a> Outline<'a> {
    /// Of a file with these documents.
    pub fn new(file: &'a SourceFile, roots: &[&Node]) -> Self {
        let last_line = u32::try_from(file.text.lines().count()).unwrap_or(u32::MAX);
        let mut outline = Self { file, last_line, rules: HashMap::new(), keys: HashMap::new(), texts: Vec::new() };
        for root in roots {
            outline.rules_of(root);
            outline.texts_of(root, false);
        }
        outline.texts.sort_unstable_by_key(|span| span.start);
        outline
    }

    /// Whether a byte stands in a text.
    pub fn is_text(&self, at: usize) -> bool {
        let behind = self.texts.partition_point(|span| span.start <= at);
        behind.checked_sub(1).is_some_and(|last| at < self.texts[last].end)
    }

    /// The lines that a comment on a line covers.
    pub fn reach(&self, number: u32, alone: bool) -> RangeInclusive<u32> {
        let mut first = number;
        if alone {
            first += 1;
            while first <= self.last_line
                && matches!(self.file.line(first).trim_start().chars().next(), None | Some('#'))
            {
                first += 1;
            }
        }
        let whole = self.rules.get(&first).filter(|_| alone);
        let last = whole.or_else(|| self.keys.get(&first)).copied().unwrap_or(first);
        first..=last.max(first)
    }

    fn line(&self, at: usize) -> u32 {
        self.file.position(at).line
    }

    /// The rules of a rule file, or of the resources that hold groups.
    fn rules_of(&mut self, node: &Node) {
        for (key, value) in node.entries().unwrap_or_default() {
            let items = value.items().unwrap_or_default();
            match key.text() {
                Some("rules") => items.iter().for_each(|rule| self.rule(rule)),
                Some("groups" | "items") => items.iter().for_each(|item| self.rules_of(item)),
                Some("spec") => self.rules_of(value),
                _ => {}
            }
        }
    }

    fn rule(&mut self, rule: &Node) {
        self.rules.insert(self.line(rule.span.start), self.line(end_of(rule)));
        for (key, value) in rule.entries().unwrap_or_default() {
            let (first, last) = (self.line(key.span.start), self.line(end_of(value)));
            let known = self.keys.entry(first).or_default();
            *known = last.max(*known);
        }
    }

    fn texts_of(&mut self, node: &Node, queries: bool) {
        match &node.kind {
            Kind::Scalar { .. } => {
                let text = self.file.text.get(node.span.clone()).unwrap_or_default();
                if !queries && text.contains('#') {
                    self.texts.push(node.span.clone());
                }
            }
            Kind::Sequence(items) => items.iter().for_each(|item| self.texts_of(item, queries)),
            Kind::Mapping(entries) => {
                for (key, value) in entries {
                    // PromQL has comments of its own.
                    let query = matches!(key.text(), Some("expr" | "recover_expr" | "queries"));
                    self.texts_of(value, queries || query);
                }
            }
        }
    }
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
