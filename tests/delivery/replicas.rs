//! Two processes on one database: one decides and tells, the other stands by. Whatever happens to a process, to the
//! database and to the way between them, people are told, and by each side of a break at most once.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::http::Response;
use crate::kit::{Daemon, Folder, command, faketime, free_port, now_ms, until_true};
use crate::postgres::Server;
use crate::setup::{brief, folder_with, rule, rules, taken, webhook, words};
use crate::sink::Sink;
use crate::smtp_server::Identity;

const ALERTS: usize = 100;
const RESTARTS: usize = 20;

/// `state:` of a process on a database; of one on files where there is no URL.
fn state(name: &str, url: &str) -> String {
    match url {
        "" => String::new(),
        url => format!("state: {{url: '{url}?application_name={name}', replica: {name}, lease: 2s}}"),
    }
}

/// A process and what it is made of.
struct Replica {
    name: &'static str,
    folder: Folder,
    port: u16,
    /// By how many seconds its machine's clock is ahead; none for the clock of this machine.
    ahead_secs: Option<i64>,
    daemon: Option<Daemon>,
}

impl Replica {
    fn new(name: &'static str, url: &str, sink: &Sink, list: &[String]) -> Self {
        let handlers = format!("handlers:\n{}", webhook("chat", &sink.url("/chat"), &["timeout: 5s"]));
        // An alert about the database itself is told by each side of a break.
        let keys = format!("builtin_rules: {{enabled: false}}\n{}", state(name, url));
        let folder = folder_with(&rules(list), &handlers, &keys);
        Self { name, folder, port: free_port(), ahead_secs: None, daemon: None }
    }

    #[track_caller]
    fn start(&mut self) -> &Daemon {
        let mut command = command(&self.folder);
        command.arg("rules/");
        if let Some(ahead_secs) = self.ahead_secs {
            command.env("LD_PRELOAD", faketime().unwrap()).env("FAKETIME", format!("{ahead_secs:+}"));
            command.env("DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
        }
        let daemon = Daemon::launch(&mut command, self.port);
        daemon.wait_ready();
        self.daemon.insert(daemon)
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    fn is_active(&self) -> bool {
        let answer = crate::http::get(&self.daemon().address, "/-/active");
        answer.is_ok_and(|answer| answer.status == 200)
    }

    #[track_caller]
    fn wait_active(&self) {
        until_true(&format!("{} is active", self.name), || self.is_active());
        self.daemon().wait_evaluations(2);
    }

    #[track_caller]
    fn wait_standing_by(&self) {
        until_true(&format!("{} stands by", self.name), || {
            let ready = crate::http::get(&self.daemon().address, "/-/ready");
            ready.is_ok_and(|ready| ready.text().contains("decides and tells"))
        });
    }

    fn stop(&mut self) {
        self.daemon.take().unwrap().stop();
    }

    fn kill(&mut self) {
        self.daemon.take().unwrap().kill();
    }
}

/// Two processes that run, the first of them active; none where there is no PostgreSQL.
fn pair(server: &Server, sink: &Sink, list: &[String]) -> [Replica; 2] {
    let url = server.database("state");
    let [mut a, mut b] = ["a", "b"].map(|name| Replica::new(name, &url, sink, list));
    a.start();
    a.wait_active();
    b.start();
    b.wait_standing_by();
    [a, b]
}

fn push(replicas: &[Replica], samples: &str) {
    replicas.iter().filter_map(|replica| replica.daemon.as_ref()).for_each(|daemon| daemon.push(samples));
}

/// How often each alert was told as firing and as over.
fn told(sink: &Sink) -> BTreeMap<String, (usize, usize)> {
    let mut told: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for alert in taken(sink, "/chat").into_iter().flat_map(|message| message.alerts) {
        let (firing, over) = told.entry(alert.fingerprint).or_default();
        *if alert.status == "firing" { firing } else { over } += 1;
    }
    told
}

#[track_caller]
fn check_told(sink: &Sink, wanted: (usize, usize), when: &str) {
    let told = told(sink);
    assert!(
        told.len() == ALERTS && told.values().all(|times| *times == wanted),
        "{when}: {told:?}\n{:#?}",
        brief(sink)
    );
}

/// Waits until the answers of the receiver are stored: otherwise a process that is cut off leaves it to the other to tell.
#[track_caller]
fn wait_put_down(server: &Server) {
    until_true("that is put down", || server.run("state", "SELECT count(*) FROM alertd_outbox") == ["0"]);
}

/// Restarts the process that is active, again and again, in one way or another.
#[track_caller]
fn check_restarts(end: fn(&mut Replica), restarts: usize) {
    let Some(server) = Server::start() else { return };
    let sink = Sink::start();
    let mut replicas = pair(&server, &sink, &[rule("busy", "for: 0s")]);
    let samples =
        |value: u32| -> String { (0..ALERTS).map(|n| format!("busy_m{{host=\"h{n}\"}} {value}\n")).collect() };
    push(&replicas, &samples(5));
    until_true("every beginning is told", || told(&sink).len() == ALERTS);
    wait_put_down(&server);
    for n in 0..restarts {
        let (active, other) = (n % 2, 1 - n % 2);
        end(&mut replicas[active]);
        replicas[other].wait_active();
        let firing = replicas[other].daemon().alerts().iter().filter(|alert| alert["state"] == "firing").count();
        assert_eq!(firing, ALERTS, "the other one goes on");
        replicas[active].start();
        replicas[active].wait_standing_by();
        if n % 3 == 0 {
            push(&replicas, &samples(5));
            replicas[other].daemon().wait_evaluations(2);
        }
        check_told(&sink, (1, 0), &format!("restart {}", n + 1));
    }
    push(&replicas, &samples(0));
    until_true("every end is told", || told(&sink).values().all(|times| times.1 > 0));
    wait_put_down(&server);
    end(&mut replicas[restarts % 2]);
    replicas[1 - restarts % 2].wait_active();
    check_told(&sink, (1, 1), "at the end");
}

#[test]
fn of_a_hundred_alerts_that_fire_over_twenty_rolling_restarts_nobody_is_told_twice_and_each_end_once() {
    check_restarts(Replica::stop, RESTARTS);
}

#[test]
fn a_process_that_is_killed_is_followed_by_the_other_after_the_lease() {
    check_restarts(Replica::kill, 4);
}

#[test]
fn of_two_processes_with_clocks_four_minutes_apart_the_databases_clock_counts() {
    let (Some(server), Some(_)) = (Server::start(), faketime()) else { return };
    let sink = Sink::start();
    let url = server.database("state");
    let list = [rule("busy", "for: 2s")];
    let [mut a, mut b] = ["a", "b"].map(|name| Replica::new(name, &url, &sink, &list));
    (a.ahead_secs, b.ahead_secs) = (Some(120), Some(-120));
    let begun = now_ms();
    a.start();
    a.wait_active();
    b.start();
    b.wait_standing_by();
    let mut replicas = [a, b];
    let ahead = |replica: &Replica| replica.daemon().metric("alertd_replica_clock_ahead_seconds").unwrap().round();
    assert_eq!([0, 1].map(|n| ahead(&replicas[n])), [-120.0, 120.0]);
    push(&replicas, "busy_m 5\n");
    until_true("it is told", || words(&sink, "/chat") == ["busy firing"]);
    wait_put_down(&server);
    let since = taken(&sink, "/chat")[0].alerts[0].since.clone();
    for n in 0..4 {
        replicas[n % 2].stop();
        replicas[1 - n % 2].wait_active();
        push(&replicas, "busy_m 5\n");
        replicas[1 - n % 2].daemon().wait_evaluations(5);
        replicas[n % 2].start();
        replicas[n % 2].wait_standing_by();
        assert_eq!(words(&sink, "/chat"), ["busy firing"], "restart {}", n + 1);
    }
    push(&replicas, "busy_m 0\n");
    until_true("its end is told", || words(&sink, "/chat") == ["busy firing", "busy resolved"]);
    assert_eq!(taken(&sink, "/chat")[1].alerts[0].since, since);
    let times = server.run("state", "SELECT at_ms FROM alertd_history");
    let times: Vec<i64> = times.iter().map(|time| time.parse().unwrap()).collect();
    let ended = now_ms();
    assert!(times.iter().all(|at| (begun - 5_000..ended + 5_000).contains(at)), "{begun} {ended} {times:?}");
}

#[test]
fn while_the_database_is_away_each_process_tells_what_is_new_once_and_then_one_stands_by_again() {
    let Some(mut server) = Server::start() else { return };
    let sink = Sink::start();
    let replicas = pair(&server, &sink, &[rule("busy", "for: 0s"), rule("late", "for: 0s")]);
    push(&replicas, "busy_m 5\n");
    until_true("it is told", || words(&sink, "/chat") == ["busy firing"]);
    wait_put_down(&server);
    let now = server.run("state", "SELECT clock_timestamp()").concat();
    let read = format!(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'b' AND query = 'COMMIT' AND state_change > '{now}'"
    );
    until_true("the one that stands by has read that", || !server.run("state", &read).is_empty());
    server.kill();
    until_true("both go on", || replicas.iter().all(Replica::is_active));
    push(&replicas, "late_m 5\n");
    until_true("both tell it", || words(&sink, "/chat").len() == 3);
    assert_eq!(words(&sink, "/chat"), ["busy firing", "late firing", "late firing"]);
    server.start_again();
    replicas[1].wait_standing_by();
    replicas[0].wait_active();
    replicas[0].daemon().err.wait("State is stored again");
    push(&replicas, "late_m 0\nbusy_m 0\n");
    until_true("the ends are told", || words(&sink, "/chat").len() >= 5);
    replicas[0].daemon().wait_evaluations(5);
    let mut all = words(&sink, "/chat");
    all.sort();
    assert_eq!(all, ["busy firing", "busy resolved", "late firing", "late firing", "late resolved"]);
    until_true("the history has both", || {
        let rows = "SELECT rule FROM alertd_history WHERE kind = 'transition' AND reason = 'resolved' ORDER BY rule";
        server.run("state", rows) == ["busy", "late"]
    });
}

/// The way from a process to the database, which can be cut.
struct Way {
    port: u16,
    cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Way {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Self { port: listener.local_addr().unwrap().port(), cut: Arc::default(), open: Arc::default() };
        let (cut, open) = (Arc::clone(&way.cut), Arc::clone(&way.open));
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let far = TcpStream::connect(("127.0.0.1", port)).ok().filter(|_| !cut.load(Ordering::SeqCst));
                let Some(far) = far else { continue };
                open.lock().unwrap().extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                for (from, to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                    std::thread::spawn(move || carry(from, to));
                }
            }
        });
        way
    }

    fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16_384];
    while let Ok(count) = from.read(&mut bytes) {
        if count == 0 || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Two processes, of which the active one was told of `busy` and is cut off from the database.
#[track_caller]
fn cut_off(server: &Server, sink: &Sink) -> (Way, [Replica; 2]) {
    let (way, url) = (Way::to(server.port), server.database("state"));
    let by_way = url.replace(&format!(":{}/", server.port), &format!(":{}/", way.port));
    let list = [rule("busy", "for: 0s"), rule("late", "for: 0s")];
    let [mut a, mut b] = [("a", &by_way), ("b", &url)].map(|(name, url)| Replica::new(name, url, sink, &list));
    a.start();
    a.wait_active();
    b.start();
    b.wait_standing_by();
    let replicas = [a, b];
    push(&replicas, "busy_m 5\n");
    until_true("it is told", || words(sink, "/chat") == ["busy firing"]);
    wait_put_down(server);
    way.cut(true);
    (way, replicas)
}

/// Asks a process for a silence.
fn silence(daemon: &Daemon, label: &str, value: &str) -> Response {
    let matcher = serde_json::json!({"name": label, "value": value, "isRegex": false});
    let silence = serde_json::json!({"matchers": [matcher], "createdBy": "me", "comment": "works",
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2100-01-01T00:00:00Z"});
    daemon.post("/api/v2/silences", &[("Content-Type", "application/json")], silence.to_string().as_bytes())
}

#[test]
fn a_process_that_is_cut_off_from_the_database_tells_on_and_stands_by_when_it_sees_that_another_took_over() {
    let Some(server) = Server::start() else { return };
    let sink = Sink::start();
    let (way, replicas) = cut_off(&server, &sink);
    replicas[1].wait_active();
    assert!(replicas[0].is_active(), "it cannot know");
    push(&replicas, "late_m 5\n");
    until_true("each side tells it", || words(&sink, "/chat").len() == 3);
    way.cut(false);
    replicas[0].wait_standing_by();
    push(&replicas, "late_m 0\nbusy_m 0\n");
    until_true("the ends are told", || words(&sink, "/chat").len() >= 5);
    replicas[1].daemon().wait_evaluations(5);
    let mut all = words(&sink, "/chat");
    all.sort();
    assert_eq!(all, ["busy firing", "busy resolved", "late firing", "late firing", "late resolved"]);
}

#[test]
fn a_process_that_was_stopped_in_the_middle_tells_nothing_of_what_the_other_told_meanwhile() {
    let Some(server) = Server::start() else { return };
    let sink = Sink::start();
    let replicas = pair(&server, &sink, &[rule("busy", "for: 0s"), rule("late", "for: 0s")]);
    push(&replicas, "busy_m 5\nlate_m 5\n");
    until_true("both are told", || words(&sink, "/chat").len() == 2);
    wait_put_down(&server);
    replicas[0].daemon().signal("STOP");
    replicas[1].wait_active();
    replicas[1].daemon().push("busy_m 0\n");
    until_true("the end is told", || words(&sink, "/chat").len() == 3);
    replicas[0].daemon().signal("CONT");
    replicas[0].daemon().err.wait("Starting again");
    replicas[0].wait_standing_by();
    replicas[1].daemon().wait_evaluations(5);
    assert_eq!(words(&sink, "/chat").len(), 3, "{:#?}", brief(&sink));
    assert_eq!(replicas[0].daemon().err.count("An alert changed"), 2, "only what it told before");
}

#[test]
fn a_process_that_stands_by_takes_samples_and_leaves_the_rest_to_the_active_one_whose_silences_hold_after_it() {
    let Some(server) = Server::start() else { return };
    let sink = Sink::start();
    let mut replicas = pair(&server, &sink, &[rule("busy", "for: 0s")]);
    let [a, b] = [replicas[0].daemon(), replicas[1].daemon()];
    for refused in [silence(b, "host", "h1"), b.get("/api/v1/alerts"), b.get("/-/active")] {
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{}", refused.text());
        assert!(refused.text().contains("b stands by, a decides and tells"), "{}", refused.text());
    }
    assert_eq!(b.get("/").text(), "b stands by, a decides and tells\n");
    let status = b.get("/api/v1/status").json()["data"]["state"]["replica"].clone();
    assert_eq!((&status["role"], &status["holder"]), (&"standby".into(), &"a".into()), "{status}");
    assert_eq!([a, b].map(|daemon| daemon.metric("alertd_replica_active")), [Some(1.0), Some(0.0)]);
    assert_eq!(silence(a, "host", "h1").status, 200);
    b.push("busy_m{host=\"h1\"} 5\nbusy_m{host=\"h2\"} 5\n");
    assert_eq!(b.query("busy_m").len(), 2);
    assert_eq!(words(&sink, "/chat"), Vec::<String>::new());
    replicas[0].kill();
    replicas[1].wait_active();
    until_true("what is not silenced is told", || words(&sink, "/chat").len() == 1);
    replicas[1].daemon().wait_evaluations(5);
    assert_eq!(words(&sink, "/chat"), ["busy firing"]);
    assert_eq!(replicas[1].daemon().get("/api/v2/silences").json().as_array().map(Vec::len), Some(1));
    assert_eq!(replicas[1].daemon().metric("alertd_replica_active"), Some(1.0));
}

#[test]
fn the_state_of_files_goes_over_to_a_new_database_and_nobody_is_told_again() {
    let Some(server) = Server::start() else { return };
    let (sink, url) = (Sink::start(), server.database("state"));
    let mut replica = Replica::new("a", "", &sink, &[rule("busy", "for: 0s")]);
    replica.start().push("busy_m 5\n");
    until_true("it is told", || words(&sink, "/chat") == ["busy firing"]);
    replica.stop();
    let config = std::fs::read_to_string(replica.folder.at("alertd.yaml")).unwrap();
    replica.folder.write("alertd.yaml", config + &state("a", &url));
    replica.start();
    replica.daemon().err.wait("The state of the files is in the database now");
    replica.wait_active();
    let is_there = |name: &str| replica.folder.at("data").join(name).exists();
    assert_eq!(["state.db", "state-copy.db", "state.db.moved"].map(is_there), [false, false, true]);
    let since = replica.daemon().alert("busy").unwrap()["activeAt"].clone();
    replica.daemon().push("busy_m 5\n");
    replica.daemon().wait_evaluations(5);
    assert_eq!(replica.daemon().alert("busy").unwrap()["activeAt"], since);
    // What the database knows by then counts, whatever the files say.
    replica.stop();
    replica.start().push("busy_m 0\n");
    until_true("its end is told", || words(&sink, "/chat") == ["busy firing", "busy resolved"]);
    assert_eq!(replica.daemon().err.count("The state of the files"), 0);
}

#[test]
fn a_connection_is_encrypted_to_a_server_whose_authority_is_named_and_to_no_other() {
    let [ours, other] = ["127.0.0.1", "other.example"].map(|name| Identity::new(&[name]));
    let Some(server) = Server::start_encrypted(&ours.pem, &ours.key_pem) else { return };
    let (sink, url) = (Sink::start(), server.database("state"));
    let check = |parameters: &str, log: &str| {
        let mut replica = Replica::new("a", &url, &sink, &[rule("busy", "for: 0s")]);
        let config = std::fs::read_to_string(replica.folder.at("alertd.yaml")).unwrap();
        replica
            .folder
            .write("alertd.yaml", config.replace("application_name=a", &format!("application_name=a&{parameters}")));
        replica.folder.write("ours.pem", &ours.ca_pem);
        replica.folder.write("other.pem", &other.ca_pem);
        replica.start().err.wait(log);
        let sql = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'a'";
        server.run("state", sql)
    };
    let encrypted = check("sslmode=verify-full&sslrootcert=ours.pem", "role=active");
    assert!(!encrypted.is_empty() && encrypted.iter().all(|ssl| ssl == "t"), "{encrypted:?}");
    assert_eq!(check("sslrootcert=other.pem", "invalid peer certificate: UnknownIssuer"), Vec::<String>::new());
}

#[test]
fn a_process_that_was_cut_off_goes_on_from_what_the_other_left_when_that_has_ended() {
    let Some(server) = Server::start() else { return };
    let sink = Sink::start();
    let (way, mut replicas) = cut_off(&server, &sink);
    replicas[1].wait_active();
    // What only the other one hears of, and ends with.
    assert_eq!(silence(replicas[1].daemon(), "alertname", "late").status, 200);
    replicas[1].stop();
    way.cut(false);
    replicas[0].daemon().err.wait("Starting again");
    replicas[0].wait_active();
    assert_eq!(replicas[0].daemon().get("/api/v2/silences").json().as_array().map(Vec::len), Some(1));
    replicas[0].daemon().push("busy_m 0\nlate_m 5\n");
    until_true("the end is told", || words(&sink, "/chat").len() >= 2);
    replicas[0].daemon().wait_evaluations(5);
    assert_eq!(words(&sink, "/chat"), ["busy firing", "busy resolved"]);
}

#[test]
fn what_a_process_told_alone_is_known_when_the_database_is_back_though_the_holder_of_before_is_dead() {
    let Some(mut server) = Server::start() else { return };
    let sink = Sink::start();
    let mut replicas = pair(&server, &sink, &[rule("busy", "for: 0s"), rule("late", "for: 0s")]);
    push(&replicas, "busy_m 5\n");
    until_true("it is told", || words(&sink, "/chat") == ["busy firing"]);
    wait_put_down(&server);
    replicas[0].kill();
    server.kill();
    replicas[1].wait_active();
    push(&replicas, "late_m 5\n");
    until_true("it is told by the one that is left", || words(&sink, "/chat").contains(&"late firing".to_owned()));
    let before = words(&sink, "/chat").len();
    server.start_again();
    replicas[1].daemon().err.wait("What happened without the database is in it now");
    replicas[1].daemon().err.wait("Starting again");
    replicas[1].wait_active();
    until_true("the database knows it", || {
        let told = "SELECT rule FROM alertd_history WHERE kind = 'transition' AND reason = 'fired' AND rule = 'late'";
        !server.run("state", told).is_empty()
    });
    replicas[1].daemon().wait_evaluations(5);
    assert_eq!(words(&sink, "/chat").len(), before, "nothing is told again");
    // The next one knows it too.
    replicas[0].start();
    replicas[0].wait_standing_by();
    replicas[1].stop();
    replicas[0].wait_active();
    push(&replicas, "busy_m 0\nlate_m 0\n");
    until_true("the ends are told", || words(&sink, "/chat").len() == before + 2);
    let ends = ["busy resolved", "late resolved"].map(|end| words(&sink, "/chat").iter().filter(|w| *w == end).count());
    assert_eq!(ends, [1, 1], "{:#?}", brief(&sink));
}

#[test]
fn a_process_that_the_database_does_not_let_in_says_so_and_does_not_start() {
    let Some(server) = Server::start() else { return };
    let sink = Sink::start();
    server.database("state");
    let check = |url: &str, why: &str| {
        let replica = Replica::new("a", url, &sink, &[rule("busy", "for: 0s")]);
        let mut command = command(&replica.folder);
        command.args(["rules/", "--listen", &format!("127.0.0.1:{}", replica.port)]);
        let ran = crate::kit::finish(&mut command).exits(1);
        let err = &ran.err;
        assert!(err.contains("cannot use the database of `state`") && err.contains(why), "{err}");
        assert!(!err.contains("s3cret"), "{err}");
    };
    let of = |user: &str, database: &str| format!("postgres://{user}:s3cret@127.0.0.1:{}/{database}", server.port);
    check(&of("nobody", "state"), "role \"nobody\" does not exist");
    check(&of("alertd", "other"), "database \"other\" does not exist");
    check(&of("alertd", "state").replace("state", "state?nonsense=1&"), "unknown option `nonsense`");
}
