//! Label matchers of a selector.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use regex::Regex;

use super::display::label_name;
use crate::model::Labels;
use crate::model::labels::quote;

/// Longest regular expression of a matcher, in bytes; longer ones are refused when the rule is read.
pub const REGEX_LEN_MAX: usize = 64 * 1024;
/// Largest compiled program of a matcher, in bytes.
const REGEX_SIZE_MAX: usize = 8 << 20;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored
    Regex,
    /// `!~`, anchored
    NotRegex,
}

impl MatchOp {
    /// The operator as written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// One condition on one label; a missing label counts as empty.
#[derive(Clone)]
pub struct Matcher {
    /// The label.
    pub name: String,
    /// The comparison.
    pub op: MatchOp,
    /// What it is compared with.
    pub value: String,
    regex: Option<Arc<Regex>>,
}

impl Matcher {
    /// Builds a matcher; the error says what is wrong with the regular expression.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, String> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(shared(&value)?),
        };
        Ok(Self { name, op, value, regex })
    }

    /// An equality matcher.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into(), regex: None }
    }

    /// Whether a label value (empty if missing) satisfies the condition.
    pub fn matches(&self, value: &str) -> bool {
        let regex = |re: &Option<Arc<Regex>>| re.as_ref().is_some_and(|re| re.is_match(value));
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Regex => regex(&self.regex),
            MatchOp::NotRegex => !regex(&self.regex),
        }
    }

    /// Whether a whole label set satisfies it.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name).unwrap_or(""))
    }
}

/// How many expressions are remembered before those no longer in use are forgotten.
const MEMO_LEN_MAX: usize = 4096;

/// Compiled expressions in use, by pattern. Ten thousand rules repeat a few patterns, and compiling one costs a hundred
/// times the rest of its query; with this, each is compiled and held once. Guards nothing but the map itself.
static MEMO: Mutex<BTreeMap<String, Weak<Regex>>> = Mutex::new(BTreeMap::new());

/// The compiled pattern, shared with all matchers that use the same.
fn shared(pattern: &str) -> Result<Arc<Regex>, String> {
    let lock = || MEMO.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lock().get(pattern).and_then(Weak::upgrade) {
        return Ok(known);
    }
    // Compiled without the lock: a large pattern must not make others wait.
    let regex = Arc::new(anchored(pattern)?);
    let mut memo = lock();
    if memo.len() >= MEMO_LEN_MAX {
        memo.retain(|_, regex| regex.strong_count() > 0);
    }
    if memo.len() < MEMO_LEN_MAX {
        memo.insert(pattern.to_owned(), Arc::downgrade(&regex));
    }
    Ok(regex)
}

fn anchored(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > REGEX_LEN_MAX {
        return Err(format!("regular expression is longer than {REGEX_LEN_MAX} bytes"));
    }
    regex::RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(REGEX_SIZE_MAX).build().map_err(|e| match e {
        regex::Error::CompiledTooBig(limit) => format!("regular expression compiles to more than {limit} bytes"),
        other => other.to_string(),
    })
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.op == other.op && self.value == other.value
    }
}

impl Eq for Matcher {}

impl std::hash::Hash for Matcher {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (&self.name, self.op, &self.value).hash(state);
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", label_name(&self.name), self.op.as_str(), quote(&self.value))
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
