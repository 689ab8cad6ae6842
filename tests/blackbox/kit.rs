//! Runs `alertd` as a child process in a folder of its own, and waits for what it does.
//!
//! There are no fixed sleeps: everything waits for a condition, up to a deadline that is generous for slow machines.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::http::{self, Response};

/// How long a condition is waited for.
pub const DEADLINE: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(15);

/// Now, for deadlines.
#[allow(clippy::disallowed_methods)]
pub fn instant() -> Instant {
    Instant::now()
}

/// Now, in milliseconds since the epoch.
#[allow(clippy::disallowed_methods)]
pub fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Waits until `check` gives something; panics with `what` at the deadline.
#[track_caller]
pub fn until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let begun = instant();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(begun.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain until {what}");
        sleep(POLL);
    }
}

/// Waits until `check` holds.
#[track_caller]
pub fn until_true(what: &str, mut check: impl FnMut() -> bool) {
    until(what, || check().then_some(()));
}

/// A folder that is removed in the end.
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// An empty one.
    pub fn new() -> Self {
        Self(tempfile::Builder::new().prefix("alertd-blackbox-").tempdir().unwrap())
    }

    /// One with files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self::new();
        files.iter().for_each(|(path, text)| folder.write(path, text));
        folder
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A path in it.
    pub fn at(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    /// Writes a file, its folders too.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Every file and folder with size and time of change.
    pub fn listing(&self) -> BTreeMap<PathBuf, (u64, Option<SystemTime>)> {
        let mut all = BTreeMap::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let meta = entry.path().symlink_metadata().unwrap();
                if meta.is_dir() {
                    folders.push(entry.path());
                }
                all.insert(entry.path(), (meta.len(), meta.modified().ok()));
            }
        }
        all
    }
}

/// The command with an environment of its own: nothing of the developer's settings reaches it.
pub fn command(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_alertd"));
    command.current_dir(folder.path()).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path());
    command.env("LANG", "C.UTF-8").env("TZ", "UTC").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// What a command that ends has printed.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

impl Ran {
    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("no JSON on stdout ({e}): {self:#?}"))
    }

    /// Standard output, after the exit code was found to be this.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}

/// Runs `alertd` to its end.
#[track_caller]
pub fn run(folder: &Folder, args: &[&str]) -> Ran {
    finish(command(folder).args(args))
}

/// Runs a command to its end; one that does not end is killed and fails the test.
#[track_caller]
pub fn finish(command: &mut Command) -> Ran {
    let begun = instant();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (out, err) = (slurp(child.stdout.take().unwrap()), slurp(child.stderr.take().unwrap()));
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > DEADLINE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} did not end in {DEADLINE:?}; stderr: {}", err.join().unwrap());
        }
        sleep(POLL);
    };
    Ran { code: status.code(), out: out.join().unwrap(), err: err.join().unwrap(), took: begun.elapsed() }
}

fn slurp(mut stream: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        String::from_utf8_lossy(&all).into_owned()
    })
}

/// A port nobody listens on. Below the range that outgoing connections take, so that it stays free until it is used.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 12_000 + u16::try_from(std::process::id() % 64).unwrap() * 300;
    loop {
        let port = base + NEXT.fetch_add(1, Ordering::Relaxed) % 300;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The lines of a stream so far.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn follow(stream: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let kept = lines.clone();
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                kept.0.lock().unwrap().push(text);
                line.clear();
            }
        });
        lines
    }

    /// All of them.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// As one text.
    pub fn text(&self) -> String {
        self.all().join("\n")
    }

    /// How many contain the text.
    pub fn count(&self, text: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits for a line with all these words.
    #[track_caller]
    pub fn wait(&self, words: &str) -> String {
        let fits = |line: &&String| words.split(' ').all(|word| line.contains(word));
        until(&format!("a line has all of {words:?}"), || self.0.lock().unwrap().iter().find(fits).cloned())
    }
}

/// A running `alertd`; killed when dropped.
pub struct Daemon {
    child: Child,
    pub address: String,
    pub out: Lines,
    pub err: Lines,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- stdout of alertd\n{}\n--- its log\n{}", self.out.text(), self.err.text());
        }
    }
}

impl Daemon {
    /// Starts it on the folder's rules and waits until it is ready.
    #[track_caller]
    pub fn start(folder: &Folder) -> Self {
        let daemon = Self::spawn(folder, &["rules/"], free_port());
        daemon.wait_ready();
        daemon
    }

    /// Starts it on a port, without waiting.
    #[track_caller]
    pub fn spawn(folder: &Folder, args: &[&str], port: u16) -> Self {
        let mut command = command(folder);
        command.args(args);
        Self::launch(&mut command, port)
    }

    /// Starts a prepared command and reads what it prints.
    #[track_caller]
    pub fn launch(command: &mut Command, port: u16) -> Self {
        let mut daemon = Self::launch_unread(command, port);
        daemon.out = Lines::follow(daemon.child.stdout.take().unwrap());
        daemon.err = Lines::follow(daemon.child.stderr.take().unwrap());
        daemon
    }

    /// Starts a prepared command with pipes that stay open and that nobody reads.
    #[track_caller]
    pub fn launch_unread(command: &mut Command, port: u16) -> Self {
        let address = format!("127.0.0.1:{port}");
        command.args(["--listen", &address]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        Self { child, address, out: Lines::default(), err: Lines::default() }
    }

    /// Closes the reading ends of its streams.
    pub fn hang_up(&mut self) {
        drop(self.child.stdout.take());
        drop(self.child.stderr.take());
    }

    /// Waits for 200 from `/-/ready`.
    #[track_caller]
    pub fn wait_ready(&self) {
        until("alertd is ready", || http::get(&self.address, "/-/ready").ok().filter(|r| r.status == 200));
    }

    /// GET; the daemon must answer.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        http::get(&self.address, path).unwrap_or_else(|e| panic!("GET {path}: {e}"))
    }

    /// POST; the daemon must answer.
    #[track_caller]
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let request = http::request(&self.address, "POST", path, headers, body);
        http::exchange(&self.address, &request).unwrap_or_else(|e| panic!("POST {path}: {e}"))
    }

    /// Pushes samples in the Prometheus text format.
    #[track_caller]
    pub fn push(&self, text: &str) {
        let answer = self.post("/api/v1/import/prometheus", &[("Content-Type", "text/plain")], text.as_bytes());
        assert!((200..300).contains(&answer.status), "push refused: {} {}", answer.status, answer.text());
    }

    /// The alerts of the API, without those about itself: a slow machine may miss an evaluation.
    #[track_caller]
    pub fn alerts(&self) -> Vec<Value> {
        let all = self.get("/api/v1/alerts").json()["data"]["alerts"].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|alert| !own(&alert["labels"]["alertname"])).collect()
    }

    /// The alert of a rule, if it is active.
    #[track_caller]
    pub fn alert(&self, rule: &str) -> Option<Value> {
        self.alerts().into_iter().find(|alert| alert["labels"]["alertname"] == rule)
    }

    /// Waits until an alert of the rule is in this state.
    #[track_caller]
    pub fn wait_alert(&self, rule: &str, state: &str) -> Value {
        until(&format!("{rule} is {state}; alerts: {:?}", self.alerts()), || {
            self.alert(rule).filter(|alert| alert["state"] == state)
        })
    }

    /// The rules of the API, over all groups, without those that it runs on itself.
    #[track_caller]
    pub fn rules(&self) -> Vec<Value> {
        let answer = self.get("/api/v1/rules").json();
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        let all = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
        all.filter(|rule| !own(&rule["name"])).collect()
    }

    /// Names of the rules, sorted.
    #[track_caller]
    pub fn rule_names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.rules().iter().map(|rule| rule["name"].as_str().unwrap_or_default().to_owned()).collect();
        names.sort();
        names
    }

    /// The value of an own metric, written as it stands at `/metrics` (labels included).
    #[track_caller]
    pub fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics").text();
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.trim().parse().ok())
    }

    /// The sum of an own metric over its labels.
    #[track_caller]
    pub fn metric_sum(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with(['{', ' ']).then(|| rest.rsplit_once(' ')?.1.parse::<f64>().ok()).flatten()
        });
        values.sum()
    }

    /// The samples of an instant query: labels and value.
    #[track_caller]
    pub fn query(&self, expr: &str) -> Vec<(Value, f64)> {
        let answer = self.get(&format!("/api/v1/query?query={}", http::encoded(expr)));
        assert_eq!(answer.status, 200, "{expr}: {}", answer.text());
        let rows = answer.json()["data"]["result"].as_array().cloned().unwrap_or_default();
        let value = |row: &Value| row["value"][1].as_str().and_then(|v| v.parse().ok()).unwrap_or(f64::NAN);
        rows.iter().map(|row| (row["metric"].clone(), value(row))).collect()
    }

    /// Waits until a query gives exactly this one value.
    #[track_caller]
    pub fn wait_value(&self, expr: &str, value: f64) {
        until_true(&format!("{expr} is {value}, not {:?}", self.query(expr)), || {
            self.query(expr).first().is_some_and(|(_, got)| *got == value)
        });
    }

    /// Waits until the rules have been evaluated `n` more times.
    #[track_caller]
    pub fn wait_evaluations(&self, n: u32) {
        let target = self.metric_sum("alertd_evaluations_total") + f64::from(n);
        until_true("rules are evaluated", || self.metric_sum("alertd_evaluations_total") >= target);
    }

    /// Sends a signal by name.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let done = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(done.success(), "kill -{name}");
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with SIGKILL, at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for the end; how long it took and how it ended.
    #[track_caller]
    pub fn wait_end(&mut self) -> (ExitStatus, Duration) {
        let begun = instant();
        let status = until("alertd ends", || self.child.try_wait().unwrap());
        (status, begun.elapsed())
    }

    /// Asks it to stop, and waits.
    #[track_caller]
    pub fn stop(mut self) -> (Vec<String>, Vec<String>) {
        self.signal("TERM");
        let (status, _) = self.wait_end();
        assert_eq!(status.code(), Some(0), "stopped by SIGTERM");
        (self.out.all(), self.err.all())
    }
}

/// The value of an alert of the API, which is text there.
pub fn value_of(alert: &Value) -> f64 {
    alert["value"].as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}

/// Whether a name is that of a rule that alertd runs on itself.
pub fn own(name: &Value) -> bool {
    name.as_str().is_some_and(|name| name.starts_with("alertd_"))
}

/// A program of the Debian packages that `scripts/debian-packages.sh` unpacks, or of the PATH; without it the test
/// says so and is skipped, unless `ALERTD_REQUIRE_PEERS=1`.
pub fn peer(program: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_alertd")).parent().and_then(Path::parent).map(Path::to_owned);
    let mut folders: Vec<PathBuf> = target.into_iter().map(|t| t.join("peers/usr/bin")).collect();
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let found = folders.into_iter().map(|folder| folder.join(program)).find(|path| path.is_file());
    if found.is_none() {
        assert!(std::env::var("ALERTD_REQUIRE_PEERS").as_deref() != Ok("1"), "{program} is not there");
        eprintln!("skipped: {program} is not there; scripts/debian-packages.sh unpacks it");
    }
    found
}

/// The library that lies about the time; without it the test says so and is skipped.
pub fn faketime() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_alertd")).parent().and_then(Path::parent).map(Path::to_owned);
    let roots = target.into_iter().map(|target| target.join("peers/usr/lib")).chain([PathBuf::from("/usr/lib")]);
    let places = roots.filter_map(|root| std::fs::read_dir(root).ok()).flatten().flatten();
    let found = places.map(|place| place.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.is_file());
    if found.is_none() {
        assert!(std::env::var("ALERTD_REQUIRE_PEERS").as_deref() != Ok("1"), "libfaketime is not there");
        eprintln!("skipped: libfaketime is not there; scripts/debian-packages.sh unpacks it");
    }
    found
}

/// A process that is killed when dropped.
pub struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Peer {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Starts a program whose output nobody needs, and waits until it answers at the path.
    #[track_caller]
    pub fn start(program: &Path, args: &[&str], address: &str, path: &str) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let peer = Self(command.spawn().unwrap());
        until(&format!("{program:?} answers"), || http::get(address, path).ok().filter(|r| r.status == 200));
        peer
    }
}
