//! Runs `tests/scripts/*.txt`: files, then commands with their exact output and exit code.
//!
//! A script begins with words on what it shows. `-- path --` opens a file of the folder the commands run in. Then:
//! ```text
//! $ NAME=value alertd check rules/
//! | a line of standard output
//! ! a line of standard error
//! = 1
//! ```
//! `[..]` stands for anything within a line; a line `[...]` for any number of lines. `UPDATE=1` rewrites what differs and
//! keeps lines with wildcards that still match.

use std::path::Path;

use crate::kit::{Folder, command, finish};

struct Script {
    intro: Vec<String>,
    files: Vec<(String, String)>,
    steps: Vec<Step>,
}

#[derive(Default)]
struct Step {
    line: String,
    comment: Vec<String>,
    out: Vec<String>,
    err: Vec<String>,
    code: String,
}

#[test]
fn every_script_prints_and_exits_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "txt"));
    paths.sort();
    assert!(!paths.is_empty(), "no scripts in {}", folder.display());
    let update = std::env::var_os("UPDATE").is_some();
    let failures: Vec<String> = paths.iter().filter_map(|path| check(path, update)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn check(path: &Path, update: bool) -> Option<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut script = parse(&text);
    assert!(!script.steps.is_empty(), "{}: no command", path.display());
    let folder = Folder::new();
    script.files.iter().for_each(|(path, text)| folder.write(path, text));
    let mut failures = Vec::new();
    for step in &mut script.steps {
        let got = play(&folder, step);
        let want = [&step.out, &step.err];
        for (name, want, got) in [("stdout", want[0], &got.out), ("stderr", want[1], &got.err)] {
            if !matches(want, got) {
                let (want, got) = (want.join("\n  "), got.join("\n  "));
                failures.push(format!("$ {}\n {name} wanted:\n  {want}\n {name} got:\n  {got}", step.line));
            }
        }
        if step.code != got.code {
            failures.push(format!("$ {}\n exit code wanted {}, got {}", step.line, step.code, got.code));
        }
        step.out = merged(&step.out, &got.out);
        step.err = merged(&step.err, &got.err);
        step.code = got.code;
    }
    if failures.is_empty() {
        return None;
    }
    if update {
        std::fs::write(path, show(&script)).unwrap();
        return None;
    }
    Some(format!("{}\n{}\n(UPDATE=1 rewrites it)", path.display(), failures.join("\n")))
}

struct Got {
    out: Vec<String>,
    err: Vec<String>,
    code: String,
}

fn play(folder: &Folder, step: &Step) -> Got {
    let words = split(&step.line);
    let at = words.iter().position(|word| word == "alertd").unwrap_or_else(|| panic!("no alertd in {:?}", step.line));
    let mut command = command(folder);
    for setting in &words[..at] {
        let (name, value) = setting.split_once('=').unwrap();
        command.env(name, value);
    }
    let ran = finish(command.args(&words[at + 1..]));
    let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    Got { out: lines(&ran.out), err: lines(&ran.err), code: ran.code.map_or("signal".to_owned(), |c| c.to_string()) }
}

/// Words of a command line; single quotes hold spaces.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                begun = true;
            }
            ' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

fn parse(text: &str) -> Script {
    let mut script = Script { intro: Vec::new(), files: Vec::new(), steps: Vec::new() };
    let mut comment = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("$ ") {
            let comment = std::mem::take(&mut comment);
            script.steps.push(Step { line: rest.to_owned(), comment, ..Step::default() });
        } else if let Some(step) = script.steps.last_mut() {
            let rest = || line.get(2..).unwrap_or_default().to_owned();
            match line.chars().next() {
                Some('|') => step.out.push(rest()),
                Some('!') => step.err.push(rest()),
                Some('=') => step.code = rest(),
                Some('#') => comment.push(line.to_owned()),
                None => {}
                Some(_) => panic!("a script's line begins with $ | ! = or #: {line:?}"),
            }
        } else if let Some(path) = line.strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --")) {
            script.files.push((path.to_owned(), String::new()));
        } else if let Some((_, text)) = script.files.last_mut() {
            text.push_str(line);
            text.push('\n');
        } else {
            script.intro.push(line.to_owned());
        }
    }
    script
}

fn show(script: &Script) -> String {
    let mut out = script.intro.iter().map(|line| format!("{line}\n")).collect::<String>();
    for (path, text) in &script.files {
        out.push_str(&format!("-- {path} --\n{text}"));
    }
    for (index, step) in script.steps.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        step.comment.iter().for_each(|line| out.push_str(&format!("{line}\n")));
        out.push_str(&format!("$ {}\n", step.line));
        for (mark, lines) in [('|', &step.out), ('!', &step.err)] {
            for line in lines {
                out.push_str(format!("{mark} {line}").trim_end());
                out.push('\n');
            }
        }
        out.push_str(&format!("= {}\n", step.code));
    }
    out
}

/// What was written where it still holds, else what came out.
fn merged(want: &[String], got: &[String]) -> Vec<String> {
    if matches(want, got) {
        return want.to_vec();
    }
    let keep = |(i, line): (usize, &String)| want.get(i).filter(|want| fits(want, line)).unwrap_or(line).clone();
    got.iter().enumerate().map(keep).collect()
}

fn matches(want: &[String], got: &[String]) -> bool {
    match (want.split_first(), got.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "[...]" => (0..=got.len()).any(|n| matches(rest, &got[n..])),
        (Some((first, rest)), Some((line, lines))) => fits(first, line) && matches(rest, lines),
        _ => false,
    }
}

/// Whether a line fits a pattern with `[..]`.
fn fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("[..]");
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn wildcards_match_parts_of_lines_and_runs_of_lines() {
    for (pattern, line, want) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("[..]", "", true),
        ("a[..]c", "abbc", true),
        ("a[..]c", "abb", false),
        ("[..]b[..]", "abc", true),
        ("a[..]b[..]c", "a-c-b", false),
    ] {
        assert_eq!(fits(pattern, line), want, "{pattern} {line}");
    }
    let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert!(matches(&lines("a [...] d"), &lines("a b c d")));
    assert!(!matches(&lines("a [...] d"), &lines("a b c")));
}
