//! Remote write from outside: a real Prometheus, and bodies that nobody should send.

use std::time::Duration;

use crate::exporter::{Answer, Exporter};
use crate::kit::{Daemon, Folder, Peer, free_port, instant, now_ms, peer, until};

const CONFIG: &str = "host_metrics: {enabled: false}\nevaluation_interval: 1s\n";
const HANDLER: &str = "handlers:\n  - {name: screen, type: console, format: json}\n";

fn folder(rules: &str) -> Folder {
    Folder::with(&[("alertd.yaml", CONFIG), ("rules/a.yaml", rules), ("handlers/h.yaml", HANDLER)])
}

/// A Prometheus that scrapes each second and sends on to alertd.
pub fn prometheus(folder: &Folder, target: &str, alertd: &str) -> Option<(Peer, String)> {
    let program = peer("prometheus")?;
    let address = format!("127.0.0.1:{}", free_port());
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs: [{{job_name: app, static_configs: [{{targets: ['{target}']}}]}}]\n\
         remote_write:\n  - url: http://{alertd}/api/v1/write\n    queue_config: {{batch_send_deadline: 1s, min_backoff: 100ms, max_backoff: 500ms}}\n    metadata_config: {{send_interval: 1s}}\n"
    );
    folder.write("prometheus.yml", config);
    let (file, data) = (folder.at("prometheus.yml"), folder.at("prometheus-data"));
    let args = [
        format!("--config.file={}", file.display()),
        format!("--storage.tsdb.path={}", data.display()),
        format!("--web.listen-address={address}"),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Some((Peer::start(&program, &args, &address, "/-/ready"), address))
}

#[test]
fn a_real_prometheus_sends_what_it_scrapes_and_a_rule_fires_on_it() {
    let target = Exporter::start(Answer::text(
        "# HELP queue_length Waiting jobs.\n# TYPE queue_length gauge\nqueue_length{queue=\"mail\"} 70\n",
    ));
    let folder = folder("rules:\n  - {name: queue_long, metric: queue_length, threshold: '> 50'}\n");
    let daemon = Daemon::start(&folder);
    let Some(_peer) = prometheus(&folder, &target.address, &daemon.address) else { return };
    let alert = daemon.wait_alert("queue_long", "firing");
    assert_eq!(alert["labels"]["queue"], "mail");
    assert_eq!(alert["labels"]["job"], "app");
    daemon.wait_value("up", 1.0);
    let about = until("metadata", || {
        let all = daemon.get("/api/v1/metadata?metric=queue_length").json();
        all["data"]["queue_length"][0]["help"].as_str().map(str::to_owned)
    });
    assert_eq!(about, "Waiting jobs.");
    // The target shows the series no more: its stale mark comes over the wire, and the alert resolves at once.
    target.set(Answer::text("other 1\n"));
    let begun = instant();
    until("the alert is resolved", || daemon.alert("queue_long").is_none().then_some(()));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(daemon.metric("alertd_remote_write_requests_total{result=\"malformed\"}").unwrap_or(0.0), 0.0);
}

#[test]
fn a_real_prometheus_goes_on_sending_over_a_restart_and_windows_see_both_sides() {
    let target = Exporter::start(Answer::text("# TYPE jobs_total counter\njobs_total 70\n"));
    let folder = folder("rules: []\n");
    let port = free_port();
    let mut daemon = Daemon::spawn(&folder, &["rules/"], port);
    daemon.wait_ready();
    let Some(_peer) = prometheus(&folder, &target.address, &daemon.address) else { return };
    let count =
        |daemon: &Daemon| daemon.query("count_over_time(jobs_total[10m])").first().map_or(0.0, |(_, value)| *value);
    until("five samples", || (count(&daemon) >= 5.0).then_some(()));
    let stored = daemon.metric("alertd_samples_stored_total").unwrap_or(0.0);
    until("they are stored", || {
        daemon.metric("alertd_samples_stored_total").filter(|now| *now > stored + 10.0).map(drop)
    });
    daemon.kill();
    let daemon = Daemon::spawn(&folder, &["rules/"], port);
    daemon.wait_ready();
    let after = count(&daemon);
    assert!(after >= 5.0, "{after} samples after the restart");
    // The sender repeats what it got no answer to, and goes on: nothing is refused.
    until("new samples", || (count(&daemon) >= after + 5.0).then_some(()));
    assert_eq!(daemon.metric("alertd_remote_write_requests_total{result=\"partial\"}").unwrap_or(0.0), 0.0);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn field(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Labels, time and value of one sample.
type One<'a> = (&'a [(&'a str, &'a str)], i64, f64);

/// A 1.0 message of series with one sample each.
fn message(series: &[One<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (labels, t_ms, value) in series {
        let mut one = Vec::new();
        for (name, text) in *labels {
            let mut label = Vec::new();
            field(&mut label, 1, name.as_bytes());
            field(&mut label, 2, text.as_bytes());
            field(&mut one, 1, &label);
        }
        let mut sample = vec![0x09];
        sample.extend_from_slice(&value.to_le_bytes());
        sample.push(0x10);
        varint(&mut sample, t_ms.cast_unsigned());
        field(&mut one, 2, &sample);
        field(&mut out, 1, &one);
    }
    out
}

/// Snappy without compression: the length, and literals of at most 60 bytes.
fn snappy(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, message.len() as u64);
    for part in message.chunks(60) {
        out.push(((part.len() - 1) << 2) as u8);
        out.extend_from_slice(part);
    }
    out
}

const HEADERS: &[(&str, &str)] = &[
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];

#[test]
fn hostile_remote_writes_are_refused_with_a_reason_and_cost_no_memory() {
    let folder = folder("rules: []\n");
    let daemon = Daemon::start(&folder);
    let now = now_ms();
    let good = message(&[(&[("__name__", "m"), ("a", "1")], now, 1.0)]);
    let post = |body: &[u8]| daemon.post("/api/v1/write", HEADERS, body);
    let mut deep = snappy(&good);
    deep.truncate(deep.len() - 3);
    let mut garbled = good.clone();
    garbled[1] = 0xff;
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("no snappy", b"hello, world".to_vec(), 400, "snappy"),
        ("torn snappy", deep, 400, "snappy"),
        ("4 GiB declared", b"\xff\xff\xff\xff\x0f".to_vec(), 413, "4294967295 bytes"),
        ("no protobuf", snappy(b"hello, world"), 400, "of the message"),
        ("torn protobuf", snappy(&garbled), 400, "of the message"),
        ("100 MB", vec![0; 100 << 20], 413, "longer than"),
        (
            "one label twice",
            snappy(&message(&[(&[("__name__", "m"), ("a", "1"), ("a", "2")], now, 1.0)])),
            400,
            "stands twice",
        ),
        ("no name", snappy(&message(&[(&[("a", "1")], now, 1.0)])), 400, "no metric name"),
        ("far future", snappy(&message(&[(&[("__name__", "m")], now + 86_400_000, 1.0)])), 400, "future"),
        ("long ago", snappy(&message(&[(&[("__name__", "m")], 1000, 1.0)])), 400, "older"),
    ];
    for (what, body, status, said) in cases {
        let answer = post(&body);
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        assert!(answer.text().contains(said), "{what}: {}", answer.text());
    }
    // Labels and samples out of order are taken.
    assert_eq!(post(&snappy(&message(&[(&[("b", "2"), ("__name__", "late")], now, 1.0)]))).status, 204);
    assert_eq!(post(&snappy(&message(&[(&[("b", "2"), ("__name__", "late")], now - 60_000, 2.0)]))).status, 204);
    daemon.wait_value("count_over_time(late[5m])", 2.0);
    let resident = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap_or_default();
    let kib = resident.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse::<u64>().ok());
    assert!(kib.is_none_or(|kib| kib < 200_000), "{kib:?} KiB at most");
}
