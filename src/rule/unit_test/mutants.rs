//! Small changes of rules that a good test notices: thresholds, comparisons, waiting times, matchers.
//!
//! A change is a replacement in the text of a rule file, so that what is run is read as any file is. The list depends on
//! the text alone and stands in the order of the file.

use std::ops::Range;
use std::sync::Arc;

use crate::diag::SourceFile;
use crate::model::{format_duration, parse_duration};
use crate::promql::ast::{Selector, Subquery};
use crate::promql::{BinaryOp, Expr, ExprKind, ParseOptions, parse};
use crate::rule::prometheus::MARK;
use crate::yaml::{self, Node};

/// Comparisons and what each is changed to.
const SWAPS: [(&str, &str); 6] = [(">=", ">"), ("<=", "<"), ("==", "!="), ("!=", "=="), (">", ">="), ("<", "<=")];

/// A changed rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutant {
    /// Name of the rule.
    pub rule: String,
    /// Line of its name.
    pub line: u32,
    /// The bytes that are replaced.
    pub span: Range<usize>,
    /// What stands there instead.
    pub replacement: String,
    /// The value that it stands in, changed.
    pub changed: String,
}

impl Mutant {
    /// The file with the change.
    pub fn apply(&self, file: &SourceFile) -> Arc<SourceFile> {
        let (before, after) = (file.text.get(..self.span.start), file.text.get(self.span.end..));
        let text = format!("{}{}{}", before.unwrap_or_default(), self.replacement, after.unwrap_or_default());
        SourceFile::new(file.path.clone(), text)
    }
}

/// The changes of all rules of a file.
pub fn mutants(file: &Arc<SourceFile>) -> Vec<Mutant> {
    let mut out = Vec::new();
    for root in yaml::documents(file, &mut Vec::new()).unwrap_or_default() {
        of_document(file, &root, &mut out);
    }
    out
}

fn of_document(file: &Arc<SourceFile>, root: &Node, out: &mut Vec<Mutant>) {
    let items = |node: Option<&Node>| node.and_then(Node::items).unwrap_or_default().to_vec();
    for inner in items(root.get("items")) {
        of_document(file, &inner, out);
    }
    let holder = root.get("spec").unwrap_or(root);
    let groups = items(holder.get(MARK));
    let rules = groups.iter().flat_map(|group| items(group.get("rules"))).chain(items(root.get("rules")));
    for rule in rules {
        let name = ["alert", "record", "name"].iter().find_map(|key| rule.get(key));
        let Some((name, text)) = name.and_then(|name| Some((name, name.text()?))) else { continue };
        let line = file.position(name.span.start).line;
        let mut of_rule = OfRule { file, rule: text, line, out };
        of_rule.run(&rule);
    }
}

struct OfRule<'a> {
    file: &'a SourceFile,
    rule: &'a str,
    line: u32,
    out: &'a mut Vec<Mutant>,
}

impl OfRule<'_> {
    fn run(&mut self, rule: &Node) {
        for (key, value) in rule.entries().unwrap_or_default() {
            match (key.text().unwrap_or_default(), value.text()) {
                ("expr" | "metric" | "recover_expr", Some(text)) => self.promql(value, text),
                ("threshold" | "recover" | "when" | "recover_when", Some(text)) => self.words(value, text),
                ("for", Some(text)) => self.wait(value, text),
                ("levels", None) => {
                    for (_, level) in value.entries().unwrap_or_default() {
                        self.words(level, level.text().unwrap_or_default());
                    }
                }
                ("queries", None) => {
                    for (_, query) in value.entries().unwrap_or_default() {
                        self.promql(query, query.text().unwrap_or_default());
                    }
                }
                _ => {}
            }
        }
    }

    /// Notes a change of a part of a scalar, where that part stands in the file as it is in the text.
    fn change(&mut self, node: &Node, text: &str, range: Range<usize>, replacement: String) {
        let span = node.locate(&self.file.text, range.clone());
        if self.file.text.get(span.clone()) != text.get(range.clone()) {
            return;
        }
        let changed = format!("{}{replacement}{}", &text[..range.start], &text[range.end..]);
        let (rule, line) = (self.rule.to_owned(), self.line);
        self.out.push(Mutant { rule, line, span, replacement, changed });
    }

    fn wait(&mut self, node: &Node, text: &str) {
        let Ok(wait) = parse_duration(text) else { return };
        if wait.is_zero() {
            return;
        }
        for other in [wait / 2, wait.saturating_mul(2)] {
            self.change(node, text, 0..text.len(), format_duration(other));
        }
    }

    /// Comparisons in what is no PromQL: an operator and the number behind it.
    fn words(&mut self, node: &Node, text: &str) {
        let mut at = 0;
        while at < text.len() {
            let Some(rest) = text.get(at..) else {
                at += 1;
                continue;
            };
            let Some((op, other)) = SWAPS.iter().find(|(op, _)| rest.starts_with(op)) else {
                at += 1;
                continue;
            };
            self.change(node, text, at..at + op.len(), (*other).to_owned());
            at += op.len();
            let begin = at + text[at..].len() - text[at..].trim_start().len();
            let number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
            let len = text[begin..].find(|c| !number(c)).unwrap_or(text.len() - begin);
            if let Ok(value) = text[begin..begin + len].parse::<f64>() {
                self.number(node, text, begin..begin + len, value);
                at = begin + len;
            }
        }
    }

    fn number(&mut self, node: &Node, text: &str, range: Range<usize>, value: f64) {
        if !value.is_finite() {
            return;
        }
        let step = if value.fract() == 0.0 && value.abs() <= 10.0 { 1.0 } else { value.abs() / 10.0 };
        for other in [value + step, value - step] {
            self.change(node, text, range.clone(), rounded(other));
        }
    }

    fn promql(&mut self, node: &Node, text: &str) {
        let Ok(expr) = parse(text, &ParseOptions { dotted_names: true }) else { return };
        let mut changes = Vec::new();
        walk(&expr, text, &mut changes);
        changes.sort_by_key(|(range, _)| range.start);
        for (range, change) in changes {
            match change {
                Change::Text(other) => self.change(node, text, range, other),
                Change::Number(value) => self.number(node, text, range, value),
            }
        }
    }
}

enum Change {
    Text(String),
    Number(f64),
}

/// A number as short as it can be said after a small calculation.
fn rounded(value: f64) -> String {
    let short = format!("{value:.12}");
    let short = short.trim_end_matches('0').trim_end_matches('.');
    if short.parse::<f64>().is_ok_and(|v| (v - value).abs() <= value.abs() * 1e-9) && short != "-0" {
        short.to_owned()
    } else {
        value.to_string()
    }
}

/// Goes through an expression, whose height the parser limits.
fn walk(expr: &Expr, text: &str, out: &mut Vec<(Range<usize>, Change)>) {
    match &expr.kind {
        ExprKind::Binary(binary) => {
            if let BinaryOp::Compare(_) = binary.op {
                comparison((&binary.left, &binary.right), text, out);
            }
            walk(&binary.left, text, out);
            walk(&binary.right, text, out);
        }
        ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => walk(inner, text, out),
        ExprKind::Aggregate(aggregate) => {
            aggregate.parameter.iter().for_each(|parameter| walk(parameter, text, out));
            walk(&aggregate.expr, text, out);
        }
        ExprKind::Call(call) => call.args.iter().for_each(|arg| walk(arg, text, out)),
        ExprKind::Vector(selector) | ExprKind::Matrix(selector, _) => matchers(selector, text, out),
        ExprKind::Subquery(subquery) => {
            let Subquery { expr, .. } = &**subquery;
            walk(expr, text, out);
        }
        ExprKind::Number(_) | ExprKind::Text(_) => {}
    }
}

fn comparison((left, right): (&Expr, &Expr), text: &str, out: &mut Vec<(Range<usize>, Change)>) {
    let between = text.get(left.span.end..right.span.start).unwrap_or_default();
    let found = SWAPS.iter().filter_map(|(op, other)| Some((between.find(op)?, op, other)));
    if let Some((at, op, other)) = found.min_by_key(|(at, op, _)| (*at, std::cmp::Reverse(op.len()))) {
        let start = left.span.end + at;
        out.push((start..start + op.len(), Change::Text((*other).to_owned())));
    }
    for side in [left, right] {
        if let ExprKind::Number(number) = &side.kind
            && text.get(side.span.clone()).is_some_and(|t| t.parse::<f64>().is_ok())
        {
            out.push((side.span.clone(), Change::Number(number.0)));
        }
    }
}

/// Each matcher but that of the name, left out with its comma.
fn matchers(selector: &Selector, text: &str, out: &mut Vec<(Range<usize>, Change)>) {
    let (Some(open), Some(last)) =
        (selector.matcher_spans.iter().map(|s| s.start).min(), selector.matcher_spans.last())
    else {
        return;
    };
    if selector.matcher_spans.len() < 2 || open == last.start {
        return;
    }
    for (matcher, span) in selector.matchers.iter().zip(&selector.matcher_spans) {
        if matcher.name == crate::model::labels::METRIC_NAME {
            continue;
        }
        let behind = text.get(span.end..).unwrap_or_default();
        let space = behind.len() - behind.trim_start().len();
        let before = text.get(..span.start).unwrap_or_default().trim_end();
        let range = if behind.trim_start().starts_with(',') {
            span.start..span.end + space + 1
        } else if before.ends_with(',') {
            before.len() - 1..span.end
        } else {
            span.clone()
        };
        out.push((range, Change::Text(String::new())));
    }
}
