//! Checks what the project depends on: licences, banned crates, sources, pins.
//!
//! Reads the lists of `deny.toml`, so that they hold where cargo-deny is not installed. Licences are checked of every
//! package that cargo has at hand: all platforms where they are downloaded, else those that this platform builds.
//! Bans, sources and pins are read from `Cargo.lock` and hold for all platforms always.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The lines between `name = [` and `]`, without comments.
fn list<'a>(toml: &'a str, name: &str) -> Vec<&'a str> {
    let open = format!("{name} = [");
    let lines = toml.lines().map(str::trim).skip_while(|line| *line != open).skip(1);
    let found: Vec<&str> = lines.take_while(|line| *line != "]").filter(|line| !line.starts_with('#')).collect();
    assert!(!found.is_empty(), "deny.toml has no list `{name}`");
    found
}

/// The text between quotes behind `key = `, or behind nothing for an empty key.
fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let rest = if key.is_empty() { line } else { line.split_once(&format!("{key} = "))?.1 };
    rest.split('"').nth(1)
}

fn allowed() -> BTreeSet<String> {
    list(&text("deny.toml"), "allow").into_iter().map(|line| quoted(line, "").unwrap().to_owned()).collect()
}

/// A package of `Cargo.lock`.
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
}

fn locked() -> Vec<Locked> {
    let lock = text("Cargo.lock");
    let packages: Vec<Locked> = lock
        .split("[[package]]")
        .skip(1)
        .map(|package| {
            let field =
                |key: &str| package.lines().find_map(|line| quoted(line, key).filter(|_| line.starts_with(key)));
            Locked {
                name: field("name").unwrap().to_owned(),
                version: field("version").unwrap().to_owned(),
                source: field("source").map(str::to_owned),
            }
        })
        .collect();
    assert!(packages.len() > 100, "Cargo.lock is not read");
    packages
}

/// Evaluates SPDX licence expressions: `AND` binds closer than `OR`; `/` is the old way to write `OR`.
struct Spdx<'a> {
    words: Vec<String>,
    at: usize,
    allowed: &'a BTreeSet<String>,
}

impl<'a> Spdx<'a> {
    /// Whether one may use what is licensed so, given the licences that are allowed. `None`: not an expression.
    fn holds(expression: &str, allowed: &'a BTreeSet<String>) -> Option<bool> {
        let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let words = spaced.split_whitespace().map(str::to_owned).collect();
        let mut spdx = Self { words, at: 0, allowed };
        let holds = spdx.any()?;
        (spdx.at == spdx.words.len()).then_some(holds)
    }

    fn takes(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at).is_some_and(|next| next == word);
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Option<bool> {
        let mut holds = self.all()?;
        while self.takes("OR") {
            holds |= self.all()?;
        }
        Some(holds)
    }

    fn all(&mut self) -> Option<bool> {
        let mut holds = self.one()?;
        while self.takes("AND") {
            holds &= self.one()?;
        }
        Some(holds)
    }

    fn one(&mut self) -> Option<bool> {
        if self.takes("(") {
            let holds = self.any()?;
            return self.takes(")").then_some(holds);
        }
        let mut licence = self.name()?;
        if self.takes("WITH") {
            licence = format!("{licence} WITH {}", self.name()?);
        }
        Some(self.allowed.contains(&licence))
    }

    fn name(&mut self) -> Option<String> {
        let name = self.words.get(self.at).filter(|name| !["AND", "OR", "WITH", "(", ")"].contains(&name.as_str()))?;
        self.at += 1;
        Some(name.clone())
    }
}

fn cargo(arguments: &[&str]) -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// What cargo knows of the packages, without asking the network.
fn metadata() -> serde_json::Value {
    let all = ["metadata", "--offline", "--locked", "--format-version", "1"];
    let json = cargo(&all).or_else(|_| {
        let version = cargo(&["-vV"]).unwrap();
        let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
        cargo(&[&all[..], &["--filter-platform", host]].concat())
    });
    serde_json::from_str(&json.unwrap_or_else(|error| panic!("{error}"))).unwrap()
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let (allowed, metadata) = (allowed(), metadata());
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "only {} packages", packages.len());
    let mut bad = Vec::new();
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("none");
        if Spdx::holds(licence, &allowed) != Some(true) {
            bad.push(format!("{} {}: {licence}", package["name"], package["version"]));
        }
    }
    assert!(bad.is_empty(), "not covered by the list `allow` of deny.toml:\n{}", bad.join("\n"));
}

#[test]
fn no_banned_crate_is_locked() {
    let deny = text("deny.toml");
    let packages = locked();
    for line in list(&deny, "deny") {
        let name = quoted(line, "name").unwrap();
        // The one form in use: every version from a major version on.
        let from: u64 = quoted(line, "version").map_or(0, |v| v.strip_prefix(">=").unwrap().parse().unwrap());
        let major = |version: &str| version.split('.').next().unwrap().parse::<u64>().unwrap();
        let found = packages.iter().find(|p| p.name == name && major(&p.version) >= from);
        assert!(found.is_none(), "{name} {} is banned by deny.toml", found.unwrap().version);
    }
}

#[test]
fn every_dependency_comes_from_crates_io() {
    for package in locked().iter().filter(|package| package.name != "alertd") {
        assert_eq!(package.source.as_deref(), Some(CRATES_IO), "{} {}", package.name, package.version);
    }
}

#[test]
fn evalexpr_stays_below_the_change_of_its_licence() {
    let versions: Vec<String> = locked().into_iter().filter(|p| p.name == "evalexpr").map(|p| p.version).collect();
    assert_eq!(versions, ["11.3.1"], "12 and later are AGPL-3.0");
    assert!(text("Cargo.toml").contains("evalexpr = \"=11.3.1\""), "the pin in Cargo.toml");
}

#[test]
fn licence_expressions_are_evaluated_as_spdx_says() {
    let allowed: BTreeSet<String> = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
    for (expression, expected) in [
        ("MIT", Some(true)),
        ("GPL-3.0-only", Some(false)),
        ("GPL-3.0-only OR MIT", Some(true)),
        ("GPL-3.0-only/MIT", Some(true)),
        ("GPL-3.0-only AND MIT", Some(false)),
        ("MIT AND ISC", Some(true)),
        ("GPL-3.0-only AND ISC OR MIT", Some(true)),
        ("MIT OR ISC AND GPL-3.0-only", Some(true)),
        ("(MIT OR ISC) AND GPL-3.0-only", Some(false)),
        ("(MIT OR GPL-3.0-only) AND ISC", Some(true)),
        ("Apache-2.0", Some(false)),
        ("Apache-2.0 WITH LLVM-exception", Some(true)),
        ("mit", Some(false)),
        ("none", Some(false)),
        ("", None),
        ("MIT OR", None),
        ("MIT ISC", None),
        ("(MIT", None),
    ] {
        assert_eq!(Spdx::holds(expression, &allowed), expected, "{expression:?}");
    }
}
