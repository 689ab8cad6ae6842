//! `alertd [RULES]`: the daemon.

use std::io::Write;
use std::sync::Arc;

use super::args::{LogFormat as LogFormatArg, RunArgs, exit};
use crate::app::daemon::{Settings, run as run_daemon};
use crate::clock::SystemClock;
use crate::telemetry::{LogFormat, LogOptions, logging};

/// Sets up logging and runs until a signal.
pub fn run(args: &RunArgs) -> std::io::Result<u8> {
    let format = match args.log_format {
        LogFormatArg::Text => LogFormat::Text,
        LogFormatArg::Json => LogFormat::Json,
    };
    let options = LogOptions { level: args.log_level.clone(), format };
    let guard = match logging::init(&options, Arc::new(SystemClock::new())) {
        Ok(guard) => guard,
        Err(error) => {
            writeln!(std::io::stderr().lock(), "alertd: {error}")?;
            return Ok(exit::USAGE);
        }
    };
    let settings = Settings {
        sources: args.beside.sources(&args.rules),
        listen: args.listen.clone(),
        insecure_listen: args.insecure_listen,
        data_dir: args.data_dir.clone(),
    };
    let result = run_daemon(settings);
    drop(guard);
    match result {
        Ok(()) => Ok(exit::CLEAN),
        Err(error) => {
            writeln!(std::io::stderr().lock(), "alertd: {error}")?;
            Ok(if error.is_wrong_use() { exit::USAGE } else { exit::FINDINGS })
        }
    }
}
