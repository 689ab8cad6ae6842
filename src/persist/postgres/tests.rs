//! Against a real server: what only a store that is shared can do. What every store must do is in `persist::tests`.

use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::persist::HistoryKind;
use crate::persist::tests::{event, notice, record};

#[allow(dead_code, reason = "shared with the tests of the whole program, which need other parts of it")]
#[path = "../../../tests/peers/postgres.rs"]
mod server;

/// The server of all tests that run now; none where there is no PostgreSQL.
fn server() -> Option<Arc<server::Server>> {
    static SERVER: Mutex<Weak<server::Server>> = Mutex::new(Weak::new());
    let mut shared = lock(&SERVER);
    if let Some(running) = shared.upgrade() {
        return Some(running);
    }
    let started = Arc::new(server::Server::start()?);
    *shared = Arc::downgrade(&started);
    Some(started)
}

/// A process on a database.
fn process(url: &str, name: &str) -> PostgresPersist {
    let roots = rustls::RootCertStore::empty();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(roots).with_no_client_auth();
    let address = Address::new(url, tls).unwrap();
    PostgresPersist::new(address, format!("run of {name}"), name.to_owned(), Arc::new(|| Duration::ZERO)).unwrap()
}

/// A database of its own, and the server that it is on.
struct Database {
    url: String,
    _server: Arc<server::Server>,
}

/// None where there is no PostgreSQL.
fn database() -> Option<Database> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let server = server()?;
    let url = server.database(&format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    Some(Database { url, _server: server })
}

const LEASE: Duration = Duration::from_secs(60);

/// Asks for the lease, and writes as its holder if it has it.
fn hold(process: &PostgresPersist, lease: Duration) -> Holder {
    let holder = process.beat(lease, Ask::Take).unwrap().holder;
    if let Holder::Here { token } = holder {
        process.write_as(token);
    }
    holder
}

/// Runs something with an empty store that holds the lease.
pub(in crate::persist) fn with_store(run: impl FnOnce(&dyn Persist)) {
    let Some(database) = database() else { return };
    let process = process(&database.url, "a");
    assert!(matches!(hold(&process, LEASE), Holder::Here { token: 1 }));
    run(&process);
}

#[test]
fn one_process_holds_the_lease_until_it_gives_it_back_or_does_not_hold_on_to_it() {
    let Some(database) = database() else { return };
    let [a, b] = ["a", "b"].map(|name| process(&database.url, name));
    assert_eq!(hold(&a, LEASE), Holder::Here { token: 1 });
    let Holder::Other { name, left } = hold(&b, LEASE) else { panic!("two have it") };
    assert!(name == "a" && left <= LEASE && left > LEASE / 2, "{name} {left:?}");
    assert_eq!(hold(&a, LEASE), Holder::Here { token: 1 });
    a.release().unwrap();
    assert_eq!(hold(&b, Duration::ZERO), Holder::Here { token: 2 });
    // Its time is over, nobody else wants it.
    assert_eq!(hold(&b, Duration::ZERO), Holder::Here { token: 2 });
    let left = Holder::Other { name: "b".to_owned(), left: Duration::ZERO };
    assert_eq!(a.beat(LEASE, Ask::Politely).unwrap().holder, left, "it only ran out");
    assert_eq!(hold(&a, LEASE), Holder::Here { token: 3 });
    b.release().unwrap();
    assert!(matches!(hold(&b, LEASE), Holder::Other { .. }), "one that is not the holder gives nothing back");
}

#[test]
fn what_a_former_holder_writes_is_refused_and_changes_nothing() {
    let Some(database) = database() else { return };
    let [a, b] = ["a", "b"].map(|name| process(&database.url, name));
    let commit = |text: &str| Commit { put: vec![record(Kind::Alert, "x", text)], ..Commit::default() };
    assert!(matches!(a.commit(&commit("0")), Err(PersistError::Io { .. })), "nobody has it");
    hold(&a, Duration::ZERO);
    a.commit(&commit("1")).unwrap();
    hold(&b, LEASE);
    let error = a.commit(&commit("2")).unwrap_err();
    assert!(error.to_string().ends_with("is written by b"), "{error}");
    assert!(a.settle(&[], true).is_err() && a.claim(&["n".to_owned()], "r").is_err());
    assert_eq!(b.load().unwrap().records[&Kind::Alert], [record(Kind::Alert, "x", "1")]);
    b.commit(&commit("3")).unwrap();
    assert_eq!(a.load().unwrap().records[&Kind::Alert], [record(Kind::Alert, "x", "3")], "anybody reads");
    assert_eq!(a.stats().failures["lease"], 3);
}

#[test]
fn processes_that_start_at_once_make_the_tables_once() {
    let Some(database) = database() else { return };
    let holders: Vec<Holder> = std::thread::scope(|scope| {
        let beat = |name: String| hold(&process(&database.url, &name), LEASE);
        let all: Vec<_> = (0..8).map(|n| scope.spawn(move || beat(format!("p{n}")))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(holders.iter().filter(|holder| matches!(holder, Holder::Here { .. })).count(), 1, "{holders:?}");
}

#[test]
fn tables_of_a_later_version_are_left_as_they_are() {
    let Some(database) = database() else { return };
    hold(&process(&database.url, "a"), Duration::ZERO);
    let name = database.url.rsplit('/').next().unwrap();
    server().unwrap().run(name, "UPDATE alertd_version SET version = 99");
    let error = process(&database.url, "b").beat(LEASE, Ask::Take).unwrap_err();
    assert!(matches!(error, PersistError::Newer { found: 99, .. }), "{error}");
}

#[test]
fn errors_name_the_database_and_no_password() {
    let text = "postgres://me:s3cret@127.0.0.1:9/state";
    let error = process(text, "a").beat(LEASE, Ask::Take).unwrap_err().to_string();
    assert!(error.starts_with("cannot use postgres://127.0.0.1:9/state: ") && !error.contains("s3cret"), "{error}");
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn a_commit_whose_answer_was_lost_is_made_again_and_its_history_is_there_once() {
    let Some(database) = database() else { return };
    let a = process(&database.url, "a");
    hold(&a, LEASE);
    let commit = Commit {
        notices: vec![notice("n", "mail")],
        history: vec![event(1, HistoryKind::Sent, "r"), event(1, HistoryKind::Sent, "r")],
        ..Commit::default()
    };
    a.commit(&commit).unwrap();
    // As it is left where the connection breaks while the database ends the transaction.
    lock(&a.writer).in_doubt = Some((1, commit.history.clone()));
    let again =
        Commit { history: [commit.history.clone(), vec![event(2, HistoryKind::Sent, "r")]].concat(), ..commit.clone() };
    assert_eq!(a.commit(&again).unwrap().duplicates, ["n"]);
    assert_eq!(a.history(&HistoryQuery::default()).unwrap().rows.len(), 3);
    // One that was not stored.
    lock(&a.writer).in_doubt = Some((3, vec![event(3, HistoryKind::Sent, "r")]));
    a.commit(&Commit { history: vec![event(3, HistoryKind::Sent, "r")], ..Commit::default() }).unwrap();
    assert_eq!(a.history(&HistoryQuery::default()).unwrap().rows.len(), 4);
}

#[test]
fn texts_that_the_database_cannot_hold_are_stored_all_the_same() {
    let Some(database) = database() else { return };
    let a = process(&database.url, "a");
    hold(&a, LEASE);
    let history = vec![NewHistory { reason: Some("a\0b".to_owned()), ..event(1, HistoryKind::Sent, "r") }];
    a.commit(&Commit { history, put: vec![record(Kind::Alert, "x", "{}")], ..Commit::default() }).unwrap();
    let page = a.history(&HistoryQuery::default()).unwrap();
    assert_eq!(page.rows[0].event.reason.as_deref(), Some("a\u{2400}b"));
}

#[test]
fn a_holder_that_hangs_in_a_transaction_keeps_nobody_from_the_lease_for_long() {
    let Some(database) = database() else { return };
    let [a, b] = ["a", "b"].map(|name| process(&database.url, name));
    hold(&a, Duration::ZERO);
    let client = a.wire.client(&a.writing, false).unwrap();
    a.begin(client, Vec::new(), CALL_MAX).unwrap();
    let taken = (0..4).any(|_| matches!(b.beat(LEASE, Ask::Take), Ok(Beat { holder: Holder::Here { token: 2 }, .. })));
    assert!(taken);
    // Its connection was closed meanwhile, which it may find out first.
    assert!((0..2).any(|_| matches!(a.commit(&Commit::default()), Err(PersistError::Lease { .. }))));
}

#[test]
fn what_is_seen_at_a_glance_makes_no_table_and_takes_no_lease() {
    let Some(database) = database() else { return };
    let look = || process(&database.url, "doctor").glance().unwrap();
    let Glance { version, made, may_make, holder } = look();
    assert!((made, may_make, holder) == (false, true, None) && version.starts_with(|c: char| c.is_ascii_digit()));
    hold(&process(&database.url, "a"), LEASE);
    assert_eq!((look().made, look().holder.as_deref()), (true, Some("a")));
}
