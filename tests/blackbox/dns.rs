//! A name server that never answers: neither rules nor messages wait for it, nor does the end of the process.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::kit::{self, DEADLINE, Daemon, Folder, free_port, instant};

/// Where the silent name server is; others use other loopback addresses.
const SERVER: &str = "127.94.0.1:53";
const UNSHARE: &str = "/usr/bin/unshare";

const RULES: &str = "
defaults: {every: 1s}
rules:
  - {name: away, expr: up == 0, source: far}
  - {name: local, metric: pressure, threshold: '> 5'}
  - {name: later, metric: flow, threshold: '> 5'}
";
const HANDLERS: &str = "
handlers:
  - {name: screen, type: console, format: text}
  - {name: hook, type: webhook, url: 'http://hook.example/', timeout: 2s}
";
// Searching takes longer than any test waits.
const RESOLVER: &str = "nameserver 127.94.0.1\noptions timeout:30 attempts:5\n";
const CONFIG: &str = "
evaluation_interval: 1s
shutdown_grace: 1s
stores: {far: {type: prometheus, url: 'http://store.example:9090', timeout: 2s}}
remote_write: {url: 'http://writer.example/api/v1/write', remote_timeout: 2s}
";

/// `alertd` in a mount namespace in which the machine's name server is the silent one; `None` where that cannot be made.
fn command(folder: &Folder) -> Option<Command> {
    let script = "mount --bind resolv.conf /etc/resolv.conf && exec \"$0\" \"$@\"";
    let within = |program: &str| {
        let mut command = Command::new(UNSHARE);
        command.args(["-rm", "/bin/sh", "-c", script, program]).current_dir(folder.path()).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", folder.path());
        command
    };
    let can = Path::new(UNSHARE).exists() && within("/bin/true").output().is_ok_and(|ran| ran.status.success());
    can.then(|| within(env!("CARGO_BIN_EXE_alertd")))
}

/// The name that a query is for.
fn asked(query: &[u8]) -> String {
    let mut rest = query.get(12..).unwrap_or_default();
    let mut labels = Vec::new();
    while let Some((&len, after)) = rest.split_first().filter(|(len, _)| **len > 0) {
        let Some((label, after)) = after.split_at_checked(usize::from(len)) else { break };
        labels.push(String::from_utf8_lossy(label).into_owned());
        rest = after;
    }
    labels.join(".")
}

#[test]
fn a_name_server_that_never_answers_delays_neither_rules_nor_messages_nor_the_end() {
    let Ok(server) = UdpSocket::bind(SERVER) else { return eprintln!("skipped: {SERVER} cannot be opened") };
    server.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let folder = Folder::with(&[
        ("rules/a.yaml", RULES),
        ("handlers/a.yaml", HANDLERS),
        ("alertd.yaml", CONFIG),
        ("resolv.conf", RESOLVER),
    ]);
    let Some(mut command) = command(&folder) else { return eprintln!("skipped: no mount namespace can be made") };
    let daemon = Daemon::launch(command.arg("rules/"), free_port());
    daemon.wait_ready();

    daemon.push("pressure 9\n");
    daemon.out.wait("FIRING local");
    let mut names = BTreeSet::new();
    let (begun, mut buffer) = (instant(), [0; 512]);
    let wanted = ["hook.example", "store.example", "writer.example"];
    while !wanted.iter().all(|name| names.contains(*name)) {
        assert!(begun.elapsed() < DEADLINE, "asked for {names:?} alone");
        if let Ok(len) = server.recv(&mut buffer) {
            names.insert(asked(&buffer[..len]));
        }
    }

    // All three wait for the name server, and everything else goes on.
    daemon.push("pressure 1\n");
    daemon.out.wait("RESOLVED local");
    daemon.out.wait("FIRING alertd_datasource_down");
    let away = daemon.rules().into_iter().find(|rule| rule["name"] == "away").unwrap();
    assert!(away["lastError"].as_str().is_some_and(|said| said.contains("no answer within")), "{away}");
    let threads = || std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap().count();
    let before = threads();
    daemon.wait_evaluations(10);
    assert!(threads() <= before + 4, "{before} threads became {}: one search each is enough", threads());
    daemon.push("flow 9\n");
    daemon.out.wait("FIRING later");
    assert_eq!(daemon.metric("alertd_outbox_depth{handler=\"screen\"}"), Some(0.0));
    daemon.stop();
    // A command ends with its own deadline as well.
    let mut command = self::command(&folder).unwrap();
    let ran = kit::finish(command.args(["send-test", "--handler", "hook"]));
    assert!(ran.took < DEADLINE && ran.code != Some(0), "{ran:?}");
}
