//! Patterns of `rule_files` and `templates`, as Go's `filepath.Glob` has them: `*`, `?`, `[a-z]` and `\` within one part of a path.

use std::path::{Component, Path, PathBuf};

/// Most files that one pattern may name.
pub const MATCHES_MAX: usize = 10_000;
/// Most entries of folders that are looked at for one pattern.
const ENTRIES_MAX: usize = 200_000;
/// Longest pattern.
const PATTERN_LEN_MAX: usize = 4096;

/// Whether a path of a configuration is a pattern.
pub fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '[', '\\'])
}

/// The folder in which the matches of a pattern lie, however many folders deep.
pub fn folder(base: &Path, pattern: &str) -> PathBuf {
    let fixed = Path::new(pattern).components().take_while(|part| !is_pattern(&part.as_os_str().to_string_lossy()));
    clean(&base.join(fixed.collect::<PathBuf>()))
}

/// The files that a pattern below `base` names, sorted. A pattern that cannot be read is an error in words.
pub fn files(base: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    if pattern.len() > PATTERN_LEN_MAX {
        return Err(format!("the pattern has more than {PATTERN_LEN_MAX} bytes"));
    }
    let path = Path::new(pattern);
    let whole = if path.is_absolute() { path.to_owned() } else { base.join(path) };
    if !is_pattern(pattern) {
        return Ok(if whole.exists() { vec![clean(&whole)] } else { Vec::new() });
    }
    let mut found = vec![if path.is_absolute() { PathBuf::from("/") } else { base.to_owned() }];
    let mut looked_at = 0;
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        check(part)?;
        let mut next = Vec::new();
        for folder in &found {
            if !is_pattern(part) {
                next.extend(Some(folder.join(part)).filter(|path| path.exists()));
                continue;
            }
            for name in names(folder) {
                looked_at += 1;
                if looked_at > ENTRIES_MAX {
                    return Err(format!("the pattern looks at more than {ENTRIES_MAX} files and folders"));
                }
                if matches(part, &name) {
                    next.push(folder.join(&name));
                }
            }
        }
        if next.len() > MATCHES_MAX {
            return Err(format!("the pattern names more than {MATCHES_MAX} files"));
        }
        found = next;
    }
    Ok(found.iter().map(|path| clean(path)).collect())
}

/// A path without `.` and, where that can be told from it, without `..`, as Go's `filepath.Join` gives it.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// The names in a folder, sorted; none where there is no folder.
fn names(folder: &Path) -> Vec<String> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.take(ENTRIES_MAX + 1).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// Whether a part can be read.
fn check(part: &str) -> Result<(), String> {
    let mut rest: &[char] = &part.chars().collect::<Vec<_>>();
    while let Some((first, behind)) = rest.split_first() {
        rest = match first {
            '[' => class(behind, None).ok_or("a `[` is not closed, or its range is none")?.1,
            '\\' => behind.get(1..).ok_or("nothing follows a `\\`")?,
            _ => behind,
        };
    }
    Ok(())
}

/// What follows a class, and whether it holds a character.
fn class(pattern: &[char], c: Option<char>) -> Option<(bool, &[char])> {
    let (negated, mut rest) = match pattern.split_first() {
        Some(('^', rest)) => (true, rest),
        _ => (false, pattern),
    };
    let (mut holds, mut first) = (false, true);
    loop {
        let (head, behind) = rest.split_first()?;
        if *head == ']' && !std::mem::take(&mut first) {
            return Some((holds != negated, behind));
        }
        first = false;
        let (low, behind) = one(rest)?;
        let (high, behind) = match behind.split_first() {
            Some(('-', behind)) => one(behind)?,
            _ => (low, behind),
        };
        holds |= c.is_some_and(|c| (low..=high).contains(&c));
        rest = behind;
    }
}

/// A character of a class.
fn one(pattern: &[char]) -> Option<(char, &[char])> {
    match pattern.split_first()? {
        ('\\', rest) => rest.split_first().map(|(c, rest)| (*c, rest)),
        ('-' | ']', _) => None,
        (c, rest) => Some((*c, rest)),
    }
}

/// Whether a name fits a part. Goes back to the last `*` alone, so its time is bounded by the product of the lengths.
fn matches(part: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (part.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => class(&pattern[p + 1..], Some(name[n]))
                .and_then(|(holds, rest)| holds.then_some(pattern.len() - rest.len())),
            Some('\\') => pattern.get(p + 1).filter(|c| **c == name[n]).map(|_| p + 2),
            Some(c) => (*c == name[n]).then_some(p + 1),
            None => None,
        };
        match (step, star) {
            (Some(next), _) => (p, n) = (next, n + 1),
            (None, Some((behind, at))) => {
                (p, n) = (behind, at + 1);
                star = Some((behind, at + 1));
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_match_as_in_go() {
        for (part, name, want) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "a.yml", false),
            ("*.y*ml", "a.yml", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("*a*b*c*", "xxaxxbxxc", true),
            ("*a*b*c*", "xxaxxcxxb", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(part, name), want, "{part} {name}");
        }
        for bad in ["[", "[a", "a\\", "[]", "[a-]"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        let many = "a*".repeat(500) + "b";
        assert!(!matches(&many, &"a".repeat(5000)));
    }
}
