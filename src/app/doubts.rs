//! What `check` and dry runs are asked to doubt: which checks run, and what is known of the metrics that rules read.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::load::{self, LoadError};
use super::recorded;
use crate::config::ServerConfig;
use crate::config::files;
use crate::diag::{self, Diagnostic, SourceFile};
use crate::ingest::{Batch, MetricKind};
use crate::lint::knowledge::{Interval, Kind};
use crate::lint::{self, Knowledge, Selection, fix, ignore};
use crate::model::labels::METRIC_NAME;
use crate::rule::{self, LoadOptions, Loaded};

/// The checks that run, and what they know.
#[derive(Clone, Debug, Default)]
pub struct Doubts {
    /// Which checks run.
    pub selection: Selection,
    /// What is known of the metrics.
    pub knowledge: Knowledge,
    /// The configuration under which files are checked that come without one, and its path.
    pub config: Option<(PathBuf, ServerConfig)>,
    /// What is wrong with that configuration.
    pub config_findings: Vec<Diagnostic>,
}

impl Doubts {
    /// The same under a configuration, with the interval at which it has metrics scraped: the longest, if there are
    /// several.
    #[must_use]
    pub fn under(&self, config: &ServerConfig, path: Option<&Path>) -> Self {
        let mut doubts = self.clone();
        doubts.config = Some((path.map(Path::to_owned).unwrap_or_default(), config.clone()));
        let longest = config.scrape_configs.iter().map(|scrape| scrape.scrape_interval).max();
        if let (None, Some(time)) = (&doubts.knowledge.interval, longest) {
            let file = path.map_or_else(|| "the configuration".into(), |path| path.display().to_string());
            doubts.knowledge.interval =
                Some(Interval { time, from: format!("the longest `scrape_interval` in {file}") });
        }
        doubts
    }

    /// Reads rule files and looks for what is doubtful in them. What is loaded keeps the trees of the files.
    pub fn load(&self, files: &[Arc<SourceFile>], options: &LoadOptions<'_>) -> Loaded {
        let mut loaded = rule::load(files, &LoadOptions { keep_trees: true, ..options.clone() });
        if let Some((_, config)) = &self.config {
            loaded.diagnostics.extend(recorded::never_arriving(config, &loaded.rules, files));
        }
        lint::run(&mut loaded, (&self.knowledge, &self.selection), options.threads);
        ignore::apply(files, &loaded.pages, &self.selection, &mut loaded.diagnostics);
        diag::sort(&mut loaded.diagnostics);
        loaded
    }
}

/// What samples tell of metrics: names, labels, kinds, and the time between two samples.
pub fn knowledge(batch: &Batch) -> Knowledge {
    let mut knowledge = Knowledge { complete: true, ..Knowledge::default() };
    for row in &batch.rows {
        let name = row.labels.get(METRIC_NAME).unwrap_or_default();
        let metric = match knowledge.metrics.get_mut(name) {
            Some(metric) => metric,
            None => knowledge.metrics.entry(name.to_owned()).or_default(),
        };
        for (label, _) in row.labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
            if !metric.labels.contains(label) {
                metric.labels.insert(label.to_owned());
            }
        }
    }
    for (name, metric) in &mut knowledge.metrics {
        metric.kind = kind(batch, name);
    }
    knowledge.interval =
        interval(batch).map(|time| Interval { time, from: "the time between samples in the data".to_owned() });
    knowledge
}

/// The kind of a series: that of its family, whose name lacks the ending of the series.
fn kind(batch: &Batch, name: &str) -> Option<Kind> {
    let declared = |name: &str| batch.metadata.get(name).map(|metadata| metadata.kind);
    let of = |kind: MetricKind| match kind {
        MetricKind::Counter => Some(Kind::Counter),
        MetricKind::Gauge => Some(Kind::Gauge),
        MetricKind::Unknown => None,
        _ => Some(Kind::Other),
    };
    if let Some(kind) = declared(name) {
        return of(kind);
    }
    let (family, ending) = name.rsplit_once('_')?;
    match (declared(family)?, ending) {
        (MetricKind::Counter, "total") => Some(Kind::Counter),
        (MetricKind::Histogram | MetricKind::Summary, "bucket" | "count" | "sum") => Some(Kind::Counter),
        (kind, _) => of(kind),
    }
}

/// The time between neighbouring samples of most series: the median over series of their first step.
fn interval(batch: &Batch) -> Option<Duration> {
    let mut last: std::collections::BTreeMap<&crate::model::Labels, (i64, Option<i64>)> =
        std::collections::BTreeMap::new();
    for row in &batch.rows {
        let Some(at) = row.t_ms else { continue };
        match last.get_mut(&row.labels) {
            None => {
                last.insert(&row.labels, (at, None));
            }
            Some((first, step @ None)) if at > *first => *step = Some(at - *first),
            Some(_) => {}
        }
    }
    let mut steps: Vec<i64> = last.into_values().filter_map(|(_, step)| step).collect();
    steps.sort_unstable();
    let median = steps.get(steps.len() / 2)?;
    u64::try_from(*median).ok().map(Duration::from_millis)
}

/// A file that can be mended.
#[derive(Debug)]
pub struct MendedFile {
    /// As it is.
    pub file: Arc<SourceFile>,
    /// As it would be.
    pub text: String,
    /// How many findings are mended.
    pub count: usize,
}

/// Mends what is certain in files, which are looked at together: nothing is written.
pub fn mend(paths: &[PathBuf], doubts: &Doubts) -> Result<Vec<MendedFile>, LoadError> {
    let read = load::read_files(paths)?;
    let mended = fix::mend(&read.files, &mut |files| {
        let snapshot = files::Snapshot { files: files.to_vec(), diagnostics: Vec::new() };
        load::check_files(snapshot, doubts).diagnostics
    });
    let files = read.files.iter().zip(mended);
    let mended = files.map(|(file, m)| MendedFile { file: Arc::clone(file), text: m.text, count: m.count });
    Ok(mended.filter(|mended| mended.text != mended.file.text).collect())
}
