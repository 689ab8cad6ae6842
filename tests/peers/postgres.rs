//! A real PostgreSQL server of a test's own: on a free port of this machine, with its data in a folder that goes with it.
//!
//! `scripts/debian-packages.sh` unpacks it. It refuses to run as root and then runs as another user.

#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::panic, reason = "a test")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Whom it runs as where the test runs as root: nobody.
const NOBODY: u32 = 65_534;
const USER: &str = "alertd";

/// A server that ends with this.
pub struct Server {
    child: Child,
    dir: tempfile::TempDir,
    bin: PathBuf,
    libraries: PathBuf,
    /// Whether a power cut would lose nothing.
    durable: bool,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
}

/// The programs, and the libraries that were unpacked beside them.
fn programs() -> Option<(PathBuf, PathBuf)> {
    let exe = std::env::current_exe().ok()?;
    let unpacked = exe.ancestors().map(|dir| dir.join("peers")).find(|dir| dir.is_dir());
    let roots = unpacked.into_iter().chain([PathBuf::from("/")]);
    let mut found = roots.filter_map(|root| {
        let versions = std::fs::read_dir(root.join("usr/lib/postgresql")).ok()?.flatten();
        let bin =
            versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("postgres").is_file()).max()?;
        let mut folders = std::fs::read_dir(root.join("usr/lib")).ok()?.flatten().map(|entry| entry.path());
        let libraries = folders.find(|dir| dir.to_string_lossy().ends_with("-linux-gnu"));
        Some((bin, libraries.unwrap_or_else(|| root.join("usr/lib"))))
    });
    let found = found.next();
    if found.is_none() {
        assert!(std::env::var("ALERTD_REQUIRE_PEERS").as_deref() != Ok("1"), "PostgreSQL is not there");
        eprintln!("skipped: PostgreSQL is not there; scripts/debian-packages.sh unpacks it");
    }
    found
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

/// A command as somebody who is not root. Where the programs lie in a folder that is root's alone, a name space in which
/// root has another number does.
fn unprivileged(program: &Path, libraries: &Path) -> Command {
    let mut command = if !is_root() {
        Command::new(program)
    } else if may_run(program) {
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={NOBODY}")).arg(format!("--regid={NOBODY}")).arg("--clear-groups").arg(program);
        command
    } else {
        let mut command = Command::new("unshare");
        command.args(["--user", &format!("--map-user={NOBODY}"), &format!("--map-group={NOBODY}"), "--"]).arg(program);
        command
    };
    command.env("LD_LIBRARY_PATH", libraries).env("LC_ALL", "C").env_remove("PGDATA");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Whether it runs here at all. Of a machine without a library that it needs that is no secret.
fn can_run(program: &Path, libraries: &Path) -> bool {
    unprivileged(program, libraries).arg("--version").status().is_ok_and(|status| status.success())
}

/// Whether nobody may run it. Asked of a program that runs as that user: the step to it is still root's.
fn may_run(program: &Path) -> bool {
    let user = format!("--reuid={NOBODY}");
    let mut command = Command::new("setpriv");
    command.args([user.as_str(), "--clear-groups", "test", "-x"]).arg(program);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

impl Server {
    /// A new one; none where there is no PostgreSQL.
    pub fn start() -> Option<Self> {
        Self::start_with(None, false)
    }

    /// One that syncs what it stores to the disk, as in service.
    pub fn start_durable() -> Option<Self> {
        Self::start_with(None, true)
    }

    /// One that takes encrypted connections, with a certificate and its key in PEM.
    pub fn start_encrypted(certificate: &str, key: &str) -> Option<Self> {
        Self::start_with(Some((certificate, key)), false)
    }

    fn start_with(certificate: Option<(&str, &str)>, durable: bool) -> Option<Self> {
        let (bin, libraries) = programs()?;
        if !can_run(&bin.join("postgres"), &libraries) {
            assert!(std::env::var("ALERTD_REQUIRE_PEERS").as_deref() != Ok("1"), "PostgreSQL does not run here");
            eprintln!(
                "skipped: PostgreSQL runs as nobody here: not as root, and no other user may read {}",
                bin.display()
            );
            return None;
        }
        let dir = tempfile::Builder::new().prefix("alertd-postgres-").tempdir().unwrap();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).unwrap();
        if is_root() && may_run(&bin.join("postgres")) {
            std::os::unix::fs::chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            std::os::unix::fs::chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut initdb = unprivileged(&bin.join("initdb"), &libraries);
        initdb.arg("-D").arg(&data).args(["-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]);
        let made = initdb.stderr(Stdio::piped()).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        if let Some((certificate, key)) = certificate {
            for (name, text) in [("server.crt", certificate), ("server.key", key)] {
                let path = data.join(name);
                std::fs::write(&path, text).unwrap();
                std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
                let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&data).unwrap());
                std::os::unix::fs::chown(&path, Some(owner), None).unwrap();
            }
            let settings = std::fs::read_to_string(data.join("postgresql.conf")).unwrap();
            std::fs::write(data.join("postgresql.conf"), settings + "\nssl = on\n").unwrap();
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = spawn((&bin, &libraries), &data, port, durable);
        let server = Self { child, dir, bin, libraries, durable, port };
        server.wait();
        Some(server)
    }

    /// A URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs statements in a database; the first column of the rows of the last one that has some.
    pub fn run(&self, database: &str, sql: &str) -> Vec<String> {
        self.try_run(database, sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    fn try_run(&self, database: &str, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.url(database), tokio_postgres::NoTls).await?;
            tokio::spawn(connection);
            let messages = client.simple_query(sql).await?;
            let rows = messages.iter().filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
                _ => None,
            });
            Ok(rows.collect())
        })
    }

    /// A database of that name, and its URL.
    pub fn database(&self, name: &str) -> String {
        self.run("postgres", &format!("CREATE DATABASE {name}"));
        self.url(name)
    }

    fn wait(&self) {
        for _ in 0..600 {
            if self.try_run("postgres", "SELECT 1").is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("PostgreSQL does not start");
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        self.signal("QUIT");
        let _ = self.child.wait();
    }

    /// Starts it again on its data and port.
    pub fn start_again(&mut self) {
        let data = self.dir.path().join("data");
        self.child = spawn((&self.bin, &self.libraries), &data, self.port, self.durable);
        self.wait();
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap();
    }
}

fn spawn((bin, libraries): (&Path, &Path), data: &Path, port: u16, durable: bool) -> Child {
    let mut command = unprivileged(&bin.join("postgres"), libraries);
    command.arg("-D").arg(data).arg("-k").arg(data.parent().unwrap());
    let fsync = if durable { "fsync=on" } else { "fsync=off" };
    for setting in ["listen_addresses=127.0.0.1", fsync, "jit=off", "max_connections=50"] {
        command.args(["-c", setting]);
    }
    command.args(["-p", &port.to_string()]).spawn().unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        // setpriv and unshare become the program: the child is the server, which ends its own children.
        self.kill();
    }
}
