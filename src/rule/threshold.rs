//! Conditions on a number: `> 80`, `outside 10..90`; and what can be said of two of them.

use std::ops::Range;

use super::{Level, Threshold};

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThresholdError {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What was expected there.
    pub label: String,
    /// How to mend it.
    pub help: Option<String>,
}

const EXAMPLE: &str = "write a comparison and a number, such as `> 80`, or a range, such as `outside 10..90`";

fn error(span: Range<usize>, message: impl Into<String>, label: &str, help: Option<String>) -> ThresholdError {
    ThresholdError { span, message: message.into(), label: label.to_owned(), help }
}

/// Makes a condition of its number.
type Make = fn(f64) -> Threshold;

/// Reads a condition.
pub fn parse(text: &str) -> Result<Threshold, ThresholdError> {
    let body = text.trim_start();
    let start = text.len() - body.len();
    let body = body.trim_end();
    let end = start + body.len();
    if body.is_empty() {
        return Err(error(0..text.len(), "the condition is empty", "expected a condition", Some(EXAMPLE.to_owned())));
    }
    for word in ["outside", "inside"] {
        if let Some(rest) = body.strip_prefix(word) {
            let (low, high) = range(rest, start + word.len(), end)?;
            return Ok(if word == "outside" { Threshold::Outside(low, high) } else { Threshold::Inside(low, high) });
        }
    }
    let operators: [(&str, Make); 6] = [
        (">=", Threshold::AtLeast),
        ("<=", Threshold::AtMost),
        ("==", Threshold::Equals),
        ("!=", Threshold::Differs),
        (">", Threshold::Above),
        ("<", Threshold::Below),
    ];
    for (sign, make) in operators {
        if let Some(rest) = body.strip_prefix(sign) {
            return number(rest, start + sign.len(), end).map(make);
        }
    }
    Err(no_operator(body, start))
}

fn no_operator(body: &str, start: usize) -> ThresholdError {
    let sign: String = body.chars().take_while(|c| "=<>≥≤≠~".contains(*c)).collect();
    let meant = match sign.as_str() {
        "=" => Some("=="),
        "=>" | "≥" => Some(">="),
        "=<" | "≤" => Some("<="),
        "≠" => Some("!="),
        _ => None,
    };
    if let Some(meant) = meant {
        let label = format!("did you mean `{meant}`?");
        return error(
            start..start + sign.len(),
            format!("`{sign}` is no comparison"),
            &label,
            Some(EXAMPLE.to_owned()),
        );
    }
    let help = match body.parse::<f64>() {
        Ok(_) => format!("say on which side it fires: `> {body}` or `< {body}`"),
        Err(_) => EXAMPLE.to_owned(),
    };
    let first = body.split_whitespace().next().unwrap_or(body);
    let label = "expected one of `>`, `>=`, `<`, `<=`, `==`, `!=`, `outside`, `inside`";
    error(start..start + first.len(), "the condition has no comparison", label, Some(help))
}

fn number(text: &str, offset: usize, end: usize) -> Result<f64, ThresholdError> {
    let body = text.trim_start();
    let start = offset + (text.len() - body.len());
    let body = body.trim_end();
    if body.is_empty() {
        let at = start.min(end);
        return Err(error(at..at, "the condition has no number", "expected a number", Some(EXAMPLE.to_owned())));
    }
    let span = start..start + body.len();
    let digits = body.bytes().any(|b| b.is_ascii_digit());
    match body.parse::<f64>() {
        Ok(number) if number.is_finite() && digits => Ok(number),
        _ if body.ends_with('%') => {
            let help = "write the number alone, in the unit of the signal: `80`, or `0.8` where it is a ratio";
            Err(error(
                span,
                format!("`{body}` is no number"),
                "a percent sign has no meaning here",
                Some(help.to_owned()),
            ))
        }
        _ if body.split_whitespace().nth(1) == Some("for") => {
            let hold = body.split_whitespace().nth(2).unwrap_or("5m");
            let at = body.find("for").map_or(span.start, |at| start + at);
            let help = format!("`for` is a key of the rule: `for: {hold}`");
            Err(error(at..span.end, "a threshold has no duration", "expected the end", Some(help)))
        }
        _ => {
            Err(error(span, format!("`{body}` is no number"), "expected a number such as `80`, `-3.5` or `1e6`", None))
        }
    }
}

fn range(text: &str, offset: usize, end: usize) -> Result<(f64, f64), ThresholdError> {
    let Some(dots) = text.find("..") else {
        let body = text.trim();
        let start = offset + (text.len() - text.trim_start().len());
        let span = start.min(end)..(start + body.len()).min(end).max(start.min(end));
        return Err(error(span, "the condition has no range", "expected a range such as `10..90`", None));
    };
    let low = number(&text[..dots], offset, offset + dots)?;
    let high = number(&text[dots + 2..], offset + dots + 2, end)?;
    if low >= high {
        let start = offset + (text.len() - text.trim_start().len());
        let help = Some("write the lower end first".to_owned());
        return Err(error(start..end, format!("the range {low}..{high} is empty"), "the lower end comes first", help));
    }
    Ok((low, high))
}

/// Values at which every condition of a set is constant in between: to compare conditions, it is enough to try these.
fn probes(conditions: &[Threshold]) -> Vec<f64> {
    let mut limits: Vec<f64> = Vec::new();
    for condition in conditions {
        match *condition {
            Threshold::Above(x)
            | Threshold::AtLeast(x)
            | Threshold::Below(x)
            | Threshold::AtMost(x)
            | Threshold::Equals(x)
            | Threshold::Differs(x) => limits.push(x),
            Threshold::Outside(low, high) | Threshold::Inside(low, high) => limits.extend([low, high]),
        }
    }
    limits.sort_by(f64::total_cmp);
    let between: Vec<f64> = limits.windows(2).map(|pair| pair[0] + (pair[1] - pair[0]) / 2.0).collect();
    limits.extend(between);
    limits.extend([f64::MIN, f64::MAX]);
    limits
}

/// A value that satisfies both conditions, if there is one.
pub fn overlap(a: Threshold, b: Threshold) -> Option<f64> {
    let mut common = probes(&[a, b]).into_iter().filter(|v| a.holds(*v) && b.holds(*v));
    let first = common.next()?;
    // A value people can read is a better example than the greatest number there is.
    Some(common.find(|v| v.abs() < 1e300).filter(|_| first.abs() >= 1e300).unwrap_or(first))
}

/// Whether whatever satisfies `narrow` satisfies `wide` too.
pub fn implies(narrow: Threshold, wide: Threshold) -> bool {
    probes(&[narrow, wide]).into_iter().all(|v| !narrow.holds(v) || wide.holds(v))
}

/// The first pair of levels in which the more severe one can hold without the lesser one. Levels come least severe first.
pub fn disorder(levels: &[Level]) -> Option<(Level, Level)> {
    levels.windows(2).find(|pair| !implies(pair[1].threshold, pair[0].threshold)).map(|pair| (pair[0], pair[1]))
}
