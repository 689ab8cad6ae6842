//! Every command of the README, run as it stands there.

use std::path::{Path, PathBuf};

use crate::kit::{Daemon, Folder, command, finish, free_port, until_true};

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The lines of the README's `sh` blocks.
fn commands() -> Vec<String> {
    let text = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let mut found = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside && !line.trim().is_empty() => found.push(line.to_owned()),
            _ => {}
        }
    }
    found
}

/// A folder like a fresh clone, as far as the commands look at it.
fn clone() -> Folder {
    let folder = Folder::new();
    for part in ["rules", "handlers", "examples"] {
        for entry in std::fs::read_dir(repository().join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let name = Path::new(part).join(path.file_name().unwrap());
            folder.write(name.to_str().unwrap(), std::fs::read(&path).unwrap());
        }
    }
    folder
}

#[test]
fn every_command_of_the_readme_does_what_it_says() {
    let folder = clone();
    let port = free_port();
    let mut asked = 0;
    // The first command of the page: what follows `--` is what the binary gets.
    let daemon = Daemon::spawn(&folder, &["rules/"], port);
    for line in commands() {
        match line.as_str() {
            "cargo run --release -- rules/" => {
                daemon.wait_ready();
                daemon.wait_value("alertd_rules{state=\"enabled\"}", 23.0);
                until_true("the host is watched", || !daemon.query("{\"system.memory_percent\"}").is_empty());
            }
            "make test" => {
                let makefile = std::fs::read_to_string(repository().join("Makefile")).unwrap();
                assert!(makefile.contains("\ntest:"));
                let ci = std::fs::read_to_string(repository().join(".ci/run")).unwrap();
                assert!(ci.contains("make test"), "CI runs what the README tells");
            }
            line => {
                let shell = command(&folder);
                let binary = Path::new(env!("CARGO_BIN_EXE_alertd"));
                let path = format!("{}:/usr/bin:/bin", binary.parent().unwrap().display());
                let mut sh = std::process::Command::new("/bin/sh");
                sh.args(["-c", line]).current_dir(folder.path()).env_clear();
                sh.envs(shell.get_envs().filter_map(|(k, v)| Some((k, v?)))).env("PATH", path);
                sh.env("ALERTD_SERVER", format!("http://127.0.0.1:{port}")).stdin(std::process::Stdio::null());
                let ran = finish(&mut sh);
                assert_eq!(ran.code, Some(0), "{line}: {ran:#?}");
                assert!(!ran.out.trim().is_empty(), "{line} says something");
                asked += 1;
            }
        }
    }
    assert!(asked >= 7, "the tour has {asked} commands");
    drop(daemon);
}
