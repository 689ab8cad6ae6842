//! Mail from outside: the daemon and a mail server, ours with its faults and a real one.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::kit::{Daemon, Folder, free_port, run, until, until_true};
use crate::smtp_server::{Act, Identity, SmtpServer};

const RULES: &str = r#"
rules:
  - name: disk_full
    metric: disk_used_percent
    threshold: "> 90"
    severity: critical
    annotations: {summary: "Größe: {{ $labels.host }} is full\n.\n"}
"#;

fn handlers(host: &str, port: u16, keys: &str) -> String {
    format!(
        "handlers:\n  - {{name: mail, type: smtp, host: {host}, port: {port}, from: alertd@example.org, to: [ops@example.org, \
         dev@example.org], {keys}}}\n"
    )
}

fn used(percent: u32) -> String {
    format!("disk_used_percent{{host=\"db-1\"}} {percent}\n")
}

#[test]
fn firing_and_resolved_mails_arrive_in_one_thread_though_the_server_puts_off_and_breaks() {
    let server = SmtpServer::plain()
        .on_next("greeting", Act::line("421 4.3.2 too busy"), 1)
        .on_next("RCPT", Act::line("450 4.2.0 greylisted"), 1)
        .on_next(".", Act::Close, 1);
    let handlers = handlers("127.0.0.1", server.port(), "tls: none, timeout: 3s");
    let folder = Folder::with(&[("rules/a.yaml", RULES), ("handlers/h.yaml", &handlers)]);
    let daemon = Daemon::start(&folder);
    daemon.push(&used(97));
    until_true("a firing mail arrives whole", || {
        server.mails().len() >= 2 || server.mails().len() == 1 && server.connections() > 3
    });
    until_true("it is taken", || server.mails().len() >= 2);
    daemon.push(&used(50));
    let resolved = until("a resolved mail arrives", || {
        server.mails().into_iter().find(|mail| mail.header("X-Alertd-Status").as_deref() == Some("resolved"))
    });
    let mails = server.mails();
    let firing = &mails[0];
    assert_eq!(firing.header("Subject").as_deref(), Some("[FIRING:1] disk_full (critical) host=db-1"));
    assert_eq!(resolved.header("Subject").as_deref(), Some("[RESOLVED] disk_full (critical) host=db-1"));
    assert_eq!(firing.header("References"), resolved.header("References"));
    assert_ne!(firing.header("Message-ID"), resolved.header("Message-ID"));
    // The mail whose answer was lost and the one sent again are the same.
    assert_eq!(firing.header("Message-ID"), mails[1].header("Message-ID"));
    daemon.stop();
}

#[test]
fn a_dry_run_shows_the_mail_and_opens_no_connection() {
    let server = SmtpServer::plain();
    let keys = "tls: none, username: u, password: '${env:NOT_SET}'";
    let handlers = handlers("127.0.0.1", server.port(), keys);
    let folder = Folder::with(&[
        ("rules/a.yaml", RULES),
        ("handlers/h.yaml", handlers.as_str()),
        ("d.prom", "disk_used_percent{host=\"db-1\"} 97 1700000000000\n"),
    ]);
    let got = run(&folder, &["--dry-run", "rules/", "--handlers", "handlers/", "--data", "d.prom", "--output", "json"])
        .json();
    let notice = &got["notifications"][0];
    assert_eq!((&notice["type"], &notice["url"]), (&"smtp".into(), &serde_json::Value::Null), "{got:#}");
    let payload = notice["payload"].as_str().unwrap();
    assert!(payload.contains("Subject: [FIRING:1] disk_full (critical) host=db-1\n"), "{payload}");
    assert!(payload.contains("To: ops@example.org, dev@example.org\n"), "{payload}");
    assert_eq!(server.connections(), 0);
}

/// Starts Debian's aiosmtpd with STARTTLS required; mails go into a Maildir. `None`: it is not there, and was told.
fn real_server(folder: &Folder, port: u16, identity: &Identity) -> Option<std::process::Child> {
    let target = Path::new(env!("CARGO_BIN_EXE_alertd")).parent().and_then(Path::parent)?;
    let library = target.join("peers/usr/lib/python3/dist-packages");
    if !library.join("aiosmtpd").is_dir() {
        assert!(std::env::var("ALERTD_REQUIRE_PEERS").as_deref() != Ok("1"), "aiosmtpd is not there");
        eprintln!("skipped: aiosmtpd is not there; scripts/debian-packages.sh unpacks it");
        return None;
    }
    folder.write("cert.pem", &identity.pem);
    folder.write("key.pem", &identity.key_pem);
    folder.write("ca.pem", &identity.ca_pem);
    let listen = format!("localhost:{port}");
    let mut command = Command::new("python3");
    command.current_dir(folder.path()).env("PYTHONPATH", &library);
    command.args(["-m", "aiosmtpd", "-n", "-u", "-l", &listen, "--tlscert", "cert.pem", "--tlskey", "key.pem"]);
    command.args(["-c", "aiosmtpd.handlers.Mailbox", "inbox"]).stdin(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().ok()?;
    until_true("aiosmtpd listens", || std::net::TcpStream::connect(("localhost", port)).is_ok());
    Some(child)
}

/// Reads a mail with Python's own parser and prints what a reader sees.
const READ: &str = r#"
import sys, json, email, email.policy
mail = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)
parts = [(p.get_content_type(), p.get_content()) for p in mail.walk() if not p.is_multipart()]
print(json.dumps({'subject': mail['Subject'], 'to': mail['To'], 'rcpt': mail['X-RcptTo'], 'parts': parts,
                  'defects': [str(d) for d in mail.defects]}))
"#;

#[test]
fn a_real_mail_server_takes_the_mail_by_starttls_and_python_reads_it() {
    let (folder, identity) = (Folder::new(), Identity::new(&["localhost"]));
    let port = free_port();
    let Some(mut real) = real_server(&folder, port, &identity) else { return };
    folder.write("rules/a.yaml", RULES);
    folder.write("handlers/h.yaml", handlers("localhost", port, "tls_config: {ca_file: ca.pem}"));
    let daemon = Daemon::start(&folder);
    daemon.push(&used(97));
    let path = until("a mail is in the box", || {
        std::fs::read_dir(folder.at("inbox/new")).ok()?.next().map(|entry| entry.unwrap().path())
    });
    let read = Command::new("python3").args(["-c", READ]).arg(&path).output().unwrap();
    let read: serde_json::Value = serde_json::from_slice(&read.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&read.stderr)));
    assert_eq!(read["subject"], "[FIRING:1] disk_full (critical) host=db-1");
    assert_eq!(read["rcpt"], "ops@example.org, dev@example.org");
    assert_eq!(read["defects"], serde_json::json!([]));
    assert_eq!((&read["parts"][0][0], &read["parts"][1][0]), (&"text/plain".into(), &"text/html".into()));
    let text = read["parts"][0][1].as_str().unwrap();
    assert!(
        text.starts_with("FIRING critical disk_full: 97 (> 90)\n") && text.contains("Größe: db-1 is full"),
        "{text}"
    );
    daemon.stop();
    let _ = real.kill();
    let _ = real.wait();
}
