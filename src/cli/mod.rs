//! The command line: one file per subcommand. Reads arguments, calls `app`, prints, maps the result to an exit code.

mod ack;
mod ack_args;
pub mod args;
mod ask;
mod check;
pub mod check_args;
mod client;
mod daemon;
mod data;
mod demo;
mod detect;
mod doctor;
mod dry_run;
mod explain;
mod export;
mod history;
mod init;
mod outbox;
mod query;
pub mod record_args;
mod report;
mod rotations;
mod route;
mod send_test;
mod silence;
mod starter_args;
mod table;
mod test;
pub mod test_args;
mod test_report;
mod verify_signature;
mod why;
mod why_args;

use std::ffi::OsString;
use std::io::Write;

use clap::{CommandFactory, Parser};

use args::{Cli, Command, RunArgs, SchemaKind, exit};

/// Runs what the arguments ask for; the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap knows where each goes. A closed pipe cannot be told anything.
            let _ = error.print();
            return if error.use_stderr() { exit::USAGE } else { exit::CLEAN };
        }
    };
    // The daemon and the demo write to standard output from their own threads, so it must not be locked for them.
    let done = match cli.command {
        None if !cli.run.dry_run => daemon::run(&cli.run),
        Some(Command::Demo(args)) => demo::run(&args),
        command => {
            let mut out = std::io::BufWriter::new(std::io::stdout().lock());
            let code = run(command, &cli.run, &mut out);
            let flushed = out.flush();
            code.and_then(|code| flushed.map(|()| code))
        }
    };
    match done {
        Ok(code) => code,
        // Whoever read the output has seen enough: `alertd rules | head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => exit::CLEAN,
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "alertd: cannot write the result: {error}");
            exit::USAGE
        }
    }
}

fn run(command: Option<Command>, arguments: &RunArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    match command {
        None => dry_run::run(arguments, out),
        Some(Command::Check(args)) => check::run(&args, out),
        Some(Command::Test(args)) => test::run(&args, out),
        Some(Command::Export(args)) => export::run(&args, out),
        Some(Command::Query(args)) => query::run(&args, out),
        Some(Command::Detect(args)) => detect::run(&args, out),
        Some(Command::Alerts(args)) => client::alerts(&args, out),
        Some(Command::Rules(args)) => client::rules(&args, out),
        Some(Command::Ack(args)) => ack::run(&args, out),
        Some(Command::Silence(command)) => silence::run(&command, out),
        Some(Command::History(args)) => history::run(&args, out),
        Some(Command::Outbox(command)) => outbox::run(&command, out),
        Some(Command::Why(args)) => why::run(&args, out),
        Some(Command::Route(args)) => route::run(&args, out),
        Some(Command::Rotations(args)) => rotations::run(&args, out),
        Some(Command::Explain(args)) => explain::run(&args, out),
        Some(Command::Schema { kind }) => {
            let schema = match kind {
                SchemaKind::Rules => crate::rule::schema::json_schema(),
                SchemaKind::Config => crate::config::server_schema(),
                SchemaKind::Handlers => crate::config::handlers_schema(),
                SchemaKind::Preset => crate::config::preset_schema(),
            };
            writeln!(out, "{schema:#}").map(|()| exit::CLEAN)
        }
        Some(Command::Init(args)) => init::run(&args, out),
        Some(Command::Demo(args)) => demo::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args, out),
        Some(Command::VerifySignature(args)) => verify_signature::run(&args, out),
        Some(Command::SendTest(args)) => send_test::run(&args, out),
        Some(Command::Completions { shell }) => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "alertd", &mut text);
            out.write_all(&text)?;
            Ok(exit::CLEAN)
        }
    }
}
