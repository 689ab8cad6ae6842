//! What the system says of the memory of this process and of the limits on it: `/proc` and cgroups, version 1 and 2.
//!
//! Where something cannot be read there is no such limit. Decides nothing.

use std::path::{Path, PathBuf};

use super::judge::Use;

/// Longest file that is read; those of the kernel are far shorter.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Most cgroups above one another.
const DEPTH_MAX: usize = 64;
/// From here on a limit is none: version 1 writes the largest number of pages.
const UNLIMITED: u64 = 1 << 60;

/// Where to read.
pub struct Places {
    /// `/proc/self`
    pub process: PathBuf,
    /// `/sys/fs/cgroup`
    pub cgroups: PathBuf,
    /// Limit on the address space, if there is one.
    pub address_space: Option<u64>,
}

impl Places {
    /// Those of the running system.
    pub fn system() -> Self {
        Self {
            process: PathBuf::from("/proc/self"),
            cgroups: PathBuf::from("/sys/fs/cgroup"),
            address_space: address_space(),
        }
    }

    /// How every limit stands; `memory_max` is that of the configuration, 0 for none.
    pub fn read(&self, memory_max: u64) -> Vec<Use> {
        let status = text(&self.process.join("status"));
        let kib = |key: &str| field(&status, key).map(|kib| kib.saturating_mul(1024));
        let Some(resident) = kib("VmRSS:") else { return Vec::new() };
        let mut all = Vec::new();
        if memory_max > 0 {
            all.push(Use { limit: "memory_max", used: resident, own: resident, max: memory_max });
        }
        if let Some(max) = self.address_space {
            // Not the whole size: what the allocator only holds in reserve is still to be had.
            let used = ["VmData:", "VmStk:", "VmExe:", "VmLib:"].iter().filter_map(|key| kib(key)).sum();
            all.push(Use { limit: "address_space", used, own: used, max });
        }
        all.extend(self.cgroups(resident));
        all
    }

    /// The cgroup of the process and those above it that have a limit, the one nearest to it last.
    fn cgroups(&self, own: u64) -> Vec<Use> {
        let groups = text(&self.process.join("cgroup"));
        let mut found = Vec::new();
        for line in groups.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
            let (root, files) = match controllers {
                "" => (self.cgroups.clone(), &V2),
                _ if controllers.split(',').any(|name| name == "memory") => (self.cgroups.join("memory"), &V1),
                _ => continue,
            };
            // Within a container the path is that of the host, and its own group is the root.
            let own_group = root.join(path.trim_start_matches('/'));
            let start = if own_group.is_dir() { own_group } else { root.clone() };
            let above = start.ancestors().take_while(|group| group.starts_with(&root)).take(DEPTH_MAX);
            found.extend(above.filter_map(|group| files.read(group, own)));
        }
        found.sort_by_key(super::judge::filled);
        found
    }
}

/// What the files of a group are called.
struct Files {
    max: &'static str,
    used: &'static str,
    /// In `memory.stat`, pages of files that the system drops when it needs room.
    cached: [&'static str; 2],
}

const V2: Files = Files { max: "memory.max", used: "memory.current", cached: ["inactive_file ", "active_file "] };
const V1: Files = Files {
    max: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cached: ["total_inactive_file ", "total_active_file "],
};

impl Files {
    fn read(&self, group: &Path, own: u64) -> Option<Use> {
        let number = |name: &str| text(&group.join(name)).trim().parse::<u64>().ok();
        let max = number(self.max).filter(|max| *max < UNLIMITED)?;
        let stat = text(&group.join("memory.stat"));
        let cached: u64 = self.cached.iter().filter_map(|key| field(&stat, key)).sum();
        Some(Use { limit: "cgroup", used: number(self.used)?.saturating_sub(cached), own, max })
    }
}

/// The number behind a key that begins a line.
fn field(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

fn text(path: &Path) -> String {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    if read.is_err() {
        text.clear();
    }
    text
}

fn address_space() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::As).current;
    #[cfg(not(unix))]
    return None;
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\talertd\nVmSize:\t  900000 kB\nVmRSS:\t   40000 kB\nVmData:\t   60000 kB\nVmStk:\t     132 kB\n\
                          VmExe:\t   20000 kB\nVmLib:\t    2000 kB\n";
    const MIB: u64 = 1 << 20;

    /// The limits that files tell: name, used, limit.
    #[track_caller]
    fn check(files: &[(&str, &str)], memory_max: u64, address_space: Option<u64>, want: &[(&str, u64, u64)]) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let places =
            Places { process: folder.path().join("proc"), cgroups: folder.path().join("cgroup"), address_space };
        let got: Vec<_> = places.read(memory_max).iter().map(|one| (one.limit, one.used, one.max)).collect();
        assert_eq!(got, want, "{files:?}");
    }

    #[test]
    fn every_limit_is_read_with_what_counts_against_it() {
        let resident = 40_000 * 1024;
        check(&[("proc/status", STATUS)], 0, None, &[]);
        check(&[("proc/status", STATUS)], 64 * MIB, None, &[("memory_max", resident, 64 * MIB)]);
        check(&[("proc/status", STATUS)], 0, Some(128 * MIB), &[("address_space", 82_132 * 1024, 128 * MIB)]);
        check(&[], 64 * MIB, Some(128 * MIB), &[]);
    }

    #[test]
    fn of_the_cgroups_above_one_another_the_nearest_to_its_limit_counts_without_what_is_only_cached() {
        let status = ("proc/status", STATUS);
        let second = |path: &'static str| ("proc/cgroup", path);
        let nested = [
            status,
            second("0::/slice/unit\n"),
            ("cgroup/slice/unit/memory.max", "max\n"),
            ("cgroup/slice/unit/memory.current", "1000\n"),
            ("cgroup/slice/memory.max", "134217728\n"),
            ("cgroup/slice/memory.current", "100000000\n"),
            ("cgroup/slice/memory.stat", "anon 1\nfile 9\ninactive_file 10000000\nactive_file 5000000\n"),
        ];
        check(&nested, 0, None, &[("cgroup", 85_000_000, 134_217_728)]);
        // Full of neighbours above, and near to a limit of its own.
        let two = [
            status,
            second("0::/slice/unit\n"),
            ("cgroup/slice/unit/memory.max", "50000000\n"),
            ("cgroup/slice/unit/memory.current", "44000000\n"),
            ("cgroup/slice/memory.max", "1000000000\n"),
            ("cgroup/slice/memory.current", "990000000\n"),
        ];
        check(&two, 0, None, &[("cgroup", 44_000_000, 50_000_000), ("cgroup", 990_000_000, 1_000_000_000)]);
        // A container whose own group is the root.
        let inside = [
            status,
            second("0::/docker/abc\n"),
            ("cgroup/memory.max", "1000000\n"),
            ("cgroup/memory.current", "900000\n"),
        ];
        check(&inside, 0, None, &[("cgroup", 900_000, 1_000_000)]);
        let first = [
            status,
            second("3:cpu:/x\n4:memory:/pod\n0::/\n"),
            ("cgroup/memory/pod/memory.limit_in_bytes", "2000000\n"),
            ("cgroup/memory/pod/memory.usage_in_bytes", "1500000\n"),
            ("cgroup/memory/pod/memory.stat", "cache 7\ntotal_inactive_file 500000\ntotal_active_file 0\n"),
            ("cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("cgroup/memory/memory.usage_in_bytes", "5\n"),
        ];
        check(&first, 0, None, &[("cgroup", 1_000_000, 2_000_000)]);
        for odd in ["", "0::", "x", "4:memory\n"] {
            check(&[status, ("proc/cgroup", odd), ("cgroup/memory.max", "torn")], 0, None, &[]);
        }
    }

    #[test]
    fn the_running_system_is_read() {
        let read = Places::system().read(1 << 40);
        assert!(read.first().is_some_and(|one| one.limit == "memory_max" && one.used > MIB), "{read:?}");
    }
}
