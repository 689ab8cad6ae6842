//! Reports for other programs against what those programs read: SARIF, GitLab's Code Quality, JUnit, Checkstyle.
//!
//! The forms are written down here from their specifications, as strictly as these are: a member that is not there, or of
//! another type, fails.

#![allow(clippy::unwrap_used)] // A test that cannot read its files has failed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use alertd::app::doubts::Doubts;
use alertd::diag::{self, Case, Diagnostic, SourceFile, codes};
use alertd::rule::LoadOptions;
use serde_json::{Value, json};

/// Findings of every code that a rule file can have, from files whose names are as bad as names can be.
fn findings() -> Vec<Diagnostic> {
    let mut files = Vec::new();
    for (i, code) in
        codes::all().filter(|code| code.file == codes::ExampleFile::Rules && !code.bad.is_empty()).enumerate()
    {
        files.push(SourceFile::new(format!("rules/{i} & <\"ü\">.yaml"), code.bad));
    }
    let mut found: Vec<Diagnostic> = files
        .iter()
        .flat_map(|file| Doubts::default().load(std::slice::from_ref(file), &LoadOptions::default()).diagnostics)
        .collect();
    let odd = SourceFile::new("/etc/alertd/ü.yaml", "a\u{1}b]]>\n");
    found.push(
        Diagnostic::error("A003", &odd, 0..1, "<&>\"' \u{0}\u{b}\u{fffe} ]]>".to_owned()).with_help("100% \"sure\""),
    );
    diag::sort(&mut found);
    assert!(found.len() > 50);
    found
}

/// A schema with the closed form: `properties` that are all there may be, `required` what must be.
fn closed(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

#[track_caller]
fn satisfies(schema: &Value, value: &Value) {
    let validator = jsonschema::draft202012::new(schema).expect("a schema");
    let errors: Vec<String> =
        validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).take(5).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// Section 3 of SARIF 2.1.0, for the members that are written.
fn sarif_schema() -> Value {
    let text = || closed(json!({"text": {"type": "string", "minLength": 1}}), &["text"]);
    let region = || {
        let one = json!({"type": "integer", "minimum": 1});
        closed(
            json!({"startLine": one, "startColumn": one, "endLine": one, "endColumn": one}),
            &["startLine", "startColumn", "endLine", "endColumn"],
        )
    };
    let artifact =
        || closed(json!({"uri": {"type": "string", "pattern": "^(file:///)?[A-Za-z0-9/._~%-]+$"}}), &["uri"]);
    let rule = closed(
        json!({"id": {"type": "string", "pattern": "^A[0-9]{3}$"}, "shortDescription": text(), "fullDescription": text(),
            "help": text(), "helpUri": {"type": "string", "pattern": "^https://"}}),
        &["id", "shortDescription", "fullDescription", "help"],
    );
    let replacement = closed(
        json!({"deletedRegion": region(), "insertedContent": closed(json!({"text": {"type": "string"}}), &["text"])}),
        &["deletedRegion"],
    );
    let change = closed(
        json!({"artifactLocation": artifact(), "replacements": {"type": "array", "minItems": 1, "items": replacement}}),
        &["artifactLocation", "replacements"],
    );
    let fix = closed(
        json!({"description": text(), "artifactChanges": {"type": "array", "minItems": 1, "items": change}}),
        &["artifactChanges"],
    );
    let location = closed(
        json!({"physicalLocation": closed(json!({"artifactLocation": artifact(), "region": region()}), &["artifactLocation"])}),
        &["physicalLocation"],
    );
    let result = closed(
        json!({"ruleId": {"type": "string"}, "ruleIndex": {"type": "integer", "minimum": 0},
            "level": {"enum": ["none", "note", "warning", "error"]}, "message": text(),
            "locations": {"type": "array", "minItems": 1, "items": location},
            "partialFingerprints": {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}},
            "fixes": {"type": "array", "items": fix}}),
        &["ruleId", "level", "message", "locations", "partialFingerprints"],
    );
    let driver = closed(
        json!({"name": {"type": "string"}, "version": {"type": "string"}, "rules": {"type": "array", "uniqueItems": true, "items": rule}}),
        &["name", "rules"],
    );
    let run = closed(
        json!({"tool": closed(json!({"driver": driver}), &["driver"]), "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            "results": {"type": "array", "items": result}}),
        &["tool", "results"],
    );
    closed(
        json!({"$schema": {"type": "string", "format": "uri"}, "version": {"const": "2.1.0"},
            "runs": {"type": "array", "minItems": 1, "maxItems": 1, "items": run}}),
        &["version", "runs"],
    )
}

#[test]
fn sarif_has_the_form_of_2_1_0_and_results_name_their_rules() {
    let log: Value = serde_json::from_str(&diag::sarif(&findings())).unwrap();
    satisfies(&sarif_schema(), &log);
    satisfies(&sarif_schema(), &serde_json::from_str(&diag::sarif(&[])).unwrap());
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let mut prints = BTreeSet::new();
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(
            prints.insert(result["partialFingerprints"]["alertd/v1"].to_string()),
            "two results are the same: {result}"
        );
    }
}

#[test]
fn fingerprints_survive_moved_lines() {
    let rule = "rules:\n  - name: a\n    expr: up{job=~\"api\"} == 0\n";
    let prints = |text: &str| {
        let file = SourceFile::new("a.yaml", text);
        let found = Doubts::default().load(&[file], &LoadOptions::default()).diagnostics;
        let log: Value = serde_json::from_str(&diag::sarif(&found)).unwrap();
        let report: Value = serde_json::from_str(&diag::gitlab(&found)).unwrap();
        (log["runs"][0]["results"][0]["partialFingerprints"].clone(), report[0]["fingerprint"].clone())
    };
    let moved = format!("# first\n\n{}", rule.replace("    expr", "    for: 1m\n    expr"));
    assert_eq!(prints(rule), prints(&moved));
    assert_ne!(prints(rule), prints(&rule.replace("api", "web")));
}

#[test]
fn gitlab_has_the_form_of_code_quality() {
    let line = json!({"type": "integer", "minimum": 1});
    let place = || closed(json!({"line": line, "column": line}), &["line", "column"]);
    let location = closed(
        json!({"path": {"type": "string"}, "lines": closed(json!({"begin": line, "end": line}), &["begin"]),
            "positions": closed(json!({"begin": place(), "end": place()}), &["begin", "end"])}),
        &["path", "lines"],
    );
    let issue = closed(
        json!({"description": {"type": "string", "minLength": 1}, "check_name": {"type": "string"},
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
            "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]}, "location": location}),
        &["description", "check_name", "fingerprint", "severity", "location"],
    );
    let report: Value = serde_json::from_str(&diag::gitlab(&findings())).unwrap();
    satisfies(&json!({"type": "array", "items": issue}), &report);
    let prints: BTreeSet<&str> =
        report.as_array().unwrap().iter().map(|i| i["fingerprint"].as_str().unwrap()).collect();
    assert_eq!(prints.len(), report.as_array().unwrap().len());
}

/// An element: its name, attributes, elements in it.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    text: String,
}

impl Element {
    fn get(&self, name: &str) -> &str {
        self.attributes
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
            .unwrap_or_else(|| panic!("{self:?}: no {name}"))
    }

    fn has_only(&self, names: &[&str]) {
        assert!(self.attributes.iter().all(|(n, _)| names.contains(&n.as_str())), "{:?}", self.attributes);
    }
}

/// Reads XML of elements, attributes and text, as strictly as XML 1.0 has it.
fn xml(text: &str) -> Element {
    let legal = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(text.chars().all(legal), "a character that XML cannot hold");
    let mut rest = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").expect("a declaration");
    let mut open: Vec<Element> = vec![Element::default()];
    while let Some(at) = rest.find('<') {
        open.last_mut().unwrap().text.push_str(&plain(&rest[..at]));
        let end = rest[at..].find('>').expect("`>`") + at;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let element = open.pop().unwrap();
            assert_eq!(element.name, name);
            open.last_mut().unwrap().children.push(element);
            continue;
        }
        let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let element = element(tag);
        if empty { open.last_mut().unwrap().children.push(element) } else { open.push(element) }
    }
    assert_eq!(rest.trim(), "");
    let mut top = open.pop().unwrap();
    assert!(open.is_empty() && top.children.len() == 1);
    top.children.pop().unwrap()
}

fn element(tag: &str) -> Element {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
    let mut element = Element { name: name.to_owned(), ..Element::default() };
    while !rest.trim().is_empty() {
        let (key, behind) = rest.trim_start().split_once("=\"").expect("an attribute");
        let (value, behind) = behind.split_once('"').expect("the end of an attribute");
        assert!(element.attributes.iter().all(|(k, _)| k != key), "{key} is there twice");
        element.attributes.push((key.to_owned(), plain(value)));
        rest = behind;
    }
    element
}

fn plain(text: &str) -> String {
    assert!(!text.contains('<') && !text.contains("]]>"), "{text}");
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let end = rest[at..].find(';').expect("`;`") + at;
        out.push(match &rest[at..=end] {
            "&amp;" => '&',
            "&lt;" => '<',
            "&gt;" => '>',
            "&quot;" => '"',
            other => panic!("{other}"),
        });
        rest = &rest[end + 1..];
    }
    out + rest
}

#[test]
fn checkstyle_is_well_formed_and_has_every_finding() {
    let found = findings();
    let top = xml(&diag::checkstyle(&found));
    assert_eq!(top.name, "checkstyle");
    let errors: Vec<&Element> =
        top.children.iter().inspect(|file| file.has_only(&["name"])).flat_map(|file| &file.children).collect();
    assert_eq!(errors.len(), found.len());
    for (error, d) in errors.iter().zip(&found) {
        error.has_only(&["line", "column", "severity", "message", "source"]);
        assert_eq!(error.get("source"), format!("alertd.{}", d.code));
        assert_eq!(error.get("line"), d.start().line.to_string());
        assert!(["error", "warning", "info"].contains(&error.get("severity")));
    }
    assert_eq!(xml(&diag::checkstyle(&[])).children.len(), 0);
}

#[test]
fn junit_is_well_formed_and_its_counts_are_those_of_its_cases() {
    let found = findings();
    let cases = [
        Case { suite: "a <rule>", name: "fires & stops", failure: None },
        Case { suite: "a <rule>", name: "never \"fires\"", failure: Some(("expected <1>", "rules/a.yaml:3")) },
    ];
    let top = xml(&diag::junit(&found, &["rules/clean.yaml"], &cases));
    assert_eq!(top.name, "testsuites");
    let (mut tests, mut failures) = (0, 0);
    for suite in &top.children {
        suite.has_only(&["name", "tests", "failures"]);
        let failed = suite.children.iter().filter(|case| case.children.iter().any(|c| c.name == "failure")).count();
        assert_eq!(suite.get("tests"), suite.children.len().to_string());
        assert_eq!(suite.get("failures"), failed.to_string());
        for case in &suite.children {
            case.has_only(&["classname", "name"]);
            case.children
                .iter()
                .filter(|c| c.name == "failure")
                .for_each(|failure| failure.has_only(&["message", "type"]));
        }
        tests += suite.children.len();
        failures += failed;
    }
    assert_eq!((top.get("tests"), top.get("failures")), (&*tests.to_string(), &*failures.to_string()));
    assert_eq!(top.children.last().unwrap().children[1].children[0].text, "rules/a.yaml:3");
}

#[test]
fn samples_and_starter_files_pass_every_check() {
    for path in [
        "rules/host.yaml",
        "rules/llm.yaml",
        "src/cli/init/rules.yaml",
        "src/cli/demo/rules.yaml",
        "src/app/builtin.yaml",
    ] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        let file: Arc<SourceFile> = SourceFile::new(path, text);
        let found = Doubts::default().load(&[file], &LoadOptions::default()).diagnostics;
        assert!(found.is_empty(), "{}", diag::text(&found, diag::TextStyle::default()));
    }
}
