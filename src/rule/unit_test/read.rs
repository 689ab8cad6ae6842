//! From the tree of a unit-test file to its model.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::keys::UNIT_TEST;
use super::notices::Given;
use super::silences::Begin;
use super::{AlertTest, ExpectedSample, ExpectedState, InputSeries, QueryTest, TestGroup, UnitTestFile, VALUES_MAX};
use crate::diag::{Diagnostic, Level, SourceFile};
use crate::model::labels::ALERT_NAME;
use crate::model::{AlertState, Labels, SampleValue, Timestamp, parse_duration};
use crate::promql::{notation, parse_samples};
use crate::rule::LoadOptions;
use crate::rule::prometheus::drop_nulls;
use crate::rule::reader::Reader;
use crate::yaml::{self, Node, shape};

/// `evaluation_interval` where it is not given.
const INTERVAL: Duration = Duration::from_secs(60);

/// How a file is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// Whether keys that are not known are passed over.
    pub ignore_unknown_fields: bool,
}

/// Reads a file that is known to be one of unit tests; `None` if an error keeps it from being run.
pub fn read(file: &Arc<SourceFile>, options: ReadOptions, out: &mut Vec<Diagnostic>) -> Option<UnitTestFile> {
    let mut found = Vec::new();
    let document = yaml::parse(file, &mut found);
    let read = document.and_then(|document| document.root).map(|mut root| {
        drop_nulls(&mut root);
        shape::check_root(file, &root, &UNIT_TEST, &mut found);
        if options.ignore_unknown_fields {
            found.retain(|d| d.code != "A010");
        }
        let load = LoadOptions::default();
        let mut reader = Reader { file, options: &load, prometheus: true, out: Vec::new() };
        let read = reader.unit_tests(&root);
        found.append(&mut reader.out);
        read
    });
    let failed = found.iter().any(|d| d.level == Level::Error);
    out.append(&mut found);
    read.filter(|_| !failed)
}

pub(super) fn texts(node: &Node, key: &str) -> BTreeMap<String, String> {
    let entries = node.get(key).and_then(Node::entries).unwrap_or_default();
    entries.iter().filter_map(|(name, value)| Some((name.text()?.to_owned(), value.text()?.to_owned()))).collect()
}

pub(super) fn duration(node: &Node, key: &str) -> Option<Duration> {
    parse_duration(node.get(key)?.text()?).ok()
}

pub(super) fn items<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    node.get(key).and_then(Node::items).unwrap_or_default()
}

impl Reader<'_> {
    fn unit_tests(&mut self, root: &Node) -> UnitTestFile {
        let flag = |key| root.get(key).and_then(Node::boolean).unwrap_or_default();
        let interval = duration(root, "evaluation_interval").filter(|d| !d.is_zero()).unwrap_or(INTERVAL);
        let mut order: Vec<String> = Vec::new();
        for item in items(root, "group_eval_order") {
            let Some(name) = item.text() else { continue };
            if order.iter().any(|known| known == name) {
                let found = self.error("A016", item.span.clone(), format!("the group `{name}` is named twice"));
                self.out.push(found.with_label("named before").with_help("name each group once"));
            }
            order.push(name.to_owned());
        }
        let named = |node: &Node| Some((node.text()?.to_owned(), node.span.clone()));
        let tests = items(root, "tests").iter().enumerate();
        let (config, handlers) = (self.given(root, "config"), self.given(root, "handlers"));
        let above = (&config, &handlers);
        UnitTestFile {
            file: Arc::clone(self.file),
            rule_files: items(root, "rule_files").iter().filter_map(named).collect(),
            evaluation_interval: interval,
            fuzzy_compare: flag("fuzzy_compare"),
            group_eval_order: order,
            respect_intervals: flag("respect_intervals"),
            tests: tests.map(|(index, node)| self.test_group(node, (index, interval), above)).collect(),
        }
    }

    fn test_group(
        &mut self,
        node: &Node,
        (index, evaluation_interval): (usize, Duration),
        above: (&Option<Given>, &Option<Given>),
    ) -> TestGroup {
        let given = node.get("name").and_then(Node::text).filter(|name| !name.is_empty());
        let anchor = shape::anchor(node);
        let begin = Begin { at: self.start(node), given: node.get("start_timestamp").is_some() };
        TestGroup {
            name: given.map_or_else(|| format!("test {}", index + 1), str::to_owned),
            named: given.is_some(),
            span: node.get("name").map_or(anchor, |name| name.span.clone()),
            interval: duration(node, "interval").filter(|d| !d.is_zero()).unwrap_or(evaluation_interval),
            start: begin.at,
            start_given: begin.given,
            series: self.input_series(node),
            alerts: items(node, "alert_rule_test").iter().filter_map(|item| self.alert_test(item)).collect(),
            queries: items(node, "promql_expr_test").iter().filter_map(|item| self.query_test(item)).collect(),
            notices: self.notice_tests(node, begin, above),
            external_labels: Labels::from_pairs(texts(node, "external_labels")),
            external_url: node.get("external_url").and_then(Node::text).unwrap_or_default().to_owned(),
        }
    }

    fn start(&mut self, node: &Node) -> Timestamp {
        let Some(value) = node.get("start_timestamp") else { return Timestamp(0) };
        let Some(at) = value.text().and_then(Timestamp::parse) else {
            let message = format!("`start_timestamp` must be a time, not {}", value.describe());
            let found = self.error("A011", value.span.clone(), message);
            let help = "write Unix seconds or RFC 3339, such as `2026-01-31T12:00:00Z`";
            self.out.push(found.with_label("expected a time").with_help(help));
            return Timestamp(0);
        };
        at
    }

    fn input_series(&mut self, node: &Node) -> Vec<InputSeries> {
        let mut out: BTreeMap<Labels, Vec<Option<SampleValue>>> = BTreeMap::new();
        let mut total = 0;
        for item in items(node, "input_series") {
            let Some(series) = item.get("series") else { continue };
            let labels = self.labels_of(series, "expected a series such as `up{job=\"a\"}`");
            let values = item.get("values").map_or(Some(Vec::new()), |values| self.samples(values));
            let (Some(labels), Some(values)) = (labels, values) else { continue };
            total += values.len();
            if total > VALUES_MAX {
                let message = format!("the series of a test group have more than {VALUES_MAX} values");
                let found = self.error("A412", series.span.clone(), message);
                self.out.push(found.with_help("make `interval` longer or the series shorter"));
                return Vec::new();
            }
            if out.contains_key(&labels) {
                let message = format!("the series {labels} is given twice; the later one counts, as in promtool");
                let found = self.warning("A412", series.span.clone(), message);
                self.out.push(found.with_label("given before").with_help("join the values of the two"));
            }
            out.insert(labels, values);
        }
        out.into_iter().map(|(labels, values)| InputSeries { labels, values }).collect()
    }

    /// The labels of a series; nothing stands for none.
    fn labels_of(&mut self, node: &Node, expected: &str) -> Option<Labels> {
        let text = node.text()?;
        if text.trim().is_empty() {
            return Some(Labels::empty());
        }
        match notation::parse_labels(text.trim_end()) {
            Ok(labels) => Some(labels),
            Err(e) => {
                let found = self.error("A412", self.inside(node, e.span), e.message);
                self.out.push(found.with_label(expected));
                None
            }
        }
    }

    fn samples(&mut self, node: &Node) -> Option<Vec<Option<SampleValue>>> {
        match parse_samples(node.text()?) {
            Ok(values) => Some(values),
            Err(e) => {
                let found = self.error("A412", self.inside(node, e.span), e.message);
                let help = "write `1 2 3`, `0+10x5` (start, step, how often), `5x10`, `_` for a gap, `stale`, `{{…}}`";
                let help = e.help.unwrap_or_else(|| help.to_owned());
                self.out.push(found.with_label("expected values such as `0+10x5`").with_help(help));
                None
            }
        }
    }

    fn alert_test(&mut self, node: &Node) -> Option<AlertTest> {
        let name = node.get("alertname")?;
        let alert = name.text()?.to_owned();
        if alert.is_empty() {
            let found = self.error("A012", name.span.clone(), "`alertname` is empty");
            self.out.push(found.with_help("write the name of the rule"));
        }
        let text = |key| node.get(key).and_then(Node::text);
        let expected = items(node, "exp_alerts").iter().map(|item| self.expected_alert(item, &alert)).collect();
        Some(AlertTest {
            span: shape::anchor(node),
            at: duration(node, "eval_time").unwrap_or_default(),
            alert_span: name.span.clone(),
            group: text("groupname").map(str::to_owned),
            subset: text("match") == Some("subset"),
            expected,
            alert,
        })
    }

    fn expected_alert(&mut self, node: &Node, alert: &str) -> ExpectedState {
        let mut labels = texts(node, "exp_labels");
        labels.insert(ALERT_NAME.to_owned(), alert.to_owned());
        let state = match node.get("exp_state").and_then(Node::text) {
            Some("pending") => AlertState::Pending,
            Some("resolved") => AlertState::Inactive,
            _ => AlertState::Firing,
        };
        if let (Some((key, _)), true) = (node.entry("exp_resolved_at"), state != AlertState::Inactive) {
            let found = self.error("A016", key.span.clone(), "`exp_resolved_at` needs `exp_state: resolved`");
            self.out.push(found.with_label("only of an alert that resolved").with_help("add `exp_state: resolved`"));
        }
        ExpectedState {
            span: shape::anchor(node),
            labels,
            annotations: texts(node, "exp_annotations"),
            state,
            value: self.number_of(node, "exp_value"),
            active_at: duration(node, "exp_active_at"),
            resolved_at: duration(node, "exp_resolved_at"),
        }
    }

    fn number_of(&mut self, node: &Node, key: &str) -> Option<f64> {
        let value = node.get(key)?;
        let number = value.number();
        if number.is_none() {
            let message = format!("`{key}` must be a number, not {}", value.describe());
            let found = self.error("A011", value.span.clone(), message);
            self.out
                .push(found.with_label("expected a number").with_help("numbers stand without quotes: `1.5`, `.inf`"));
        }
        number
    }

    fn query_test(&mut self, node: &Node) -> Option<QueryTest> {
        let expr = node.get("expr")?;
        let query = self.query(expr);
        let mut expected: Vec<ExpectedSample> = Vec::new();
        let mut seen: BTreeSet<Labels> = BTreeSet::new();
        for item in items(node, "exp_samples") {
            let Some(sample) = self.expected_sample(item) else { continue };
            if !seen.insert(sample.labels.clone()) {
                let place = item.get("labels").map_or_else(|| shape::anchor(item), |labels| labels.span.clone());
                let message = format!("the series {} is expected twice; a result has it once", sample.labels);
                let found = self.warning("A412", place, message);
                self.out.push(found.with_label("expected before").with_help("remove one of the two"));
            }
            expected.push(sample);
        }
        Some(QueryTest {
            span: expr.span.clone(),
            query: query?,
            at: duration(node, "eval_time").unwrap_or_default(),
            expected,
        })
    }

    fn expected_sample(&mut self, node: &Node) -> Option<ExpectedSample> {
        let value = self.number_of(node, "value").unwrap_or_default();
        let labels = match node.get("labels") {
            Some(labels) => self.labels_of(labels, "expected a series such as `up{job=\"a\"}`")?,
            None => Labels::empty(),
        };
        let histogram = match node.get("histogram").filter(|h| h.text() != Some("")) {
            None => None,
            Some(written) => match self.samples(written)?.as_slice() {
                [Some(SampleValue::Histogram(histogram))] => Some(Arc::clone(histogram)),
                _ => {
                    self.not_a_histogram(written.span.clone());
                    return None;
                }
            },
        };
        Some(ExpectedSample { labels, value, histogram })
    }

    fn not_a_histogram(&mut self, span: Range<usize>) {
        let found = self.error("A412", span, "`histogram` must be one histogram");
        self.out.push(
            found.with_label("expected `{{…}}`").with_help("for example `{{schema:0 count:3 sum:2 buckets:[1 2]}}`"),
        );
    }
}
