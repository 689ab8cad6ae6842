//! `metric`, `reduce`, `over`, `combine`, `by`: sugar that becomes PromQL.
//!
//! The PromQL is generated as text and parsed like any other query, so there is one evaluator and a user can see the
//! query behind a rule. Each part of the text that was copied from `metric` is remembered, so that an error in it points
//! into the file.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use super::Query;
use super::keys::{COMBINATIONS, REDUCTIONS};
use super::reader::{Reader, View};
use crate::diag::suggest;
use crate::model::format_duration;
use crate::promql::{self, ParseOptions};
use crate::yaml::Node;
use crate::yaml::shape::listed;

/// A reduction or a combination.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Function<'a> {
    Named(&'a str),
    /// As a share, 0 to 1.
    Quantile(f64),
}

/// `metric`, taken apart.
struct Selector<'a> {
    name: Range<usize>,
    /// With its braces; empty where there is none.
    matchers: Range<usize>,
    text: &'a str,
}

/// A generated query and which of its bytes came from `metric`: start in the query, bytes of `metric`.
struct Generated {
    text: String,
    copies: Vec<(usize, Range<usize>)>,
}

impl Reader<'_> {
    /// The signal of a rule with `metric`.
    pub fn signal(&mut self, view: &View<'_>) -> Option<Query> {
        let metric = view.get("metric")?;
        let selector = self.selector(metric);
        let reduction = self.reduction(view);
        let combination = self.combination(view);
        let (selector, (reduction, window), combination) = (selector?, reduction?, combination?);
        self.counter_warning(metric, &selector, reduction, view);
        let mut generated = reduced(&selector, reduction, window.as_deref());
        if let Some(combination) = combination {
            generated = combined(generated, combination, &view.names("by"));
        }
        self.compile(metric, generated)
    }

    fn compile(&mut self, metric: &Node, generated: Generated) -> Option<Query> {
        match promql::parse(&generated.text, &ParseOptions { dotted_names: true }) {
            Ok(expr) => Some(self.compiled(Arc::from(generated.text), expr)),
            Err(errors) => {
                for e in errors {
                    let span = match generated.origin(e.span) {
                        Some(inside) => self.inside(metric, inside),
                        None => metric.span.clone(),
                    };
                    let mut found = self.error(e.code, span, e.message);
                    (found.label, found.help) = (e.label, e.help);
                    self.out.push(found);
                }
                None
            }
        }
    }

    /// Takes `metric` apart, or says why it is no selector.
    fn selector<'n>(&mut self, node: &'n Node) -> Option<Selector<'n>> {
        let text = node.text()?;
        let start = text.len() - text.trim_start().len();
        let name_len = text[start..].bytes().take_while(|b| b.is_ascii_alphanumeric() || b"_:.".contains(b)).count();
        let name = start..start + name_len;
        let rest = text[name.end..].trim_start();
        let open = text.len() - rest.len();
        if !rest.starts_with('{') {
            return if rest.is_empty() && name_len > 0 {
                Some(Selector { matchers: name.end..name.end, name, text })
            } else {
                self.no_selector(node, if name_len > 0 { open..text.trim_end().len() } else { 0..text.len() })
            };
        }
        let Some(close) = closing_brace(rest) else {
            // The parser says best what is missing.
            return match promql::parse(text, &ParseOptions { dotted_names: true }) {
                Ok(_) => self.no_selector(node, open..text.len()),
                Err(_) => {
                    self.compile(node, Generated { text: text.to_owned(), copies: vec![(0, 0..text.len())] }).and(None)
                }
            };
        };
        let matchers = open..open + close + 1;
        if text[matchers.end..].trim().is_empty() {
            return Some(Selector { name, matchers, text });
        }
        self.no_selector(node, matchers.end..text.trim_end().len())
    }

    fn no_selector<T>(&mut self, node: &Node, inside: Range<usize>) -> Option<T> {
        let text = node.text().unwrap_or_default();
        let odd = text.get(inside.clone()).unwrap_or("").trim_start();
        let help = if odd.starts_with('[') {
            "give the window under `over` and the function under `reduce`"
        } else if odd.starts_with(['>', '<', '=', '!']) {
            "give the condition under `threshold`"
        } else {
            "a whole query goes under `expr`"
        };
        let inside = inside.end - odd.len()..inside.end;
        let found = self.error("A414", self.inside(node, inside), "`metric` must be a selector");
        self.out.push(found.with_label("only a name and `{label=\"value\"}` may stand here").with_help(help));
        None
    }

    /// The function of `reduce` with the window it needs.
    fn reduction<'v>(&mut self, view: &View<'v>) -> Option<(Function<'v>, Option<String>)> {
        let window = view.duration("over");
        let has_window = view.get("over").is_some();
        let function = match view.get("reduce") {
            Some(node) => self.function(node, "reduce", REDUCTIONS)?,
            None => Function::Named("last"),
        };
        if let (true, Some(zero)) = (window.is_some_and(|w| w.is_zero()), view.get("over")) {
            let found = self.error("A015", zero.span.clone(), "`over` must be longer than nothing");
            self.out.push(found.with_label("expected a duration such as `5m`"));
            return None;
        }
        if function != Function::Named("last") && !has_window {
            let (key, value) = view.own("reduce").or_else(|| view.defaults?.entry("reduce"))?;
            let name = value.text().unwrap_or_default();
            let found = self.error("A405", key.span.clone(), format!("`reduce: {name}` needs a window"));
            self.out.push(found.with_label("`over` is missing").with_help("add `over: 5m`"));
            return None;
        }
        match (has_window, window) {
            (true, None) => None,
            (_, window) => Some((function, window.map(format_duration))),
        }
    }

    /// `Some(None)` where there is none.
    fn combination<'v>(&mut self, view: &View<'v>) -> Option<Option<Function<'v>>> {
        if let Some(node) = view.get("combine") {
            return self.function(node, "combine", COMBINATIONS).map(Some);
        }
        if let Some((key, _)) = view.own("by") {
            let found = self.error("A415", key.span.clone(), "`by` has no meaning without `combine`");
            self.out.push(found.with_label("combine what?").with_help("add `combine: sum`, or remove `by`"));
            return None;
        }
        Some(None)
    }

    fn function<'n>(&mut self, node: &'n Node, key: &str, known: &[&str]) -> Option<Function<'n>> {
        let text = node.text()?;
        if known.contains(&text) {
            return Some(Function::Named(text));
        }
        if let Some(share) = percentile(text) {
            return Some(Function::Quantile(share));
        }
        let meant = match text {
            "avg" | "average" => Some("mean"),
            "median" => Some("p50"),
            other => suggest(other, known.iter().copied()),
        };
        let label = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "not known here".to_owned(),
        };
        let shown: String = text.chars().take(60).collect();
        let found = self.error("A406", node.span.clone(), format!("`{shown}` is no value of `{key}`"));
        self.out.push(
            found.with_label(label).with_help(format!("one of {}, or a percentile `p0` to `p100`", listed(known))),
        );
        None
    }

    /// A counter that is compared as it stands only ever rises: the alert fires once and for ever.
    fn counter_warning(&mut self, node: &Node, selector: &Selector<'_>, reduction: Function<'_>, view: &View<'_>) {
        let grows = matches!(reduction, Function::Named("rate" | "increase" | "delta" | "range" | "count"));
        if grows || !selector.text[selector.name.clone()].ends_with("_total") {
            return;
        }
        let place = view.get("reduce").map_or_else(|| self.inside(node, selector.name.clone()), |n| n.span.clone());
        let found =
            self.warning("A210", place, "a counter is compared as it stands; it only rises until its process restarts");
        self.out.push(
            found.with_label("expected `rate` or `increase`").with_help("write `reduce: increase` and `over: 5m`"),
        );
    }
}

/// `p95` as 0.95.
fn percentile(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('p')?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let percent: f64 = digits.parse().ok()?;
    // Rounded so that `p99.9` reads 0.999 in the query, not 0.9990000000000001.
    (percent <= 100.0).then(|| (percent * 1e10).round() / 1e12)
}

/// Where the brace that opens a text closes, strings skipped.
fn closing_brace(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(q) if c == '\\' && q != '`' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if c == '}' => return Some(i),
            None => {}
        }
    }
    None
}

impl Selector<'_> {
    /// The selector as PromQL has it: a dotted name goes into the braces.
    fn write(&self, out: &mut Generated) {
        let name = &self.text[self.name.clone()];
        if !name.contains('.') {
            out.copy(self.text, self.name.clone());
            out.copy(self.text, self.matchers.clone());
            return;
        }
        out.text.push_str("{\"");
        out.copy(self.text, self.name.clone());
        out.text.push('"');
        let inner = self.matchers.start + usize::from(!self.matchers.is_empty())..self.matchers.end;
        if self.text[inner.clone()].trim() == "}" || inner.is_empty() {
            out.text.push('}');
        } else {
            out.text.push_str(", ");
            out.copy(self.text, inner);
        }
    }
}

impl Generated {
    fn copy(&mut self, source: &str, range: Range<usize>) {
        if !range.is_empty() {
            self.copies.push((self.text.len(), range.clone()));
            self.text.push_str(&source[range]);
        }
    }

    /// Bytes of `metric` behind bytes of the query.
    fn origin(&self, span: Range<usize>) -> Option<Range<usize>> {
        let (at, copied) = self.copies.iter().rfind(|(at, copied)| (*at..=*at + copied.len()).contains(&span.start))?;
        let start = copied.start + (span.start - at);
        Some(start..(start + span.len()).min(copied.end).max(start))
    }
}

fn reduced(selector: &Selector<'_>, function: Function<'_>, window: Option<&str>) -> Generated {
    let mut out = Generated { text: String::new(), copies: Vec::new() };
    let Some(window) = window else {
        selector.write(&mut out);
        return out;
    };
    let call = |out: &mut Generated, head: &str| {
        out.text.push_str(head);
        selector.write(out);
        let _ = write!(out.text, "[{window}])");
    };
    match function {
        Function::Quantile(share) => call(&mut out, &format!("quantile_over_time({share}, ")),
        Function::Named("range") => {
            call(&mut out, "max_over_time(");
            out.text.push_str(" - ");
            call(&mut out, "min_over_time(");
        }
        Function::Named(name) => {
            let head = match name {
                "mean" => "avg_over_time(".to_owned(),
                "rate" | "increase" | "delta" => format!("{name}("),
                other => format!("{other}_over_time("),
            };
            call(&mut out, &head);
        }
    }
    out
}

fn combined(inner: Generated, function: Function<'_>, by: &[Arc<str>]) -> Generated {
    let by = if by.is_empty() {
        String::new()
    } else {
        let names: Vec<String> = by.iter().map(|name| label_name(name)).collect();
        format!(" by ({}) ", names.join(", "))
    };
    let head = match function {
        Function::Quantile(share) => format!("quantile{by}({share}, "),
        Function::Named("mean") => format!("avg{by}("),
        Function::Named(name) => format!("{name}{by}("),
    };
    let copies = inner.copies.into_iter().map(|(at, range)| (at + head.len(), range)).collect();
    Generated { text: format!("{head}{})", inner.text), copies }
}

/// A label's name as PromQL reads it: quoted where it is not of letters, digits and underscores.
fn label_name(name: &str) -> String {
    let plain =
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.starts_with(|c: char| c.is_ascii_digit());
    if plain && !name.is_empty() { name.to_owned() } else { format!("{name:?}") }
}
