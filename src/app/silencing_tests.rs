//! Silences over a hub on a simulated clock: what is changed in place, what is told when one ends, what is stored.

use std::time::Duration;

use super::*;
use crate::app::keeper::{Keeper, Restored};
use crate::app::tests::bench::{Bench, START};
use crate::persist::HistoryQuery;

impl Bench {
    /// Seconds from now: begin and end.
    fn wanted(&self, matcher: &str, from: i64, to: i64) -> Wanted {
        Wanted {
            id: None,
            matchers: vec![LabelMatcher::parse(matcher).unwrap()],
            starts_at: Timestamp::from_secs(self.now() + from),
            ends_at: Timestamp::from_secs(self.now() + to),
            created_by: "me".to_owned(),
            comment: "work".to_owned(),
        }
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
        assert_eq!(bench.hub.covered(&[LabelMatcher::parse("alertname=high").unwrap()]).len(), 1);
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
        assert_eq!(bench.hub.covered(&[LabelMatcher::parse(matcher).unwrap()]).len(), covers, "{matcher}");
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
        matchers: vec![LabelMatcher::parse("a=b").unwrap()],
        starts_at: now.minus(Duration::from_secs(90_000)),
        ends_at: now.minus(Duration::from_secs(80_000 - n as u64)),
        created_by: "me".into(),
        comment: "c".into(),
        updated_at: now,
    };
    bench.hub.core().silences = Silences::new((0..SILENCES_MAX).map(silence));
    bench.put("a=b", 0, 60);
    let core = bench.hub.core();
    assert_eq!(core.silences.iter().count(), SILENCES_MAX);
    assert!(core.silences.get("00000").is_none() && core.silences.get("00001").is_some());
}
