//! `alertd export`: rules for others.

use std::io::Write;
use std::path::Path;

use super::args::{ExportArgs, ExportFormat, exit};
use super::report;
use crate::app::doubts::Doubts;
use crate::app::{load, paths};
use crate::diag::{self, Level};
use crate::rule::export::{Exported, prometheus, text};

/// Runs the command.
pub fn run(args: &ExportArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let ExportFormat::Prometheus = args.format;
    let mut err = std::io::stderr().lock();
    let listed = paths::given_or_configured(&args.paths, None, paths::Wanted::Rules);
    let checked = match listed.and_then(|listed| load::check(&listed.paths, &Doubts::default())) {
        Ok(checked) => checked,
        Err(error) => {
            writeln!(err, "alertd: {error}")?;
            return Ok(exit::USAGE);
        }
    };
    if checked.diagnostics.iter().any(|found| found.level == Level::Error) {
        err.write_all(diag::text(&checked.diagnostics, report::text_style()).as_bytes())?;
        return Ok(exit::FINDINGS);
    }
    let (files, found) = prometheus(&checked.rules, &checked.files);
    err.write_all(diag::text(&found, report::text_style()).as_bytes())?;
    let code = report::exit_code(&found, &[]);
    match &args.out_dir {
        None => out.write_all(text(&files).map_err(std::io::Error::other)?.as_bytes())?,
        Some(folder) => {
            if let Err(message) = write_all(&files, folder, out)? {
                writeln!(err, "alertd: {message}")?;
                return Ok(exit::USAGE);
            }
        }
    }
    Ok(code)
}

/// One file for each, of the same name; nothing is overwritten.
fn write_all(files: &[Exported], folder: &Path, out: &mut dyn Write) -> std::io::Result<Result<(), String>> {
    let name = |file: &Exported| Path::new(&*file.source).file_name().map(|name| folder.join(name)).unwrap_or_default();
    for (place, file) in files.iter().enumerate() {
        let path = name(file);
        if path.exists() || files[..place].iter().any(|other| name(other) == path) {
            return Ok(Err(format!("{} is there already; nothing was written", path.display())));
        }
    }
    if let Err(error) = std::fs::create_dir_all(folder) {
        return Ok(Err(format!("{}: {error}", folder.display())));
    }
    for file in files {
        let path = name(file);
        let text = text([file]).map_err(std::io::Error::other)?;
        if let Err(error) = std::fs::write(&path, text) {
            return Ok(Err(format!("{}: {error}", path.display())));
        }
        writeln!(out, "{}: {}", path.display(), report::plural(file.rules, "rule"))?;
    }
    Ok(Ok(()))
}
