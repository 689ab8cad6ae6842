//! A line of bars that shows the course of a signal against its limit: `▁▁▂▃▅▆█`.

/// Most bars; of a longer course the newest are shown.
pub const BARS_MAX: usize = 60;

const UNICODE: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 8] = ['_', '.', ':', '-', '=', '+', '*', '#'];

/// One bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// The character; a space where there was no value.
    pub glyph: char,
    /// Whether the value lies on the same side of the limit as `worst`, or on it.
    pub beyond: bool,
}

/// The bars, and the height of the limit among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sparkline {
    /// Oldest first.
    pub bars: Vec<Bar>,
    /// A bar as high as the limit.
    pub limit: Option<char>,
}

/// Draws a course. The scale spans the values and the limit, so that heights can be compared with the limit's bar;
/// `worst` (the peak) tells which side of the limit is the bad one. `None` where there is nothing to draw.
pub fn sparkline(course: &[f64], limit: Option<f64>, worst: f64, unicode: bool) -> Option<Sparkline> {
    let course = course.get(course.len().saturating_sub(BARS_MAX)..).unwrap_or_default();
    let limit = limit.filter(|l| l.is_finite());
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in course.iter().copied().filter(|v| v.is_finite()) {
        (low, high) = (low.min(value), high.max(value));
    }
    if course.len() < 2 || low > high {
        return None;
    }
    if let Some(limit) = limit {
        (low, high) = (low.min(limit), high.max(limit));
    }
    let glyphs = if unicode { UNICODE } else { ASCII };
    let glyph = |value: f64| glyphs[level(value, low, high)];
    let beyond = |value: f64| match limit {
        Some(limit) if worst >= limit => value >= limit,
        Some(limit) => value <= limit,
        None => false,
    };
    let bars = course.iter().map(|value| match value.is_nan() {
        true => Bar { glyph: ' ', beyond: false },
        false => Bar { glyph: glyph(*value), beyond: beyond(*value) },
    });
    Some(Sparkline { bars: bars.collect(), limit: limit.map(glyph) })
}

/// 0 to 7. Halves keep the subtraction of two extremes from overflowing.
fn level(value: f64, low: f64, high: f64) -> usize {
    let span = high / 2.0 - low / 2.0;
    if span <= 0.0 {
        return 3;
    }
    let share = ((value / 2.0 - low / 2.0) / span).clamp(0.0, 1.0);
    ((share * 7.0).round() as usize).min(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(course: &[f64], limit: Option<f64>, want: &str) {
        let worst = course.iter().copied().fold(f64::NAN, f64::max);
        let draw = |unicode| {
            sparkline(course, limit, worst, unicode).map(|line| {
                let bars: String = line.bars.iter().map(|b| b.glyph).collect();
                let beyond: String = line.bars.iter().map(|b| if b.beyond { '!' } else { '.' }).collect();
                format!("{bars}|{beyond}|{}", line.limit.map(String::from).unwrap_or_default())
            })
        };
        assert_eq!(draw(true).unwrap_or_default(), want);
        assert_eq!(draw(false).is_some(), !want.is_empty());
        assert!(draw(false).unwrap_or_default().is_ascii());
    }

    #[test]
    fn bars_share_one_scale_with_the_limit() {
        check(&[0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0], Some(40.0), "▁▂▃▄▅▆▇█|....!!!!|▅");
        check(&[10.0, 20.0, 80.0], Some(80.0), "▁▂█|..!|█");
        check(&[1.0, f64::NAN, 2.0], None, "▁ █|...|");
        check(&[5.0, 5.0], None, "▄▄|..|");
        check(&[5.0, 5.0], Some(5.0), "▄▄|!!|▄");
    }

    #[test]
    fn extremes_and_gaps_draw_or_say_that_there_is_nothing() {
        check(&[f64::MIN, 0.0, f64::MAX], Some(f64::INFINITY), "▁▅█|...|");
        check(&[1.0, f64::INFINITY, f64::NEG_INFINITY, 2.0], None, "▁█▁█|....|");
        check(&[f64::NAN, f64::NAN], Some(1.0), "");
        check(&[1.0], Some(1.0), "");
        check(&[], None, "");
        let long: Vec<f64> = (0..500).map(f64::from).collect();
        assert_eq!(sparkline(&long, None, 1.0, true).map(|l| l.bars.len()), Some(BARS_MAX));
    }

    #[test]
    fn below_a_lower_limit_is_the_bad_side_when_the_peak_lies_there() {
        let line = sparkline(&[9.0, 5.0, 1.0], Some(5.0), 1.0, true).unwrap();
        assert_eq!(line.bars.iter().map(|b| b.beyond).collect::<Vec<_>>(), [false, true, true]);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
        #[test]
        fn any_numbers_draw_one_bar_each(
            course in proptest::collection::vec(proptest::num::f64::ANY, 0..80),
            limit in proptest::option::of(proptest::num::f64::ANY),
        ) {
            let finite = course.iter().skip(course.len().saturating_sub(BARS_MAX)).any(|v| v.is_finite());
            let drawn = sparkline(&course, limit, 0.0, true);
            proptest::prop_assert_eq!(drawn.is_some(), course.len() > 1 && finite);
            if let Some(line) = drawn {
                proptest::prop_assert_eq!(line.bars.len(), course.len().min(BARS_MAX));
            }
        }
    }
}
