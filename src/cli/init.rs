//! `alertd init`: writes commented starter files and never overwrites one.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::args::{InitArgs, InitExtra, exit};

/// A file that `init` can write.
struct Starter {
    path: &'static str,
    text: &'static str,
    what: &'static str,
}

const STARTERS: [Starter; 4] = [
    Starter { path: "alertd.yaml", text: include_str!("init/alertd.yaml"), what: "configuration, every default shown" },
    Starter {
        path: "rules/host.yaml",
        text: include_str!("init/rules.yaml"),
        what: "rules for this machine, with tests",
    },
    Starter {
        path: "rules/host_test.yaml",
        text: include_str!("init/rules_test.yaml"),
        what: "what people are told of them, as a test",
    },
    Starter { path: "handlers/console.yaml", text: include_str!("init/handlers.yaml"), what: "who is told" },
];

fn extra(kind: InitExtra) -> Starter {
    match kind {
        InitExtra::Github => Starter {
            path: ".github/workflows/alert-rules.yml",
            text: include_str!("init/github.yaml"),
            what: "GitHub Actions: proves rules on every pull request",
        },
        InitExtra::Gitlab => Starter {
            path: "alertd.gitlab-ci.yml",
            text: include_str!("init/gitlab.yaml"),
            what: "GitLab CI: the same, as a Code Quality report",
        },
        InitExtra::PreCommit => Starter {
            path: ".pre-commit-config.yaml",
            text: include_str!("init/pre-commit.yaml"),
            what: "pre-commit: checks rules before they are committed",
        },
        InitExtra::Demo => Starter {
            path: "rules/demo.yaml",
            text: include_str!("demo/rules.yaml"),
            what: "the rules of `alertd demo`",
        },
    }
}

/// Writes the starter files into a folder.
pub fn run(args: &InitArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let mut code = exit::CLEAN;
    for starter in STARTERS.into_iter().chain(args.with.iter().map(|kind| extra(*kind))) {
        let path = args.dir.join(starter.path);
        match write_new(&path, starter.text) {
            Ok(true) => writeln!(out, "wrote    {}  ({})", shown(&path).display(), starter.what)?,
            Ok(false) => writeln!(out, "kept     {}  (it is there already)", shown(&path).display())?,
            Err(error) => {
                writeln!(out, "failed   {}: {error}", shown(&path).display())?;
                code = exit::USAGE;
            }
        }
    }
    if code == exit::CLEAN {
        if args.dir != std::path::Path::new(".") {
            writeln!(out, "\nnext:    cd {}", shown(&args.dir).display())?;
        } else {
            writeln!(out, "\nnext:")?;
        }
        writeln!(out, "         alertd --dry-run rules/    proves the rules and shows what would be sent")?;
        writeln!(out, "         alertd rules/              watches this machine")?;
    }
    Ok(code)
}

fn shown(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_owned()
}

/// Writes a file that does not exist yet; `false` if it does.
fn write_new(path: &Path, text: &str) -> std::io::Result<bool> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match std::fs::OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).map(|()| true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}
