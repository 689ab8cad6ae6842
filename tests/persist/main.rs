//! Stored state under faults that need processes or file systems of their own: kill -9, full and read-only disks.

#![allow(clippy::unwrap_used, reason = "a test")]

mod disk;
mod kill;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use alertd::model::Timestamp;
use alertd::persist::{Commit, HistoryKind, Kind, Loaded, NewHistory, NewNotice, Options, Record, SqlitePersist};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn open(dir: &Path, ballast_bytes: u64) -> SqlitePersist {
    SqlitePersist::open(dir, &Options { ballast_bytes, ..Options::default() }, NOW).unwrap()
}

/// What a test needs to say whether it ran or not.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The commit number `n`: a record that says so, one of fifty that rotate, a notice and a history row.
fn numbered(n: u64, filler: &str) -> Commit {
    let record = |id: String| Record { kind: Kind::Alert, id, value: format!("{{\"n\":{n},\"fill\":\"{filler}\"}}") };
    Commit {
        put: vec![record("last".to_owned()), record(format!("a{}", n % 50))],
        notices: vec![NewNotice {
            id: format!("n{n:06}"),
            handler: "mail".to_owned(),
            group_key: String::new(),
            created: NOW,
            payload: n.to_string(),
        }],
        history: vec![NewHistory::new(Timestamp::from_secs(n as i64), HistoryKind::System)],
        ..Commit::default()
    }
}

/// Checks that a state is that of the first so many commits, and gives how many.
fn prefix(loaded: &Loaded) -> u64 {
    let Some(alerts) = loaded.records.get(&Kind::Alert) else {
        assert!(loaded.outbox.is_empty(), "notices without records");
        return 0;
    };
    let number =
        |record: &Record| serde_json::from_str::<serde_json::Value>(&record.value).unwrap()["n"].as_u64().unwrap();
    let found: BTreeMap<&str, u64> = alerts.iter().map(|record| (record.id.as_str(), number(record))).collect();
    let last = found["last"];
    for n in last.saturating_sub(49).max(1)..=last {
        assert_eq!(found[format!("a{}", n % 50).as_str()], n, "the state is not that of {last} commits");
    }
    assert_eq!(found.len() as u64, last.min(50) + 1);
    let ids: Vec<&str> = loaded.outbox.iter().map(|row| row.id.as_str()).collect();
    let expected: Vec<String> = (1..=last).map(|n| format!("n{n:06}")).collect();
    assert_eq!(ids, expected, "the outbox is not that of {last} commits");
    last
}
