//! Delivery from outside: notices a second through five webhooks, and the time from a condition to its webhook, beside
//! Debian's prometheus and alertmanager on the same alerts in the same run.
//!
//! `cargo bench --bench delivery`, with `-- storm` or `-- times` one part. The pair is taken from `target/peers` (`make peers`); without it alertd runs alone.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark measures real time and tells its figures"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The storms: one alert a message, many a message, and one that a limit makes a digest of.
const STORMS: [Storm; 4] = [
    Storm { rules: 1, alerts: 2_000, groups: 2_000, handlers: 5, keys: "" },
    Storm { rules: 1, alerts: 10_000, groups: 1_000, handlers: 1, keys: "" },
    Storm { rules: 10_000, alerts: 10_000, groups: 1_000, handlers: 5, keys: ", rate_limit: 3000/m" },
    Storm { rules: 1, alerts: 10_000, groups: 1_000, handlers: 1, keys: ", rate_limit: 30/m, over_limit: digest" },
];
/// Alerts whose way is timed.
const TIMED: usize = 150;
/// Evaluation and scrape interval of both.
const INTERVAL: Duration = Duration::from_secs(1);

/// Arrivals by path and alert, and what the scraped page says.
#[derive(Default)]
struct Seen {
    arrivals: BTreeMap<(String, String), Instant>,
    requests: BTreeMap<String, usize>,
    page: BTreeMap<usize, f64>,
    /// When the last message came.
    last: Option<Instant>,
}

type Shared = Arc<Mutex<Seen>>;

/// A server that shows the page and takes webhooks.
fn serve(shared: &Shared) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || while answer(&stream, &shared).is_some() {});
        }
    });
    port
}

fn answer(stream: &TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let at = Instant::now();
    let mut seen = shared.lock().expect("no panic");
    let answer = if path == "/metrics" {
        seen.page.iter().map(|(i, value)| format!("job_state{{i=\"{i}\"}} {value}\n")).collect()
    } else {
        *seen.requests.entry(path.clone()).or_default() += 1;
        seen.last = Some(at);
        let json: serde_json::Value = serde_json::from_slice(&body).ok()?;
        for alert in json["alerts"].as_array()? {
            if alert["status"] == "firing" {
                let i = alert["labels"]["i"].as_str()?.to_owned();
                seen.arrivals.entry((path.clone(), i)).or_insert(at);
            }
        }
        String::new()
    };
    drop(seen);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", answer.len());
    // In one piece: the second of two would wait until the peer has acknowledged the first.
    let mut stream = stream;
    stream.write_all((head + &answer).as_bytes()).ok()
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port()
}

fn start(program: &Path, args: &[String], folder: &Path) -> Running {
    let child = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    Running(child)
}

fn request(port: u16, method: &str, path: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.starts_with("HTTP/1.1 200").then_some(text)
}

fn wait(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    std::fs::write(path, text).expect("a file");
}

fn alertd(folder: &Path, extra: &str) -> (Running, u16) {
    let port = free_port();
    write(folder, "alertd.yaml", &format!("host_metrics: {{enabled: false}}\nevaluation_interval: 1s\n{extra}"));
    let args = ["rules/", "--listen", &format!("127.0.0.1:{port}"), "--log-level", "warn"].map(str::to_owned);
    let running = start(Path::new(env!("CARGO_BIN_EXE_alertd")), &args, folder);
    wait("alertd is ready", Duration::from_secs(20), || request(port, "GET", "/-/ready", "").is_some());
    (running, port)
}

fn resident_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

/// A storm that is measured.
struct Storm {
    /// Each has as many of the alerts.
    rules: usize,
    alerts: usize,
    /// Alerts of equal `group` are one message.
    groups: usize,
    handlers: usize,
    /// Further keys of each handler.
    keys: &'static str,
}

/// Many alerts in one slot: when the first message comes, when everything is told, and at what memory.
fn storm(storm: &Storm) {
    let Storm { rules, alerts, groups, handlers, keys } = *storm;
    let (shared, folder) = (Shared::default(), tempfile::tempdir().expect("a folder"));
    let sink = serve(&shared);
    let handler = |n| format!("  - {{name: h{n}, type: webhook, url: 'http://127.0.0.1:{sink}/{n}'{keys}}}\n");
    let written: String = (0..handlers).map(handler).collect();
    let route = "route: {group_by: [group], group_wait: 0s, group_interval: 1s}\n";
    write(folder.path(), "handlers/h.yaml", &format!("handlers:\n{written}{route}"));
    let rule =
        |n| format!("  - {{name: storm{n}, metric: job_state_{n}, threshold: '> 0', every: 1s, max_alerts: 100000}}\n");
    write(folder.path(), "rules/r.yaml", &format!("rules:\n{}", (0..rules).map(rule).collect::<String>()));
    let (running, port) = alertd(folder.path(), "");
    let sample = |i| format!("job_state_{}{{i=\"{i}\",group=\"{}\"}} 1\n", i % rules, i % groups);
    let body: String = (0..alerts).map(sample).collect();
    let begun = Instant::now();
    request(port, "POST", "/api/v1/import/prometheus", &body).expect("samples are taken");
    let count = || shared.lock().expect("no panic").arrivals.len();
    wait("the first arrives", Duration::from_secs(60), || count() > 0);
    let first = begun.elapsed();
    // A digest counts what it does not name: it is over when nothing has come for longer than from one to the next.
    let digests = keys.contains("digest");
    let over = |last: Option<Instant>| last.is_some_and(|last| last.elapsed() > Duration::from_secs(40));
    wait("everything is told", Duration::from_secs(600), || {
        count() == alerts * handlers || digests && over(shared.lock().expect("no panic").last)
    });
    let all = shared.lock().expect("no panic").last.map_or_else(|| begun.elapsed(), |last| last - begun);
    let told = shared.lock().expect("no panic").requests.values().sum::<usize>();
    println!(
        "storm: {alerts} alerts of {rules} rules and one slot in {groups} groups to {handlers} webhooks{keys}: first after {:.2} s, {} alerts told \
         by {told} messages after {:.2} s ({:.0} messages/s), peak {:.0} MiB",
        first.as_secs_f64(),
        count(),
        all.as_secs_f64(),
        told as f64 / all.as_secs_f64(),
        resident_mib(running.0.id()),
    );
}

fn peer(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    [root.join("target/peers/usr/bin").join(name), PathBuf::from("/usr/bin").join(name)]
        .into_iter()
        .find(|p| p.exists())
}

/// Debian's pair, scraping the same page and telling the same sink.
fn pair(folder: &Path, sink: u16) -> Option<[Running; 2]> {
    let (prometheus, alertmanager) = (peer("prometheus")?, peer("prometheus-alertmanager")?);
    let (prom_port, am_port) = (free_port(), free_port());
    write(
        folder,
        "prometheus.yml",
        &format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [prom-rules.yml]\nalerting: {{alertmanagers: \
             [{{static_configs: [{{targets: ['127.0.0.1:{am_port}']}}]}}]}}\nscrape_configs: [{{job_name: app, static_configs: \
             [{{targets: ['127.0.0.1:{sink}']}}]}}]\n"
        ),
    );
    write(folder, "prom-rules.yml", "groups: [{name: g, rules: [{alert: job, expr: job_state > 0}]}]\n");
    write(
        folder,
        "am.yml",
        &format!(
            "route: {{receiver: sink, group_by: ['...'], group_wait: 0s, group_interval: 1s}}\nreceivers: [{{name: sink, \
             webhook_configs: [{{url: 'http://127.0.0.1:{sink}/pair'}}]}}]\n"
        ),
    );
    // Debian's program looks for its templates below /usr/share alone: unpacked and not installed, it is given the
    // package's folder in their place, in a name space of its own.
    let installed = Path::new("/usr/share/prometheus/alertmanager/default.tmpl").exists();
    let share = alertmanager.parent()?.with_file_name("share");
    let mount = if installed { String::new() } else { format!("mount --bind {} /usr/share && ", share.display()) };
    let script = format!(
        "{mount}exec {} --config.file=am.yml --storage.path=am-data --web.listen-address=127.0.0.1:{am_port} \
         --cluster.listen-address=",
        alertmanager.display()
    );
    let am = if installed {
        start(Path::new("sh"), &["-c".to_owned(), script], folder)
    } else {
        start(Path::new("unshare"), &["-rm", "sh", "-c", &script].map(str::to_owned), folder)
    };
    let prom = start(
        &prometheus,
        &[
            "--config.file=prometheus.yml".to_owned(),
            "--storage.tsdb.path=prom-data".to_owned(),
            format!("--web.listen-address=127.0.0.1:{prom_port}"),
        ],
        folder,
    );
    for (what, port) in [("alertmanager", am_port), ("prometheus", prom_port)] {
        wait(what, Duration::from_secs(60), || request(port, "GET", "/-/ready", "").is_some());
    }
    Some([am, prom])
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = ((sorted.len() as f64 - 1.0) * q).ceil() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// From the instant at which a value changes to the arrival of its webhook.
fn times() {
    let (shared, folder) = (Shared::default(), tempfile::tempdir().expect("a folder"));
    let sink = serve(&shared);
    let rule = "rules: [{name: job, metric: job_state, threshold: '> 0', every: 1s}]\n";
    let scraped = folder.path().join("scraped");
    let pushed = folder.path().join("pushed");
    for (dir, path) in [(&scraped, "scraped"), (&pushed, "pushed")] {
        write(dir, "rules/r.yaml", rule);
        write(
            dir,
            "handlers/h.yaml",
            &format!("handlers: [{{name: h, type: webhook, url: 'http://127.0.0.1:{sink}/{path}'}}]\n"),
        );
    }
    shared.lock().expect("no panic").page.extend((0..TIMED).map(|i| (i, 0.0)));
    let scrape = format!(
        "scrape_configs: [{{job_name: app, scrape_interval: 1s, scrape_timeout: 1s, static_configs: [{{targets: ['127.0.0.1:{sink}']}}]}}]\n"
    );
    let (_scraping, _) = alertd(&scraped, &scrape);
    let (_pushing, push_port) = alertd(&pushed, "");
    let pair = pair(folder.path(), sink);
    std::thread::sleep(Duration::from_secs(5));
    let mut begun: BTreeMap<usize, Instant> = BTreeMap::new();
    let mut random = 12_345u64;
    for i in 0..TIMED {
        // Spread over the phases of the interval.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(100 + (random >> 33) % 300));
        begun.insert(i, Instant::now());
        shared.lock().expect("no panic").page.insert(i, 1.0);
        request(push_port, "POST", "/api/v1/import/prometheus", &format!("job_state{{i=\"{i}\"}} 1\n")).expect("taken");
    }
    std::thread::sleep(Duration::from_secs(12));
    let seen = shared.lock().expect("no panic");
    let interval = INTERVAL.as_secs_f64();
    let mut rows = vec![("alertd, pushed", "/pushed"), ("alertd, scraped", "/scraped")];
    if pair.is_some() {
        rows.push(("prometheus + alertmanager, scraped", "/pair"));
    } else {
        println!("condition to webhook: no prometheus and alertmanager here; `make peers` unpacks them");
    }
    for (what, path) in rows {
        let arrived = |i: &usize| seen.arrivals.get(&(path.to_owned(), i.to_string()));
        let mut took: Vec<f64> = begun.iter().filter_map(|(i, at)| Some((*arrived(i)? - *at).as_secs_f64())).collect();
        took.sort_by(f64::total_cmp);
        println!(
            "condition to webhook, interval {interval} s, {what}: {} of {TIMED} arrived, p50 {:.3} s, p99 {:.3} s, max {:.3} s",
            took.len(),
            quantile(&took, 0.5),
            quantile(&took, 0.99),
            took.last().copied().unwrap_or(f64::NAN),
        );
    }
}

fn main() {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    if wanted("storm") {
        STORMS.iter().for_each(storm);
    }
    if wanted("times") {
        times();
    }
}
