//! What a unit-test file expects of messages, and what people do meanwhile: the model and its reader.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::read::{duration, items, texts};
use super::silences::{Begin, TestSilence};
use crate::model::{LabelMatcher, NoticeKind, format_duration, parse_duration};
use crate::rule::reader::Reader;
use crate::yaml::{Node, shape};

/// Words of `receives`.
pub(super) const RECEIVES: &[&str] = &["firing", "resolved", "acknowledged", NOTHING];
const NOTHING: &str = "nothing";

/// Words of `reason`: those that messages tell.
pub(super) const REASONS: &[&str] = &[
    "first notification",
    "new alerts",
    "resolved",
    "raised",
    "lowered",
    "flapping",
    "hold over",
    "escalated",
    "muted",
    "repeat",
    "fired and resolved",
    "digest",
];

/// Files, or what would stand in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// Paths from the unit-test file, and where each is written.
    Paths(Vec<(String, Range<usize>)>),
    /// A mapping of the unit-test file, by its place.
    Written(Range<usize>),
}

/// What people are told in a test group: with which installation it is played, and what is to come of it.
#[derive(Clone, Debug, Default)]
pub struct NoticeTests {
    /// `config`, of the group or else of the file.
    pub config: Option<Given>,
    /// `handlers`, of the group or else of the file.
    pub handlers: Option<Given>,
    /// Silences.
    pub silences: Vec<TestSilence>,
    /// Acknowledgements.
    pub acks: Vec<TestAck>,
    /// What is expected.
    pub tests: Vec<NoticeTest>,
    /// `no_other_notices: true`, where it is written.
    pub no_other: Option<Range<usize>>,
}

/// Somebody looks after alerts.
#[derive(Clone, Debug)]
pub struct TestAck {
    /// Where it stands.
    pub span: Range<usize>,
    /// The instant, since the start.
    pub at: Duration,
    /// Which alerts.
    pub matchers: Vec<LabelMatcher>,
    /// Until here, since the start.
    pub ends: Option<Duration>,
    /// Who.
    pub by: String,
    /// What they say.
    pub comment: String,
}

/// Messages that a handler is to receive.
#[derive(Clone, Debug)]
pub struct NoticeTest {
    /// Where it stands.
    pub span: Range<usize>,
    /// The first instant, since the start.
    pub from: Duration,
    /// The last.
    pub to: Duration,
    /// Who.
    pub handler: String,
    /// Where the name stands.
    pub handler_span: Range<usize>,
    /// What the message says, if that is said.
    pub kind: Option<NoticeKind>,
    /// How many messages.
    pub times: usize,
    /// Why it goes out.
    pub reason: Option<String>,
    /// Alerts that it has.
    pub alerts: Vec<NoticeAlert>,
    /// How many alerts it has.
    pub count: Option<usize>,
    /// What stands in it.
    pub text: Option<String>,
}

/// An alert of a message.
#[derive(Clone, Debug)]
pub struct NoticeAlert {
    /// Labels that it has.
    pub labels: BTreeMap<String, String>,
    /// Annotations that it has.
    pub annotations: BTreeMap<String, String>,
    /// Whether it fires.
    pub fires: Option<bool>,
}

impl NoticeTest {
    /// `at 2m`, `between 2m and 2m30s`
    pub fn when(&self) -> String {
        match self.from == self.to {
            true => format!("at {}", format_duration(self.from)),
            false => format!("between {} and {}", format_duration(self.from), format_duration(self.to)),
        }
    }
}

impl NoticeTests {
    /// The last instant that is looked at.
    pub fn end(&self) -> Duration {
        self.tests.iter().map(|test| test.to).max().unwrap_or_default()
    }
}

impl Reader<'_> {
    /// What stands under `config` or `handlers`.
    pub(super) fn given(&mut self, node: &Node, key: &str) -> Option<Given> {
        let value = node.get(key)?;
        // What is written out is read as a file of its own.
        if let Some(other) = value.entries().and_then(|_| outside(value)) {
            let message = format!("`{key}` has an alias of an anchor that stands outside of it");
            let found = self.error("A016", other.span.clone(), message).with_label("this is meant");
            let help = format!("write this within `{key}`, or the whole in a file that `{key}` names");
            self.out.push(found.with_help(help));
        }
        let path = |node: &Node| Some((node.text()?.to_owned(), node.span.clone()));
        Some(match value.entries() {
            Some(_) => Given::Written(value.span.clone()),
            None => Given::Paths(match value.items() {
                Some(items) => items.iter().filter_map(path).collect(),
                None => path(value).into_iter().collect(),
            }),
        })
    }

    /// What a test group says of messages; `above` is what the file says for all.
    pub(super) fn notice_tests(
        &mut self,
        node: &Node,
        begin: Begin,
        above: (&Option<Given>, &Option<Given>),
    ) -> NoticeTests {
        let no_other = node.entry("no_other_notices").filter(|(_, value)| value.boolean() == Some(true));
        let tests = NoticeTests {
            config: self.given(node, "config").or_else(|| above.0.clone()),
            handlers: self.given(node, "handlers").or_else(|| above.1.clone()),
            silences: items(node, "silences").iter().map(|item| self.test_silence(item, begin)).collect(),
            acks: items(node, "acks").iter().filter_map(|item| self.test_ack(item)).collect(),
            tests: items(node, "notice_test").iter().filter_map(|item| self.notice_test(item)).collect(),
            no_other: no_other.map(|(key, _)| key.span.clone()),
        };
        if node.get("notice_test").is_none_or(|list| list.items().is_some_and(<[Node]>::is_empty)) {
            for key in ["silences", "acks", "no_other_notices"] {
                let Some((key_node, _)) = node.entry(key) else { continue };
                let message = format!("`{key}` needs an element of `notice_test`");
                let found = self.error("A016", key_node.span.clone(), message).with_label("nothing looks at messages");
                self.out.push(found.with_help("for example `{by: 1h, handler: oncall, receives: nothing}`"));
            }
        } else if tests.tests.len() == items(node, "notice_test").len() {
            self.too_late(node, tests.end());
        }
        tests
    }

    /// What happens after the last instant that is looked at would be left out.
    fn too_late(&mut self, node: &Node, end: Duration) {
        for (list, key, what) in
            [("silences", "starts", "the silence starts"), ("acks", "at", "the alert is acknowledged")]
        {
            for item in items(node, list).iter().filter(|item| duration(item, key).is_some_and(|at| at > end)) {
                let Some((key, _)) = item.entry(key) else { continue };
                let message = format!("{what} after {}, where the last test ends", format_duration(end));
                let found = self.error("A016", key.span.clone(), message).with_label("nothing looks at messages then");
                self.out.push(found.with_help("look at a later instant in `notice_test`, or let this happen earlier"));
            }
        }
    }

    pub(super) fn test_matchers(&mut self, node: &Node) -> Vec<LabelMatcher> {
        let mut all = Vec::new();
        for item in items(node, "matchers") {
            match item.text().map(LabelMatcher::parse_all) {
                Some(Ok(matchers)) => all.extend(matchers),
                Some(Err(error)) => {
                    let found = self.error("A541", item.span.clone(), error.to_string());
                    let help = "write `'severity=\"critical\"'`; the others are `!=`, `=~` and `!~`, anchored";
                    self.out.push(found.with_label("cannot be read").with_help(help));
                }
                None => {}
            }
        }
        all
    }

    fn test_ack(&mut self, node: &Node) -> Option<TestAck> {
        let (at, ends) = (duration(node, "at")?, duration(node, "ends"));
        if let Some((key, _)) = node.entry("ends").filter(|_| ends.is_some_and(|ends| ends <= at)) {
            let found = self.error("A016", key.span.clone(), "the acknowledgement ends before it begins");
            self.out.push(found.with_help("`at` and `ends` count from the start of the test"));
        }
        let text = |key| node.get(key).and_then(Node::text).map(str::to_owned);
        Some(TestAck {
            span: shape::anchor(node),
            at,
            matchers: self.test_matchers(node),
            ends,
            by: text("by").unwrap_or_else(|| "a test".to_owned()),
            comment: text("comment").unwrap_or_default(),
        })
    }

    fn notice_test(&mut self, node: &Node) -> Option<NoticeTest> {
        let (from, to) = self.span_of_time(node)?;
        let handler = node.get("handler")?;
        let text = |key| node.get(key).and_then(Node::text);
        let number = |key| node.get(key).and_then(Node::number).map(|n| n as usize);
        let nothing = text("receives") == Some(NOTHING);
        if let (true, Some((key, _))) = (nothing, node.entry("times")) {
            let found = self.error("A016", key.span.clone(), "`times` conflicts with `receives: nothing`");
            self.out.push(found.with_help("keep one of the two"));
        }
        Some(NoticeTest {
            span: shape::anchor(node),
            from,
            to,
            handler: handler.text()?.to_owned(),
            handler_span: handler.span.clone(),
            kind: match text("receives") {
                Some("firing") => Some(NoticeKind::Firing),
                Some("resolved") => Some(NoticeKind::Resolved),
                Some("acknowledged") => Some(NoticeKind::Acknowledged),
                _ => None,
            },
            times: if nothing { 0 } else { number("times").unwrap_or(1) },
            reason: text("reason").map(str::to_owned),
            alerts: items(node, "alerts").iter().map(notice_alert).collect(),
            count: number("count"),
            text: text("text").map(str::to_owned),
        })
    }

    /// `between`, `at` or `by`, of which there must be one.
    fn span_of_time(&mut self, node: &Node) -> Option<(Duration, Duration)> {
        let mut given = node.entries().unwrap_or_default().iter();
        let mut given = given.by_ref().filter(|(key, _)| matches!(key.text(), Some("between" | "at" | "by")));
        let Some((key, value)) = given.next() else {
            let found = self.error("A012", shape::anchor(node), "`between`, `at` or `by` is missing");
            self.out.push(found.with_label("when?").with_help("for example `between: 2m and 2m30s`"));
            return None;
        };
        if let Some((other, _)) = given.next() {
            let (one, two) = (key.text().unwrap_or_default(), other.text().unwrap_or_default());
            let found = self.error("A016", other.span.clone(), format!("`{two}` conflicts with `{one}`"));
            self.out.push(found.with_label("another time").with_help("keep one of the two"));
            return None;
        }
        match key.text() {
            Some("at") => value.text().and_then(|text| parse_duration(text).ok()).map(|at| (at, at)),
            Some("by") => value.text().and_then(|text| parse_duration(text).ok()).map(|by| (Duration::ZERO, by)),
            _ => self.between(value),
        }
    }

    fn between(&mut self, node: &Node) -> Option<(Duration, Duration)> {
        let ends: Vec<&str> = match node.items() {
            Some(items) => items.iter().filter_map(Node::text).collect(),
            None => node.text()?.split(" and ").map(str::trim).collect(),
        };
        let ends: Vec<Option<Duration>> = ends.into_iter().map(|text| parse_duration(text).ok()).collect();
        match ends.as_slice() {
            [Some(from), Some(to)] if from <= to => Some((*from, *to)),
            [Some(from), Some(to)] => {
                let (from, to) = (format_duration(*from), format_duration(*to));
                let message = format!("`between` ends at {to}, before it begins at {from}");
                let found = self.error("A016", node.span.clone(), message);
                self.out.push(found.with_label("no time at all").with_help("write the earlier instant first"));
                None
            }
            // That an element of a list is no duration was said with the shape.
            list if node.items().is_some() && list.len() == 2 => None,
            _ => {
                let found = self.error("A014", node.span.clone(), "`between` must be two durations");
                self.out.push(found.with_label("expected two instants").with_help("for example `2m and 2m30s`"));
                None
            }
        }
    }
}

/// The first value that a mapping has through an alias of an anchor outside of it.
fn outside(mapping: &Node) -> Option<&Node> {
    let within = &mapping.span;
    let mut todo = vec![mapping];
    while let Some(node) = todo.pop() {
        if !node.span.is_empty() && (node.span.start < within.start || node.span.end > within.end) {
            return Some(node);
        }
        todo.extend(node.items().unwrap_or_default().iter().rev());
        todo.extend(node.entries().unwrap_or_default().iter().rev().flat_map(|(key, value)| [value, key]));
    }
    None
}

fn notice_alert(node: &Node) -> NoticeAlert {
    NoticeAlert {
        labels: texts(node, "labels"),
        annotations: texts(node, "annotations"),
        fires: node.get("state").and_then(Node::text).map(|state| state == "firing"),
    }
}
