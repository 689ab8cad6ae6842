//! Time of storing state: commits, loading, moving history, and pages of a long history; in files, and in a PostgreSQL
//! database on this machine where that is there.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alertd::model::{Fingerprint, Labels, MatchOp, Severity, Timestamp};
use alertd::persist::{
    Address, Ask, Commit, HistoryKind, HistoryQuery, Kind, LabelMatch, NewHistory, NewNotice, Options, Persist,
    PostgresPersist, Record, SeverityFilter, SqlitePersist,
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

#[allow(dead_code, missing_docs, reason = "the tests use the rest")]
#[path = "../tests/peers/postgres.rs"]
mod postgres;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const PAGE_ROWS: usize = 100;

fn open(dir: &Path) -> SqlitePersist {
    SqlitePersist::open(dir, &Options { ballast_bytes: 0, ..Options::default() }, NOW).expect("a directory")
}

fn record(n: u64) -> Record {
    let value = format!(
        "{{\"rule\":\"rule {}\",\"state\":\"firing\",\"since\":{n},\"labels\":{{\"host\":\"host-{n}\"}},\"value\":0.123456}}",
        n % 1000
    );
    Record { kind: Kind::Alert, id: format!("rule {}/{n:016x}", n % 1000), value }
}

fn event(n: u64) -> NewHistory {
    let rule = format!("rule {}", n % 1000);
    NewHistory {
        rule_uid: rule.clone(),
        rule,
        fingerprint: Some(Fingerprint(n % 5000)),
        severity: Some(Severity::ALL[(n % 4) as usize]),
        handler: n.is_multiple_of(3).then(|| "mail".to_owned()),
        labels: Labels::from_pairs([("host", format!("host-{}", n % 500)), ("site", "north".to_owned())]),
        detail: Some(format!("{{\"value\":{n}}}")),
        ..NewHistory::new(Timestamp::from_secs(1_600_000_000 + n as i64), HistoryKind::Transition)
    }
}

/// A slot in which `count` alerts fire: a record, a notice and a history row each.
fn slot(first: u64, count: u64, durable: bool) -> Commit {
    let notice = |n: u64| NewNotice {
        id: format!("{n:032x}"),
        handler: "mail".to_owned(),
        group_key: "all".to_owned(),
        created: NOW,
        payload: format!("{{\"id\":\"{n:032x}\",\"text\":\"{}\"}}", "x".repeat(400)),
    };
    let all = first..first + count;
    Commit {
        put: all.clone().map(record).collect(),
        notices: all.clone().map(notice).collect(),
        history: all.map(event).collect(),
        durable,
        ..Commit::default()
    }
}

/// Commits of `count` alerts each.
fn commits(c: &mut Criterion, persist: &dyn Persist, count: u64, (durable, words): (bool, &str)) {
    let mut first = 0;
    c.bench_function(&format!("commit {count} notices, {words}"), |b| {
        b.iter_batched(
            || {
                // What was stored is delivered and moved: the files stay as large as in service.
                let ids: Vec<String> = (first.max(count) - count..first).map(|n| format!("{n:032x}")).collect();
                persist.discard(&ids, &[]).expect("room");
                while persist.move_history(NOW).expect("room").more {}
                first += count;
                slot(first - count, count, durable)
            },
            |slot| persist.commit(black_box(&slot)).expect("room"),
            BatchSize::PerIteration,
        );
    });
}

fn commit(c: &mut Criterion) {
    for (count, durable) in [(1, false), (1, true), (100, false), (100, true), (10_000, false), (10_000, true)] {
        let dir = tempfile::tempdir().expect("a directory");
        let words = if durable { "durable" } else { "not durable" };
        commits(c, &open(dir.path()), count, (durable, words));
    }
}

/// A store in a new database, which holds the lease.
fn open_database(server: &postgres::Server, name: &str) -> PostgresPersist {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let address = Address::new(&server.database(name), tls).expect("a URL");
    let stopwatch = Options::default().stopwatch;
    let persist = PostgresPersist::new(address, "run".to_owned(), "bench".to_owned(), stopwatch).expect("a thread");
    persist.beat(Duration::from_secs(3600), Ask::Take).expect("a database");
    persist.write_as(1);
    persist
}

fn database(c: &mut Criterion) {
    let Some(server) = postgres::Server::start_durable() else { return };
    for count in [1, 100, 10_000] {
        let persist = open_database(&server, &format!("commit_{count}"));
        commits(c, &persist, count, (true, "in a database"));
        if count == 1 {
            persist.commit(&slot(1_000_000, 1, true)).expect("room");
            let id = [format!("{:032x}", 1_000_000)];
            c.bench_function("claim a notice, in a database", |b| {
                b.iter(|| assert_eq!(persist.claim(black_box(&id), "run").expect("room"), 1));
            });
        }
    }
    let persist = open_database(&server, "load");
    persist.commit(&Commit { put: (0..100_000).map(record).collect(), ..Commit::default() }).expect("room");
    c.bench_function("load 100,000 records, in a database", |b| {
        b.iter(|| assert_eq!(persist.load().expect("rows").records[&Kind::Alert].len(), 100_000));
    });
    pages(c, &open_database(&server, "history"), ", in a database");
}

fn load(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let persist = open(dir.path());
    persist.commit(&Commit { put: (0..100_000).map(record).collect(), ..Commit::default() }).expect("room");
    drop(persist);
    c.bench_function("open and load 100,000 records", |b| {
        b.iter(|| {
            let loaded = open(dir.path()).load().expect("sound files");
            assert_eq!(loaded.records[&Kind::Alert].len(), 100_000);
        });
    });
}

fn history(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    pages(c, &open(dir.path()), "");
}

/// Pages of a long history.
fn pages(c: &mut Criterion, persist: &dyn Persist, place: &str) {
    for first in (0..1_000_000).step_by(50_000) {
        let history = (first..first + 50_000).map(event).collect();
        persist.commit(&Commit { history, ..Commit::default() }).expect("room");
        while persist.move_history(NOW).expect("room").more {}
    }
    let any = || HistoryQuery { limit: PAGE_ROWS, ..HistoryQuery::default() };
    let host = LabelMatch::new("host", MatchOp::Matches, "host-4[0-9]").expect("an expression");
    let middle = persist.history(&HistoryQuery { to: Some(Timestamp::from_secs(1_600_500_000)), ..any() });
    let middle = middle.expect("a page").next;
    for (name, query) in [
        ("the newest", any()),
        ("a page in the middle", HistoryQuery { before: middle, ..any() }),
        ("one rule", HistoryQuery { rule: Some("rule 77".to_owned()), ..any() }),
        ("one alert", HistoryQuery { fingerprint: Some(Fingerprint(123)), ..any() }),
        ("at least error", HistoryQuery { severity: Some(SeverityFilter::AtLeast(Severity::Error)), ..any() }),
        ("a label by expression", HistoryQuery { matchers: vec![host], ..any() }),
        ("nothing found within the limit of a search", HistoryQuery { kinds: vec![HistoryKind::Ack], ..any() }),
    ] {
        c.bench_function(&format!("100 of 1,000,000 history rows: {name}{place}"), |b| {
            b.iter(|| black_box(persist.history(black_box(&query)).expect("a page")));
        });
    }
}

criterion_group! { name = benches; config = Criterion::default().sample_size(20); targets = commit, load, history, database }
criterion_main!(benches);
