//! Tests of config, handlers, secrets and the reading of folders; wrong files are in `tests/bad`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::secret::{Reference, SecretText};
use super::server::StoreType;
use super::*;
use crate::diag::{Diagnostic, SourceFile, TextStyle, text};

fn server(source: &str) -> ServerConfig {
    let (config, found) = server::load(&SourceFile::new("alertd.yaml", source));
    assert!(found.is_empty(), "{}", text(&found, TextStyle::default()));
    config.expect("a config")
}

#[test]
fn an_empty_config_is_the_default_one_and_the_default_is_that_of_the_manual() {
    for config in [server(""), server("# nothing\n"), ServerConfig::default()] {
        assert_eq!((config.listen.as_str(), config.data_dir), ("127.0.0.1:9097", PathBuf::from("./data")));
        assert_eq!(config.evaluation_interval, Duration::from_secs(15));
        assert_eq!((config.store.kind, config.store.retention), (StoreType::Embedded, Duration::from_secs(86_400)));
        assert!(config.host_metrics.enabled);
    }
    // Each default that the manual names, written out, gives the same config as leaving the key away; a timeout that is
    // written also holds against that of another file.
    let settled = |config: ServerConfig| {
        let resolve_timeout = Some(config.resolve_timeout());
        format!("{:?}", ServerConfig { resolve_timeout, ..config })
    };
    for key in keys::SERVER.keys.iter().filter(|key| !key.default.is_empty()) {
        let written = server(&format!("{}: {}\n", key.name, key.default));
        assert_eq!(settled(written), settled(ServerConfig::default()), "{}", key.name);
    }
}

#[test]
fn every_example_of_the_manual_is_valid() {
    for key in keys::SERVER.keys {
        server(&format!("{}: {}\n", key.name, key.example));
    }
    for key in keys::SCRAPE.keys.iter().filter(|key| !key.example.is_empty() && key.name != "job_name") {
        server(&format!("scrape_configs:\n  - job_name: app\n    {}: {}\n", key.name, key.example));
    }
}

#[test]
fn a_whole_config_is_read() {
    let config = server(include_str!("../../tests/good/config-full.yaml"));
    let [app, other] = config.scrape_configs.as_slice() else { panic!("two scrape configs") };
    assert_eq!((app.scheme.as_str(), app.timeout(), app.body_size_limit), ("https", Duration::from_secs(10), 10 << 20));
    assert_eq!(app.static_configs[0].labels.get("shard").map(String::as_str), Some("1"));
    assert_eq!(app.file_sd_configs[0].refresh_interval, Duration::from_secs(60));
    assert!(app.honor_labels && !app.honor_timestamps && other.honor_timestamps);
    assert_eq!(other.authorization.as_ref().map(|a| a.kind.as_str()), Some("Bearer"));
    assert_eq!(config.external_labels.get("shard").map(String::as_str), Some("1"));
    let short = server("scrape_configs: [{job_name: a, scrape_interval: 5s}]");
    assert_eq!(short.scrape_configs[0].timeout(), Duration::from_secs(5));
}

#[test]
fn secrets_are_references_until_someone_resolves_them() {
    let secret = SecretText::parse("Bearer ${env:TOKEN}/${file:/run/x} $5").expect("a text");
    let found: Vec<_> = secret.references().cloned().collect();
    assert_eq!(found, [Reference::Env("TOKEN".into()), Reference::File("/run/x".into())]);
    let text = secret.resolve(|r| match r {
        Reference::Env(_) => Ok::<_, ()>("abc".to_owned()),
        Reference::File(_) => Ok("def\n".to_owned()),
    });
    assert_eq!(text.as_deref(), Ok("Bearer abc/def $5"));
    assert_eq!(format!("{secret:?}"), "\"…${env:TOKEN}…${file:/run/x}…\"");
    assert!(!format!("{:?}", SecretText::parse("hunter2").expect("a text")).contains("hunter2"));
    for bad in ["${", "${env:}", "${env:A-B}", "${file:}", "${HOME}", "${vault:x}"] {
        assert!(SecretText::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn handlers_are_read_and_bad_ones_left_out() {
    let files = [
        SourceFile::new("a.yaml", include_str!("../../tests/good/handlers-console.yaml")),
        SourceFile::new("b.yaml", "handlers:\n  - {name: screen, type: console}\n  - {name: x, type: pager}\n"),
    ];
    let (said, found) = handlers::load(&files);
    let handlers = said.handlers;
    assert_eq!(handlers.iter().map(|h| &*h.name).collect::<Vec<_>>(), ["screen", "log"]);
    assert!(matches!(handlers[1].kind, HandlerKind::Console { format: ConsoleFormat::Json }));
    assert!(!handlers[1].send_resolved && handlers[0].send_resolved);
    assert_eq!(found.iter().map(|d| (d.code, d.start().line)).collect::<Vec<_>>(), [("A503", 2), ("A509", 3)]);
}

#[test]
fn a_rotation_is_no_handler_to_fall_back_on_and_no_time_interval() {
    let said = |key: &str, route: &str| {
        let rotation = "{name: oncall, handlers: [a], starts: 2026-01-05T09:00}";
        let handlers =
            format!("[{{name: a, type: console}}, {{name: b, type: webhook, url: http://127.0.0.1/y{key}}}]");
        let text = format!("handlers: {handlers}\nrotations: [{rotation}]\nroute: {{handlers: [oncall]{route}}}\n");
        let (_, found) = handlers::load(&[SourceFile::new("a.yaml", text)]);
        found.into_iter().map(|d| (d.code, d.message)).collect::<Vec<_>>()
    };
    assert_eq!(said("", ""), []);
    let fallback = "`fallback` must be a handler, not the rotation `oncall`".to_owned();
    assert_eq!(said(", fallback: oncall", ""), [("A501", fallback)]);
    for key in ["mute", "active"] {
        let message = format!("`{key}` names no time interval: `oncall`");
        assert_eq!(said("", &format!(", routes: [{{matchers: [a=b], {key}: [oncall]}}]")), [("A502", message)]);
    }
}

#[test]
fn that_a_turn_tells_one_handler_of_a_receiver_that_has_several_is_told() {
    let receivers = "route: {receiver: one}\nreceivers:\n  - {name: one, webhook_configs: [{url: 'http://127.0.0.1/a'}]}\n  \
        - {name: two, webhook_configs: [{url: 'http://127.0.0.1/b'}, {url: 'http://127.0.0.1/c'}]}\n";
    let rotations = "rotations: [{name: oncall, handlers: [one, two], starts: 2026-01-05T09:00}]\n";
    let files = [SourceFile::new("alertmanager.yml", receivers), SourceFile::new("rotations.yaml", rotations)];
    let (said, found) = handlers::load(&files);
    let wrong: Vec<_> = found.iter().map(|d| (d.code, d.level, d.start().column)).collect();
    assert_eq!(wrong, [("A547", crate::diag::Level::Warning, 44)], "{}", text(&found, TextStyle::default()));
    assert_eq!(said.rotations.len(), 1);
}

#[test]
fn time_intervals_are_read_in_the_zone_they_name() {
    let file = SourceFile::new("a.yaml", include_str!("../../tests/good/handlers-intervals.yaml"));
    let (intervals, found) = intervals::load(&[file], chrono_tz::Tz::Asia__Tokyo);
    assert!(found.is_empty(), "{}", text(&found, TextStyle::default()));
    assert_eq!(intervals.iter().map(|i| &*i.name).collect::<Vec<_>>(), ["office_hours", "holidays"]);
    let inside = |at: &str| intervals[0].contains(crate::model::Timestamp::parse(at).expect("a time"));
    // Wednesday in Berlin, and the whole Thursday where the machine stands.
    let want = [("2024-07-03 07:00:00", true), ("2024-07-03 14:59:59", true), ("2024-07-03 15:00:00", true)];
    for (at, want) in want.into_iter().chain([("2024-07-04 14:59:59", true), ("2024-07-04 15:00:00", false)]) {
        assert_eq!(inside(at), want, "{at}");
    }
    assert!(!inside("2024-07-03 06:59:59") && inside("2024-07-05 07:00:00"));
}

#[test]
fn an_interval_with_an_error_is_known_by_its_name_all_the_same() {
    let file = SourceFile::new("a.yaml", "time_intervals: [{name: nights, time_intervals: [{weekdays: [mon]}]}]");
    let (intervals, found) = intervals::load(&[file], chrono_tz::Tz::UTC);
    assert_eq!((intervals.len(), codes_of(&found)), (1, vec!["A532"]));
}

#[test]
fn holidays_come_from_calendar_files_and_what_is_wrong_in_one_is_told_at_its_line() {
    let handlers = "handlers: [{name: screen, type: console}]\ntime_intervals:\n  - name: days\n    time_intervals:\n      - \
                    {holidays: NAME, location: Europe/Berlin}\n";
    let day = |date: &str| format!("BEGIN:VEVENT\nDTSTART;VALUE=DATE:{date}\nEND:VEVENT\n");
    let ics = |events: String| format!("BEGIN:VCALENDAR\nVERSION:2.0\n{events}END:VCALENDAR\n").into_bytes();
    let (good, timed) = (ics(day("20261225")), ics(day("20261225") + &day("20261226T100000")));
    let bad = ics(day("20261225") + &day("2026"));
    for (name, content, want) in [
        ("good.ics", &good, vec![]),
        ("timed.ics", &timed, vec![("A537", "timed.ics", 7, 1)]),
        ("bad.ics", &bad, vec![("A536", "bad.ics", 7, 1)]),
        ("no.ics", &good, vec![("A536", "h.yaml", 5, 20)]),
    ] {
        let text = handlers.replace("NAME", name);
        let written = if name == "no.ics" { "other.ics" } else { name };
        let dir = folder(&[("h.yaml", text.as_bytes()), (written, content)]);
        let files = files::read(&[dir.path().join("h.yaml")]).files;
        let calendars = files::read_calendars(&calendars::named(&files));
        let (intervals, found) = intervals::load_with(&files, chrono_tz::Tz::UTC, &calendars);
        let places: Vec<_> = found
            .iter()
            .map(|d| (d.code, d.file.path.rsplit('/').next().unwrap_or_default(), d.start().line, d.start().column))
            .collect();
        assert_eq!(places, want, "{name}");
        let inside = |at: &str| intervals[0].contains(crate::model::Timestamp::parse(at).expect("a time"));
        let berlin = inside("2026-12-24T23:00:00Z") && !inside("2026-12-24T22:59:59Z");
        assert_eq!(berlin, name != "no.ics", "{name}: a day begins and ends where the interval is");
    }
    let unread = SourceFile::new("h.yaml", handlers);
    assert_eq!(intervals::load(&[unread], chrono_tz::Tz::UTC).1.len(), 0, "without calendars none is judged");
}

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("folders");
        fs::write(path, content).expect("a file");
    }
    dir
}

fn names(snapshot: &files::Snapshot) -> Vec<String> {
    snapshot.files.iter().map(|f| f.path.rsplit('/').next().unwrap_or_default().to_owned()).collect()
}

fn codes_of(found: &[Diagnostic]) -> Vec<&'static str> {
    found.iter().map(|d| d.code).collect()
}

#[test]
fn folders_are_read_sorted_with_their_folders_and_without_hidden_files() {
    let dir = folder(&[
        ("b.yml", b"b"),
        ("a.yaml", b"a"),
        ("sub/c.yaml", b"c"),
        ("notes.txt", b"x"),
        (".hidden.yaml", b"x"),
        (".git/d.yaml", b"x"),
        ("e.yaml~", b"x"),
    ]);
    let snapshot = files::read(&[dir.path().to_owned(), dir.path().join("a.yaml"), dir.path().join("notes.txt")]);
    assert_eq!(names(&snapshot), ["a.yaml", "b.yml", "c.yaml", "notes.txt"]);
    assert!(snapshot.diagnostics.is_empty());
}

#[cfg(unix)]
#[test]
fn a_volume_of_kubernetes_is_read_once_through_its_links() {
    use std::os::unix::fs::symlink;
    let dir = folder(&[("..2026_01_01/a.yaml", b"a"), ("..2026_01_01/b.yaml", b"b")]);
    symlink("..2026_01_01", dir.path().join("..data")).expect("link");
    for name in ["a.yaml", "b.yaml"] {
        symlink(format!("..data/{name}"), dir.path().join(name)).expect("link");
    }
    symlink("nowhere", dir.path().join("gone.yaml")).expect("link");
    symlink(dir.path(), dir.path().join("loop")).expect("link");
    let snapshot = files::read(&[dir.path().to_owned()]);
    assert_eq!(names(&snapshot), ["a.yaml", "b.yaml"]);
    assert_eq!(codes_of(&snapshot.diagnostics), ["A001"]);
}

#[test]
fn what_cannot_be_read_is_a_finding() {
    let dir = folder(&[("bad.yaml", b"a: b\nc: \xff\n"), ("utf16.yaml", b"\xff\xfea\0"), ("empty/x.txt", b"")]);
    let big = dir.path().join("big.yaml");
    // A file with a hole: it claims 100 MB without holding them.
    fs::File::create(&big).and_then(|file| file.set_len(100 << 20)).expect("a big file");
    let at = |name: &str| dir.path().join(name);
    let snapshot = files::read(&[at("bad.yaml"), at("utf16.yaml"), big, at("missing.yaml"), at("empty")]);
    assert!(snapshot.files.is_empty());
    let mut codes = codes_of(&snapshot.diagnostics);
    codes.sort_unstable();
    assert_eq!(codes, ["A001", "A002", "A003", "A003", "A009"]);
    let bad = snapshot.diagnostics.iter().find(|d| d.file.path.ends_with("bad.yaml")).expect("bad.yaml");
    assert_eq!((bad.start().line, bad.start().column), (2, 4));
    let utf16 = snapshot.diagnostics.iter().find(|d| d.file.path.ends_with("utf16.yaml")).expect("utf16.yaml");
    assert!(utf16.help.as_deref().is_some_and(|help| help.contains("UTF-16")));
}
