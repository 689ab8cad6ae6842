//! Silences over a hub on a simulated clock: what is changed in place, what is told when one ends, what is stored.

use std::time::Duration;

use super::*;
use crate::app::keeper::{Keeper, Restored};
use crate::app::preview::preview;
use crate::app::reminders::{self, Silencing};
use crate::app::tests::bench::{Bench, START};
use crate::persist::HistoryQuery;

impl Bench {
    /// Seconds from now: begin and end.
    fn wanted(&self, matcher: &str, from: i64, to: i64) -> Wanted {
        Wanted {
            id: None,
            sets: matcher.split('|').map(|set| LabelMatcher::parse_all(set).unwrap()).collect(),
            all_sets: matcher.contains('|'),
            starts_at: Timestamp::from_secs(self.now() + from),
            ends_at: Timestamp::from_secs(self.now() + to),
            recurrence: None,
            annotations: None,
            created_by: "me".to_owned(),
            comment: "work".to_owned(),
        }
    }

    /// How many alerts of now a silence would cover.
    fn covered(&self, matcher: &str) -> usize {
        preview(&self.hub, &self.wanted(matcher, 0, 60).sets).unwrap().alerts.len()
    }

    fn put(&self, matcher: &str, from: i64, to: i64) -> String {
        self.hub.silence(self.wanted(matcher, from, to)).unwrap()
    }

    /// State, start and end as seconds from now.
    fn look(&self, id: &str) -> (&'static str, i64, i64) {
        let silence = self.hub.core().silences.get(id).cloned().unwrap();
        let from_now = |at: Timestamp| at.0 / 1000 - self.now();
        let state = silence.state(Timestamp::from_secs(self.now())).as_str();
        (state, from_now(silence.starts_at), from_now(silence.ends_at))
    }
}

#[test]
fn identities_are_uuids_of_version_4_and_differ() {
    let ids: std::collections::BTreeSet<String> = (0..200).map(|_| uuid()).collect();
    assert_eq!(ids.len(), 200);
    for id in &ids {
        let shape: String = id.chars().map(|c| if c.is_ascii_hexdigit() { 'x' } else { c }).collect();
        assert_eq!(shape, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "{id}");
        assert_eq!(&id[14..15], "4", "{id}");
        assert!("89ab".contains(&id[19..20]), "{id}");
    }
}

#[test]
fn a_silence_is_changed_in_place_only_where_that_changes_nothing_that_was() {
    // The old silence begins and ends, the change begins and ends (seconds from then); whether its id stays.
    for (name, (from, to), matcher, (new_from, new_to), in_place) in [
        ("active, a later end", (0, 60), "a=b", (0, 600), true),
        ("active, an earlier end", (0, 600), "a=b", (0, 60), true),
        ("active, another start", (0, 60), "a=b", (30, 60), false),
        ("active, another matcher", (0, 60), "a=c", (0, 60), false),
        ("pending, another start", (60, 600), "a=b", (30, 600), true),
        ("pending, a start in the past", (60, 600), "a=b", (-30, 600), false),
    ] {
        let bench = Bench::new();
        let old = bench.put("a=b", from, to);
        let wanted = Wanted { id: Some(old.clone()), ..bench.wanted(matcher, new_from, new_to) };
        let new = bench.hub.silence(wanted).unwrap();
        assert_eq!(new == old, in_place, "{name}");
        let (state, start, end) = bench.look(&new);
        assert_eq!((start, end), (new_from.max(0), new_to), "{name}");
        assert_eq!(state, if start > 0 { "pending" } else { "active" }, "{name}");
        if !in_place {
            assert_eq!(bench.look(&old).0, "expired", "{name}: the old one is over");
        }
    }
    let bench = Bench::new();
    let over = bench.put("a=b", 0, 10);
    bench.clock.set(Timestamp::from_secs(START + 20));
    let again = bench.hub.silence(Wanted { id: Some(over.clone()), ..bench.wanted("a=b", 0, 60) }).unwrap();
    assert_ne!(again, over, "one that is over is not revived");
    assert_eq!(bench.look(&over), ("expired", -20, -10), "and stays as it was");
    let unknown = bench.hub.silence(Wanted { id: Some("x".into()), ..bench.wanted("a=b", 0, 60) });
    assert_eq!(unknown.unwrap_err().to_string(), "silence x not found");
    for (wanted, why) in [
        (bench.wanted("a=~.*", 0, 60), "a silence needs a matcher that does not match an empty label"),
        (bench.wanted("a=b", 60, 60), "a silence must end after it starts"),
        (bench.wanted("a=b", -60, -30), "a silence must end after it starts"),
        (Wanted { comment: String::new(), ..bench.wanted("a=b", 0, 60) }, "a silence needs a comment"),
    ] {
        let before = bench.hub.core().silences.clone();
        let error = bench.hub.silence(wanted).unwrap_err().to_string();
        assert!(error.starts_with(why), "{error}");
        assert!(bench.hub.core().silences == before);
    }
}

#[test]
fn an_alert_that_a_silence_held_is_told_when_the_silence_is_ended_or_shortened() {
    let end = |bench: &Bench, id: &str| bench.hub.end_silence(id).unwrap();
    let shorten = |bench: &Bench, id: &str| {
        let before = bench.look(id);
        let changed = Wanted { id: Some(id.to_owned()), ..bench.wanted("alertname=high", before.1, 1) };
        assert_eq!(bench.hub.silence(changed).unwrap(), id);
        bench.tick(9.0);
    };
    for how in [&end as &dyn Fn(&Bench, &str), &shorten] {
        let bench = Bench::new();
        let id = bench.put("alertname=high", 0, 3600);
        bench.tick(9.0);
        bench.tick(9.0);
        assert_eq!(bench.told(), Vec::<String>::new());
        assert_eq!(bench.covered("alertname=high"), 1);
        how(&bench, &id);
        assert_eq!(bench.told(), ["firing hold over"]);
        bench.hub.end_silence(&id).unwrap();
        assert_eq!(bench.look(&id).0, "expired", "ending it again changes nothing");
    }
}

#[test]
fn the_labels_of_the_installation_count() {
    let bench = Bench::new();
    bench.tick(9.0);
    for (matcher, covers) in [("cluster=a", 1), ("cluster=b", 0), ("host=a", 1)] {
        assert_eq!(bench.covered(matcher), covers, "{matcher}");
    }
    assert_eq!(bench.told(), ["firing first notification"]);
    let bench = Bench::new();
    bench.put("cluster=a", 0, 3600);
    bench.tick(9.0);
    assert_eq!(bench.told(), Vec::<String>::new());
}

#[test]
fn where_nothing_can_be_stored_nothing_is_changed_and_the_error_says_why() {
    let memory = |metrics| (Keeper::in_memory_because(metrics, "the disk is gone".to_owned()), Restored::default());
    let bench = Bench::over(memory, START);
    let error = bench.hub.silence(bench.wanted("a=b", 0, 60)).unwrap_err().to_string();
    assert_eq!(error, "the silence cannot be stored, so nothing was changed: the disk is gone");
    assert_eq!(bench.hub.core().silences.iter().count(), 0);
}

#[test]
fn every_change_is_in_the_history_with_who_what_and_why() {
    let bench = Bench::new();
    let id = bench.put("alertname=high", 0, 60);
    let wanted = Wanted { id: Some(id.clone()), ..bench.wanted("alertname=high", 0, 600) };
    bench.hub.silence(wanted).unwrap();
    bench.hub.end_silence(&id).unwrap();
    let page = bench.hub.keeper.persist().history(&HistoryQuery::default()).unwrap();
    let rows: Vec<_> = page.rows.iter().map(|row| &row.event).collect();
    let words: Vec<_> = rows.iter().map(|row| (row.kind, row.reason.as_deref().unwrap())).collect();
    let silence = HistoryKind::Silence;
    assert_eq!(words, [(silence, "expired"), (silence, "changed"), (silence, "added")]);
    let detail: serde_json::Value = serde_json::from_str(rows[2].detail.as_deref().unwrap()).unwrap();
    assert_eq!(detail["matchers"], json!(["alertname=\"high\""]));
    assert_eq!((&detail["created_by"], &detail["comment"]), (&json!("me"), &json!("work")));
    assert_eq!(rows[2].labels.get("alertname"), Some("high"));
}

#[test]
fn a_silence_outlives_the_process_and_the_loss_of_the_files_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let id = {
        let bench = Bench::on_disk(&path, START);
        let id = bench.put("alertname=high", 0, 3600);
        // No orderly end: what was acknowledged is there.
        std::mem::forget(bench);
        id
    };
    // The first process has not closed its files; a copy is what a power cut would leave.
    let copy = dir.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let bench = Bench::on_disk(&copy, START + 15);
    assert_eq!(bench.look(&id).0, "active");
    bench.tick(9.0);
    assert_eq!(bench.told(), Vec::<String>::new(), "it holds");
    for entry in std::fs::read_dir(&copy).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    bench.hub.keeper.upkeep(Timestamp::from_secs(bench.now()));
    bench.tick(9.0);
    drop(bench);
    assert_eq!(Bench::on_disk(&copy, START + 60).look(&id).0, "active", "what was written anew holds the silence too");
}

#[test]
fn the_oldest_silence_that_is_over_makes_room() {
    let bench = Bench::new();
    let now = Timestamp::from_secs(START);
    let silence = |n: usize| Silence {
        id: format!("{n:05}"),
        sets: vec![LabelMatcher::parse_all("a=b").unwrap()],
        starts_at: now.minus(Duration::from_secs(90_000)),
        ends_at: now.minus(Duration::from_secs(80_000 - n as u64)),
        created_by: "me".into(),
        comment: "c".into(),
        ..Silence::default()
    };
    bench.hub.core().silences = Silences::new((0..SILENCES_MAX).map(silence));
    bench.put("a=b", 0, 60);
    let core = bench.hub.core();
    assert_eq!(core.silences.iter().count(), SILENCES_MAX);
    assert!(core.silences.get("00000").is_none() && core.silences.get("00001").is_some());
}

/// Windows of an hour that begin every day at the time of day at which the clock starts, so many seconds from now on.
fn daily(bench: &Bench, after: i64) -> RecurrenceText {
    let start = Timestamp::from_secs(bench.now() + after).to_string();
    RecurrenceText {
        rrule: Some("FREQ=DAILY".into()),
        dtstart: Some(start.trim_end_matches('Z').to_owned()),
        duration: "1h".into(),
        ..RecurrenceText::default()
    }
}

#[test]
fn what_a_window_held_is_told_when_it_ends_and_the_next_window_holds_again_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let day = 86_400;
    let bench = Bench::on_disk(&path, START);
    let recurrence = Some(Some(daily(&bench, 0)));
    let id = bench.hub.silence(Wanted { recurrence, ..bench.wanted("alertname=high", 0, 30 * day) }).unwrap();
    bench.tick(9.0);
    assert_eq!(bench.told(), Vec::<String>::new());
    assert_eq!(bench.look(&id).0, "active");
    assert_eq!(bench.hub.core().silences.get(&id).unwrap().held, 1);
    bench.clock.set(Timestamp::from_secs(START + 3600));
    bench.tick(9.0);
    assert_eq!(bench.told(), ["firing hold over"], "at the end of the window, not of the silence");
    assert_eq!(bench.look(&id).0, "pending");
    drop(bench);
    let bench = Bench::on_disk(&path, START + day - 60);
    assert_eq!(bench.look(&id).0, "pending", "it comes again");
    bench.tick(1.0);
    assert_eq!(bench.told().last().map(String::as_str), Some("resolved resolved"));
    bench.clock.set(Timestamp::from_secs(START + day));
    bench.tick(9.0);
    assert_eq!(bench.look(&id).0, "active");
    assert_eq!(bench.told(), Vec::<String>::new(), "the next window holds");
    let counted = bench.hub.core().silences.get(&id).unwrap().held;
    assert_eq!(counted, 2, "counts go on");
}

#[test]
fn clients_that_know_of_one_set_and_no_windows_keep_the_others_when_they_make_a_silence_longer() {
    let bench = Bench::new();
    let full = Wanted {
        recurrence: Some(Some(daily(&bench, 600))),
        annotations: Some(BTreeMap::from([("ticket".to_owned(), "OPS-1".to_owned())])),
        ..bench.wanted("a=b|c=d", 0, 9000)
    };
    let id = bench.hub.silence(full.clone()).unwrap();
    let made = bench.hub.core().silences.get(&id).cloned().unwrap();
    let longer = Wanted { id: Some(id.clone()), ..bench.wanted("a=b", 0, 12_000) };
    assert_eq!(bench.hub.silence(longer).unwrap(), id, "in place");
    let after = bench.hub.core().silences.get(&id).cloned().unwrap();
    assert_eq!((&after.sets, &after.recurrence, &after.annotations), (&made.sets, &made.recurrence, &made.annotations));
    let plain = Wanted { id: Some(id.clone()), recurrence: Some(None), ..full.clone() };
    let new = bench.hub.silence(plain).unwrap();
    assert_ne!(new, id, "other windows are another silence");
    assert_eq!(bench.hub.core().silences.get(&new).unwrap().recurrence, None);
    let one = Wanted { id: Some(new.clone()), all_sets: true, recurrence: None, ..bench.wanted("a=b", 0, 9000) };
    let one = bench.hub.silence(Wanted { all_sets: true, ..one }).unwrap();
    assert_ne!(one, new);
    assert_eq!(bench.hub.core().silences.get(&one).unwrap().sets.len(), 1);
    let tried = bench.hub.try_silence(full).unwrap();
    assert!(bench.hub.core().silences.get(&tried.id).is_none(), "what is tried is not made");
}

#[test]
fn guard_rails_hold_for_new_silences_and_those_that_are_made_longer() {
    let bench = Bench::new();
    let before = bench.put("a=b", 0, 7200);
    let config = "silences: {max_duration: 1h, comment_pattern: '^OPS-'}";
    let config = crate::config::server::load(&crate::diag::SourceFile::new("alertd.yaml", config)).0.unwrap();
    bench.hub.silencing.store(Arc::new(Silencing::of(&config.silences)));
    let put = |wanted: Wanted| bench.hub.silence(wanted).map_err(|error| error.to_string());
    assert!(put(bench.wanted("a=b", 0, 60)).unwrap_err().contains("(silences.comment_pattern)"));
    let ticket = |from: i64, to: i64| Wanted { comment: "OPS-1 disks".to_owned(), ..bench.wanted("a=b", from, to) };
    let id = put(ticket(0, 3600)).unwrap();
    assert!(put(Wanted { id: Some(id), ..ticket(0, 3601) }).unwrap_err().contains("(silences.max_duration)"));
    bench.hub.end_silence(&before).unwrap();
}

#[test]
fn people_are_reminded_of_a_silence_that_ends_while_it_hides_what_fires() {
    let bench = Bench::new();
    let gauge = || -> Vec<(String, f64)> {
        reminders::refresh(&bench.hub);
        let all = bench.hub.metrics.registry().collect();
        let own = all.into_iter().filter(|(labels, _)| labels.get("__name__") == Some("alertd_silence_ending_alerts"));
        let mut all: Vec<_> =
            own.map(|(labels, value)| (labels.get("comment").unwrap_or_default().to_owned(), value)).collect();
        // Their order is that of random ids.
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all
    };
    let id = bench.put("alertname=high", 0, 3600);
    bench.put("alertname=high", 0, 900);
    bench.put("alertname=other", 0, 3600);
    bench.tick(9.0);
    assert_eq!(gauge(), [], "an hour before");
    bench.clock.set(Timestamp::from_secs(START + 2700));
    bench.tick(9.0);
    assert_eq!(gauge(), [("work".to_owned(), 1.0), ("work".to_owned(), 0.0)], "of the short one nobody is reminded");
    let longer = bench.hub.core().silences.get(&id).cloned().unwrap();
    let wanted = bench.wanted("alertname=high", 0, 7200);
    bench.hub.silence(Wanted { id: Some(id), starts_at: longer.starts_at, ..wanted }).unwrap();
    assert_eq!(gauge().iter().map(|(_, n)| *n).sum::<f64>(), 0.0, "it was made longer");
    bench.clock.set(Timestamp::from_secs(START + 2700 + 700));
    bench.hub.end_silence(&bench.put("alertname=x", 0, 60)).unwrap();
    assert_eq!(gauge().len(), 1, "what hid nothing for long is forgotten");
}

#[test]
fn people_are_reminded_before_the_last_window_of_a_silence_ends_and_before_no_other() {
    let bench = Bench::new();
    let text = RecurrenceText { rrule: Some("FREQ=DAILY".into()), duration: "1h".into(), ..RecurrenceText::default() };
    // A second window and no third begins before the end of the silence, half a day later.
    let wanted = bench.wanted("alertname=high", 0, 36 * 3600);
    bench.hub.silence(Wanted { recurrence: Some(Some(text)), ..wanted }).unwrap();
    for (secs, reminded) in [(2700, 0.0), (7200, 0.0), (86_400 + 2000, 0.0), (86_400 + 2700, 1.0), (86_400 + 3600, 0.0)]
    {
        bench.clock.set(Timestamp::from_secs(START + secs - 15));
        bench.tick(9.0);
        reminders::refresh(&bench.hub);
        let all = bench.hub.metrics.registry().collect().into_iter();
        let own = all.filter(|(labels, _)| labels.get("__name__") == Some("alertd_silence_ending_alerts"));
        let own: Vec<_> = own.collect();
        assert_eq!(own.iter().map(|(_, alerts)| alerts).sum::<f64>(), reminded, "after {secs} s");
        let ends = Timestamp::from_secs(START / 60 * 60 + 86_400 + 3600).to_string();
        assert!(own.iter().all(|(labels, _)| labels.get("ends") == Some(&*ends)), "after {secs} s");
    }
}

#[test]
fn a_preview_counts_what_fires_now_and_what_was_told_in_the_last_seven_days() {
    let bench = Bench::new();
    let past = |matcher: &str| preview(&bench.hub, &bench.wanted(matcher, 0, 60).sets).unwrap().past;
    bench.tick(9.0);
    let told = past("alertname=high");
    assert_eq!((told.alerts, told.episodes, told.complete), (1, 1, true));
    assert_eq!(told.rules.iter().map(|rule| (rule.name.as_str(), rule.episodes)).collect::<Vec<_>>(), [("high", 1)]);
    assert_eq!(past("cluster=a,host=~[ab]").episodes, 1, "the labels of the installation count");
    assert_eq!(past("alertname=other").episodes, 0);
    assert_eq!(past("alertname=other|host=a").episodes, 1, "one of the sets");
    bench.clock.set(Timestamp::from_secs(START + 7 * 86_400 + 60));
    assert_eq!(past("alertname=high").episodes, 0, "longer ago");
}
