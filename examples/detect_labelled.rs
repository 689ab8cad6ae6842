//! Runs a detector at its default settings over folders of CSV files, for scoring against labelled incidents.
//!
//! `detect_labelled METHOD DATA OUT [quorum=N] [window=D] [refractory=D] [sigma=X] [season=S]`: DATA holds CSV files with a
//! header, a time in the first column (`YYYY-MM-DD HH:MM:SS`) and values in the others. OUT gets, for a file of one
//! value column, the scores (`timestamp,value,anomaly_score`) under the same path, and `alerts.json` with the spans in
//! which at least N (default 1) columns were anomalous.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use alertd::detect::{AnomalyConfig, Detector, Method, Season};
use alertd::model::{Timestamp, parse_duration};

type Spans = Vec<(String, String)>;

fn csv_files(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            csv_files(&path, found)?;
        } else if path.extension().is_some_and(|ext| ext == "csv") {
            found.push(path);
        }
    }
    found.sort();
    Ok(())
}

/// The score rows of a one-column file, and the spans of alerts.
fn run(text: &str, config: &AnomalyConfig, quorum: usize) -> Result<(String, Spans), Box<dyn Error>> {
    let columns = text.lines().next().map_or(0, |head| head.split(',').count().saturating_sub(1));
    let mut detectors = vec![Detector::new(config); columns];
    let (mut scores, mut spans) = (String::from("timestamp,value,anomaly_score\n"), Spans::new());
    let mut firing = false;
    for line in text.lines().skip(1) {
        let mut cells = line.split(',');
        let stamp = cells.next().unwrap_or_default();
        let at = Timestamp::parse(stamp).ok_or_else(|| format!("not a time: {stamp:?}"))?;
        let mut anomalous = 0;
        for (detector, cell) in detectors.iter_mut().zip(cells) {
            let judgement = detector.step(config, at.0, cell.trim().parse().unwrap_or(f64::NAN));
            anomalous += usize::from(judgement.anomalous);
            if columns == 1 {
                scores.push_str(&format!("{stamp},{cell},{}\n", judgement.score));
            }
        }
        match (anomalous >= quorum, firing) {
            (true, false) => spans.push((stamp.to_owned(), stamp.to_owned())),
            (true, true) => spans.last_mut().into_iter().for_each(|span| stamp.clone_into(&mut span.1)),
            (false, _) => {}
        }
        firing = anomalous >= quorum;
    }
    Ok((scores, spans))
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [method, data, out, options @ ..] = args.as_slice() else {
        return Err(
            "usage: detect_labelled METHOD DATA OUT [quorum=N] [window=D] [refractory=D] [sigma=X] [season=S]".into()
        );
    };
    let method = Method::from_name(method).ok_or_else(|| format!("unknown method {method:?}"))?;
    let (mut quorum, mut config) = (1, AnomalyConfig::for_method(method));
    for option in options {
        match option.split_once('=') {
            Some(("quorum", value)) => quorum = value.parse()?,
            Some(("window", value)) => config.window = parse_duration(value)?,
            Some(("refractory", value)) => config.refractory = parse_duration(value)?,
            Some(("season", value)) => {
                config.season = Season::from_name(value).ok_or_else(|| format!("unknown season {value:?}"))?;
            }
            Some(("sigma", value)) => config.sigma = value.parse()?,
            _ => return Err(format!("unknown option {option:?}").into()),
        }
    }
    let (mut files, mut alerts) = (Vec::new(), BTreeMap::new());
    csv_files(Path::new(data), &mut files)?;
    for file in files {
        let name = file.strip_prefix(data)?;
        let (scores, spans) = run(&fs::read_to_string(&file)?, &config, quorum)?;
        let target = Path::new(out).join(name);
        fs::create_dir_all(target.parent().unwrap_or(Path::new(out)))?;
        fs::write(&target, scores)?;
        alerts.insert(name.to_string_lossy().into_owned(), spans);
    }
    fs::write(Path::new(out).join("alerts.json"), serde_json::to_string(&alerts)?)?;
    Ok(())
}
