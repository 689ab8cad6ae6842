//! For GitLab: a Code Quality report. <https://docs.gitlab.com/ci/testing/code_quality/>

use std::collections::BTreeMap;

use serde_json::json;

use super::{Diagnostic, Level};

/// Renders the report. A fingerprint is made of file, code, message and the marked text, so it survives moved lines;
/// equal findings are told apart by counting.
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let mut seen: BTreeMap<u64, u32> = BTreeMap::new();
    let issues: Vec<_> = diagnostics
        .iter()
        .map(|d| {
            let hash = fingerprint(d);
            let nth = seen.entry(hash).and_modify(|n| *n += 1).or_insert(0);
            let (start, end) = (d.start(), d.end());
            let severity = match d.level {
                Level::Error => "critical",
                Level::Warning => "minor",
                Level::Note => "info",
            };
            json!({
                "description": d.message,
                "check_name": d.code,
                "fingerprint": format!("{:016x}", hash.wrapping_add(u64::from(*nth))),
                "severity": severity,
                "location": {
                    "path": &*d.file.path,
                    "positions": {
                        "begin": {"line": start.line, "column": start.column},
                        "end": {"line": end.line, "column": end.column},
                    },
                    "lines": {"begin": start.line, "end": end.line},
                },
            })
        })
        .collect();
    serde_json::to_string_pretty(&issues).unwrap_or_else(|_| "[]".to_owned()) + "\n"
}

/// Identity of a finding that does not depend on where in the file it stands: FNV-1a 64.
pub(super) fn fingerprint(d: &Diagnostic) -> u64 {
    let marked = d.file.text.get(d.span.clone()).unwrap_or("");
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in [&*d.file.path, d.code, &d.message, marked] {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}
