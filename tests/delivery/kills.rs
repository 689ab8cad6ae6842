//! kill -9 at random instants while alerts fire, flap and resolve: what the receiver was told, compared with the history
//! that the process stored itself.
//!
//! The seed is printed; `ALERTD_SEED=N` repeats the choices (the machine's scheduling is its own).

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::Duration;

use crate::history::{self, Row};
use crate::http;
use crate::kit::{Daemon, Folder, free_port, instant, now_ms, until_true};
use crate::setup::{Told, data, folder_with, rule, rules, taken, webhook};
use crate::sink::{Act, Sink};

/// Of each of the four variants; together more than 200.
const KILLS: usize = 52;
const HOSTS: [&str; 3] = ["a", "b", "c"];
const RULES: [&str; 6] = ["plain", "held", "kept", "cool", "levels", "promql"];

/// xorshift64*.
struct Random(u64);

impl Random {
    fn seeded(variant: &str) -> Self {
        let given = std::env::var("ALERTD_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed: u64 = given.unwrap_or_else(|| u64::try_from(now_ms()).unwrap());
        eprintln!("{variant}: ALERTD_SEED={seed}");
        let salt = variant.bytes().fold(seed, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Self(salt | 1)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

struct Run {
    folder: Folder,
    sink: Sink,
    random: Random,
    values: BTreeMap<(&'static str, &'static str), f64>,
    port: u16,
}

impl Run {
    fn new(variant: &str, route: &str) -> Self {
        let all = rules(&[
            rule("plain", "for: 0s"),
            rule("held", "for: 200ms"),
            rule("kept", "keep_firing_for: 300ms"),
            rule("cool", "cooldown: 1s"),
            "  - {name: levels, metric: levels_m, levels: {warning: \"> 1\", critical: \"> 2\"}, every: 100ms, flapping: off}\n"
                .into(),
            "  - {name: promql, expr: promql_m > 1, every: 100ms, flapping: off}\n".into(),
        ]);
        let sink = Sink::start();
        let handlers = format!("handlers:\n{}{route}", webhook("chat", &sink.url("/chat"), &["timeout: 2s"]));
        let all_series = RULES.into_iter().flat_map(|rule| HOSTS.map(|host| (rule, host)));
        Self {
            folder: folder_with(&all, &handlers, ""),
            sink,
            random: Random::seeded(variant),
            values: all_series.map(|series| (series, 0.0)).collect(),
            port: free_port(),
        }
    }

    /// Moves some signals and pushes all; whether the daemon took them.
    fn push(&mut self, quiet: bool) -> bool {
        for value in self.values.values_mut() {
            if quiet {
                *value = 0.0;
            } else if self.random.below(4) == 0 {
                *value = [0.0, 0.0, 1.5, 2.5][usize::try_from(self.random.below(4)).unwrap()];
            }
        }
        let line = |((rule, host), value): (&(&str, &str), &f64)| format!("{rule}_m{{host=\"{host}\"}} {value}\n");
        let text: String = self.values.iter().map(line).collect();
        let address = format!("127.0.0.1:{}", self.port);
        let headers = [("Content-Type", "text/plain")];
        let request = http::request(&address, "POST", "/api/v1/import/prometheus", &headers, text.as_bytes());
        http::exchange(&address, &request).is_ok_and(|answer| answer.status < 300)
    }

    /// One life of the process, of a random length that begins with its start-up.
    fn live_and_die(&mut self, longest_ms: u64, trouble: bool) {
        let mut daemon = Daemon::spawn(&self.folder, &["rules/"], self.port);
        let begun = instant();
        let length = Duration::from_millis(self.random.below(longest_ms));
        while begun.elapsed() < length {
            if trouble {
                self.be_difficult();
            }
            self.push(false);
            let nap = Duration::from_millis(20 + self.random.below(60));
            sleep(nap.min(length.saturating_sub(begun.elapsed())));
        }
        daemon.kill();
    }

    /// The receiver refuses, breaks or holds for a while.
    fn be_difficult(&mut self) {
        let act = match self.random.below(12) {
            0 => Act::status(500),
            1 => Act::ResetUnread,
            2 => Act::CloseAfterReading,
            3 => Act::with_header(429, "Retry-After: 0"),
            4 => Act::After(Duration::from_millis(150), Box::new(Act::ok())),
            5..8 => Act::ok(),
            _ => return,
        };
        self.sink.on("/chat", act);
    }

    /// All signals go down; ends the process in peace when everything is told, and gives its history.
    fn finish(mut self) -> (Sink, Vec<Row>) {
        self.sink.on("/chat", Act::ok());
        let mut daemon = Daemon::spawn(&self.folder, &["rules/"], self.port);
        daemon.wait_ready();
        let data = data(&self.folder);
        until_true("everything that fired is told as over, and nothing waits", || {
            self.push(true);
            let told = believed(&self.sink);
            daemon.alerts().is_empty()
                && told.values().all(|t| t.status == "resolved")
                && history::outbox(&data).is_empty()
        });
        daemon.signal("TERM");
        assert_eq!(daemon.wait_end().0.code(), Some(0));
        (self.sink, history::read(&data))
    }
}

/// What the receiver was told last of each alert.
fn believed(sink: &Sink) -> BTreeMap<String, Told> {
    let all = once(sink);
    all.into_iter().map(|(_, told)| (told.fingerprint.clone(), told)).collect()
}

/// Everything told with the reason, in order, repeats of one message left out.
fn once(sink: &Sink) -> Vec<(String, Told)> {
    let mut seen = BTreeSet::new();
    let messages = taken(sink, "/chat").into_iter().filter(|message| seen.insert(message.id.clone()));
    messages.flat_map(|m| m.alerts.into_iter().map(move |told| (m.reason.clone(), told))).collect()
}

/// What a person who reads every message comes to believe: nothing twice in a row.
fn reads_well(sink: &Sink, merges: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut firing: BTreeMap<String, String> = BTreeMap::new();
    let mut episodes = BTreeSet::new();
    for (reason, told) in once(sink) {
        let before = firing.get(&told.fingerprint).cloned();
        let unheard = !episodes.contains(&(told.fingerprint.clone(), told.since.clone()));
        let fits = match told.transition.as_str() {
            // It was over and fires again, and both could only be told as one.
            "fired" => before.is_none() || merges && unheard,
            // A cooldown that is over; in a group it goes along with other news.
            "still_firing" => before.is_some() || told.name == "cool",
            // One message about an episode of which nothing could be told before.
            "resolved" => before.is_some() || merges && unheard,
            _ => before.is_some(),
        };
        if !fits {
            wrong.push(format!("{told:?} ({reason}) after {before:?}"));
        }
        episodes.insert((told.fingerprint.clone(), told.since.clone()));
        match told.status.as_str() {
            "firing" => firing.insert(told.fingerprint, told.since),
            _ => firing.remove(&told.fingerprint),
        };
    }
    wrong.extend(firing.keys().map(|alert| format!("{alert} was never told as over")));
    wrong
}

/// A time without its last letter, so that texts of whole seconds and of parts of them sort.
fn instant_of(time: &str) -> &str {
    time.trim_end_matches('Z')
}

/// Every notable transition of the history was told, or the history says why not; and nothing else was told.
fn tells_all(sink: &Sink, rows: &[Row], merges: bool) -> Vec<String> {
    let told: Vec<Told> = once(sink).into_iter().map(|(_, told)| told).collect();
    let of_episode = |row: &Row| {
        let (fingerprint, since) = (row.fingerprint.clone(), row.since().to_owned());
        told.iter().filter(move |told| told.fingerprint == fingerprint && told.since == since)
    };
    let notable = |row: &&Row| {
        row.kind == "transition" && ["fired", "raised", "lowered", "resolved"].contains(&row.reason.as_str())
    };
    let held = |row: &Row, reasons: &[&str]| {
        rows.iter().any(|held| {
            held.kind == "held"
                && (held.at_ms, &held.fingerprint) == (row.at_ms, &row.fingerprint)
                && held.held() == row.reason
                && reasons.contains(&held.reason.as_str())
        })
    };
    // An episode of which nothing was told: its end was held for that reason.
    let untold: BTreeSet<(&str, i64)> = rows
        .iter()
        .filter(|row| row.kind == "held" && row.reason == "firing was never told")
        .map(|row| (row.fingerprint.as_str(), row.at_ms))
        .collect();
    let ends_untold = |row: &Row| {
        let end = rows
            .iter()
            .filter(notable)
            .find(|end| end.reason == "resolved" && end.fingerprint == row.fingerprint && end.since() == row.since());
        end.is_some_and(|end| untold.contains(&(end.fingerprint.as_str(), end.at_ms)))
    };
    let is_lowered_next = |row: &Row| {
        let mut after =
            rows.iter().filter(notable).filter(|r| r.fingerprint == row.fingerprint && r.number > row.number);
        after.next().is_some_and(|next| next.reason == "lowered")
    };
    // It was over for a moment between two looks at its group, and people go on believing that it fires.
    let goes_on = |row: &Row| {
        let earlier = |r: &&Row| r.fingerprint == row.fingerprint && r.number < row.number;
        row.reason == "fired"
            && rows
                .iter()
                .filter(notable)
                .rfind(earlier)
                .is_some_and(|end| held(end, &["fired again before it was told"]))
    };
    // Of an episode, told with news of a later one, or with its end, while the receiver was away.
    let told_with_later = |row: &Row| {
        rows.iter().any(|held| {
            (held.kind.as_str(), held.reason.as_str()) == ("held", "told with a later notice")
                && held.fingerprint == row.fingerprint
                // A beginning that was raised before it was told is a beginning.
                && (held.held() == row.reason || ["raised", "lowered"].contains(&row.reason.as_str())
                    // The end of a cooldown tells the beginning.
                    || (row.reason.as_str(), held.held()) == ("fired", "still_firing"))
        }) && told
            .iter()
            .any(|told| told.fingerprint == row.fingerprint && instant_of(&told.since) >= instant_of(row.since()))
    };
    let mut wrong = Vec::new();
    for row in rows.iter().filter(notable) {
        let mut episode = of_episode(row);
        let is_told = match row.reason.as_str() {
            "resolved" => episode.any(|t| t.status == "resolved") || held(row, &["fired again before it was told"]),
            // Raised and lowered again before it was told is no news.
            "raised" => episode.any(|t| t.severity == "critical") || merges && is_lowered_next(row),
            "lowered" => episode.any(|t| t.transition == "lowered") || merges,
            _ => episode.next().is_some(),
        };
        if !(is_told || ends_untold(row) || goes_on(row) || merges && told_with_later(row)) {
            wrong.push(format!("never told: {row:?}"));
        }
    }
    let happened: BTreeSet<(&str, &str)> = rows.iter().filter(notable).map(|r| (&*r.fingerprint, r.since())).collect();
    let invented = told.iter().filter(|t| !happened.contains(&(&*t.fingerprint, &*t.since)));
    wrong.extend(invented.map(|told| format!("never happened: {told:?}")));
    wrong
}

fn check(variant: &str, route: &str, trouble: bool) {
    let mut run = Run::new(variant, route);
    let begun = instant();
    let mut first = Daemon::spawn(&run.folder, &["rules/"], run.port);
    first.wait_ready();
    let started_ms = u64::try_from(begun.elapsed().as_millis()).unwrap();
    first.kill();
    for _ in 0..KILLS {
        run.live_and_die(started_ms + 900, trouble);
    }
    let kills = begun.elapsed();
    let (sink, rows) = run.finish();
    let merges = trouble || !route.is_empty();
    let transitions = rows.iter().filter(|row| row.kind == "transition").count();
    let messages = taken(&sink, "/chat");
    let ids: BTreeSet<&String> = messages.iter().map(|message| &message.id).collect();
    eprintln!(
        "{variant}: {KILLS} kills in {kills:?}, start {started_ms} ms, {transitions} transitions, {} messages, {} repeats",
        ids.len(),
        messages.len() - ids.len()
    );
    assert!(transitions > KILLS && ids.len() > KILLS / 2, "too little happened");
    let wrong: Vec<String> = reads_well(&sink, merges).into_iter().chain(tells_all(&sink, &rows, merges)).collect();
    let about = |row: &&Row| wrong.iter().any(|line| line.contains(&row.fingerprint));
    let lines: Vec<String> = rows.iter().filter(about).map(|row| format!("{row:?}")).collect();
    let heard = once(&sink).into_iter().filter(|(_, told)| wrong.iter().any(|line| line.contains(&told.fingerprint)));
    let heard: Vec<String> = heard.map(|told| format!("{told:?}")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}\nhistory: {lines:#?}\ntold: {heard:#?}");
}

#[test]
fn killed_at_any_instant_every_alert_is_told_once_and_told_as_over() {
    check("each alert alone", "", false);
}

#[test]
fn killed_at_any_instant_with_a_receiver_that_fails_and_breaks() {
    check("a difficult receiver", "", true);
}

#[test]
fn killed_at_any_instant_with_groups() {
    check(
        "groups",
        "route: {group_by: [host], group_wait: 200ms, group_interval: 400ms, repeat_interval: 1h, handlers: [chat]}\n",
        false,
    );
}

#[test]
fn killed_at_any_instant_with_groups_and_a_receiver_that_fails_and_breaks() {
    check(
        "groups and a difficult receiver",
        "route: {group_by: [alertname], group_wait: 100ms, group_interval: 300ms, repeat_interval: 1h}\n",
        true,
    );
}
