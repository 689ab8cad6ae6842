//! History as CSV (RFC 4180) for spreadsheets.
//!
//! A spreadsheet runs a cell that begins like a formula. Labels and messages come from outside, so such a cell gets a
//! quote in front, which spreadsheets take for "this is text".

use serde_json::Value;

/// The columns: keys of a history event.
const COLUMNS: [&str; 11] =
    ["time", "kind", "rule", "severity", "handler", "reason", "fingerprint", "notice", "labels", "detail", "rule_uid"];

/// The heading line.
pub fn heading() -> String {
    COLUMNS.join(",") + "\r\n"
}

/// The line of one event.
pub fn line(event: &Value) -> String {
    let cell = |column: &&str| match event.get(*column) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => quoted(text),
        Some(other) => quoted(&other.to_string()),
    };
    COLUMNS.iter().map(cell).collect::<Vec<_>>().join(",") + "\r\n"
}

/// A cell, harmless and quoted where it must be.
fn quoted(text: &str) -> String {
    let runs = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let mark = if runs { "'" } else { "" };
    if runs || text.contains(['"', ',', '\r', '\n']) {
        format!("\"{mark}{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_quoted_and_none_can_run_as_a_formula() {
        for (text, want) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            ("a=1", "a=1"),
        ] {
            assert_eq!(quoted(text), want);
        }
    }

    #[test]
    fn an_event_is_one_line_of_as_many_cells_as_the_heading() {
        let event = json!({"time": "2026-01-01T00:00:00Z", "kind": "sent", "rule": "r", "labels": {"a": "b"}});
        let line = line(&event);
        assert_eq!(line, "2026-01-01T00:00:00Z,sent,r,,,,,,\"{\"\"a\"\":\"\"b\"\"}\",,\r\n");
        assert_eq!(heading().matches(',').count(), COLUMNS.len() - 1);
    }
}
