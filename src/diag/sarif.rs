//! For code scanning: SARIF 2.1.0. <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Diagnostic, Fix, codes, gitlab::fingerprint};

/// Renders one run. Columns count Unicode code points, which the run declares.
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let used: BTreeSet<&str> = diagnostics.iter().map(|d| d.code).collect();
    let rules: Vec<Value> = used.iter().map(|code| rule(code, HOMEPAGE)).collect();
    let index: BTreeMap<&str, usize> = used.iter().enumerate().map(|(i, code)| (*code, i)).collect();
    let mut seen = BTreeMap::new();
    let results: Vec<Value> = diagnostics.iter().map(|d| result(d, index.get(d.code), &mut seen)).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "alertd", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    serde_json::to_string_pretty(&log).unwrap_or_else(|_| "{}".to_owned()) + "\n"
}

/// Where the manual is published, as the package says it; empty where it is not published.
const HOMEPAGE: &str = env!("CARGO_PKG_HOMEPAGE");

/// A code as SARIF has it; with the address of its page, where the manual has one.
pub(super) fn rule(code: &str, homepage: &str) -> Value {
    let mut rule = match codes::find(code) {
        Some(found) => json!({
            "id": code,
            "shortDescription": {"text": found.title},
            "fullDescription": {"text": found.explanation},
            "help": {"text": found.page()},
        }),
        None => json!({"id": code}),
    };
    if !homepage.is_empty() {
        let page = format!("{}/docs/checks.md#{}", homepage.trim_end_matches('/'), code.to_ascii_lowercase());
        rule["helpUri"] = json!(page);
    }
    rule
}

fn result(d: &Diagnostic, rule: Option<&usize>, seen: &mut BTreeMap<u64, u32>) -> Value {
    let (start, end) = (d.start(), d.end());
    let message = match &d.help {
        Some(help) => format!("{}\n{help}", d.message),
        None => d.message.clone(),
    };
    let hash = fingerprint(d);
    let nth = seen.entry(hash).and_modify(|n| *n += 1).or_insert(0);
    let mut result = json!({
        "ruleId": d.code,
        "ruleIndex": rule,
        "level": d.level.as_str(),
        "message": {"text": message},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&d.file.path)},
            "region": {
                "startLine": start.line, "startColumn": start.column,
                "endLine": end.line, "endColumn": end.column,
            },
        }}],
        // Equal findings are told apart by counting, as they are in the report for GitLab.
        "partialFingerprints": {"alertd/v1": format!("{:016x}", hash.wrapping_add(u64::from(*nth)))},
    });
    if let Some(fix) = &d.fix {
        result["fixes"] = json!([fix_of(d, fix)]);
    }
    result
}

/// The mend as SARIF has it.
fn fix_of(d: &Diagnostic, fix: &Fix) -> Value {
    let replacements: Vec<Value> = fix
        .edits
        .iter()
        .map(|edit| {
            let (start, end) = (d.file.position(edit.span.start), d.file.position(edit.span.end));
            json!({
                "deletedRegion": {
                    "startLine": start.line, "startColumn": start.column,
                    "endLine": end.line, "endColumn": end.column,
                },
                "insertedContent": {"text": edit.text},
            })
        })
        .collect();
    json!({
        "description": {"text": d.help.as_ref().or(d.label.as_ref()).unwrap_or(&d.message)},
        "artifactChanges": [{
            "artifactLocation": {"uri": uri(&d.file.path)},
            "replacements": replacements,
        }],
    })
}

/// A path as a relative or `file:` URI.
fn uri(path: &str) -> String {
    let mut out = String::from(if path.starts_with('/') { "file://" } else { "" });
    for byte in path.replace('\\', "/").bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
