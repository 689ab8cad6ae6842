//! Which targets there are: `static_configs` and `file_sd_configs` (JSON or YAML files).
//!
//! A file that is broken or half-written leaves the targets it named before in place; a file that is gone takes its
//! targets with it, as in Prometheus. Never asks the network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use thiserror::Error;

use super::scrape::{ScrapeJob, Target, TargetError, TargetGroup};
use super::textfile::glob;
use crate::model::Labels;

/// Most targets of all jobs together.
pub const TARGETS_MAX: usize = 10_000;
/// Largest `file_sd` file.
pub const SD_FILE_BYTES_MAX: u64 = 4 << 20;

/// Why targets are missing.
#[derive(Debug, Error)]
pub enum DiscoveryError {
    /// An entry is wrong.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A file cannot be read.
    #[error("cannot read targets from {0}: {1}")]
    Unreadable(PathBuf, String),
    /// More targets than are scraped.
    #[error("more than {TARGETS_MAX} targets; the rest is not scraped")]
    TooMany,
}

/// What a file looked like when it was read; when nothing of it changed, it is not read again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp(u64, Option<std::time::SystemTime>);

/// Finds targets; remembers what each file said last.
#[derive(Debug, Default)]
pub struct Discovery {
    files: BTreeMap<PathBuf, (Stamp, Vec<TargetGroup>)>,
}

impl Discovery {
    /// All targets of all jobs, each once, sorted by job and labels; and what is wrong with the rest.
    pub fn targets(&mut self, jobs: &[Arc<ScrapeJob>]) -> (Vec<Arc<Target>>, Vec<DiscoveryError>) {
        let (mut targets, mut errors) = (BTreeMap::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for job in jobs {
            let mut groups = job.static_configs.clone();
            for path in job.file_sd.iter().flat_map(|pattern| glob(pattern)) {
                groups.extend(self.file(&path, &mut errors));
                seen.insert(path);
            }
            for group in &groups {
                for address in &group.targets {
                    match Target::new(job, address, &group.labels) {
                        Ok(target) => {
                            let key = (job.job_name.clone(), target.labels.clone(), target.url.to_string());
                            targets.entry(key).or_insert_with(|| Arc::new(target));
                        }
                        Err(error) => errors.push(error.into()),
                    }
                }
            }
        }
        self.files.retain(|path, _| seen.contains(path));
        if targets.len() > TARGETS_MAX {
            errors.push(DiscoveryError::TooMany);
        }
        (targets.into_values().take(TARGETS_MAX).collect(), errors)
    }

    fn file(&mut self, path: &Path, errors: &mut Vec<DiscoveryError>) -> Vec<TargetGroup> {
        let stamp = std::fs::metadata(path).map(|m| Stamp(m.len(), m.modified().ok()));
        if let (Ok(stamp), Some((known, groups))) = (&stamp, self.files.get(path))
            && stamp == known
        {
            return groups.clone();
        }
        match stamp.map_err(|e| e.to_string()).and_then(|stamp| read_groups(path, stamp.0).map(|g| (stamp, g))) {
            Ok((stamp, groups)) => {
                self.files.insert(path.to_owned(), (stamp, groups.clone()));
                groups
            }
            Err(error) => {
                errors.push(DiscoveryError::Unreadable(path.to_owned(), error));
                self.files.get(path).map(|(_, groups)| groups.clone()).unwrap_or_default()
            }
        }
    }
}

/// As written in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileGroup {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, Scalar>,
}

/// YAML reads `port: 80` as a number; a label is text all the same.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Whole(i64),
    Float(f64),
    Flag(bool),
}

impl Scalar {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Whole(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

fn read_groups(path: &Path, bytes: u64) -> Result<Vec<TargetGroup>, String> {
    if bytes > SD_FILE_BYTES_MAX {
        return Err(format!("{bytes} bytes, more than the {SD_FILE_BYTES_MAX} that are read"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let groups: Vec<FileGroup> = match path.extension().and_then(|e| e.to_str()) {
        Some("json") => serde_json::from_str(&text).map_err(|e| e.to_string())?,
        Some("yml" | "yaml") => serde_yaml::from_str(&text).map_err(|e| e.to_string())?,
        _ => return Err("the name ends in none of .json, .yml, .yaml".to_owned()),
    };
    Ok(groups
        .into_iter()
        .map(|group| TargetGroup {
            targets: group.targets,
            labels: Labels::from_pairs(group.labels.into_iter().map(|(name, value)| (name, value.text()))),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_come_from_the_configuration_and_from_files_and_survive_a_broken_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("a.yml"), "- targets: ['f:1', 'f:2', 'h:1']\n  labels: {port: 80, on: true}\n").unwrap();
        std::fs::write(at("b.json"), r#"[{"targets": ["g:1", "bad/x"]}]"#).unwrap();
        std::fs::write(at("c.txt"), "no").unwrap();
        let mut job = ScrapeJob::new("app");
        job.static_configs = vec![TargetGroup { targets: vec!["h:1".into(), "h:1".into()], labels: Labels::empty() }];
        job.file_sd = vec![format!("{}/*", dir.path().display())];
        let jobs = [Arc::new(job)];
        let mut discovery = Discovery::default();
        let found = |discovery: &mut Discovery| {
            let (targets, errors) = discovery.targets(&jobs);
            let labels: Vec<String> = targets.iter().map(|t| t.labels.to_string()).collect();
            (labels, errors.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let (labels, errors) = found(&mut discovery);
        assert_eq!(labels.len(), 5, "{labels:?}");
        assert!(labels.contains(&r#"{instance="f:1", job="app", on="true", port="80"}"#.to_owned()), "{labels:?}");
        assert!(errors[0].contains("c.txt: the name ends in none of"), "{errors:?}");
        assert!(errors[1].contains("bad/x"), "{errors:?}");

        std::fs::write(at("a.yml"), "- targets: ['f:").unwrap();
        let (labels, errors) = found(&mut discovery);
        assert_eq!(labels.len(), 5);
        assert!(errors[0].contains("a.yml"), "{errors:?}");

        std::fs::remove_file(at("a.yml")).unwrap();
        assert_eq!(found(&mut discovery).0.len(), 2);
    }

    #[test]
    fn an_alias_bomb_and_a_deep_nest_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yml");
        let mut bomb = String::from("- &a0 {targets: [x]}\n");
        for i in 1..40 {
            bomb.push_str(&format!("- &a{i} {{targets: [x], labels: {{a: [*a{0}, *a{0}, *a{0}]}}}}\n", i - 1));
        }
        std::fs::write(&path, bomb).unwrap();
        assert!(read_groups(&path, 1).is_err());
        std::fs::write(&path, "[".repeat(20_000)).unwrap();
        assert!(read_groups(&path, 1).is_err());
        assert!(read_groups(&path, SD_FILE_BYTES_MAX + 1).is_err());
    }
}
