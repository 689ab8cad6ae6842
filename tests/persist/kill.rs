//! A process that commits in a loop is killed at any instant: what it acknowledged is there, and nothing by halves.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use alertd::persist::{HistoryQuery, Persist as _};

use super::{NOW, numbered, open, prefix};

const DIR: &str = "ALERTD_TEST_PERSIST_DIR";
/// How often the process is killed; another number by this variable.
const KILLS: &str = "ALERTD_TEST_KILLS";

/// Runs one of the ignored tests of this file as a process of its own.
pub(super) fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--ignored", "--nocapture"]).env(DIR, dir);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// The directory that a child works in.
pub(super) fn child_dir() -> std::path::PathBuf {
    std::env::var_os(DIR).expect("started by another test").into()
}

#[test]
#[ignore = "the process that another test kills"]
fn commits_until_killed() {
    let persist = open(&child_dir(), 0);
    let mut n = prefix(&persist.load().unwrap());
    loop {
        n += 1;
        let mut commit = numbered(n, "");
        commit.durable = n.is_multiple_of(5);
        persist.commit(&commit).unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "stored {n}").unwrap();
        out.flush().unwrap();
        if n.is_multiple_of(7) {
            persist.move_history(NOW).unwrap();
        }
        if n.is_multiple_of(11) {
            persist.claim(&[format!("n{n:06}")], "run").unwrap();
        }
        if n.is_multiple_of(50) {
            assert!(persist.upkeep(NOW).trouble.is_none());
        }
    }
}

#[test]
fn a_process_killed_at_any_instant_has_stored_what_it_said() {
    let kills: u64 = std::env::var(KILLS).map_or(50, |kills| kills.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("data");
    let mut stored = 0;
    for round in 0..kills {
        let mut process = child("kill::commits_until_killed", &dir).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap());
        let mut said = stored;
        let take = |line: &str, said: &mut u64| {
            if let Some(n) = line.strip_prefix("stored ") {
                *said = n.trim_end().parse().unwrap();
            }
        };
        // Some before anything is stored, some after a while; the exact instant is the scheduler's.
        let wanted = round * 7 % 40;
        while said < stored + wanted {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "round {round}: the process ended by itself");
            take(&line, &mut said);
        }
        std::thread::sleep(Duration::from_micros(round * 977 % 9000));
        process.kill().unwrap();
        process.wait().unwrap();
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        rest.split_inclusive('\n').filter(|line| line.ends_with('\n')).for_each(|line| take(line, &mut said));

        let persist = open(&dir, 0);
        let loaded = persist.load().unwrap();
        assert_eq!(loaded.damages, vec![], "round {round}");
        let found = prefix(&loaded);
        assert!(found == said || found == said + 1, "round {round}: {said} were acknowledged, {found} are there");
        assert!(loaded.outbox.iter().all(|row| row.claimed_by.is_none() || row.maybe_sent));
        stored = found;
        let rows = persist.history(&HistoryQuery::default()).unwrap().rows;
        let seconds: Vec<i64> = rows.iter().map(|row| row.event.at.0 / 1000).collect();
        let expected: Vec<i64> = (1..=stored as i64).rev().take(rows.len()).collect();
        assert_eq!((seconds.len() as u64, seconds), (stored.min(10_000), expected), "round {round}");
    }
    assert!(stored > kills, "the processes stored next to nothing");
}
