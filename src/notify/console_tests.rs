//! Golden blocks of the console renderer.

use std::sync::Arc;

use super::*;
use crate::model::{AlertState, GroupRef, NoticeKind, NoticeReason, Origin, ResolveReason, Timestamp};

const UNICODE: Style = Style { colour: false, unicode: true };

pub(crate) fn transition(kind: TransitionKind) -> Transition {
    let labels = Labels::from_pairs([
        ("alertname", "HighCPU"),
        ("severity", "critical"),
        ("host", "web-1"),
        ("__name__", "system.cpu_percent"),
    ]);
    let start = Timestamp(1_700_000_000_000);
    Transition {
        at: start.plus(std::time::Duration::from_secs(120)),
        sequence: 2,
        kind,
        alert: Alert {
            rule_uid: "host/HighCPU".into(),
            rule: "HighCPU".into(),
            origin: Origin { file: "rules/host.yaml".into(), line: 12 },
            fingerprint: labels.fingerprint(),
            labels: labels.without_name(),
            annotations: Labels::from_pairs([("description", "CPU of web-1 is high\n"), ("unit", "percent")]),
            state: AlertState::Firing,
            severity: Severity::Critical,
            value: 92.437,
            peak: 97.25,
            condition: "> 80".into(),
            limit: Some(80.0),
            active_at: start,
            fired_at: Some(start.plus(std::time::Duration::from_secs(120))),
            resolved_at: None,
            no_data_since: None,
            flapping: None,
            notify: vec![],
            generator_url: None,
        },
        trend: vec![20.0, 35.0, 50.0, f64::NAN, 70.0, 85.0, 92.437],
        link: None,
    }
}

pub(crate) fn notice(transitions: Vec<Transition>) -> Notice {
    let transitions = transitions.into_iter().map(Arc::new).collect();
    let group = GroupRef::new("{}:{}", Labels::empty());
    let (kind, reason, at) = (NoticeKind::Firing, NoticeReason::First, Timestamp(0));
    Notice {
        id: "00ff".into(),
        handler: "screen".into(),
        kind,
        reason,
        at,
        group,
        note: None,
        held_over: Vec::new(),
        transitions,
    }
}

fn check(style: Style, transition: &Transition, want: &str) {
    let got = Renderer { style }.transition(transition);
    assert_eq!(got.trim_end(), want.trim(), "\n{got}");
}

#[test]
fn a_fired_alert_says_what_since_when_where_and_how_it_came() {
    let want = r#"
FIRING critical HighCPU: 92.44% (> 80%)
  since       2023-11-14T22:13:20Z, for 2m
  labels      host="web-1"
  trend       ▁▂▄ ▆▇█  limit ▇ 80%
  description CPU of web-1 is high
  unit        percent
  rule        rules/host.yaml:12"#;
    check(UNICODE, &transition(TransitionKind::Fired), want);
}

#[test]
fn a_terminal_without_utf8_gets_ascii_only() {
    let mut fired = transition(TransitionKind::Raised { from: Severity::Warning });
    fired.alert.annotations = Labels::from_pairs([("summary", "Größe → voll")]);
    fired.alert.labels = Labels::from_pairs([("ort", "münchen")]);
    let want = r#"
RAISED warning -> critical HighCPU: 92.44 (> 80)
  since       2023-11-14T22:13:20Z, for 2m
  labels      ort="m\xfcnchen"
  trend       _.- +*#  limit * 80
  summary     Gr\xf6\xdfe \u{2192} voll
  rule        rules/host.yaml:12"#;
    check(Style::default(), &fired, want);
    assert!(Renderer::default().transition(&fired).is_ascii());
}

#[test]
fn colours_mark_the_severity_and_the_bars_beyond_the_limit() {
    let mut fired = transition(TransitionKind::Fired);
    fired.alert.annotations = Labels::empty();
    let want = "\u{1b}[1;31mFIRING critical\u{1b}[0m HighCPU: 92.44 (> 80)
  \u{1b}[2msince      \u{1b}[0m 2023-11-14T22:13:20Z, for 2m
  \u{1b}[2mlabels     \u{1b}[0m host=\"web-1\"
  \u{1b}[2mtrend      \u{1b}[0m ▁▂▄ ▆\u{1b}[31m▇█\u{1b}[0m  limit ▇ 80
  \u{1b}[2mrule       \u{1b}[0m rules/host.yaml:12";
    check(Style { colour: true, unicode: true }, &fired, want);
}

#[test]
fn a_resolved_alert_says_value_peak_duration_and_reason() {
    let mut resolved = transition(TransitionKind::Resolved { reason: ResolveReason::Recovered });
    resolved.at = resolved.alert.active_at.plus(std::time::Duration::from_secs(840));
    resolved.alert.resolved_at = Some(resolved.at);
    resolved.alert.value = 61.0;
    resolved.trend = vec![];
    let want = r#"
RESOLVED critical HighCPU: 61% (alerts when > 80%)
  since       2023-11-14T22:13:20Z, lasted 14m, peak 97.25%; recovered
  labels      host="web-1"
  description CPU of web-1 is high
  unit        percent
  rule        rules/host.yaml:12"#;
    check(UNICODE, &resolved, want);
}

#[test]
fn an_annotation_of_several_lines_is_written_in_several_lines() {
    let mut fired = transition(TransitionKind::Fired);
    fired.trend = vec![];
    let text = "CPU of web-1 is high.\n\n1. Look at top\r\n   and at the load\n2. Restart\n";
    fired.alert.annotations = Labels::from_pairs([("description", text)]);
    let want = r#"
FIRING critical HighCPU: 92.44 (> 80)
  since       2023-11-14T22:13:20Z, for 2m
  labels      host="web-1"
  description CPU of web-1 is high.
              1. Look at top
                 and at the load
              2. Restart
  rule        rules/host.yaml:12"#;
    check(UNICODE, &fired, want);
}

#[test]
fn missing_data_is_told_as_such() {
    let mut missing = transition(TransitionKind::NoData);
    missing.alert.no_data_since = Some(Timestamp(1_700_000_060_000));
    missing.alert.annotations = Labels::empty();
    missing.trend = vec![];
    let want = r#"
NO DATA critical HighCPU: last value 92.44 (> 80)
  since       no data since 2023-11-14T22:14:20Z; active since 2023-11-14T22:13:20Z, for 2m
  labels      host="web-1"
  rule        rules/host.yaml:12"#;
    check(UNICODE, &missing, want);
    missing.kind = TransitionKind::Lowered { from: Severity::Critical };
    missing.alert.severity = Severity::Warning;
    missing.alert.value = f64::NAN;
    let want = r#"
LOWERED critical → warning HighCPU: no value (> 80)
  since       2023-11-14T22:13:20Z, for 2m
  no data     since 2023-11-14T22:14:20Z
  labels      host="web-1"
  rule        rules/host.yaml:12"#;
    check(UNICODE, &missing, want);
}

#[test]
fn hostile_labels_and_annotations_can_neither_act_nor_forge_a_line() {
    let mut fired = transition(TransitionKind::Fired);
    fired.trend = vec![];
    fired.alert.labels = Labels::from_pairs([
        ("alertname", "x\u{1b}]0;owned\u{7}\nRESOLVED y"),
        ("ev\nil", "\u{202e}txet\" , fake=\"1"),
        ("long", &"é".repeat(5000)),
    ]);
    fired.alert.annotations = Labels::from_pairs([("a", "one\r\n  rule /etc/passwd:1\u{9b}2J\u{0}")]);
    for style in [UNICODE, Style::default()] {
        let text = Renderer { style }.transition(&fired);
        assert_eq!(text.lines().count(), 6, "{text}");
        // Below the text that it is part of, not where a line of the block begins.
        assert!(text.contains("  a           one\n                rule /etc/passwd:1\\x9b2J\\x00\n  rule "), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
        assert!(!text.contains('\u{202e}'));
        assert!(text.contains(r#"\u{202e}txet\" , fake=\"1""#), "{text}");
        assert!(text.len() < 3000);
    }
}

#[test]
fn several_alerts_are_counted_and_their_common_labels_folded() {
    let mut all: Vec<Transition> = (0..25).map(|_| transition(TransitionKind::Fired)).collect();
    for (i, t) in all.iter_mut().enumerate() {
        t.alert.labels = t.alert.labels.with("env", "prod").with("host", &format!("web-{i}"));
    }
    all[1].kind = TransitionKind::Resolved { reason: ResolveReason::NoData };
    let text = Renderer { style: UNICODE }.notice(&notice(all));
    assert!(text.starts_with("25 alerts: 24 firing, 1 resolved; all with env=\"prod\"\nFIRING"), "{text}");
    assert!(text.contains("  labels      host=\"web-3\"\n"));
    assert!(text.ends_with("and 5 more alerts\n"));
}

#[test]
fn nothing_is_said_of_what_alerts_share_where_the_heads_say_it_all() {
    let mut all = [transition(TransitionKind::Fired), transition(TransitionKind::Fired)];
    all[1].alert.labels = all[1].alert.labels.with("host", "web-2");
    let text = Renderer { style: UNICODE }.notice(&notice(all.into()));
    assert!(text.starts_with("2 alerts: 2 firing, 0 resolved\nFIRING"), "{text}");
}

#[test]
fn json_lines_hold_every_documented_field_and_survive_odd_numbers() {
    let mut resolved = transition(TransitionKind::Resolved { reason: ResolveReason::SeriesEnded });
    resolved.alert.value = f64::NAN;
    resolved.alert.annotations = Labels::from_pairs([("a", "line\nbreak\u{1b}")]);
    let line = json_line(&notice(vec![resolved, transition(TransitionKind::Raised { from: Severity::Info })]));
    assert_eq!(line.matches('\n').count(), 1);
    assert!(!line.contains('\u{1b}'));
    let got: serde_json::Value = serde_json::from_str(&line).unwrap();
    let first = &got["alerts"][0];
    assert_eq!((&got["id"], &got["handler"], &got["kind"]), (&"00ff".into(), &"screen".into(), &"firing".into()));
    assert_eq!(first["value"], "NaN");
    assert_eq!(first["trend"][3], "NaN");
    assert_eq!(first["peak"], 97.25);
    assert_eq!(first["reason"], "series ended");
    assert_eq!(first["active_at"], "2023-11-14T22:13:20Z");
    assert_eq!(got["alerts"][1]["from"], "info");
    let fields = "transition at rule rule_uid state severity value peak condition limit active_at fired_at resolved_at \
                  no_data_since fingerprint labels annotations file line trend reason";
    for field in fields.split_whitespace() {
        assert!(first.get(field).is_some(), "{field}");
    }
}

#[test]
fn colour_and_character_set_follow_the_environment() {
    let detect = |terminal: bool, vars: &[(&str, &str)]| {
        let style = Style::detect(terminal, |name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()));
        (style.colour, style.unicode)
    };
    assert_eq!(detect(true, &[("LANG", "en_US.UTF-8")]), (true, true));
    assert_eq!(detect(false, &[("LANG", "C.utf8")]), (false, true));
    assert_eq!(detect(true, &[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")]), (true, false));
    assert_eq!(detect(true, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]), (false, false));
    assert_eq!(detect(true, &[("NO_COLOR", "")]), (true, false));
    assert_eq!(detect(false, &[("CLICOLOR_FORCE", "1")]), (true, false));
    assert_eq!(detect(true, &[("TERM", "dumb")]), (false, false));
    assert_eq!(detect(true, &[("CLICOLOR", "0")]), (false, false));
}
