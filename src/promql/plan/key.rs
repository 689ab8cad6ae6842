//! Identity of what a plan is made of: equal for equal parts, in every plan and every process.
//!
//! Place in the flow: a node is built after what stands below it, so its key is made of its own words and the keys
//! below, whatever the size of the expression. Parentheses and plus signs are no nodes, so they are in no key.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{NodeId, Op, SelectorOp};
use crate::promql::ast::{Duration, Matching};
use crate::promql::matcher::Matcher;

/// 128 bits from two runs of SipHash with fixed keys.
struct Twin(DefaultHasher, DefaultHasher);

impl Hasher for Twin {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
        self.1.write(bytes);
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

/// The key of what is fed to the hasher.
fn key_of(feed: impl FnOnce(&mut Twin)) -> u128 {
    let mut twin = Twin(DefaultHasher::new(), DefaultHasher::new());
    twin.1.write_u8(1);
    feed(&mut twin);
    (u128::from(twin.0.finish()) << 64) | u128::from(twin.1.finish())
}

/// A duration that is computed is what is written of it.
fn feed_duration(duration: Option<&Duration>, to: &mut Twin) {
    match duration {
        None => 0u8.hash(to),
        Some(Duration::Fixed(ms)) => (1u8, ms).hash(to),
        Some(Duration::Computed(expr)) => (2u8, expr.to_string()).hash(to),
    }
}

/// The key of the conditions of a selector, in the order they are written.
pub(super) fn of_matchers(matchers: &[Matcher]) -> u128 {
    key_of(|to| matchers.iter().for_each(|m| (&m.name, m.op, &m.value).hash(to)))
}

/// The key of all that a selector reads.
pub(super) fn of_selector(selector: &SelectorOp) -> u128 {
    let SelectorOp { matchers: _, offset, at, edges, range, totals, key, cache: _ } = selector;
    key_of(|to| {
        (key, at, edges, totals).hash(to);
        feed_duration(offset.as_ref(), to);
        feed_duration(range.as_ref(), to);
    })
}

fn feed_matching(matching: &Matching, to: &mut Twin) {
    let Matching { on, labels, group, fill_left, fill_right } = matching;
    (on, labels, group, fill_left, fill_right).hash(to);
}

/// The key of an operation, given those of selectors and of the nodes below.
pub(super) fn of_op(op: &Op, selector: impl Fn(usize) -> u128, node: impl Fn(NodeId) -> u128) -> u128 {
    key_of(|to| {
        std::mem::discriminant(op).hash(to);
        match op {
            Op::Number(n) => crate::promql::ast::Number(*n).hash(to),
            Op::Text(text) => text.hash(to),
            Op::Vector(place) | Op::Matrix(place) => selector(*place).hash(to),
            Op::Subquery(s) => {
                (node(s.expr), s.at).hash(to);
                feed_duration(Some(&s.range), to);
                feed_duration(s.step.as_ref(), to);
                feed_duration(s.offset.as_ref(), to);
            }
            Op::Negate(inner) => node(*inner).hash(to),
            Op::Scalars(op, left, right) => (op, node(*left), node(*right)).hash(to),
            Op::VectorScalar(v) => (v.op, node(v.vector), node(v.scalar), v.swapped, v.return_bool).hash(to),
            Op::Vectors(v) => {
                (v.op, node(v.left), node(v.right), v.return_bool).hash(to);
                feed_matching(&v.matching, to);
            }
            Op::Aggregate { op, parameter, expr, grouping } => {
                (op, parameter.map(&node), node(*expr), grouping.without, &grouping.labels).hash(to);
            }
            Op::Call { function, args } => {
                function.name.hash(to);
                args.iter().for_each(|arg| node(*arg).hash(to));
            }
        }
    })
}
