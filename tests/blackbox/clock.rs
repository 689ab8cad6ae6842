//! Clock faults: the wall clock is set, a machine wakes from sleep, clocks change for summer and winter.
//!
//! The real binary runs with libfaketime (a Debian package that `scripts/debian-packages.sh` unpacks): its wall clock is
//! moved while it runs, its monotonic clock is left alone. The machine's own clock is never touched. What the tests
//! measure durations with is the monotonic clock of the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::kinds;
use crate::http;
use crate::kit::{Daemon, Folder, command, faketime, free_port, instant, now_ms, until, until_true};

const HOUR: i64 = 3600;
const YEAR: i64 = 365 * 86_400;
const JSON_HANDLER: &str = "handlers:\n  - {name: screen, type: console, format: json}\n";

/// A daemon whose wall clock can be set.
struct Skewed {
    daemon: Daemon,
    folder: Folder,
}

impl Skewed {
    /// Starts it on a rule file with a clock that is ahead by some seconds.
    fn start(rules: &str, ahead_secs: i64) -> Option<Self> {
        let folder = Folder::with(&[("rules/a.yaml", rules), ("handlers/h.yaml", JSON_HANDLER)]);
        set(&folder, ahead_secs);
        Self::go_on(folder)
    }

    /// Starts it once more on what it left.
    fn go_on(folder: Folder) -> Option<Self> {
        let library = faketime()?;
        let mut command = command(&folder);
        command.arg("rules/").env("LD_PRELOAD", library);
        command.env("FAKETIME_TIMESTAMP_FILE", folder.at("clock")).env("FAKETIME_NO_CACHE", "1");
        command.env("DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
        let daemon = Daemon::launch(&mut command, free_port());
        daemon.wait_ready();
        Some(Self { daemon, folder })
    }

    /// Sets its wall clock to so many seconds ahead of the machine's.
    fn set(&self, ahead_secs: i64) {
        set(&self.folder, ahead_secs);
    }

    fn jumps(&self) -> Option<f64> {
        self.daemon.metric("alertd_clock_jumps_total")
    }

    /// The log has one line on a jump, and of this length.
    #[track_caller]
    fn check_logged(&self, jump_secs: i64) {
        let line = self.daemon.err.wait("WARN The clock was set");
        let told = line.split("jump_seconds=").nth(1).and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
        assert!(told.is_some_and(|told| (told - jump_secs as f64).abs() < 2.0), "{line}");
        assert_eq!(self.daemon.err.count("The clock was set"), 1);
    }

    /// The newest evaluated slot, in seconds since the epoch.
    fn last_slot(&self) -> i64 {
        self.daemon.metric("alertd_evaluation_last_slot_timestamp_seconds").unwrap_or_default() as i64
    }

    /// How many rules have been evaluated.
    fn evaluations(&self) -> f64 {
        self.daemon.metric_sum("alertd_evaluations_total")
    }
}

/// The file is replaced in one step: it is read at every look at the clock.
fn set(folder: &Folder, ahead_secs: i64) {
    folder.write("clock.new", format!("{ahead_secs:+}\n"));
    std::fs::rename(folder.at("clock.new"), folder.at("clock")).unwrap();
}

/// How many seconds ahead a clock must be to show an instant.
fn ahead_to(instant_secs: i64) -> i64 {
    instant_secs - now_ms().div_euclid(1000)
}

/// Pushes samples several times a second until dropped, so that a jump leaves no gap of its own.
struct Pusher {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pusher {
    fn start(daemon: &Daemon, text: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, address, text) = (Arc::clone(&stop), daemon.address.clone(), text.to_owned());
        let thread = std::thread::spawn(move || {
            let headers = [("Content-Type", "text/plain")];
            let path = "/api/v1/import/prometheus";
            while !stopped.load(Ordering::Relaxed) {
                let request = http::request(&address, "POST", path, &headers, text.as_bytes());
                let _ = http::exchange(&address, &request);
                sleep(Duration::from_millis(100));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Pusher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const HELD: &str = r#"
defaults: {every: 1s}
rules:
  - {name: held, metric: held_value, threshold: "> 5", for: 8s}
  - {name: calm, metric: calm_value, threshold: "> 5", cooldown: 12s}
"#;

/// Waits until a rule has told `n` times that it fires.
fn wait_told(daemon: &Daemon, rule: &str, n: usize) -> Instant {
    until_true(&format!("{rule} tells {n} times: {:?}", kinds(daemon, rule)), || fired(daemon, rule) >= n);
    instant()
}

fn fired(daemon: &Daemon, rule: &str) -> usize {
    kinds(daemon, rule).iter().filter(|kind| *kind == "firing").count()
}

/// One alert is pending and one is in its cooldown when the clock is set; neither must gain or lose by it.
#[track_caller]
fn check_forward(jump_secs: i64) {
    let Some(skewed) = Skewed::start(HELD, 0) else { return };
    let daemon = &skewed.daemon;
    let calm = Pusher::start(daemon, "calm_value 9\n");
    let first_told = wait_told(daemon, "calm", 1);
    drop(calm);
    let calm = Pusher::start(daemon, "calm_value 1\n");
    until_true("calm resolves", || daemon.alert("calm").is_none());
    drop(calm);
    let _calm = Pusher::start(daemon, "calm_value 9\n");
    let began = instant();
    let _held = Pusher::start(daemon, "held_value 9\n");
    daemon.wait_alert("calm", "firing");
    daemon.wait_alert("held", "pending");
    skewed.set(jump_secs);
    until_true("the jump is counted", || skewed.jumps() == Some(1.0));
    skewed.check_logged(jump_secs);
    until_true("slots follow the new time", || (skewed.last_slot() - now_ms() / 1000 - jump_secs).abs() <= 3);

    // Told the instant they happen, on the test's own clock; a slot of a second is the grain of both.
    daemon.wait_alert("held", "firing");
    let pending_for = began.elapsed();
    assert!(pending_for >= Duration::from_secs(7), "`for: 8s` was over after {pending_for:?}");
    assert!(pending_for <= Duration::from_secs(16), "`for: 8s` took {pending_for:?}");
    let silent_for = wait_told(daemon, "calm", 2).duration_since(first_told);
    assert!(silent_for >= Duration::from_secs(11), "`cooldown: 12s` was over after {silent_for:?}");
    assert_eq!(skewed.jumps(), Some(1.0));
    eprintln!("clock {jump_secs:+} s: `for: 8s` took {pending_for:?}, `cooldown: 12s` {silent_for:?}");
}

#[test]
fn a_clock_set_an_hour_ahead_fires_nothing_early_and_shortens_no_cooldown() {
    check_forward(HOUR);
}

#[test]
fn a_clock_set_a_year_ahead_fires_nothing_early_and_shortens_no_cooldown() {
    check_forward(YEAR);
}

#[test]
fn a_clock_set_an_hour_back_costs_no_hour_of_silence() {
    let rules = r#"
defaults: {every: 1s}
rules:
  - {name: high, metric: high_value, threshold: "> 5"}
  - {name: plain, expr: plain_value > 5}
"#;
    let Some(skewed) = Skewed::start(rules, 0) else { return };
    let daemon = &skewed.daemon;
    let pusher = Pusher::start(daemon, "high_value 9\nplain_value 9\n");
    for rule in ["high", "plain"] {
        daemon.wait_alert(rule, "firing");
    }
    let (before, evaluated) = (skewed.last_slot(), skewed.evaluations());
    skewed.set(-HOUR);
    let begun = instant();
    let first = until("evaluation goes on on the new time", || {
        let slot = skewed.last_slot();
        (slot < before - HOUR + 60).then_some(slot)
    });
    until_true("the next slot is evaluated too", || skewed.last_slot() > first);
    let took = begun.elapsed();
    // Two intervals, one more for the slot that was waited for, and a machine that does other things too.
    assert!(took < Duration::from_secs(5), "evaluated twice on the new time after {took:?}");
    assert!(skewed.evaluations() > evaluated);
    assert_eq!(skewed.jumps(), Some(1.0));
    skewed.check_logged(-HOUR);
    for rule in ["high", "plain"] {
        assert_eq!(kinds(daemon, rule), ["firing"], "{rule}: a clock that is set ends nothing and tells nothing twice");
    }
    // Samples are taken at once: what is sent now is what counts now.
    drop(pusher);
    let begun = instant();
    let _pusher = Pusher::start(daemon, "high_value 1\nplain_value 1\n");
    daemon.wait_value("high_value", 1.0);
    for rule in ["high", "plain"] {
        until_true(&format!("{rule} resolves"), || kinds(daemon, rule) == ["firing", "resolved"]);
    }
    let resolved = begun.elapsed();
    assert!(resolved < Duration::from_secs(10), "resolved after {resolved:?}");
    eprintln!("clock -3600 s: two evaluations after {took:?}, resolved by new samples after {resolved:?}");
}

/// Samples of an hour that is then still to come are gone for good, whether the clock is set back before or after the
/// process ends, and those that come then are stored.
#[track_caller]
fn check_set_back(while_down: bool) {
    let Some(mut skewed) = Skewed::start("rules: []\n", 2 * HOUR) else { return };
    let stored = |daemon: &Daemon| daemon.metric("alertd_samples_stored_total").unwrap_or_default();
    {
        let _pusher = Pusher::start(&skewed.daemon, "m 1\n");
        until_true("samples are stored", || stored(&skewed.daemon) > 10.0);
    }
    if while_down {
        skewed.daemon.kill();
        set(&skewed.folder, HOUR);
        skewed = Skewed::go_on(skewed.folder).unwrap();
        skewed.daemon.err.wait("Stored samples were ahead of the clock");
    } else {
        skewed.set(HOUR);
        until_true("the jump is counted", || skewed.jumps() == Some(1.0));
    }
    for round in 0..2 {
        let before = stored(&skewed.daemon);
        {
            let _pusher = Pusher::start(&skewed.daemon, "m 2\n");
            until_true("new samples are stored", || stored(&skewed.daemon) > before + 10.0);
        }
        let daemon = &skewed.daemon;
        for query in ["m", "min_over_time(m[3h])", "max_over_time(m[3h])"] {
            let got: Vec<f64> = daemon.query(query).into_iter().map(|(_, value)| value).collect();
            assert_eq!(got, [2.0], "{query}, round {round}, set back while down: {while_down}; {}", daemon.err.text());
        }
        // A file all of which is still to come may be right and the clock wrong: it is kept.
        let put_aside = while_down && round == 0;
        assert_eq!(daemon.metric("alertd_samples_damaged_rows"), Some(f64::from(put_aside)));
        assert_eq!(skewed.folder.at("data/quarantine").is_dir(), while_down);
        assert_eq!(daemon.metric("alertd_samples_durable"), Some(1.0));
        skewed.daemon.kill();
        skewed = Skewed::go_on(skewed.folder).unwrap();
    }
}

#[test]
fn samples_of_a_time_that_is_still_to_come_are_gone_when_the_clock_is_set_back() {
    check_set_back(false);
}

#[test]
fn samples_of_a_time_that_is_still_to_come_are_gone_when_the_clock_is_set_back_while_it_is_down() {
    check_set_back(true);
}

/// One alert has just begun and one is just over when the process is killed; the next one has another clock.
#[track_caller]
fn check_moved(ahead_secs: i64) {
    let rules = r#"
defaults: {every: 1s}
rules:
  - {name: fresh, expr: fresh_value > 5}
  - {name: over, expr: over_value > 5}
"#;
    let Some(mut skewed) = Skewed::start(rules, 0) else { return };
    // What a clock that is two minutes behind would see once more.
    let before = |ago: i64| format!("fresh_value 1 {0}\nover_value 9 {0}\n", now_ms() - ago * 1000);
    skewed.daemon.push(&(121..=300).rev().step_by(5).map(before).collect::<String>());
    {
        let _pusher = Pusher::start(&skewed.daemon, "fresh_value 9\nover_value 9\n");
        wait_told(&skewed.daemon, "fresh", 1);
        wait_told(&skewed.daemon, "over", 1);
    }
    {
        let _pusher = Pusher::start(&skewed.daemon, "fresh_value 9\nover_value 1\n");
        until_true("one is over", || kinds(&skewed.daemon, "over") == ["firing", "resolved"]);
        let stored = || skewed.daemon.metric("alertd_samples_stored_total").unwrap_or_default();
        let enough = stored() + 40.0;
        until_true("samples of some seconds are stored", || stored() > enough);
    }
    skewed.daemon.kill();
    set(&skewed.folder, ahead_secs);
    skewed = Skewed::go_on(skewed.folder).unwrap();
    let daemon = &skewed.daemon;
    let told = |when: &str, fresh: &[&str]| {
        let all = (kinds(daemon, "fresh"), kinds(daemon, "over"));
        assert!(all.0 == fresh && all.1.is_empty(), "{ahead_secs:+} s, {when}: {all:?}");
    };
    daemon.wait_evaluations(6);
    told("before new samples came", &[]);
    {
        let _pusher = Pusher::start(daemon, "fresh_value 9\nover_value 1\n");
        daemon.wait_evaluations(8);
        told("when new samples came", &[]);
    }
    let _pusher = Pusher::start(daemon, "fresh_value 1\nover_value 1\n");
    until_true("it is over", || !kinds(daemon, "fresh").is_empty());
    told("when it is over", &["resolved"]);
}

#[test]
fn a_process_that_goes_on_where_the_clock_is_two_minutes_ahead_or_behind_tells_nothing_of_it() {
    check_moved(-120);
    check_moved(120);
}

#[test]
fn waking_from_half_an_hour_of_sleep_costs_one_catch_up_evaluation() {
    let rules = r#"
rules:
  - {name: seldom, expr: slow_value > 5, every: 15s}
  - {name: often, expr: fast_value > 5, every: 1s}
"#;
    let Some(skewed) = Skewed::start(rules, 0) else { return };
    let daemon = &skewed.daemon;
    let _pusher = Pusher::start(daemon, "slow_value 1\nfast_value 1\n");
    daemon.wait_evaluations(8);
    let before = skewed.evaluations();
    // Stopped as by a suspend: the wall clock goes on meanwhile, the process does not.
    daemon.signal("STOP");
    skewed.set(HOUR / 2);
    daemon.signal("CONT");
    let begun = instant();
    until_true("the jump is counted", || skewed.jumps() == Some(1.0));
    let woken = now_ms() / 1000 + HOUR / 2;
    // A slot of every 15 seconds: without a catch-up it would be due in up to 15 seconds.
    let last_of = |name: &str| {
        let rule = daemon.rules().into_iter().find(|rule| rule["name"] == name);
        rule.and_then(|rule| seconds_of(&rule["lastEvaluation"])).unwrap_or_default()
    };
    until_true("the seldom rule has been caught up", || last_of("seldom") > woken - 20);
    let caught_up = begun.elapsed();
    assert!(caught_up < Duration::from_secs(4), "caught up after {caught_up:?}");
    let slots: Vec<i64> = (0..3).map(|_| next_slot(&last_of)).collect();
    let took = begun.elapsed();
    assert!(slots.windows(2).all(|pair| pair[1] - pair[0] <= 2), "the other rule is late: {slots:?}");
    let (evaluated, seconds) = (skewed.evaluations() - before, took.as_secs_f64());
    // The often rule each second, the seldom one and alertd's own rules each 15 seconds, and each of them once to catch
    // up; half an hour has 1800 slots of one and 120 of each of the others.
    let rules = daemon.metric("alertd_rules{state=\"enabled\"}").unwrap();
    let most = 2.0 * seconds + 2.0 * rules;
    assert!(evaluated <= most, "{evaluated} evaluations in {seconds:.1} s, at most {most:.0} expected");
    skewed.check_logged(HOUR / 2);
    eprintln!("asleep for 1800 s: caught up after {caught_up:?}, {evaluated} evaluations in {seconds:.1} s");
}

/// Waits for the next evaluation of the rule that runs each second.
fn next_slot(last_of: &dyn Fn(&str) -> i64) -> i64 {
    let before = last_of("often");
    until("the often rule is evaluated", || Some(last_of("often")).filter(|slot| *slot > before))
}

/// Seconds since the epoch of an RFC 3339 text.
fn seconds_of(time: &Value) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(time.as_str()?).ok().map(|at| at.timestamp())
}

/// Rules that fire at their first evaluation, with the slot as value.
const AT_NIGHT: &str = r#"
defaults: {expr: time(), timezone: Europe/Berlin}
rules:
  - {name: in_the_gap, cron: "0 30 2 * * *"}
  - {name: at_three, cron: "0 0 3 * * *"}
  - {name: hourly, cron: "0 30 * * * *"}
"#;

fn utc(text: &str) -> i64 {
    seconds_of(&Value::from(text)).unwrap()
}

/// The slot at which a rule of [`AT_NIGHT`] was evaluated last.
fn slot_of(daemon: &Daemon, rule: &str) -> Option<i64> {
    daemon.alert(rule).map(|alert| crate::kit::value_of(&alert) as i64)
}

#[test]
fn a_daily_run_in_the_hour_that_spring_leaves_out_runs_at_its_end() {
    let gap = utc("2027-03-28T01:00:00Z");
    let Some(skewed) = Skewed::start(AT_NIGHT, ahead_to(gap - 4)) else { return };
    let daemon = &skewed.daemon;
    for rule in ["in_the_gap", "at_three"] {
        until_true(&format!("{rule} runs at 03:00 summer time"), || slot_of(daemon, rule) == Some(gap));
    }
    assert_eq!(slot_of(daemon, "hourly"), None, "02:30 is not there, 03:30 is to come");
    skewed.set(ahead_to(gap + HOUR / 2 - 3));
    until_true("the hourly rule runs at 03:30", || slot_of(daemon, "hourly") == Some(gap + HOUR / 2));
    assert_eq!(slot_of(daemon, "in_the_gap"), Some(gap), "once a day");
}

#[test]
fn a_daily_run_in_the_hour_that_autumn_repeats_runs_once() {
    let first = utc("2027-10-31T00:30:00Z");
    let Some(skewed) = Skewed::start(AT_NIGHT, ahead_to(first - 4)) else { return };
    let daemon = &skewed.daemon;
    for rule in ["in_the_gap", "hourly"] {
        until_true(&format!("{rule} runs at 02:30 summer time"), || slot_of(daemon, rule) == Some(first));
    }
    skewed.set(ahead_to(first + HOUR - 3));
    until_true("the hourly rule runs again at 02:30 winter time", || slot_of(daemon, "hourly") == Some(first + HOUR));
    assert_eq!(slot_of(daemon, "in_the_gap"), Some(first), "once a day");
}
