//! What the readers of a rule's parts share: the file, the findings, and a rule seen through its defaults.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::{LoadOptions, Query};
use crate::diag::{Diagnostic, Fix, SourceFile, suggest};
use crate::model::{Origin, parse_duration};
use crate::promql::{self, Expr, ParseOptions, ValueType};
use crate::template::Template;
use crate::yaml::Node;

/// The file being read, and what was found in it so far.
pub(super) struct Reader<'a> {
    pub file: &'a Arc<SourceFile>,
    pub options: &'a LoadOptions<'a>,
    /// Whether it is a Prometheus rule file: what Prometheus accepts is then no error.
    pub prometheus: bool,
    pub out: Vec<Diagnostic>,
}

/// A rule and the defaults of its file.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub own: &'a Node,
    pub defaults: Option<&'a Node>,
}

impl<'a> View<'a> {
    /// Key and value as written in the rule itself.
    pub fn own(&self, key: &str) -> Option<(&'a Node, &'a Node)> {
        self.own.entry(key)
    }

    /// The value in the rule, else in the defaults.
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.own.get(key).or_else(|| self.defaults?.get(key))
    }

    /// The text under a key.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.text()
    }

    /// The duration under a key; one that cannot be read was reported with the shape of the file.
    pub fn duration(&self, key: &str) -> Option<Duration> {
        parse_duration(self.text(key)?).ok()
    }

    /// The texts of the list under a key.
    pub fn names(&self, key: &str) -> Vec<Arc<str>> {
        let items = self.get(key).and_then(Node::items).unwrap_or_default();
        items.iter().filter_map(Node::text).map(Arc::from).collect()
    }

    /// The pairs of the mapping under a key: those of the defaults that the rule does not override, then the rule's.
    pub fn merged(&self, key: &str) -> Vec<&'a (Node, Node)> {
        merged(self.own.get(key), self.defaults.and_then(|d| d.get(key))).collect()
    }
}

/// The pairs of two mappings: those inherited that the own ones do not override, then the own ones.
pub(crate) fn merged<'a>(
    own: Option<&'a Node>,
    inherited: Option<&'a Node>,
) -> impl Iterator<Item = &'a (Node, Node)> + use<'a> {
    let pairs = |node: Option<&'a Node>| node.and_then(Node::entries).unwrap_or_default().iter();
    let kept = move |(k, _): &&(Node, Node)| own.is_none_or(|own| own.get(k.text().unwrap_or("")).is_none());
    pairs(inherited).filter(kept).chain(pairs(own))
}

impl Reader<'_> {
    /// A new error, not yet reported.
    pub fn error(&self, code: &'static str, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, self.file, span, message.into())
    }

    /// A new warning, not yet reported.
    pub fn warning(&self, code: &'static str, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::warning(code, self.file, span, message.into())
    }

    /// The bytes of the file behind a range of a scalar's text.
    pub fn inside(&self, node: &Node, range: Range<usize>) -> Range<usize> {
        node.locate(&self.file.text, range)
    }

    /// Where something stands, for messages at run time.
    pub fn origin(&self, node: &Node) -> Origin {
        Origin { file: self.file.path.clone(), line: self.file.position(node.span.start).line }
    }

    /// A query of a checked expression.
    pub fn compiled(&self, text: Arc<str>, expr: Expr) -> Query {
        if self.options.keep_trees { Query::keeping(text, expr) } else { Query::new(text, &expr) }
    }

    /// Compiles the PromQL under a key; errors point into it.
    pub fn query(&mut self, node: &Node) -> Option<Query> {
        let text = node.text()?;
        match promql::parse(text, &ParseOptions { dotted_names: false }) {
            Ok(expr) => {
                let usable = self.instant(expr.value_type(), node) || self.prometheus;
                usable.then(|| self.compiled(Arc::from(text), expr))
            }
            Err(errors) => {
                for e in errors {
                    let span = self.inside(node, e.span);
                    let mut found = self.error(e.code, span, e.message);
                    (found.label, found.help) = (e.label, e.help);
                    found.fix = e.fix.and_then(|fix| self.edit(node, fix.0, fix.1));
                    self.out.push(found);
                }
                None
            }
        }
    }

    /// A change of a scalar's text as a change of the file, where the file says that text letter by letter.
    fn edit(&self, node: &Node, place: Range<usize>, new: String) -> Option<Fix> {
        let old = node.text()?.get(place.clone())?;
        let span = self.inside(node, place);
        (self.file.text.get(span.clone()) == Some(old)).then(|| Fix::replace(span, new))
    }

    /// Whether a query yields values an alert can be made of; reports it if not.
    fn instant(&mut self, yields: ValueType, node: &Node) -> bool {
        let (what, help) = match yields {
            ValueType::Matrix => ("ranges of samples", "reduce each range: `rate(…[5m])`, `max_over_time(…[5m])`"),
            ValueType::String => ("a text", "write a query that yields numbers"),
            _ => return true,
        };
        let message = format!("the query yields {what}, not one number per series");
        let found = match self.prometheus {
            // Prometheus takes the file and fails at every evaluation.
            true => self.warning("A209", node.span.clone(), message),
            false => self.error("A209", node.span.clone(), message),
        };
        self.out.push(found.with_label("expected one number per series").with_help(help));
        false
    }

    /// Compiles the template under a key; errors point into it.
    pub fn template(&mut self, node: &Node) -> Option<Template> {
        match Template::parse(node.text()?) {
            Ok(template) => Some(template),
            Err(errors) => {
                for e in errors {
                    let span = self.inside(node, e.span);
                    let mut found = self.error("A301", span, e.message);
                    (found.label, found.help) = (e.label, e.help);
                    self.out.push(found);
                }
                None
            }
        }
    }

    /// Compares names with those that exist elsewhere, where these are known.
    pub fn known_names<'n>(
        &mut self,
        items: impl IntoIterator<Item = &'n Node>,
        (known, (code, what)): (Option<&[String]>, (&'static str, &str)),
    ) {
        let Some(known) = known else { return };
        for item in items {
            let Some(name) = item.text().filter(|name| !known.iter().any(|k| k == name)) else { continue };
            let label = match suggest(name, known.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("no {what} of this name"),
            };
            let help = if known.is_empty() {
                format!("there is no {what} yet; define it first")
            } else {
                format!("known are {}", known.iter().take(20).map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", "))
            };
            let found = self.error(code, item.span.clone(), format!("unknown {what} `{name}`"));
            self.out.push(found.with_label(label).with_help(help));
        }
    }
}
