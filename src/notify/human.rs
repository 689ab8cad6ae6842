//! Numbers, units and durations as people read them.
//!
//! The unit comes from an annotation or label `unit`, else from the end of the metric's or rule's name (`_percent`,
//! `_ms`, `_bytes`, …); where none is known the bare number stands.

use std::time::Duration;

use crate::model::Alert;

/// What a value measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Unknown or a plain count.
    None,
    /// 0 to 100.
    Percent,
    /// 0 to 1, shown as per cent.
    Ratio,
    /// Seconds.
    Seconds,
    /// Thousandths of a second.
    Milliseconds,
    /// Bytes.
    Bytes,
    /// Mebibytes, which operating systems call MB.
    Megabytes,
    /// US dollars.
    Usd,
    /// Degrees.
    Celsius,
}

const BY_NAME: [(&str, Unit); 16] = [
    ("percent", Unit::Percent),
    ("pct", Unit::Percent),
    ("ratio", Unit::Ratio),
    ("seconds", Unit::Seconds),
    ("secs", Unit::Seconds),
    ("s", Unit::Seconds),
    ("milliseconds", Unit::Milliseconds),
    ("millis", Unit::Milliseconds),
    ("ms", Unit::Milliseconds),
    ("bytes", Unit::Bytes),
    ("mb", Unit::Megabytes),
    ("megabytes", Unit::Megabytes),
    ("usd", Unit::Usd),
    ("dollars", Unit::Usd),
    ("celsius", Unit::Celsius),
    ("%", Unit::Percent),
];

impl Unit {
    /// The unit of that name (`percent`, `ms`, `bytes`, …).
    pub fn from_name(name: &str) -> Option<Self> {
        BY_NAME.iter().find(|(n, _)| name.eq_ignore_ascii_case(n)).map(|(_, unit)| *unit)
    }

    /// The unit the end of a metric's name tells: `llm.latency_ms`, `node_memory_bytes_total`.
    pub fn of_metric(name: &str) -> Option<Self> {
        let name = ["_total", "_sum", "_bucket"].iter().fold(name, |n, end| n.strip_suffix(end).unwrap_or(n));
        // A bare "s" ends too many words to mean seconds.
        let (_, last) = name.rsplit_once(['_', '.'])?;
        (last != "s").then(|| Self::from_name(last)).flatten()
    }

    /// The unit of an alert's value.
    pub fn of_alert(alert: &Alert) -> Self {
        let told = alert.annotations.get("unit").or_else(|| alert.labels.get("unit")).and_then(Self::from_name);
        told.or_else(|| alert.labels.metric_name().and_then(Self::of_metric))
            .or_else(|| Self::of_metric(&alert.rule))
            .unwrap_or(Self::None)
    }

    /// A value with its unit.
    pub fn show(self, value: f64) -> String {
        if !value.is_finite() {
            return crate::model::alert::float_text::text(value);
        }
        match self {
            Self::None => scaled(value, 1000.0, &["", "", "M", "G", "T", "P"]),
            Self::Percent => format!("{}%", digits(value)),
            Self::Ratio => format!("{}%", digits(value * 100.0)),
            Self::Seconds => seconds(value),
            Self::Milliseconds => seconds(value / 1000.0),
            Self::Bytes => scaled(value, 1024.0, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB"]),
            Self::Megabytes => scaled(value * 1_048_576.0, 1024.0, &[" B", " KiB", " MiB", " GiB", " TiB", " PiB"]),
            Self::Usd if value < 0.0 => format!("-${}", money(-value)),
            Self::Usd => format!("${}", money(value)),
            Self::Celsius => format!("{} °C", digits(value)),
        }
    }

    /// A condition such as `> 80` or `outside 10..90` with its numbers shown in this unit; words stay as they are.
    pub fn show_condition(self, condition: &str) -> String {
        let word = |word: &str| match word.parse::<f64>() {
            Ok(number) if number.is_finite() => self.show(number),
            _ => match word.split_once("..").map(|(a, b)| (a.parse::<f64>(), b.parse::<f64>())) {
                Some((Ok(low), Ok(high))) => format!("{}..{}", self.show(low), self.show(high)),
                _ => word.to_owned(),
            },
        };
        // Only a comparison with constants: in an expression, numbers may measure something else.
        let constant = condition.split(' ').skip(1).all(|w| w.starts_with(|c: char| c.is_ascii_digit() || c == '-'));
        if !constant {
            return condition.to_owned();
        }
        condition.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }
}

/// Four significant digits, without trailing zeros; whole numbers whole.
fn digits(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        return format!("{value:.3e}");
    }
    let before = if size >= 1.0 { size.log10().floor() as i32 + 1 } else { size.max(1e-9).log10().floor() as i32 + 1 };
    let after = usize::try_from(4 - before).unwrap_or(0);
    let text = format!("{value:.after$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn money(value: f64) -> String {
    if (0.01..1e15).contains(&value) || value == 0.0 { format!("{value:.2}") } else { digits(value) }
}

fn scaled(value: f64, base: f64, suffixes: &[&str]) -> String {
    let mut step = 0;
    let mut rest = value;
    // A plain number keeps its digits up to a million: 2100, not 2.1k.
    let plain_below = if base == 1000.0 { 1e6 } else { base };
    if value.abs() >= plain_below {
        while rest.abs() >= base && step + 1 < suffixes.len() {
            rest /= base;
            step += 1;
        }
    }
    let shown = if step == 0 && value.fract() == 0.0 { format!("{value:.0}") } else { digits(rest) };
    format!("{shown}{}", suffixes.get(step).copied().unwrap_or_default())
}

fn seconds(value: f64) -> String {
    let size = value.abs();
    match size {
        0.0 => "0s".to_owned(),
        s if s < 1e-3 => format!("{}µs", digits(value * 1e6)),
        s if s < 1.0 => format!("{}ms", digits(value * 1e3)),
        s if s < 120.0 => format!("{}s", digits(value)),
        s if s < 3e11 => format!("{}{}", if value < 0.0 { "-" } else { "" }, span(Duration::from_secs_f64(s))),
        _ => format!("{}s", digits(value)),
    }
}

/// A duration to the two units that matter: `45s`, `14m`, `2h5m`, `3d4h`.
pub fn span(duration: Duration) -> String {
    let secs = duration.as_secs();
    let two = |big: u64, b: &str, small: u64, s: &str| {
        if small == 0 { format!("{big}{b}") } else { format!("{big}{b}{small}{s}") }
    };
    match secs {
        0 if !duration.is_zero() => format!("{}ms", duration.as_millis().max(1)),
        0..60 => format!("{secs}s"),
        60..3600 => two(secs / 60, "m", secs % 60, "s"),
        3600..86_400 => two(secs / 3600, "h", secs % 3600 / 60, "m"),
        _ => two(secs / 86_400, "d", secs % 86_400 / 3600, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_people_write_them() {
        for (unit, value, want) in [
            (Unit::None, 2100.0, "2100"),
            (Unit::None, 123_456.0, "123456"),
            (Unit::None, 1_234_567.0, "1.235M"),
            (Unit::None, 0.123_456, "0.1235"),
            (Unit::None, 0.0, "0"),
            (Unit::None, -3.50, "-3.5"),
            (Unit::None, 1e-9, "1.000e-9"),
            (Unit::None, f64::NAN, "NaN"),
            (Unit::Percent, 92.4371, "92.44%"),
            (Unit::Percent, 100.0, "100%"),
            (Unit::Ratio, 0.205, "20.5%"),
            (Unit::Milliseconds, 2100.0, "2.1s"),
            (Unit::Milliseconds, 35.0, "35ms"),
            (Unit::Seconds, 0.000_02, "20µs"),
            (Unit::Seconds, 90_000.0, "1d1h"),
            (Unit::Seconds, -5400.0, "-1h30m"),
            (Unit::Seconds, 1e300, "1.000e300s"),
            (Unit::Bytes, 512.0, "512 B"),
            (Unit::Bytes, 1_610_612_736.0, "1.5 GiB"),
            (Unit::Megabytes, 2048.0, "2 GiB"),
            (Unit::Usd, 12.345, "$12.35"),
            (Unit::Usd, -1.0, "-$1.00"),
            (Unit::Usd, 0.0004, "$0.0004"),
        ] {
            assert_eq!(unit.show(value), want, "{unit:?} {value}");
        }
    }

    #[test]
    fn the_unit_is_known_by_the_end_of_the_name() {
        for (name, want) in [
            ("llm.latency_ms", Some(Unit::Milliseconds)),
            ("system.cpu_percent", Some(Unit::Percent)),
            ("node_network_receive_bytes_total", Some(Unit::Bytes)),
            ("llm.cost_usd", Some(Unit::Usd)),
            ("up", None),
            ("items_s", None),
            ("alarms", None),
        ] {
            assert_eq!(Unit::of_metric(name), want, "{name}");
        }
    }

    #[test]
    fn constants_of_a_condition_get_the_unit_and_expressions_are_left_alone() {
        for (condition, want) in [
            ("> 80", "> 80%"),
            ("outside 10..90", "outside 10%..90%"),
            ("failed / total > 0.2", "failed / total > 0.2"),
            ("", ""),
            ("up == 0", "up == 0"),
        ] {
            assert_eq!(Unit::Percent.show_condition(condition), want);
        }
    }

    #[test]
    fn spans_keep_two_units() {
        for (secs, want) in [(0, "0s"), (59, "59s"), (60, "1m"), (61, "1m1s"), (7500, "2h5m"), (273_600, "3d4h")] {
            assert_eq!(span(Duration::from_secs(secs)), want);
        }
        assert_eq!(span(Duration::from_millis(250)), "250ms");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]
        #[test]
        fn any_number_is_shown_shortly_and_without_panic(value in proptest::num::f64::ANY, unit in 0..9usize) {
            let unit = [Unit::None, Unit::Percent, Unit::Ratio, Unit::Seconds, Unit::Milliseconds, Unit::Bytes,
                Unit::Megabytes, Unit::Usd, Unit::Celsius][unit];
            let shown = unit.show(value);
            proptest::prop_assert!(!shown.is_empty() && shown.len() < 40, "{unit:?} {value:e}: {shown}");
        }
    }
}
