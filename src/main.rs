//! The `alertd` binary: hands the arguments to the library and exits with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(alertd::cli::main(std::env::args_os()))
}
