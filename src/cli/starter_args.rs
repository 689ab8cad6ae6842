//! What can be typed after `alertd init` and `alertd demo`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options of `init`.
#[derive(Args, Debug)]
pub struct InitArgs {
    /// Folder to write into
    #[arg(value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Also write CI files
    #[arg(long, value_name = "WHAT")]
    pub with: Vec<InitExtra>,
}

/// Further files that `init` can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InitExtra {
    /// A workflow for GitHub Actions.
    Github,
    /// A job for GitLab CI.
    Gitlab,
    /// A hook for pre-commit.
    PreCommit,
    /// The rules of `alertd demo`.
    Demo,
}

/// Options of `demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Stop once both alerts have fired
    #[arg(long)]
    pub once: bool,
}
