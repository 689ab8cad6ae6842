//! Detectors: golden values, properties, hostile input.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A Monday.
const START_MS: i64 = 1_700_438_400_000;

const METHODS: [Method; 3] = [Method::MovingAverage, Method::Robust, Method::Ewma];
const SEASONS: [Season; 5] = [Season::None, Season::Hourly, Season::Daily, Season::Weekly, Season::Auto];

fn config(method: Method, window: Duration, season: Season) -> AnomalyConfig {
    AnomalyConfig { window, season, min_samples: 3, ..AnomalyConfig::for_method(method) }
}

/// A detector that has learned `value(step)` at every step before `steps`.
fn learned(config: &AnomalyConfig, step_ms: i64, steps: i64, value: impl Fn(i64) -> f64) -> Detector {
    let mut detector = Detector::new(config);
    (0..steps).for_each(|i| detector.learn(config, START_MS + i * step_ms, value(i)));
    detector
}

/// Noise between -1 and 1, the same at every run.
fn noise(i: i64) -> f64 {
    let mut x = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x >> 40) as f64 / (1u64 << 23) as f64 - 1.0
}

fn season_in_use(detector: &Detector) -> serde_json::Value {
    serde_json::to_value(detector).unwrap()["seasonal"]["active"].clone()
}

#[test]
fn bands_of_tiny_series_are_those_found_by_hand() {
    let hour = Duration::from_secs(3600);
    let at = |method: Method, values: &[f64]| {
        let config = AnomalyConfig { min_samples: values.len(), ..config(method, hour, Season::None) };
        learned(&config, 60_000, values.len() as i64, |i| values[i as usize]).judge(
            &config,
            START_MS + values.len() as i64 * 60_000,
            0.0,
        )
    };
    let average = at(Method::MovingAverage, &[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
    // Mean 5, standard deviation of the population 2, three of them to each side.
    assert_eq!((average.expected, average.lower, average.upper), (5.0, -1.0, 11.0));
    let robust = at(Method::Robust, &[1.0, 2.0, 3.0, 5.0, 9.0]);
    // Median 3, deviations 2 1 0 2 6 with the median 2, five times 1.4826 of it.
    assert_eq!(robust.expected, 3.0);
    assert!((robust.upper - (3.0 + 5.0 * 1.482_602_218_505_602 * 2.0)).abs() < 1e-12, "{robust:?}");
    let weighted = at(Method::Ewma, &[0.0, 0.0, 30.0]);
    // Weights e^(-4/60), e^(-2/60), 1: tau is half of the window.
    let (a, b) = ((-4.0f64 / 60.0).exp(), (-2.0f64 / 60.0).exp());
    let mean = 30.0 / (a + b + 1.0);
    assert!((weighted.expected - mean).abs() < 1e-12, "{weighted:?}");
    let spread = ((a + b) * mean * mean + (30.0 - mean) * (30.0 - mean)) / (a + b + 1.0);
    assert!((weighted.upper - (mean + 3.0 * spread.sqrt())).abs() < 1e-9, "{weighted:?}");
}

#[test]
fn a_daily_season_of_six_values_is_expected_from_the_third_day_on() {
    // Every four hours, learned from the third value on: two whole days later is the fifteenth.
    let value = |i: i64| [10.0, 20.0, 40.0, 90.0, 60.0, 30.0][i as usize % 6];
    for method in METHODS {
        // A band so wide that it cuts nothing while it learns.
        let plain = AnomalyConfig { sigma: 100.0, ..config(method, Duration::from_secs(2 * 86_400), Season::None) };
        let daily = AnomalyConfig { season: Season::Daily, ..plain.clone() };
        let (mut without, mut with) = (Detector::new(&plain), Detector::new(&daily));
        for i in 0..40 {
            let t_ms = START_MS + i * 4 * HOUR_MS;
            let (a, b) = (without.step(&plain, t_ms, value(i)), with.step(&daily, t_ms, value(i)));
            if i <= 14 {
                assert_eq!(format!("{a:?}"), format!("{b:?}"), "{method:?}, point {i}");
            } else {
                assert!((b.expected - value(i)).abs() < 1e-9, "{method:?}, point {i}: {b:?}");
                assert!(!b.anomalous && b.lower <= value(i) && value(i) <= b.upper, "{method:?}, point {i}: {b:?}");
            }
        }
        // At midday 90 is usual and 60 is not; without a season both are.
        let noon = START_MS + 45 * 4 * HOUR_MS;
        assert_eq!(with.judge(&daily, noon, 90.0).reason, Reason::Inside, "{method:?}");
        assert_eq!(with.judge(&daily, noon, 60.0).reason, Reason::Below, "{method:?}");
    }
}

#[test]
fn phases_are_those_of_the_clock_on_the_wall_when_summer_time_begins() {
    // 2024-03-31 01:00 UTC. The load follows the people's clock: what it shows is the value.
    let berlin = Zone::from_name("Europe/Berlin").unwrap();
    let value = |t_ms: i64| (berlin.wall_ms(t_ms) / HOUR_MS % 24) as f64 + 10.0;
    let change_ms = 1_711_846_800_000;
    for (timezone, is_right) in [(berlin, true), (Zone::UTC, false)] {
        let daily =
            AnomalyConfig { timezone, ..config(Method::MovingAverage, Duration::from_secs(86_400), Season::Daily) };
        let mut detector = Detector::new(&daily);
        for t_ms in (change_ms - 7 * DAY_MS..change_ms).step_by(HOUR_MS as usize) {
            detector.learn(&daily, t_ms, value(t_ms));
        }
        let after = change_ms + 8 * HOUR_MS;
        let expected = detector.judge(&daily, after, 0.0).expected;
        assert_eq!((expected - value(after)).abs() < 0.01, is_right, "{timezone:?}: {expected}");
    }
}

#[test]
fn auto_takes_the_season_that_is_there_and_none_where_there_is_none() {
    let hours = |i: i64| i as f64 / 12.0;
    let wave = |i: i64, hours_long: f64| (hours(i) / hours_long * std::f64::consts::TAU).sin() * 10.0;
    let is_weekend = |i: i64| hours(i) / 24.0 % 7.0 >= 5.0;
    let check = |what: &str, value: &dyn Fn(i64) -> f64, wanted: serde_json::Value| {
        let auto = config(Method::MovingAverage, Duration::from_secs(7 * 86_400), Season::Auto);
        let detector = learned(&auto, 300_000, 12 * 24 * 35, |i| 50.0 + value(i) + noise(i));
        assert_eq!(season_in_use(&detector), wanted, "{what}");
    };
    check("noise", &|_| 0.0, serde_json::Value::Null);
    check("a slow wave that no cycle fits", &|i| wave(i, 31.0), serde_json::Value::Null);
    check("a wave of an hour", &|i| wave(i, 1.0), 0.into());
    check("a wave of a day", &|i| wave(i, 24.0), 1.into());
    check("days that are flat at the weekend", &|i| if is_weekend(i) { 0.0 } else { wave(i, 24.0) }, 2.into());
}

#[test]
fn auto_is_the_detector_without_a_season_until_two_were_seen() {
    let window = Duration::from_secs(86_400);
    let [plain, auto] = [Season::None, Season::Auto].map(|season| config(Method::MovingAverage, window, season));
    let (mut without, mut with) = (Detector::new(&plain), Detector::new(&auto));
    let mut first_change = None;
    for i in 0..12 * 24 * 5 {
        let (t_ms, value) =
            (START_MS + i * 300_000, (i as f64 / 288.0 * std::f64::consts::TAU).sin() + noise(i) / 10.0);
        let same = format!("{:?}", without.step(&plain, t_ms, value)) == format!("{:?}", with.step(&auto, t_ms, value));
        if !same {
            first_change.get_or_insert(i);
        }
    }
    let days = first_change.map(|i| i as f64 / 288.0);
    assert!(days.is_some_and(|days| (2.0..2.5).contains(&days)), "{days:?}");
}

#[test]
fn a_season_is_exact_far_from_zero_and_recovers_from_what_is_no_value() {
    let value = |i: i64| (i % 24) as f64 + noise(i) / 4.0;
    for (method, far) in METHODS.into_iter().flat_map(|method| [(method, 0.0), (method, 1e15)]) {
        let daily = config(method, Duration::from_secs(7 * 86_400), Season::Daily);
        let mut detector = learned(&daily, HOUR_MS, 24 * 14, |i| far + value(i));
        let mut t_ms = START_MS + 24 * 14 * HOUR_MS;
        // Not numbers, repeated and older stamps, a clock that is a century ahead for one point, and a gap.
        for (ahead_ms, hostile) in
            [(0, f64::NAN), (0, f64::INFINITY), (0, 1e300), (-1, 5e14), (-DAY_MS, -3.0), (36_525 * DAY_MS, 7.0)]
        {
            detector.step(&daily, t_ms + ahead_ms, hostile);
        }
        t_ms += 3 * DAY_MS;
        for i in 24 * 17..24 * 20 {
            detector.learn(&daily, t_ms, far + value(i));
            t_ms += HOUR_MS;
        }
        let expected = detector.judge(&daily, t_ms, far).expected - far;
        // Two values out of place have moved the level of this hour, by no more than mean errors.
        assert!((expected - value(24 * 20)).abs() < 3.0, "{method:?} at {far:e}: {expected}");
    }
}

#[test]
fn a_rule_with_another_season_goes_on_without_the_old_one() {
    let value = |i: i64| 100.0 + 50.0 * (i % 24) as f64;
    for method in METHODS {
        let daily = config(method, Duration::from_secs(7 * 86_400), Season::Daily);
        for season in [Season::None, Season::Weekly] {
            let mut detector = learned(&daily, HOUR_MS, 24 * 5, value);
            let other = AnomalyConfig { season, ..daily.clone() };
            (120..240).for_each(|i| detector.learn(&other, START_MS + i * HOUR_MS, value(i)));
            let expected = detector.judge(&other, START_MS + 240 * HOUR_MS, 0.0).expected;
            assert!((500.0..900.0).contains(&expected), "{method:?} {season:?}: {expected}");
        }
    }
}

#[test]
fn state_stays_within_its_bounds() {
    let bytes = |method: Method, points: i64, season: Season| {
        let window = Duration::from_millis((points * 15_000) as u64);
        learned(&config(method, window, season), 15_000, 3 * points, |i| 10.0 * noise(i)).state_bytes()
    };
    assert!(bytes(Method::Robust, 600, Season::None) <= 8192);
    for points in [600, 1440, 2000] {
        let all = bytes(Method::Robust, points, Season::None);
        assert!(all <= 1024 + points as usize * 12, "{points}: {all}");
    }
    for season in SEASONS {
        let more = bytes(Method::Ewma, 600, season) - bytes(Method::Ewma, 600, Season::None);
        assert!(more <= 8192, "{season:?}: {more}");
    }
}

#[test]
fn a_state_of_version_1_is_read_and_one_of_the_future_is_refused() {
    let plain = config(Method::Robust, Duration::from_secs(3600), Season::None);
    let mut detector = learned(&plain, 60_000, 30, noise);
    let mut saved = serde_json::to_value(&detector).unwrap();
    assert_eq!(saved["version"], STATE_VERSION);
    saved.as_object_mut().unwrap().remove("seasonal");
    saved["version"] = 1.into();
    let mut old: Detector = serde_json::from_value(saved.clone()).unwrap();
    let at = START_MS + 30 * 60_000;
    assert_eq!(format!("{:?}", old.step(&plain, at, 9.0)), format!("{:?}", detector.step(&plain, at, 9.0)));
    for version in [0, STATE_VERSION + 1] {
        saved["version"] = version.into();
        let refused = serde_json::from_value::<Detector>(saved.clone()).unwrap_err().to_string();
        assert!(refused.contains(&format!("version {version}")), "{refused}");
    }
}

#[test]
fn a_damaged_season_is_refused() {
    let auto = config(Method::Ewma, Duration::from_secs(3600), Season::Auto);
    let saved = serde_json::to_value(learned(&auto, 60_000, 5000, noise)).unwrap();
    let check = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut damaged = saved.clone();
        change(&mut damaged["seasonal"]);
        let refused = serde_json::from_value::<Detector>(damaged).unwrap_err().to_string();
        assert!(refused.contains("damaged"), "{refused}");
    };
    check(&|season| season["active"] = 3.into());
    check(&|season| season["season"] = "daily".into());
    check(&|season| season["candidates"] = serde_json::json!([]));
    check(&|season| season["candidates"][2]["error"]["value"] = f64::NAN.to_bits().into());
    check(&|season| season["candidates"][0]["profile"]["level_bits"] = serde_json::json!([1, 2]));
    check(&|season| season["candidates"][1]["profile"]["weight_bits"][0] = f32::NAN.to_bits().into());
    check(&|season| season["candidates"][1]["profile"]["stay"]["bucket"] = 144.into());
    assert!(serde_json::from_value::<Detector>(saved.clone()).is_ok());
}

/// Points as files and clocks give them: steps forward, back, and far; values of all kinds.
fn hostile() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let step = prop_oneof![
        20 => Just(20 * 60_000i64),
        2 => Just(0i64),
        2 => -2 * DAY_MS..0i64,
        2 => 0..3 * DAY_MS,
        1 => Just(i64::MAX / 4),
    ];
    let value = prop_oneof![
        20 => -10.0..10.0f64,
        2 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-0.0)],
        2 => -1e150..1e150f64,
        1 => Just(1e308f64),
    ];
    prop::collection::vec((step, value), 100..500).prop_map(|points| {
        let mut t_ms = START_MS;
        let stamped = points.into_iter().enumerate().map(|(i, (step, value))| {
            t_ms = t_ms.saturating_add(step);
            (t_ms, value + (i % 72) as f64)
        });
        stamped.collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn verdicts_are_the_same_bit_for_bit_however_the_stream_is_cut_or_saved(
        points in hostile(), cut in 1usize..100, method in prop::sample::select(&METHODS),
        season in prop::sample::select(&SEASONS), learn_while_firing in any::<bool>(),
    ) {
        let config = AnomalyConfig {
            learn_while_firing,
            timezone: Zone::from_name("America/New_York").unwrap(),
            ..config(method, Duration::from_secs(86_400), season)
        };
        let (mut whole, mut pieces) = (Detector::new(&config), Detector::new(&config));
        for (i, (t_ms, value)) in points.into_iter().enumerate() {
            if i % cut == 0 {
                let text = serde_json::to_string(&pieces).unwrap();
                pieces = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(&pieces, &whole);
            }
            let (a, b) = (whole.step(&config, t_ms, value), pieces.step(&config, t_ms, value));
            let bits = |j: Judgement| ([j.expected, j.lower, j.upper, j.score].map(f64::to_bits), j.reason);
            prop_assert_eq!(bits(a), bits(b));
            prop_assert!(a.score >= 0.0 && a.score <= SCORE_MAX);
            let has_band = !matches!(a.reason, Reason::Learning | Reason::Skipped);
            prop_assert!(!has_band || (a.lower <= a.expected && a.expected <= a.upper), "{:?}", a);
        }
    }
}
