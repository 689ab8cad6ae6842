//! The process is killed at each step between a transition and its delivery, one after the other and on purpose.

use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use crate::history;
use crate::kit::{Daemon, Folder, until_true};
use crate::setup::{brief, data, folder, rule, rules, start, taken, wait_words};
use crate::sink::{Act, Sink};
use crate::smtp_server::{Act as MailAct, SmtpServer};

/// A daemon that others may kill.
type Shared = Arc<Mutex<Option<Daemon>>>;

fn kill(shared: &Shared) {
    if let Some(mut daemon) = shared.lock().unwrap().take() {
        daemon.kill();
    }
}

/// What ends a life when the receiver says so.
fn killer(shared: &Shared) -> Arc<dyn Fn() + Send + Sync> {
    let shared = Arc::clone(shared);
    Arc::new(move || kill(&shared))
}

#[track_caller]
fn push(shared: &Shared, text: &str) {
    shared.lock().unwrap().as_ref().unwrap().push(text);
}

/// Keeps others from writing the state, as long as it lives.
fn write_lock(folder: &Folder) -> rusqlite::Connection {
    let db = history::open(&data(folder).join("state.db"));
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    db
}

#[test]
fn killed_before_the_commit_the_transition_is_found_again_and_for_keeps_its_start() {
    let sink = Sink::start();
    let folder = folder(&rules(&[rule("busy", "for: 1s")]), &sink);
    let mut daemon = start(&folder);
    daemon.push("busy_m 5\n");
    let pending = daemon.wait_alert("busy", "pending");
    daemon.wait_evaluations(4);
    let lock = write_lock(&folder);
    // The line is written just before the commit, which waits for the lock.
    daemon.err.wait("kind=fired");
    daemon.kill();
    drop(lock);
    sleep(Duration::from_millis(200));
    assert_eq!(sink.requests().len(), 0, "told before it was stored");
    let daemon = start(&folder);
    daemon.push("busy_m 5\n");
    wait_words(&sink, "/chat", &["busy firing"]);
    let since = |text: &str| text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.').to_owned();
    let (told, began) = (&taken(&sink, "/chat")[0].alerts[0].since, pending["activeAt"].as_str().unwrap());
    assert_eq!(since(told), since(began), "`for` began anew");
    daemon.push("busy_m 0\n");
    wait_words(&sink, "/chat", &["busy firing", "busy resolved"]);
    daemon.stop();
}

#[test]
fn killed_after_the_commit_and_before_the_send_it_is_told_once() {
    let sink = Sink::away();
    let folder = folder(&rules(&[rule("busy", "for: 0s")]), &sink);
    let mut daemon = start(&folder);
    daemon.push("busy_m 5\n");
    until_true("the notice is in the outbox", || history::outbox(&data(&folder)).iter().any(|row| row.3 > 0));
    daemon.kill();
    sink.up();
    let daemon = start(&folder);
    wait_words(&sink, "/chat", &["busy firing"]);
    daemon.push("busy_m 0\n");
    wait_words(&sink, "/chat", &["busy firing", "busy resolved"]);
    until_true("the outbox is empty", || history::outbox(&data(&folder)).is_empty());
    daemon.stop();
}

#[test]
fn killed_while_the_receiver_holds_the_answer_it_is_told_again_under_the_same_id() {
    let sink = Sink::start();
    sink.hold(true);
    sink.on("/chat", Act::Hold);
    let folder = folder(&rules(&[rule("busy", "for: 0s")]), &sink);
    let mut daemon = start(&folder);
    daemon.push("busy_m 5\n");
    until_true("the request is under way", || sink.at("/chat").len() == 1);
    daemon.kill();
    sink.hold(false);
    let daemon = start(&folder);
    wait_words(&sink, "/chat", &["busy firing"]);
    let ids: Vec<String> = sink.at("/chat").iter().map(|request| request.id().to_owned()).collect();
    assert!(ids.len() == 2 && ids[0] == ids[1] && !ids[0].is_empty(), "{:#?}", brief(&sink));
    // What may have been taken is told as it was, and then what came after.
    daemon.push("busy_m 0\n");
    wait_words(&sink, "/chat", &["busy firing", "busy resolved"]);
    daemon.stop();
}

#[test]
fn what_an_earlier_life_may_have_told_is_told_as_it_was_however_many_lives_later() {
    let sink = Sink::start();
    let folder = folder(&rules(&[rule("busy", "for: 0s")]), &sink);
    let shared: Shared = Arc::default();
    *shared.lock().unwrap() = Some(start(&folder));
    // Taken, and the answer is lost with the process.
    sink.next("/chat", [Act::Call(killer(&shared), Box::new(Act::ok()))]);
    sink.on("/chat", Act::status(500));
    push(&shared, "busy_m 5\n");
    until_true("alertd is gone", || shared.lock().unwrap().is_none());
    // It is over and fires again while the receiver refuses: what was never seen may be told as one, this not.
    for values in [&[0][..], &[5, 0]] {
        let before = sink.at("/chat").len();
        let mut daemon = start(&folder);
        until_true("it is tried and refused", || sink.at("/chat").len() > before + 1);
        for value in values {
            daemon.push(&format!("busy_m {value}\n"));
            daemon.wait_evaluations(12);
        }
        daemon.kill();
    }
    sink.on("/chat", Act::ok());
    let daemon = start(&folder);
    until_true("the end is told", || taken(&sink, "/chat").last().is_some_and(|m| m.status == "resolved"));
    let told = taken(&sink, "/chat");
    assert_eq!((told[0].words(), told[1].words()), ("busy firing".to_owned(), "busy firing".to_owned()));
    assert_eq!(told[0].id, told[1].id, "what may have been told was told as something else: {:#?}", brief(&sink));
    daemon.stop();
}

#[test]
fn killed_after_the_answer_and_before_the_mark_the_same_is_sent_again() {
    let sink = Sink::start();
    let folder = folder(&rules(&[rule("busy", "for: 0s")]), &sink);
    let shared: Shared = Arc::default();
    let path = folder.path().to_owned();
    let mut wanted = Vec::new();
    for round in 0..6 {
        let (value, word) = if round % 2 == 0 { (5, "busy firing") } else { (0, "busy resolved") };
        *shared.lock().unwrap() = Some(start(&folder));
        // Nothing can be put down while the lock is held, so the kill comes before the mark.
        let lock = Arc::new(Mutex::new(None));
        let (held, state) = (Arc::clone(&lock), path.join("data/state.db"));
        let take_lock = move || {
            let db = history::open(&state);
            db.execute_batch("BEGIN IMMEDIATE").unwrap();
            *held.lock().unwrap() = Some(db);
        };
        let then_kill = Act::ThenCall(Box::new(Act::ok()), killer(&shared));
        sink.next("/chat", [Act::Call(Arc::new(take_lock), Box::new(then_kill))]);
        push(&shared, &format!("busy_m {value}\n"));
        until_true("the receiver has it, and alertd is gone", || shared.lock().unwrap().is_none());
        lock.lock().unwrap().take();
        // The next life begins with what this one could not put down.
        wanted.extend([word, word]);
        let daemon = start(&folder);
        daemon.push(&format!("busy_m {value}\n"));
        wait_words(&sink, "/chat", &wanted);
        until_true("the outbox is empty", || history::outbox(&data(&folder)).is_empty());
        daemon.stop();
    }
    let ids: Vec<String> = taken(&sink, "/chat").into_iter().map(|message| message.id).collect();
    for pair in ids.chunks(2) {
        assert_eq!(pair[0], pair[1], "{:#?}", brief(&sink));
    }
    let different: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(different.len(), 6, "each of the six its own");
}

#[test]
fn killed_between_a_resolve_and_its_send_the_end_is_told() {
    let sink = Sink::start();
    let folder = folder(&rules(&[rule("busy", "for: 0s")]), &sink);
    let mut daemon = start(&folder);
    daemon.push("busy_m 5\n");
    wait_words(&sink, "/chat", &["busy firing"]);
    sink.down();
    daemon.push("busy_m 0\n");
    until_true("the end is in the outbox", || history::outbox(&data(&folder)).iter().any(|row| row.3 > 0));
    daemon.kill();
    sink.up();
    // No sample comes any more: what is stored is enough.
    let daemon = start(&folder);
    wait_words(&sink, "/chat", &["busy firing", "busy resolved"]);
    daemon.stop();
}

#[test]
fn killed_again_and_again_before_the_receiver_is_back_it_is_told_once() {
    let sink = Sink::away();
    let folder = folder(&rules(&[rule("busy", "for: 0s")]), &sink);
    let mut daemon = start(&folder);
    daemon.push("busy_m 5\n");
    daemon.wait_alert("busy", "firing");
    for _ in 0..4 {
        daemon.kill();
        daemon = start(&folder);
        daemon.push("busy_m 5\n");
        daemon.wait_evaluations(3);
    }
    sink.up();
    wait_words(&sink, "/chat", &["busy firing"]);
    daemon.push("busy_m 0\n");
    wait_words(&sink, "/chat", &["busy firing", "busy resolved"]);
    daemon.stop();
}

#[test]
fn of_three_recipients_only_the_one_that_was_put_off_is_addressed_after_a_restart() {
    let server = SmtpServer::plain();
    server.rule("RCPT TO:<late@", MailAct::line("450 4.2.0 greylisted"), None);
    let handlers = format!(
        "handlers:\n  - {{name: mail, type: smtp, host: 127.0.0.1, port: {}, tls: none, from: alertd@example.org, to: \
         [first@example.org, late@example.org, third@example.org], timeout: 5s}}\n",
        server.port()
    );
    let folder = crate::setup::folder_with(&rules(&[rule("busy", "for: 0s")]), &handlers, "");
    let mut daemon = start(&folder);
    daemon.push("busy_m 5\n");
    until_true("two have it", || server.mails().iter().any(|mail| mail.to.len() == 2));
    let outbox = || history::outbox(&data(&folder));
    until_true("that is put down", || outbox().iter().any(|row| row.3 > 0));
    daemon.kill();
    server.heal();
    let addressed = server.lines().iter().filter(|line| line.contains("RCPT TO:<first@")).count();
    let daemon = start(&folder);
    until_true("the third has it", || server.mails().iter().any(|mail| mail.to == ["late@example.org"]));
    until_true("the outbox is empty", || outbox().is_empty());
    let lines = server.lines();
    let again = lines.iter().filter(|line| line.contains("RCPT TO:<first@")).count();
    assert_eq!(again, addressed, "a recipient that has it was addressed again: {lines:#?}");
    let mails = server.mails();
    let ids: Vec<_> = mails.iter().map(|mail| mail.header("Message-ID")).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    daemon.stop();
    let sent: Vec<String> =
        history::read(&data(&folder)).into_iter().map(|row| row.kind).filter(|k| k == "sent").collect();
    assert_eq!(sent.len(), 1);
}
