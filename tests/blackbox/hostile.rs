//! Input made to hurt: rule files, pushed bodies, connections, labels, templates, and a terminal nobody reads.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::http;
use crate::kit::{Daemon, Folder, command, free_port, instant, run, until, until_true, value_of};

const HIGH: &str = "rules:\n  - {name: high, metric: m, threshold: '> 5', every: 1s}\n";

fn resident_kib(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}

#[test]
fn rule_files_made_to_hurt_are_findings_and_end_soon() {
    let laughs = {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let _ = writeln!(text, "a{i}: &a{i} [{}]", vec![format!("*a{}", i - 1); 9].join(", "));
        }
        text + "rules: *a11\n"
    };
    let quadratic = format!("a: &a {}\nrules: [{}]\n", "x".repeat(100_000), vec!["*a"; 10_000].join(", "));
    let chain = format!("rules:\n  - {{name: x, expr: '{}'}}\n", vec!["m"; 100_000].join(" + "));
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("billion laughs", laughs.into_bytes()),
        ("quadratic blow-up", quadratic.into_bytes()),
        ("recursive alias", b"rules: &r [*r]\n".to_vec()),
        ("deep flow", b"[".repeat(100_000)),
        ("deep mapping", b"{a: ".repeat(50_000)),
        ("deep block", (0..3000).map(|i| format!("{}a:\n", " ".repeat(i))).collect::<String>().into_bytes()),
        ("deep sequence dashes", b"- ".repeat(100_000)),
        ("NUL", b"rules:\n  - name: \0\n".to_vec()),
        ("not UTF-8", b"rules:\n  - name: \xff\xfe\n".to_vec()),
        ("duplicate keys", b"rules:\n  - {name: a, name: b, metric: m, threshold: '> 1'}\n".to_vec()),
        (
            "deep parentheses",
            format!("rules:\n  - {{name: x, expr: '{}m{}'}}\n", "(".repeat(50_000), ")".repeat(50_000)).into_bytes(),
        ),
        ("deep signs", format!("rules:\n  - {{name: x, expr: '{}m'}}\n", "-".repeat(100_000)).into_bytes()),
        ("a long sum", chain.into_bytes()),
        (
            "deep expression",
            format!(
                "rules:\n  - {{name: x, queries: {{a: m}}, when: '{}a{} > 1'}}\n",
                "(".repeat(20_000),
                ")".repeat(20_000)
            )
            .into_bytes(),
        ),
        (
            "deep template",
            format!(
                "rules:\n  - {{name: x, metric: m, threshold: '> 1', annotations: {{a: '{}'}}}}\n",
                "{{ if true }}".repeat(20_000)
            )
            .into_bytes(),
        ),
        (
            "large regular expression",
            b"rules:\n  - {name: x, expr: 'm{a=~\"((a{1000}){1000}){1000}\"} > 1'}\n".to_vec(),
        ),
        ("tag", b"rules: !!python/object/apply:os.system ['true']\n".to_vec()),
        ("huge cron", b"rules:\n  - {name: x, expr: m > 1, cron: '99999999999999999999 * * * * *'}\n".to_vec()),
        (
            "huge numbers",
            b"rules:\n  - {name: x, metric: m, threshold: '> 1e999', for: 99999999999999999999y}\n".to_vec(),
        ),
    ];
    for (what, text) in cases {
        let folder = Folder::new();
        folder.write("rules/a.yaml", &text);
        let ran = run(&folder, &["check", "rules/"]);
        assert_eq!(ran.code, Some(1), "{what}: {:?} {:.2000} {:.2000}", ran.code, ran.out, ran.err);
        assert!(ran.out.contains("rules/a.yaml:"), "{what}: the place is told: {:.2000}{:.2000}", ran.out, ran.err);
        assert!(!ran.err.contains("panicked") && !ran.out.contains("panicked"), "{what}: {:.2000}", ran.err);
        assert!(ran.out.len() < 200_000, "{what}: {} bytes of findings", ran.out.len());
        assert!(ran.took < Duration::from_secs(10), "{what}: {:?}", ran.took);
        assert!(ran.out.lines().all(|line| line.len() < 2_000), "{what}: a line of a finding is no page");
    }
}

#[test]
fn a_rule_file_of_100_mb_is_refused_before_it_is_read() {
    let folder = Folder::new();
    folder.write("rules/a.yaml", HIGH);
    let file = std::fs::File::create(folder.at("rules/big.yaml")).unwrap();
    file.set_len(100 << 20).unwrap();
    let ran = run(&folder, &["check", "rules/"]).exits(1);
    assert!(ran.out.contains("rules/big.yaml"), "{ran:#?}");
    assert!(ran.took < Duration::from_secs(3), "{:?}", ran.took);
}

#[test]
fn ten_thousand_rules_are_checked_and_run() {
    let mut text = String::from("defaults: {every: 2s}\nrules:\n");
    for i in 0..10_000 {
        let _ = writeln!(text, "  - {{name: r{i}, metric: m{}, threshold: '> {i}'}}", i % 50);
    }
    let folder = Folder::with(&[("rules/a.yaml", &text)]);
    let ran = run(&folder, &["check", "rules/"]).exits(0);
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
    let daemon = Daemon::start(&folder);
    daemon.push("m0 1\n");
    daemon.wait_alert("r0", "firing");
    daemon.wait_evaluations(10_000);
}

#[test]
fn rule_sources_of_every_odd_kind_end_with_a_word() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    std::os::unix::fs::symlink("loop.yaml", folder.at("rules/loop.yaml")).unwrap();
    std::os::unix::fs::symlink(".", folder.at("rules/self")).unwrap();
    let ran = run(&folder, &["check", "rules/"]);
    assert!(matches!(ran.code, Some(0 | 1)), "{ran:#?}");
    assert!(!ran.err.contains("panicked"), "{ran:#?}");
    let ran = run(&folder, &["check", "/dev/zero"]);
    assert!(matches!(ran.code, Some(1 | 2)), "{:?} {:.500}", ran.code, ran.err);
    run(&folder, &["check", "nothing-here/"]).exits(2);
}

#[test]
fn bodies_made_to_hurt_are_refused() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    let daemon = Daemon::start(&folder);
    let path = "/api/v1/import/prometheus";
    let text = ("Content-Type", "text/plain");
    let gzip = ("Content-Encoding", "gzip");
    let packed = |data: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    };
    let before = resident_kib(&daemon);
    let bomb = packed(&vec![b'\n'; 300 << 20]);
    for (what, headers, body, wanted) in [
        ("bad gzip", vec![text, gzip], b"no gzip at all".to_vec(), 400..=400),
        ("cut gzip", vec![text, gzip], packed(b"m 1\n")[..12].to_vec(), 400..=400),
        ("gzip bomb", vec![text, gzip], bomb, 413..=413),
        ("unknown encoding", vec![text, ("Content-Encoding", "br")], b"m 1\n".to_vec(), 400..=415),
        ("oversized", vec![text, ("Content-Length", "99999999999")], Vec::new(), 413..=413),
        ("bad line", vec![text], b"m{ 1\n".to_vec(), 400..=400),
        ("no text", vec![text], vec![0xff; 1000], 400..=400),
    ] {
        let answer = daemon.post(path, &headers, &body);
        assert!(wanted.contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
        assert!(!answer.text().trim().is_empty(), "{what}: an answer says why");
    }
    let grown = resident_kib(&daemon).saturating_sub(before);
    assert!(grown < 200_000, "{grown} KiB more");
    let good = daemon.post(path, &[text, gzip], &packed(b"m{way=\"gzip\"} 9\n"));
    assert!((200..300).contains(&good.status), "{} {}", good.status, good.text());
    daemon.wait_alert("high", "firing");
    let mixed = daemon.post(path, &[text], b"m{way=\"mixed\"} 7\nbad{ 1\n");
    assert!(mixed.text().contains("line 2"), "the bad line is named: {} {}", mixed.status, mixed.text());
    let lines = daemon.post(
        "/api/v1/import",
        &[("Content-Type", "application/json")],
        b"{\"metric\":\"m\",\"labels\":{\"way\":\"jsonl\"},\"value\":8}\n",
    );
    assert!((200..300).contains(&lines.status), "{} {}", lines.status, lines.text());
    until_true("JSON lines arrive", || daemon.query("m{way=\"jsonl\"}").len() == 1);
}

#[test]
fn other_sites_and_other_names_are_refused() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    let daemon = Daemon::start(&folder);
    let body = b"m 9\n";
    for (what, headers) in [
        ("a page of another site", vec![("Origin", "https://evil.example"), ("Content-Type", "text/plain")]),
        ("a fetch from another site", vec![("Sec-Fetch-Site", "cross-site"), ("Content-Type", "text/plain")]),
        ("an opaque origin", vec![("Origin", "null"), ("Content-Type", "text/plain")]),
        ("a name that was bent to this address", vec![("Host", "evil.example"), ("Content-Type", "text/plain")]),
    ] {
        for path in ["/api/v1/import/prometheus", "/-/reload"] {
            let answer = daemon.post(path, &headers, body);
            assert_eq!(answer.status, 403, "{what} at {path}: {}", answer.text());
        }
    }
    let read = http::exchange(
        &daemon.address,
        &http::request(&daemon.address, "GET", "/api/v1/alerts", &[("Host", "evil.example")], b""),
    )
    .unwrap();
    assert_eq!(read.status, 403, "DNS rebinding reads nothing either: {}", read.text());
    let preflight = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "POST")];
    let answer =
        http::exchange(&daemon.address, &http::request(&daemon.address, "OPTIONS", "/-/reload", &preflight, b""))
            .unwrap();
    assert!(answer.header("access-control-allow-origin").is_none(), "{}", answer.head);
    let own = format!("http://{}", daemon.address);
    assert_eq!(daemon.post("/-/reload", &[("Origin", &own)], b"").status, 200);
    let local = format!("localhost:{}", daemon.address.rsplit(':').next().unwrap());
    assert_eq!(
        http::exchange(&daemon.address, &http::request(&daemon.address, "GET", "/-/ready", &[("Host", &local)], b""))
            .unwrap()
            .status,
        200
    );
    assert!(daemon.query("m").is_empty(), "nothing got in");
}

#[test]
fn malformed_requests_do_no_harm() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    let daemon = Daemon::start(&folder);
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /%00%ff/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"POST /api/v1/import/prometheus HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    ] {
        if let Ok(answer) = http::exchange(&daemon.address, bytes) {
            assert!((400..500).contains(&answer.status), "{bytes:?}: {}", answer.head);
        }
    }
    let long = format!("GET /?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(2 << 20));
    if let Ok(answer) = http::exchange(&daemon.address, long.as_bytes()) {
        assert!((400..500).contains(&answer.status), "{}", answer.head);
    }
    assert_eq!(daemon.get("/-/healthy").status, 200);
    let costly =
        format!("/api/v1/query?query={}", http::encoded(&format!("{}m{}", "(".repeat(20_000), ")".repeat(20_000))));
    let answer = daemon.get(&costly);
    assert!(matches!(answer.status, 400 | 414 | 431), "{}", answer.head);
    let form = format!("query={}", http::encoded(&format!("{}m{}", "(".repeat(3_000), ")".repeat(3_000))));
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(daemon.post("/api/v1/query", &headers, form.as_bytes()).status, 400, "too deep");
}

#[test]
fn a_thousand_idle_connections_leave_room_for_work() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    let daemon = Daemon::start(&folder);
    let mut idle = Vec::new();
    for i in 0..1000 {
        let Ok(mut stream) = TcpStream::connect(&daemon.address) else { break };
        // Half of them say a little and then nothing: slow loris.
        if i % 2 == 0 {
            let _ = stream.write_all(b"POST /api/v1/import/prometheus HTTP/1.1\r\nHost: localhost\r\nX-");
        }
        idle.push(stream);
    }
    assert!(idle.len() > 200, "{} connections", idle.len());
    daemon.out.all();
    until("somebody is still served", || http::get(&daemon.address, "/-/healthy").ok().filter(|r| r.status == 200));
    let before = instant();
    until("and can push", || {
        let request = http::request(
            &daemon.address,
            "POST",
            "/api/v1/import/prometheus",
            &[("Content-Type", "text/plain")],
            b"m 9\n",
        );
        http::exchange(&daemon.address, &request).ok().filter(|r| (200..300).contains(&r.status))
    });
    assert!(before.elapsed() < Duration::from_secs(20));
    daemon.out.wait("FIRING high");
    drop(idle);
    assert_eq!(daemon.get("/-/ready").status, 200);
}

#[test]
fn a_connection_that_says_nothing_is_closed_in_the_end() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    let daemon = Daemon::start(&folder);
    let mut stream = TcpStream::connect(&daemon.address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nX-").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    let mut rest = Vec::new();
    // The server's patience ends before ours: the stream ends, with or without a 408.
    stream.read_to_end(&mut rest).expect("closed by the server");
}

#[test]
fn labels_cannot_move_the_cursor_or_forge_a_line() {
    let folder = Folder::with(&[(
        "rules/a.yaml",
        "rules:\n  - name: high\n    metric: m\n    threshold: '> 5'\n    every: 1s\n    annotations: {summary: 'at {{ $labels.l }}'}\n",
    )]);
    let daemon = Daemon::start(&folder);
    let evil = "\u{1b}[2J\u{1b}]0;title\u{7}\rRESOLVED\u{202e}gnirif\u{9b}31m";
    let escaped = format!("{evil}\\nRESOLVED critical forged: 0");
    daemon.push(&format!("m{{l=\"{escaped}\"}} 9\n"));
    daemon.out.wait("FIRING high");
    until_true("the block is complete", || daemon.out.text().contains("rules/a.yaml"));
    daemon.wait_evaluations(2);
    for (name, text) in [("stdout", daemon.out.text()), ("the log", daemon.err.text())] {
        let acting: Vec<char> = text
            .chars()
            .filter(|c| (c.is_control() && *c != '\n' && *c != '\t') || matches!(*c, '\u{202a}'..='\u{202e}'))
            .collect();
        assert!(acting.is_empty(), "{name} holds {acting:?}");
        assert!(!text.lines().any(|line| line.starts_with("RESOLVED")), "{name}: a forged line:\n{text}");
    }
    let server = format!("http://{}", daemon.address);
    let listed = run(&folder, &["alerts", "--server", &server]).exits(0);
    assert!(!listed.out.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{:?}", listed.out);
    // The API keeps the truth.
    assert!(daemon.alert("high").unwrap()["labels"]["l"].as_str().unwrap().starts_with('\u{1b}'));
}

#[test]
fn a_template_that_explodes_or_fails_still_lets_the_alert_out() {
    let rules = r#"
defaults: {every: 1s}
rules:
  - name: boom
    metric: m
    threshold: "> 5"
    annotations:
      grows: '{{ range query "n" }}{{ range query "n" }}{{ range query "n" }}{{ range query "n" }}{{ range query "n" }}{{ range query "n" }}{{ . }} a long enough text to grow {{ end }}{{ end }}{{ end }}{{ end }}{{ end }}{{ end }}'
  - name: fails
    metric: m
    threshold: "> 5"
    annotations: {summary: '{{ query "sum(" | first | value }}', fine: 'value {{ $value }}'}
  - name: empty
    metric: m
    threshold: "> 5"
    annotations: {summary: '{{ query "absent_metric" | first | value }}'}
"#;
    let folder = Folder::with(&[("rules/a.yaml", rules)]);
    let daemon = Daemon::start(&folder);
    let mut text: String = (0..60).map(|i| format!("n{{i=\"{i}\"}} 1\n")).collect();
    text.push_str("m 9\n");
    daemon.push(&text);
    for rule in ["boom", "fails", "empty"] {
        daemon.out.wait(&format!("FIRING {rule}:"));
        let alert = daemon.wait_alert(rule, "firing");
        assert!(alert["annotations"].to_string().len() < 200_000, "{rule}");
        assert!(
            alert["annotations"].to_string().contains("error expanding template"),
            "{rule}: {:.500}",
            alert["annotations"].to_string()
        );
    }
    assert_eq!(daemon.alert("fails").unwrap()["annotations"]["fine"], "value 9");
    daemon.wait_evaluations(6);
    assert_eq!(daemon.metric("alertd_rules_failing"), Some(0.0));
}

#[test]
fn a_terminal_nobody_reads_stops_nothing() {
    let rules = "rules:\n  - name: many\n    metric: m\n    threshold: '> 5'\n    every: 1s\n    max_alerts: 5000\n    annotations: {filler: 'a text of some length that fills a pipe of 64 KiB soon enough'}\n";
    let folder = Folder::with(&[("rules/a.yaml", rules)]);
    let mut daemon = Daemon::launch_unread(command(&folder).arg("rules/"), free_port());
    daemon.wait_ready();
    let text: String = (0..3000).map(|i| format!("m{{i=\"{i}\"}} 9\n")).collect();
    daemon.push(&text);
    let firing = || daemon.metric("alertd_alerts{state=\"firing\"}").unwrap_or(0.0);
    until_true("all fire", || firing() >= 3000.0);
    daemon.wait_evaluations(4);
    daemon.push(&text.replace("} 9", "} 1"));
    until_true("they resolve", || firing() < 10.0);
    until_true("what was lost is counted", || daemon.metric_sum("alertd_dead_letters_total") > 0.0);
    // It also stops although its last words cannot be written.
    daemon.signal("TERM");
    let (_, took) = daemon.wait_end();
    assert!(took < Duration::from_secs(25), "SIGTERM took {took:?} with blocked streams");
}

#[test]
fn a_closed_stdout_stops_nothing() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    let mut daemon = Daemon::launch_unread(command(&folder).arg("rules/"), free_port());
    daemon.hang_up();
    daemon.wait_ready();
    daemon.push("m 9\n");
    daemon.wait_alert("high", "firing");
    daemon.push("m 1\n");
    until_true("it resolves", || daemon.alert("high").is_none());
    daemon.wait_evaluations(2);
}

#[test]
fn more_alerts_than_allowed_keep_those_that_fire_and_tell_the_count() {
    let rules = "rules:\n  - {name: many, metric: m, threshold: '> 5', every: 1s, max_alerts: 3}\n";
    let folder = Folder::with(&[("rules/a.yaml", rules)]);
    let daemon = Daemon::start(&folder);
    daemon.push("m{i=\"0\"} 9\nm{i=\"1\"} 9\nm{i=\"2\"} 9\n");
    until_true("three fire", || daemon.alerts().len() == 3);
    let text: String = (0..10).map(|i| format!("m{{i=\"{i}\"}} 9\n")).collect();
    daemon.push(&text);
    until_true("the true count is told", || {
        daemon.alerts().iter().any(|a| a.to_string().contains("10")) || daemon.out.text().contains("10")
    });
    for i in ["0", "1", "2"] {
        assert!(
            daemon.alerts().iter().any(|a| a["labels"]["i"] == i && a["state"] == "firing"),
            "{i}: {:#?}",
            daemon.alerts()
        );
    }
    assert_eq!(daemon.out.count("RESOLVED warning many"), 0, "{}", daemon.out.text());
}

#[test]
fn a_flood_of_series_is_bounded_and_alerts_go_on() {
    let folder = Folder::with(&[("rules/a.yaml", HIGH)]);
    let daemon = Daemon::start(&folder);
    daemon.push("m 9\n");
    daemon.wait_alert("high", "firing");
    for round in 0..10 {
        let text: String = (0..5_000).map(|i| format!("flood{{id=\"{round}-{i}\"}} {i}\n")).collect();
        daemon.push(&text);
    }
    daemon.push("m 10\n");
    until_true("the alert lives on", || daemon.alert("high").is_some_and(|a| value_of(&a) == 10.0));
    let kib = resident_kib(&daemon);
    assert!(kib < 300_000, "{kib} KiB for 50,000 series");
}
