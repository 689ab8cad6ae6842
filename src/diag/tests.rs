//! Goldens of the renderers.

use std::sync::Arc;

use super::*;

const SOURCE: &str =
    "rules:\n  - name: web\n    expr: rate(http_requests_total{code=~\"5..\"}[5m) > 0.1\n    fro: 5m\n";

fn file() -> Arc<SourceFile> {
    SourceFile::new("rules/web, eu.yml", SOURCE)
}

/// The findings of most goldens: an error with label and help, and a warning before it.
fn findings() -> Vec<Diagnostic> {
    let file = file();
    let bracket = SOURCE.find(") > 0.1").expect("bracket");
    let key = SOURCE.find("fro").expect("key");
    let mut all = vec![
        Diagnostic::error("A010", &file, key..key + 3, "unknown key `fro` in a rule".to_owned())
            .with_label("did you mean `for`?"),
        Diagnostic::error("A102", &file, bracket..bracket + 1, "unclosed range selector".to_owned())
            .with_label("expected `]`")
            .with_help("write `[5m]`"),
        Diagnostic::warning("A408", &file, 11..15, "100% odd: a\nb".to_owned()),
    ];
    sort(&mut all);
    all
}

fn plain(width: usize) -> TextStyle {
    TextStyle { colour: false, width }
}

#[track_caller]
fn check(have: &str, want: &str) {
    assert_eq!(have, want, "\n{have}");
}

#[test]
fn text_shows_the_line_with_a_caret_under_what_is_meant() {
    let want = r#"warning[A408]: 100% odd: a b
  --> rules/web, eu.yml:2:5
  2 |   - name: web
    |     ^^^^

error[A102]: unclosed range selector
  --> rules/web, eu.yml:3:51
  3 |     expr: rate(http_requests_total{code=~"5.."}[5m) > 0.1
    |                                                   ^ expected `]`
  help: write `[5m]`

error[A010]: unknown key `fro` in a rule
  --> rules/web, eu.yml:4:5
  4 |     fro: 5m
    |     ^^^ did you mean `for`?

"#;
    check(&text(&findings(), TextStyle::default()), want);
}

#[test]
fn text_in_colour_says_the_same() {
    let coloured = text(&findings(), TextStyle { colour: true, width: 120 });
    let mut bare = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        bare.push_str(before);
        rest = after.split_once('m').map_or("", |(_, tail)| tail);
    }
    bare.push_str(rest);
    assert_eq!(bare, text(&findings(), TextStyle::default()));
    assert!(coloured.contains("\u{1b}[1;31merror[A102]\u{1b}[0m"));
}

fn excerpt_of(line: &str, needle: &str, width: usize) -> String {
    let file = SourceFile::new("f", format!("{line}\n"));
    let at = line.find(needle).expect("needle");
    let found = Diagnostic::error("A001", &file, at..at + needle.len(), "m".to_owned());
    let shown = text(&[found], plain(width));
    shown.lines().skip(2).take(2).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_caret_stands_under_wide_letters_tabs_and_accents() {
    check(&excerpt_of("a: 監視 x", "監視", 80), "  1 | a: 監視 x\n    |    ^^^^");
    check(&excerpt_of("a: 監視 x", "x", 80), "  1 | a: 監視 x\n    |         ^");
    check(&excerpt_of("\ta: x", "x", 80), "  1 |     a: x\n    |        ^");
    check(&excerpt_of("a: e\u{301} x", "x", 80), "  1 | a: e\u{301} x\n    |      ^");
}

#[test]
fn a_long_line_is_cut_around_the_caret() {
    let line = format!("{}HERE{}", "a".repeat(500), "b".repeat(500));
    let shown = excerpt_of(&line, "HERE", 60);
    assert!(shown.lines().all(|line| line.chars().count() <= 60), "{shown}");
    let (top, bottom) = shown.split_once('\n').expect("two lines");
    let caret = bottom.chars().position(|c| c == '^').expect("caret");
    assert_eq!(top.chars().skip(caret).take(4).collect::<String>(), "HERE", "{shown}");
    assert!(top.contains("| …a") && top.ends_with('…'), "{shown}");
    // Without a width nothing is cut.
    assert!(excerpt_of(&line, "HERE", 0).lines().next().is_some_and(|line| line.chars().count() > 1000));
}

#[test]
fn control_characters_of_a_file_cannot_steer_the_terminal() {
    let file = SourceFile::new("a\u{1b}[2J.yml", "x: \u{1b}[31m \u{202e} \u{7}\u{9b}\r\n");
    let found = Diagnostic::error("A010", &file, 3..8, "bad \u{1b}]0;x\u{7}".to_owned())
        .with_label("\u{1b}[0m")
        .with_help("a\r\nb");
    for shown in [
        text(std::slice::from_ref(&found), plain(0)),
        concise(std::slice::from_ref(&found)),
        junit(std::slice::from_ref(&found), &[], &[]),
        github(std::slice::from_ref(&found)).replace("\u{1b}", "").replace(['\u{7}'], ""),
    ] {
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    }
}

#[test]
fn a_finding_at_the_end_of_a_file_or_of_an_empty_file_is_shown() {
    let file = SourceFile::new("f", "");
    let shown = text(&[Diagnostic::error("A017", &file, 0..0, "m".to_owned())], plain(80));
    check(&shown, "error[A017]: m\n  --> f:1:1\n\n");
    let file = SourceFile::new("f", "abc");
    let shown = text(&[Diagnostic::error("A017", &file, 3..3, "m".to_owned())], plain(80));
    check(&shown, "error[A017]: m\n  --> f:1:4\n  1 | abc\n    |    ^\n\n");
}

#[test]
fn a_byte_order_mark_takes_no_column() {
    let file = SourceFile::new("f", "\u{feff}a: x\n");
    let found = Diagnostic::error("A010", &file, 3..4, "m".to_owned());
    assert_eq!((found.start().line, found.start().column, found.end().column), (1, 1, 2));
    check(&text(&[found], plain(80)), "error[A010]: m\n  --> f:1:1\n  1 | a: x\n    | ^\n\n");
}

#[test]
fn concise_is_one_line_each() {
    check(
        &concise(&findings()),
        "rules/web, eu.yml:2:5: warning[A408] 100% odd: a b\n\
         rules/web, eu.yml:3:51: error[A102] unclosed range selector\n\
         rules/web, eu.yml:4:5: error[A010] unknown key `fro` in a rule\n",
    );
}

#[test]
fn json_has_the_fields_of_a_dry_run() {
    let parsed: serde_json::Value = serde_json::from_str(&json(&findings())).expect("json");
    assert_eq!(
        parsed[1],
        serde_json::json!({
            "code": "A102", "severity": "error", "message": "unclosed range selector", "file": "rules/web, eu.yml",
            "line": 3, "column": 51, "end_line": 3, "end_column": 52, "label": "expected `]`", "help": "write `[5m]`",
        })
    );
    assert_eq!(parsed[0].get("help"), None);
}

#[test]
fn github_commands_are_escaped_and_errors_come_first() {
    check(
        &github(&findings()),
        "::error file=rules/web%2C eu.yml,line=3,col=51,endLine=3,endColumn=52,title=A102 something is not closed::unclosed range selector%0Aexpected `]`%0Awrite `[5m]`\n\
         ::error file=rules/web%2C eu.yml,line=4,col=5,endLine=4,endColumn=8,title=A010 unknown key::unknown key `fro` in a rule%0Adid you mean `for`?\n\
         ::warning file=rules/web%2C eu.yml,line=2,col=5,endLine=2,endColumn=9,title=A408 levels out of order::100%25 odd: a%0Ab\n",
    );
}

#[test]
fn gitlab_fingerprints_survive_moved_lines_and_tell_equal_findings_apart() {
    let report = |prefix: &str| -> Vec<serde_json::Value> {
        let source = format!("{prefix}a: x\nb: x\n");
        let file = SourceFile::new("f.yml", source.clone());
        let spans = source.match_indices('x').map(|(at, _)| at..at + 1);
        let found: Vec<_> = spans.map(|span| Diagnostic::error("A010", &file, span, "m".to_owned())).collect();
        serde_json::from_str(&gitlab(&found)).expect("json")
    };
    let (before, after) = (report(""), report("# a line\n\n"));
    assert_eq!(before[0]["fingerprint"], after[0]["fingerprint"]);
    assert_eq!(before[1]["fingerprint"], after[1]["fingerprint"]);
    assert_ne!(before[0]["fingerprint"], before[1]["fingerprint"]);
    assert_eq!(after[0]["location"]["lines"]["begin"], 3);
    assert_eq!((&after[0]["check_name"], &after[0]["severity"]), (&"A010".into(), &"critical".into()));
}

#[test]
fn sarif_has_what_code_scanning_asks_for() {
    let log: serde_json::Value = serde_json::from_str(&sarif(&findings())).expect("json");
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    assert_eq!(rules.iter().map(|r| r["id"].as_str().unwrap_or("")).collect::<Vec<_>>(), ["A010", "A102", "A408"]);
    assert!(rules[0]["fullDescription"]["text"].as_str().is_some_and(|text| text.contains("misspelt")));
    let result = &run["results"][1];
    assert_eq!((&result["ruleId"], &result["level"]), (&"A102".into(), &"error".into()));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "rules/web%2C%20eu.yml");
    assert_eq!(place["region"], serde_json::json!({"startLine": 3, "startColumn": 51, "endLine": 3, "endColumn": 52}));
    assert!(result["partialFingerprints"]["alertd/v1"].is_string());
}

#[test]
fn junit_has_a_suite_per_file_and_fails_on_errors_only() {
    check(
        &junit(&findings(), &["a<b.yml", "rules/web, eu.yml"], &[]),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"alertd\" tests=\"4\" failures=\"2\">\n\
         \x20 <testsuite name=\"a&lt;b.yml\" tests=\"1\" failures=\"0\">\n\
         \x20   <testcase classname=\"a&lt;b.yml\" name=\"check\"/>\n\
         \x20 </testsuite>\n\
         \x20 <testsuite name=\"rules/web, eu.yml\" tests=\"3\" failures=\"2\">\n\
         \x20   <testcase classname=\"rules/web, eu.yml\" name=\"A408 at 2:5\">\n\
         \x20     <system-out>rules/web, eu.yml:2:5: warning[A408] 100% odd: a b</system-out>\n\
         \x20   </testcase>\n\
         \x20   <testcase classname=\"rules/web, eu.yml\" name=\"A102 at 3:51\">\n\
         \x20     <failure message=\"unclosed range selector\" type=\"A102\">rules/web, eu.yml:3:51: error[A102] unclosed range selector\nhelp: write `[5m]`</failure>\n\
         \x20   </testcase>\n\
         \x20   <testcase classname=\"rules/web, eu.yml\" name=\"A010 at 4:5\">\n\
         \x20     <failure message=\"unknown key `fro` in a rule\" type=\"A010\">rules/web, eu.yml:4:5: error[A010] unknown key `fro` in a rule</failure>\n\
         \x20   </testcase>\n\
         \x20 </testsuite>\n\
         </testsuites>\n",
    );
}

#[test]
fn sorting_is_by_file_and_place_and_repetitions_are_told_once() {
    let (a, b) = (SourceFile::new("a", "xyz"), SourceFile::new("b", "xyz"));
    let at = |file, start, message: &str| Diagnostic::error("A010", file, start..start + 1, message.to_owned());
    let mut all = vec![at(&b, 0, "m"), at(&a, 2, "m"), at(&a, 0, "m"), at(&a, 2, "m"), at(&a, 2, "other")];
    sort(&mut all);
    let shown: Vec<_> = all.iter().map(|d| (&*d.file.path, d.span.start, d.message.as_str())).collect();
    assert_eq!(shown, [("a", 0, "m"), ("a", 2, "m"), ("a", 2, "other"), ("b", 0, "m")]);
}

#[test]
fn suggestions_are_near_or_none() {
    let keys = ["for", "every", "threshold", "keep_firing_for", "on_error"];
    for (name, want) in [
        ("fro", Some("for")),
        ("threshhold", Some("threshold")),
        ("Threshold", Some("threshold")),
        ("keep_firing", Some("keep_firing_for")),
        ("evry", Some("every")),
        ("colour", None),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(suggest(name, keys), want, "{name}");
    }
    assert_eq!(suggest(&"a".repeat(100_000), keys), None);
}

#[test]
fn codes_are_sorted_unique_and_of_their_family() {
    let all: Vec<&str> = codes::all().map(|code| code.code).collect();
    for pair in all.windows(2) {
        let closes = pair[0].starts_with("A6") || pair[0].starts_with("A7");
        assert!(pair[0] < pair[1] || closes, "{pair:?}");
    }
    for code in codes::all() {
        assert!(code.code.len() == 4 && code.code.starts_with('A'), "{}", code.code);
        assert!(!code.title.ends_with('.') && code.explanation.ends_with(['.', '`']), "{}", code.code);
        assert_eq!(code.bad.is_empty(), code.good.is_empty(), "{}", code.code);
    }
    assert!(codes::find("a010").is_some_and(|code| code.page().contains("But so:")));
    assert!(codes::find("A999").is_none());
}
