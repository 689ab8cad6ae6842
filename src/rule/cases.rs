//! `tests:` of a rule.

use std::time::Duration;

use super::reader::{Reader, View};
use super::{Expectation, ExpectedAlert, RuleTest};
use crate::model::{AlertState, Labels, Severity, parse_duration};
use crate::promql::notation;
use crate::yaml::Node;

/// `interval` where it is not given, as in promtool.
const INTERVAL: Duration = Duration::from_secs(60);
/// Most values of all series of a test.
const VALUES_MAX: usize = 1_000_000;

/// A series and its values; `None` is a gap.
type Series = (Labels, Vec<Option<f64>>);

impl Reader<'_> {
    /// The tests of a rule that could be read; errors are reported.
    pub fn cases(&mut self, view: &View<'_>) -> Vec<RuleTest> {
        let items = view.own("tests").and_then(|(_, node)| node.items()).unwrap_or_default();
        items.iter().filter_map(|item| self.case(item)).collect()
    }

    fn case(&mut self, node: &Node) -> Option<RuleTest> {
        let series = node.get("series").map(|series| self.series(series));
        let interval = match node.get("interval") {
            Some(text) => parse_duration(text.text()?).ok()?,
            None => INTERVAL,
        };
        if let (true, Some(zero)) = (interval.is_zero(), node.get("interval")) {
            let found = self.error("A015", zero.span.clone(), "`interval` must be longer than nothing");
            self.out.push(found.with_label("expected a duration such as `1m`"));
            return None;
        }
        let name = node.get("name")?;
        Some(RuleTest {
            name: name.text()?.to_owned(),
            origin: self.origin(name),
            interval,
            series: series??,
            at: parse_duration(node.get("at")?.text()?).ok()?,
            expect: expectation(node.get("expect")?)?,
        })
    }

    fn series(&mut self, node: &Node) -> Option<Vec<Series>> {
        let pairs: Vec<(&Node, &Node)> = match (node.entries(), node.items()) {
            (Some(entries), _) => entries.iter().map(|(name, values)| (name, values)).collect(),
            (None, Some(items)) => items.iter().filter_map(|i| Some((i.get("series")?, i.get("values")?))).collect(),
            (None, None) => return None,
        };
        let mut out: Vec<Series> = Vec::with_capacity(pairs.len());
        let (mut complete, mut total) = (true, 0);
        for (name, values) in pairs {
            let (labels, values) = (self.series_name(name), self.series_values(values));
            let (Some(labels), Some(values)) = (labels, values) else {
                complete = false;
                continue;
            };
            total += values.len();
            if total > VALUES_MAX {
                let found = self.error(
                    "A412",
                    node.span.clone(),
                    format!("the series of a test have more than {VALUES_MAX} values"),
                );
                self.out.push(found.with_help("make `interval` longer or the series shorter"));
                return None;
            }
            if out.iter().any(|(known, _)| *known == labels) {
                let found = self.error("A412", name.span.clone(), format!("the series {labels} is given twice"));
                self.out.push(found.with_label("given before").with_help("join the values of the two"));
                complete = false;
            }
            out.push((labels, values));
        }
        complete.then_some(out)
    }

    fn series_name(&mut self, node: &Node) -> Option<Labels> {
        match notation::parse_series_description(node.text()?) {
            Ok((labels, values)) if values.is_empty() => Some(labels),
            Ok(_) => {
                let found = self.error("A412", node.span.clone(), "values stand in the name of the series");
                self.out.push(found.with_label("expected a series such as `up{job=\"a\"}`"));
                None
            }
            Err(e) => {
                let found = self.error("A412", self.inside(node, e.span), e.message);
                self.out.push(found.with_label("expected a series such as `up{job=\"a\"}`"));
                None
            }
        }
    }

    fn series_values(&mut self, node: &Node) -> Option<Vec<Option<f64>>> {
        match notation::parse_values(node.text()?) {
            Ok(values) => Some(values),
            Err(e) => {
                let found = self.error("A412", self.inside(node, e.span), e.message);
                let help = "values are written as in promtool: `1 2 3`, `0+10x5` (start, step, how often), `5x10`, `_` for a gap";
                self.out.push(found.with_label("expected values such as `0+10x5`").with_help(help));
                None
            }
        }
    }
}

fn expectation(node: &Node) -> Option<Expectation> {
    if let Some(word) = node.text() {
        return state(word).map(Expectation::State);
    }
    node.items()?.iter().map(expected).collect::<Option<Vec<_>>>().map(Expectation::Alerts)
}

fn expected(node: &Node) -> Option<ExpectedAlert> {
    let texts = |key: &str| {
        let entries = node.get(key).and_then(Node::entries).unwrap_or_default();
        Labels::from_pairs(entries.iter().filter_map(|(k, v)| Some((k.text()?, v.text()?))))
    };
    Some(ExpectedAlert {
        labels: texts("labels"),
        severity: match node.get("severity") {
            Some(word) => Some(Severity::from_name(word.text()?)?),
            None => None,
        },
        annotations: texts("annotations"),
        state: match node.get("state") {
            Some(word) => Some(state(word.text()?)?),
            None => None,
        },
    })
}

fn state(word: &str) -> Option<AlertState> {
    [AlertState::Inactive, AlertState::Pending, AlertState::Firing].into_iter().find(|state| state.as_str() == word)
}
