//! The syntax tree as canonical PromQL: parses back to an equal tree.
//!
//! With `{:#}` it is written for other stores, older ones too: a name that must be quoted stands as `{__name__="a.b"}`,
//! which every version of every compatible store reads, and not as `{"a.b"}`, which Prometheus reads from 3.0 on.

use std::fmt::{self, Display, Formatter};

use super::ast::{
    At, Binary, Duration, DurationExpr, Edges, Expr, ExprKind, Grouping, Matching, Number, Selector, Side, UnaryOp,
};
use super::matcher::{MatchOp, Matcher};
use super::parser::is_reserved;
use crate::model::labels::{METRIC_NAME, is_legacy_name, quote};

/// A label's name, quoted where it must be.
pub(crate) fn label_name(name: &str) -> String {
    if is_legacy_name(name, false) { name.to_owned() } else { quote(name) }
}

fn label_list(f: &mut Formatter<'_>, labels: &[String]) -> fmt::Result {
    f.write_str("(")?;
    for (i, label) in labels.iter().enumerate() {
        write!(f, "{}{}", if i == 0 { "" } else { ", " }, label_name(label))?;
    }
    f.write_str(")")
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let v = self.0;
        if v.is_nan() {
            f.write_str("NaN")
        } else if v.is_infinite() {
            f.write_str(if v > 0.0 { "+Inf" } else { "-Inf" })
        } else if v != 0.0 && (v.abs() >= 1e15 || v.abs() < 1e-5) {
            write!(f, "{v:e}")
        } else {
            write!(f, "{v}")
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(n) => n.fmt(f),
            ExprKind::Text(text) => f.write_str(&quote(text)),
            ExprKind::Paren(inner) => around(f, "(", inner, ")"),
            ExprKind::Unary(UnaryOp::Plus, inner) => around(f, "+ ", inner, ""),
            ExprKind::Unary(UnaryOp::Minus, inner) => around(f, "- ", inner, ""),
            ExprKind::Binary(binary) => binary.fmt(f),
            ExprKind::Aggregate(a) => {
                write!(f, "{}{} (", a.op.as_str(), a.grouping)?;
                if let Some(parameter) = &a.parameter {
                    around(f, "", parameter, ", ")?;
                }
                around(f, "", &a.expr, ")")
            }
            ExprKind::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                for (i, arg) in call.args.iter().enumerate() {
                    around(f, if i == 0 { "" } else { ", " }, arg, "")?;
                }
                f.write_str(")")
            }
            ExprKind::Vector(selector) => {
                matchers(f, &selector.matchers)?;
                modifiers(f, selector.edges, selector.offset.as_ref(), selector.at)
            }
            ExprKind::Matrix(selector, range) => {
                let Selector { offset, at, edges, .. } = selector;
                matchers(f, &selector.matchers)?;
                write!(f, "[{range}]")?;
                modifiers(f, *edges, offset.as_ref(), *at)
            }
            ExprKind::Subquery(s) => {
                s.expr.fmt(f)?;
                write!(f, "[{}:", s.range)?;
                if let Some(step) = &s.step {
                    step.fmt(f)?;
                }
                f.write_str("]")?;
                modifiers(f, Edges::Plain, s.offset.as_ref(), s.at)
            }
        }
    }
}

/// An expression between two texts, in the notation that was asked for.
fn around(f: &mut Formatter<'_>, before: &str, expr: &Expr, after: &str) -> fmt::Result {
    f.write_str(before)?;
    expr.fmt(f)?;
    f.write_str(after)
}

impl Display for Grouping {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.labels.is_empty() && !self.without {
            return Ok(());
        }
        f.write_str(if self.without { " without " } else { " by " })?;
        label_list(f, &self.labels)
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.left.fmt(f)?;
        write!(f, " {}", self.op.as_str())?;
        if self.return_bool {
            f.write_str(" bool")?;
        }
        if let Some(matching) = &self.matching {
            matching.fmt(f)?;
        }
        around(f, " ", &self.right, "")
    }
}

impl Display for Matching {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.on || !self.labels.is_empty() || self.group.is_some() {
            f.write_str(if self.on { " on " } else { " ignoring " })?;
            label_list(f, &self.labels)?;
        }
        if let Some((side, labels)) = &self.group {
            f.write_str(if *side == Side::Left { " group_left " } else { " group_right " })?;
            label_list(f, labels)?;
        }
        if let Some(value) = self.fill_left {
            write!(f, " fill_left ({value})")?;
        }
        if let Some(value) = self.fill_right {
            write!(f, " fill_right ({value})")?;
        }
        Ok(())
    }
}

fn matchers(f: &mut Formatter<'_>, all: &[Matcher]) -> fmt::Result {
    let (name, rest) = match all.split_first() {
        Some((m, rest)) if m.name == METRIC_NAME && m.op == MatchOp::Equal && !m.value.is_empty() => {
            (Some(m.value.as_str()), rest)
        }
        _ => (None, all),
    };
    let bare = name.filter(|n| is_legacy_name(n, true) && !is_reserved(n));
    f.write_str(bare.unwrap_or(""))?;
    if bare.is_some() && rest.is_empty() {
        return Ok(());
    }
    f.write_str("{")?;
    let mut separator = "";
    if let (Some(name), None) = (name, bare) {
        let key = if f.alternate() { "__name__=" } else { "" };
        write!(f, "{key}{}", quote(name))?;
        separator = ", ";
    }
    for m in rest {
        write!(f, "{separator}{m}")?;
        separator = ", ";
    }
    f.write_str("}")
}

fn modifiers(f: &mut Formatter<'_>, edges: Edges, offset: Option<&Duration>, at: Option<At>) -> fmt::Result {
    match edges {
        Edges::Plain => {}
        Edges::Anchored => f.write_str(" anchored")?,
        Edges::Smoothed => f.write_str(" smoothed")?,
    }
    match at {
        Some(At::Time(ms)) => write!(f, " @ {}", Number(ms as f64 / 1000.0))?,
        Some(At::Start) => f.write_str(" @ start()")?,
        Some(At::End) => f.write_str(" @ end()")?,
        None => {}
    }
    match offset {
        Some(Duration::Fixed(ms)) => write!(f, " offset {}", Milliseconds(*ms)),
        Some(Duration::Computed(expr)) => write!(f, " offset ({expr})"),
        None => Ok(()),
    }
}

/// A duration of milliseconds with its sign.
struct Milliseconds(i64);

impl Display for Milliseconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let length = std::time::Duration::from_millis(self.0.unsigned_abs());
        write!(f, "{}{}", if self.0 < 0 { "-" } else { "" }, crate::model::format_duration(length))
    }
}

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(ms) => Milliseconds(*ms).fmt(f),
            Self::Computed(expr) => expr.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(s) => Number(*s).fmt(f),
            Self::Step => f.write_str("step()"),
            Self::Range => f.write_str("range()"),
            Self::Negate(inner) => write!(f, "-({inner})"),
            Self::Binary(op, pair) => write!(f, "({}) {} ({})", pair.0, op.as_str(), pair.1),
            Self::MinOf(pair) => write!(f, "min_of({}, {})", pair.0, pair.1),
            Self::MaxOf(pair) => write!(f, "max_of({}, {})", pair.0, pair.1),
        }
    }
}
