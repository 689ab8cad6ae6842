//! A program under test: started in a folder of its own, measured from outside, stopped in the end.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Which program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Alertd,
    Prometheus,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Alertd => "alertd",
            Self::Prometheus => "prometheus",
        }
    }
}

/// The prometheus to compare with: `PROMETHEUS` names another than the one that `make peers` unpacks.
pub fn prometheus() -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/usr/bin/prometheus");
    let named = std::env::var_os("PROMETHEUS").map(PathBuf::from);
    named.into_iter().chain([unpacked, PathBuf::from("/usr/bin/prometheus")]).find(|path| path.exists())
}

/// A running program.
pub struct Program {
    pub kind: Kind,
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

impl Program {
    /// Starts it with an empty rule file; `None` where it is not there. `durable`: alertd stores samples on the disk, as
    /// Prometheus does in any case.
    pub fn start(kind: Kind, durable: bool) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        std::fs::create_dir(folder.path().join("rules")).expect("a folder");
        std::fs::write(folder.path().join("rules/rules.yml"), "groups: []\n").expect("a file");
        let mut command = match kind {
            Kind::Alertd => {
                let store =
                    format!("store: {{type: embedded, retention: 3h, durable: {durable}, max_series: 2000000}}");
                let config = format!("host_metrics: {{enabled: false}}\n{store}\n");
                std::fs::write(folder.path().join("alertd.yaml"), config).expect("a file");
                let mut command = Command::new(env!("CARGO_BIN_EXE_alertd"));
                command.args(["rules/", "--listen", &listen, "--log-level", "warn"]);
                command
            }
            Kind::Prometheus => {
                let config = "global: {evaluation_interval: 15s}\nrule_files: ['rules/*.yml']\n";
                std::fs::write(folder.path().join("prometheus.yml"), config).expect("a file");
                let mut command = Command::new(prometheus()?);
                command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=error"]);
                command.args(["--web.enable-remote-write-receiver", "--web.enable-lifecycle"]);
                command.arg(format!("--web.listen-address={listen}"));
                command
            }
        };
        let child = command.current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().ok()?;
        let program = Self { kind, child, port, folder };
        let begun = Instant::now();
        while program.request("GET", "/-/ready", &[], "").is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{} does not start", kind.name());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(program)
    }

    /// Puts other rules in the place of those it has.
    pub fn load(&self, rules: &str) {
        std::fs::write(self.folder.path().join("rules/rules.yml"), rules).expect("a file");
        if let Err(answer) = self.request("POST", "/-/reload", &[], "") {
            panic!("{} takes no rules: {answer:.500}", self.kind.name());
        }
    }

    /// Sends a remote-write request.
    pub fn write(&self, body: &[u8]) {
        let headers = "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n";
        if let Err(answer) = self.request("POST", "/api/v1/write", body, headers) {
            panic!("{} takes no samples: {answer:.500}", self.kind.name());
        }
    }

    /// The answer's body; the whole answer where its status is not 2xx.
    pub fn request(&self, method: &str, path: &str, body: &[u8], headers: &str) -> Result<String, String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).map_err(|error| error.to_string())?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-protobuf\r\n\
             {headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let mut text = String::new();
        stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body))
            .and_then(|()| stream.read_to_string(&mut text))
            .map_err(|error| error.to_string())?;
        match text.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 2") => Ok(body.to_owned()),
            _ => Err(text),
        }
    }

    /// Processor time so far, seconds; the system counts in hundredths.
    pub fn processor_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default().split(' ');
        fields.skip(12).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
    }

    pub fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
    }
}
