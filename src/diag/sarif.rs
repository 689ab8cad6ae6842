//! For code scanning: SARIF 2.1.0. <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Diagnostic, codes, gitlab::fingerprint};

/// Renders one run. Columns count Unicode code points, which the run declares.
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let used: BTreeSet<&str> = diagnostics.iter().map(|d| d.code).collect();
    let rules: Vec<Value> = used.iter().map(|code| rule(code)).collect();
    let results: Vec<Value> = diagnostics.iter().map(result).collect();
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

fn rule(code: &str) -> Value {
    match codes::find(code) {
        Some(found) => json!({
            "id": code,
            "shortDescription": {"text": found.title},
            "fullDescription": {"text": found.explanation},
            "help": {"text": found.page()},
        }),
        None => json!({"id": code}),
    }
}

fn result(d: &Diagnostic) -> Value {
    let (start, end) = (d.start(), d.end());
    let message = match &d.help {
        Some(help) => format!("{}\n{help}", d.message),
        None => d.message.clone(),
    };
    json!({
        "ruleId": d.code,
        "level": d.level.as_str(),
        "message": {"text": message},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&d.file.path)},
            "region": {
                "startLine": start.line, "startColumn": start.column,
                "endLine": end.line, "endColumn": end.column,
            },
        }}],
        "partialFingerprints": {"alertd/v1": format!("{:016x}", fingerprint(d))},
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
