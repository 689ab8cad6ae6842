//! What mails say: goldens, threads, hostile texts seen by another parser, limits.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mail_parser::{MessageParser, MimeHeaders};

use super::content::{Content, Manner, compose};
use super::message::{MAIL_BYTES_MAX, bytes};
use super::settings::Settings;
use super::subject::{of_template, standard};
use crate::config::{SecretText, SmtpConfig};
use crate::model::{
    AlertState, GroupRef, Labels, Notice, NoticeKind, NoticeReason, ResolveReason, Severity, Timestamp,
};
use crate::model::{Transition, TransitionKind};
use crate::notify::console::tests::{notice, transition};
use crate::notify::secrets::Secrets;
use crate::notify::wording::Written;

const URL: &str = "https://alerts.example.org/";

fn settings() -> Settings {
    let text = |text: &str| SecretText::parse(text).unwrap();
    let config = SmtpConfig {
        host: Some(text("mail.example.org")),
        from: Some(text("alertd on web <alertd@example.org>")),
        to: vec![text("Ünal <ops@example.org>, dev@example.org")],
        headers: [("X-Team".to_owned(), text("Größe, \r\nBcc: evil@example.org"))].into(),
        ..SmtpConfig::default()
    };
    Settings::read(&config, &Secrets::default()).unwrap()
}

fn composed(notice: &Notice) -> Content {
    compose(notice, &Manner { subject: None, external_url: URL }, Written::default())
}

fn with(mut transition: Transition, labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Transition {
    for (name, value) in labels {
        transition.alert.labels = transition.alert.labels.with(name, value);
    }
    for (name, value) in annotations {
        transition.alert.annotations = transition.alert.annotations.with(name, value);
    }
    transition
}

/// DiskFull on two hosts of one site, one of them resolved at the end of its life.
fn disk(host: &str, severity: Severity) -> Transition {
    let mut disk = with(
        transition(TransitionKind::Fired),
        &[
            ("alertname", "DiskFull"),
            ("host", host),
            ("site", "fra-1"),
            ("mount", "/var"),
            ("severity", severity.as_str()),
        ],
        &[
            ("description", "/var on the host is filling up.\nAt this rate it is full in 3h."),
            ("runbook_url", "https://wiki.example.org/run/disk?a=1&b=2"),
        ],
    );
    disk.alert.rule = "DiskFull".into();
    disk.alert.severity = severity;
    disk
}

fn resolved(mut transition: Transition) -> Transition {
    transition.kind = TransitionKind::Resolved { reason: ResolveReason::Recovered };
    transition.at = transition.alert.active_at.plus(Duration::from_secs(2520));
    transition.alert.resolved_at = Some(transition.at);
    transition.alert.state = AlertState::Inactive;
    transition.alert.value = 61.5;
    transition
}

fn in_group(transitions: Vec<Transition>, kind: NoticeKind, reason: NoticeReason) -> Notice {
    let labels = Labels::from_pairs([("alertname", "DiskFull"), ("site", "fra-1")]);
    let group = GroupRef::new("{}:{alertname=\"DiskFull\", site=\"fra-1\"}", labels);
    let at = transitions[0].at;
    Notice { kind, reason, group, at, handler: "mail".into(), ..notice(transitions) }
}

fn notices() -> [(&'static str, Notice); 3] {
    let (a, b) = (disk("web-1", Severity::Critical), disk("web-2", Severity::Warning));
    [
        ("firing", in_group(vec![a.clone()], NoticeKind::Firing, NoticeReason::First)),
        (
            "group",
            in_group(
                vec![b.clone(), a.clone(), resolved(disk("web-3", Severity::Info))],
                NoticeKind::Firing,
                NoticeReason::NewAlerts,
            ),
        ),
        ("resolved", in_group(vec![resolved(a)], NoticeKind::Resolved, NoticeReason::Resolved)),
    ]
}

/// Compares with a file, or writes it with `UPDATE=1`.
#[track_caller]
fn golden(name: &str, have: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, have).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(have, want, "tests/mail/{name} is out of date: run `UPDATE=1 cargo test --lib smtp`");
}

#[test]
fn mails_are_what_the_goldens_say() {
    for (name, notice) in notices() {
        let content = composed(&notice);
        golden(&format!("{name}.txt"), &format!("{}\n\n{}", content.subject, content.text));
        golden(&format!("{name}.html"), &content.html);
    }
}

#[test]
fn a_whole_mail_is_what_its_golden_says_to_the_byte() {
    let (_, notice) = notices().into_iter().next().unwrap();
    let mail = bytes(&composed(&notice), &settings()).unwrap();
    golden("firing.eml", &String::from_utf8(mail).unwrap().replace("\r\n", "\n"));
}

#[test]
fn the_subject_says_state_count_name_severity_and_place() {
    let [(_, firing), (_, group), (_, resolved)] = notices();
    for (notice, want) in [
        (&firing, "[FIRING:1] DiskFull (critical) site=fra-1"),
        (&group, "[FIRING:2] DiskFull (critical) site=fra-1"),
        (&resolved, "[RESOLVED] DiskFull (critical) site=fra-1"),
    ] {
        assert_eq!(standard(notice), want);
    }
    let named = |name: &str| with(disk("web-1", Severity::Error), &[("alertname", name)], &[]);
    let many = notice(["A", "B", "C", "D", "E"].map(named).to_vec());
    let want = "[FIRING:5] A, B, C and 2 more (error) host=web-1 mount=/var site=fra-1";
    assert_eq!(standard(&many), want);
    let test = Notice { reason: NoticeReason::Test, ..firing };
    assert_eq!(standard(&test), "[TEST] DiskFull (critical) site=fra-1");
    let long =
        notice(vec![with(disk(&"x".repeat(10_000), Severity::Info), &[("alertname", &"ü".repeat(10_000))], &[])]);
    assert!(standard(&long).chars().count() < 160, "{}", standard(&long));
}

#[test]
fn an_own_subject_is_a_template_and_a_failing_one_costs_only_itself() {
    let [_, (_, group), _] = notices();
    for (template, want) in [
        ("{{ status | upper }} {{ title }}", Ok("FIRING DiskFull (critical) site=fra-1")),
        ("{{ group_labels.site }}: {{ firing }}/{{ firing + resolved }} {{ severity }}", Ok("fra-1: 2/3 critical")),
        (
            "{{ common_annotations.runbook_url }} {{ reason }}",
            Ok("https://wiki.example.org/run/disk?a=1&b=2 new alerts"),
        ),
        ("a\r\nBcc: evil@example.org\n\n\tb", Ok("a Bcc: evil@example.org b")),
        ("  \n", Err("it gives nothing")),
        ("{{ nothing.at.all }}", Err("undefined")),
        ("{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}", Err("fuel")),
    ] {
        match (of_template(template, &group, URL), want) {
            (Ok(have), Ok(want)) => assert_eq!(have, want),
            (Err(have), Err(want)) => assert!(have.contains(want), "{template}: {have}"),
            (have, want) => panic!("{template}: {have:?}, not {want:?}"),
        }
    }
    let manner = Manner { subject: Some("{{ nothing.at.all }}"), external_url: URL };
    let content = compose(&group, &manner, Written::default());
    assert_eq!(content.subject, standard(&group));
    assert!(content.text.contains("The subject's template failed: undefined"), "{}", content.text);
    assert!(content.html.contains("The subject&#39;s template failed"));
}

#[test]
fn all_mails_of_a_group_share_a_root_and_no_two_notices_an_identity() {
    let [(_, firing), (_, group), (_, resolved)] = notices();
    let repeat = Notice { id: "11aa".to_owned(), reason: NoticeReason::Repeat, at: Timestamp(9), ..group.clone() };
    let thread = composed(&firing).thread;
    for notice in [&group, &resolved, &repeat] {
        assert_eq!(composed(notice).thread, thread);
    }
    assert_ne!(composed(&repeat).id, composed(&group).id);
    let other_group = Notice { group: GroupRef { key: "{}:{}".into(), ..firing.group.clone() }, ..firing.clone() };
    let other_handler = Notice { handler: "boss".into(), ..firing.clone() };
    for notice in [&other_group, &other_handler] {
        assert_ne!(composed(notice).thread, thread);
    }
    let mail = bytes(&composed(&repeat), &settings()).unwrap();
    let mail = MessageParser::default().parse(&mail).unwrap();
    assert_eq!(mail.message_id(), Some("11aa@alertd.example.org"));
    let root = format!("{thread}@alertd.example.org");
    assert_eq!(mail.references().as_text(), Some(root.as_str()));
    assert_eq!(mail.in_reply_to().as_text(), Some(root.as_str()));
    assert_eq!(mail.date().map(|d| d.to_timestamp()), Some(0));
    // An identifier that could not stand in a header is replaced by its hash.
    let odd = Notice { id: "a>\r\nb".to_owned(), at: Timestamp(i64::MAX), ..firing };
    assert!(composed(&odd).id.bytes().all(|b| b.is_ascii_hexdigit()));
    bytes(&composed(&odd), &settings()).unwrap();
}

/// The tags of a page: `p`, `/p`, `td`.
fn tags(html: &str) -> Vec<&str> {
    html.match_indices('<').map(|(i, _)| html[i + 1..].split([' ', '>', '\n']).next().unwrap_or_default()).collect()
}

const TAGS: &[&str] = &[
    "!doctype", "html", "/html", "head", "/head", "meta", "title", "/title", "style", "/style", "body", "/body", "div",
    "/div", "p", "/p", "b", "/b", "span", "/span", "table", "/table", "tr", "/tr", "td", "/td", "a", "/a", "br",
];

/// One mail, seen by another parser: these headers and parts and nothing else.
#[track_caller]
fn check(case: &str, notice: &Notice) {
    let content = composed(notice);
    let mail = bytes(&content, &settings()).unwrap();
    assert!(mail.is_ascii() && mail.len() <= MAIL_BYTES_MAX, "{case}: {} bytes", mail.len());
    let text = std::str::from_utf8(&mail).unwrap();
    assert!(text.split("\r\n").all(|line| line.len() <= 200 && !line.contains(['\r', '\n', '\0'])), "{case}: lines");
    let parsed = MessageParser::default().parse(&mail).unwrap_or_else(|| panic!("{case}: no mail"));
    let names: Vec<&str> = parsed.headers().iter().map(|h| h.name.as_str()).collect();
    let want = [
        "From",
        "Date",
        "Message-ID",
        "In-Reply-To",
        "References",
        "Subject",
        "To",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "X-Alertd-Severity",
        "X-Alertd-Status",
        "X-Alertd-Handler",
        "X-Team",
        "MIME-Version",
        "Content-Type",
    ];
    assert_eq!(names, want, "{case}");
    assert_eq!(parsed.subject(), Some(content.subject.as_str()), "{case}");
    let team = parsed.header_raw("X-Team").unwrap_or_default();
    assert!(!team.contains("\nBcc"), "{case}: {team}");
    assert_eq!((parsed.text_body_count(), parsed.html_body_count(), parsed.attachment_count()), (1, 1, 0), "{case}");
    assert_eq!(parsed.parts.len(), 3, "{case}: the root and two parts");
    assert_eq!(parsed.parts[2].content_type().and_then(|t| t.subtype()), Some("html"));
    let have = |text: Option<std::borrow::Cow<'_, str>>| text.unwrap_or_default().replace("\r\n", "\n");
    assert_eq!(have(parsed.body_text(0)), content.text, "{case}");
    assert_eq!(have(parsed.body_html(0)), content.html, "{case}");
    let acts =
        |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    for text in [&content.subject, &content.text, &content.html] {
        assert!(!text.contains(acts), "{case}: {text}");
    }
    assert!(!content.subject.contains('\n'), "{case}");
    let odd: Vec<&str> = tags(&content.html).into_iter().filter(|tag| !TAGS.contains(tag)).collect();
    assert!(odd.is_empty(), "{case}: {odd:?}");
    for (i, _) in content.html.match_indices("href=\"") {
        assert!(content.html[i + 6..].starts_with("http"), "{case}");
    }
}

#[test]
fn no_text_from_outside_can_become_a_header_a_part_markup_or_the_end_of_the_mail() {
    let long = "x".repeat(10_000);
    let wide = "漢".repeat(10_000);
    let equal = "=".repeat(10_000);
    for hostile in [
        "a\r\nBcc: evil@example.org\r\n\r\nbody",
        "a\nSubject: other",
        "\r\n.\r\nMAIL FROM:<evil@example.org>\r\n",
        ".\n..\n.\n",
        "\u{202e}gnp.exe\u{2066}",
        "nul\0byte \u{1b}[2J\u{9b}1m",
        "=?utf-8?q?=0D=0ABcc:_evil@example.org?=",
        "=?utf-8?b?DQpCY2M6IGV2aWxAZXhhbXBsZS5vcmc=?=",
        "--=_00ff\r\nContent-Type: text/html\r\n\r\n<b>",
        "--=_00ff--",
        "<script>alert(1)</script><img src=x onerror=alert(1)>",
        "\" onmouseover=\"alert(1)",
        "</style></title></td></table><iframe src=//evil>",
        "javascript:alert(1)",
        "https://evil.example/\" onclick=\"alert(1)",
        "https://evil.example/<b>",
        "HTTP://evil.example/\u{202e}moc",
        "data:text/html,<script>alert(1)</script>",
        "{{ 7 * 7 }} ${env:HOME} %s",
        "\u{2028}\u{2029}\u{feff}\u{200b}",
        "",
        " ",
        long.as_str(),
        wide.as_str(),
        equal.as_str(),
    ] {
        let mut fired = with(
            transition(TransitionKind::Fired),
            &[("alertname", hostile), ("host", hostile)],
            &[("description", hostile), ("runbook_url", hostile)],
        );
        fired.alert.rule = hostile.into();
        fired.alert.origin.file = hostile.into();
        fired.alert.condition = hostile.into();
        if !hostile.is_empty() {
            fired = with(fired, &[(hostile, "name")], &[(hostile, "name")]);
        }
        let group = GroupRef::new(hostile, Labels::from_pairs([("host", hostile)]));
        for transitions in [vec![fired.clone()], vec![fired.clone(), disk("b", Severity::Info), fired.clone()]] {
            let one = Notice { group: group.clone(), handler: hostile.into(), ..notice(transitions) };
            check(&hostile.chars().take(40).collect::<String>(), &one);
        }
    }
}

#[test]
fn many_large_alerts_make_a_mail_of_limited_size_that_counts_the_rest() {
    for filler in ["<&𝔘", "=", "é", "'"] {
        let mut all = Vec::new();
        for n in 0..200 {
            let mut one = disk(&format!("web-{n}"), Severity::Error);
            for i in 0..60 {
                let value = filler.repeat(2000);
                one = with(one, &[(&format!("l{i}_{n}"), &value)], &[(&format!("a{i}"), &value)]);
            }
            all.push(one);
        }
        let large = notice(all);
        check(filler, &large);
        let content = composed(&large);
        assert!(content.text.contains("... (cut)") && content.html.contains("more alerts"));
        assert!(content.html.contains("more lines"), "of labels and annotations");
    }
    let small =
        notice((0..60).map(|n| with(transition(TransitionKind::Fired), &[("host", &n.to_string())], &[])).collect());
    check("small", &small);
    let content = composed(&small);
    assert_eq!(content.html.matches("FIRING critical").count(), 50);
    assert!(content.html.contains("and 10 more alerts") && content.text.contains("and 40 more alerts"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn any_labels_make_a_mail_that_another_parser_reads_back(
        pairs in proptest::collection::vec(("(\\PC|\\p{C}|[a-z<>&\"'=?.\r\n]){1,30}", "(\\PC|\\p{C}|[<>&\"'=?. \r\n]){0,80}"), 0..12),
        several: bool,
    ) {
        let mut one = transition(TransitionKind::Fired);
        one.alert.labels = Labels::from_pairs(pairs.clone());
        one.alert.annotations = Labels::from_pairs(pairs.clone());
        let all = if several { vec![one.clone(), one] } else { vec![one] };
        let group = GroupRef::new("k", Labels::from_pairs(pairs));
        check("any", &Notice { group, ..notice(all) });
    }
}
