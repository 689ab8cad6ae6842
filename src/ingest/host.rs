//! Metrics of the machine itself: CPU, memory, swap, disks, load, network, uptime.
//!
//! Place in the flow: collected on an interval by the app, which gives the samples their time. Disks are read on a
//! thread of their own, because asking a dead network mount can block for ever; then the last reading stands for
//! [`DISK_STALE_MAX`] and after that nothing does. Never reads a clock: `elapsed` is an argument.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use sysinfo::{CpuRefreshKind, DiskRefreshKind, Disks, MemoryRefreshKind, Networks, RefreshKind, System};
use thiserror::Error;

use crate::model::Labels;
use crate::model::labels::METRIC_NAME;

/// How long a collection waits for the disks.
pub const DISK_DEADLINE: Duration = Duration::from_millis(500);
/// How long the last reading of the disks stands while a mount hangs.
pub const DISK_STALE_MAX: Duration = Duration::from_secs(60);
/// Most disks and most network devices told; machines with more have them made by containers.
pub const DEVICES_MAX: usize = 256;

/// Two readings of the CPU nearer than this say nothing.
const CPU_SPAN_MIN: Duration = Duration::from_millis(200);
const MIB: f64 = 1_048_576.0;

/// File systems that hold no data of their own or cannot fill up.
const PSEUDO: [&str; 22] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "rootfs",
    "securityfs",
    "squashfs",
    "sysfs",
    "tracefs",
];

/// What is collected beside the fixed set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostOptions {
    /// `system.cpu_core_percent{cpu}` too: a name of its own, so that a rule on `system.cpu_percent` means the machine.
    pub per_core: bool,
}

/// Why the collector cannot start.
#[derive(Debug, Error)]
pub enum HostError {
    /// The operating system is not one the readings are known for, or refuses them.
    #[error("cannot read host metrics: {0}")]
    Unreadable(String),
    /// The thread for the disks cannot be started.
    #[error("cannot start the disk thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Collects the metrics of the machine.
pub struct HostCollector {
    options: HostOptions,
    system: System,
    networks: Networks,
    disks: DiskReader,
    cpu_read_at: Duration,
    cpu_shown: bool,
}

type Reading = Vec<(Labels, f64)>;

impl HostCollector {
    /// Takes the first reading of the CPU, which shows nothing until there is a second. `elapsed` is the time since any
    /// fixed instant.
    pub fn new(options: HostOptions, elapsed: Duration) -> Result<Self, HostError> {
        let unreadable = |e: sysinfo::Error| HostError::Unreadable(format!("{e:?}"));
        let kinds = RefreshKind::nothing()
            .with_cpu(CpuRefreshKind::nothing().with_usage())
            .with_memory(MemoryRefreshKind::everything());
        let system = System::new_with_specifics(kinds).map_err(unreadable)?;
        let networks = Networks::new().map_err(unreadable)?;
        let disks = DiskReader::spawn(read_disks)?;
        Ok(Self { options, system, networks, disks, cpu_read_at: elapsed, cpu_shown: false })
    }

    /// One reading of everything: label sets with `__name__`, sorted. Waits at most [`DISK_DEADLINE`].
    pub fn collect(&mut self, elapsed: Duration) -> Vec<(Labels, f64)> {
        let mut out = Vec::with_capacity(64);
        self.disks.ask();
        self.cpu(elapsed, &mut out);
        self.memory(&mut out);
        self.network(&mut out);
        machine(&mut out);
        self.disks.answer(elapsed, &mut out);
        out.sort_by(|(a, _), (b, _)| a.cmp(b));
        out
    }

    fn cpu(&mut self, elapsed: Duration, out: &mut Reading) {
        if elapsed.saturating_sub(self.cpu_read_at) >= CPU_SPAN_MIN {
            self.system.refresh_cpu_usage();
            (self.cpu_read_at, self.cpu_shown) = (elapsed, true);
        }
        if !self.cpu_shown {
            return;
        }
        put(out, "system.cpu_percent", &[], f64::from(self.system.global_cpu_usage()));
        put(out, "system.cpu_count", &[], self.system.cpus().len() as f64);
        if self.options.per_core {
            for (core, cpu) in self.system.cpus().iter().enumerate() {
                put(out, "system.cpu_core_percent", &[("cpu", &core.to_string())], f64::from(cpu.usage()));
            }
        }
    }

    fn memory(&mut self, out: &mut Reading) {
        self.system.refresh_memory();
        let total = self.system.total_memory() as f64;
        let used = total - (self.system.available_memory() as f64).min(total);
        put(out, "system.memory_total_mb", &[], total / MIB);
        put(out, "system.memory_used_mb", &[], used / MIB);
        if total > 0.0 {
            put(out, "system.memory_percent", &[], used / total * 100.0);
        }
        let swap = self.system.total_swap() as f64;
        // A machine without swap has none of it in use.
        let share = if swap > 0.0 { self.system.used_swap() as f64 / swap * 100.0 } else { 0.0 };
        put(out, "system.swap_percent", &[], share);
    }

    fn network(&mut self, out: &mut Reading) {
        self.networks.refresh(true);
        let mut devices: Vec<_> = self.networks.iter().collect();
        devices.sort_by_key(|(name, _)| *name);
        for (name, data) in devices.into_iter().take(DEVICES_MAX) {
            let name = name.to_string_lossy();
            let device = [("device", &*name)];
            put(out, "system.network_receive_bytes_total", &device, data.total_received() as f64);
            put(out, "system.network_transmit_bytes_total", &device, data.total_transmitted() as f64);
            put(out, "system.network_receive_errors_total", &device, data.total_errors_on_received() as f64);
            put(out, "system.network_transmit_errors_total", &device, data.total_errors_on_transmitted() as f64);
        }
    }
}

fn machine(out: &mut Reading) {
    if let Ok(load) = System::load_average() {
        put(out, "system.load1", &[], load.one);
        put(out, "system.load5", &[], load.five);
        put(out, "system.load15", &[], load.fifteen);
    }
    if let Ok(uptime) = System::uptime() {
        put(out, "system.uptime_seconds", &[], uptime as f64);
    }
    // Counting the numbered folders costs a directory listing; reading every process would cost a file each.
    #[cfg(target_os = "linux")]
    if let Ok(entries) = std::fs::read_dir("/proc") {
        let numbered = |name: std::ffi::OsString| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        put(out, "system.processes", &[], entries.flatten().filter(|e| numbered(e.file_name())).count() as f64);
    }
}

fn put(out: &mut Reading, name: &str, labels: &[(&str, &str)], value: f64) {
    if value.is_finite() {
        let pairs = std::iter::once((METRIC_NAME, name)).chain(labels.iter().copied());
        out.push((Labels::from_pairs(pairs), value));
    }
}

fn read_disks() -> Reading {
    let kind = DiskRefreshKind::nothing().with_storage();
    let Ok(disks) = Disks::new_with_refreshed_list_specifics(kind) else { return Vec::new() };
    let mut out = Vec::new();
    let mut mounts = std::collections::BTreeSet::new();
    for disk in &disks {
        let fstype = disk.file_system().to_string_lossy();
        let mount = disk.mount_point().to_string_lossy();
        let (total, free) = (disk.total_space() as f64, disk.available_space() as f64);
        let hidden = total <= 0.0 || PSEUDO.contains(&&*fstype) || mounts.len() >= DEVICES_MAX;
        // The last file system mounted on a folder is the one seen there; the list has it once per mount.
        if hidden || !mounts.insert(mount.clone().into_owned()) {
            continue;
        }
        let device = disk.name().to_string_lossy();
        let labels = [("mount", &*mount), ("device", &*device), ("fstype", &*fstype)];
        put(&mut out, "system.disk_percent", &labels, (1.0 - free / total) * 100.0);
        put(&mut out, "system.disk_free_mb", &labels, free / MIB);
        put(&mut out, "system.disk_total_mb", &labels, total / MIB);
    }
    out
}

/// Reads the disks on a thread of its own.
struct DiskReader {
    ask: SyncSender<()>,
    answers: Receiver<Reading>,
    /// A reading was asked for and has not come.
    pending: bool,
    last: Arc<Reading>,
    last_at: Option<Duration>,
    timeouts: u64,
}

impl DiskReader {
    fn spawn(read: impl Fn() -> Reading + Send + 'static) -> Result<Self, HostError> {
        let (ask, asked) = sync_channel::<()>(1);
        let (answer, answers) = sync_channel(1);
        std::thread::Builder::new()
            .name("disks".to_owned())
            .spawn(move || while asked.recv().is_ok() && answer.send(read()).is_ok() {})?;
        Ok(Self { ask, answers, pending: false, last: Arc::default(), last_at: None, timeouts: 0 })
    }

    fn ask(&mut self) {
        if !self.pending {
            self.pending = !matches!(self.ask.try_send(()), Err(TrySendError::Disconnected(())));
        }
    }

    fn answer(&mut self, elapsed: Duration, out: &mut Reading) {
        match self.answers.recv_timeout(DISK_DEADLINE) {
            Ok(reading) => (self.last, self.last_at, self.pending) = (Arc::new(reading), Some(elapsed), false),
            Err(RecvTimeoutError::Timeout) => self.timeouts += 1,
            // The thread is gone (it panicked in the operating system's answer): as good as a mount that hangs.
            Err(RecvTimeoutError::Disconnected) => (self.pending, self.timeouts) = (false, self.timeouts + 1),
        }
        if self.last_at.is_some_and(|at| elapsed.saturating_sub(at) <= DISK_STALE_MAX) {
            out.extend(self.last.iter().cloned());
        }
        put(out, "system.disk_timeouts_total", &[], self.timeouts as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(reading: &Reading) -> Vec<&str> {
        reading.iter().filter_map(|(labels, _)| labels.metric_name()).collect()
    }

    #[test]
    fn the_machine_is_read_and_the_cpu_only_from_the_second_reading_on() {
        let mut host = HostCollector::new(HostOptions { per_core: true }, Duration::ZERO).unwrap();
        let first = host.collect(Duration::ZERO);
        assert!(!names(&first).contains(&"system.cpu_percent"));
        std::thread::sleep(sysinfo::MINIMUM_CPU_UPDATE_INTERVAL);
        let second = host.collect(Duration::from_millis(250));
        for name in [
            "system.cpu_percent",
            "system.cpu_core_percent",
            "system.memory_percent",
            "system.memory_used_mb",
            "system.memory_total_mb",
            "system.swap_percent",
            "system.load1",
            "system.uptime_seconds",
            "system.disk_timeouts_total",
        ] {
            assert!(names(&second).contains(&name), "{name} in {:?}", names(&second));
        }
        for (labels, value) in &second {
            let percent = labels.metric_name().is_some_and(|n| n.ends_with("_percent"));
            assert!(*value >= 0.0 && (!percent || *value <= 100.5), "{labels} {value}");
        }
        assert!(second.windows(2).all(|w| w[0].0 < w[1].0), "sorted and without duplicates");
    }

    #[test]
    fn a_mount_that_hangs_leaves_the_last_reading_for_a_minute_and_is_counted() {
        let (release, hang) = sync_channel::<()>(0);
        let calls = std::sync::atomic::AtomicU32::new(0);
        let read = move || {
            if calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 1 {
                let _ = hang.recv();
            }
            let mut out = Vec::new();
            put(&mut out, "system.disk_percent", &[("mount", "/")], 50.0);
            out
        };
        let mut disks = DiskReader::spawn(read).unwrap();
        let mut collect = |secs: u64| {
            let mut out = Vec::new();
            disks.ask();
            disks.answer(Duration::from_secs(secs), &mut out);
            (out.iter().any(|(l, _)| l.metric_name() == Some("system.disk_percent")), disks.timeouts)
        };
        assert_eq!(collect(0), (true, 0));
        assert_eq!(collect(15), (true, 1));
        assert_eq!(collect(75), (false, 2));
        drop(release);
        assert_eq!(collect(90), (true, 2));
    }
}
