//! Holidays from outside: a rule that a calendar file mutes, and a change of the file while the daemon runs.

use crate::daemon::kinds;
use crate::kit::{Daemon, Folder, run, until_true};

const RULES: &str = r#"
defaults: {every: 1s}
rules:
  - {name: hot, metric: temperature, threshold: "> 80", mute: [holidays]}
"#;
const HANDLERS: &str = "handlers:\n  - {name: screen, type: console, format: json}\ntime_intervals:\n  - name: holidays\n    \
                        time_intervals: [{holidays: days.ics}]\n";

fn calendar(event: &str) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n{event}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
}

#[test]
fn a_calendar_mutes_until_it_is_changed_and_a_mistake_in_it_keeps_what_was() {
    // Every day is a holiday, and then none of these years.
    let folder = Folder::with(&[
        ("rules/a.yaml", RULES),
        ("handlers/h.yaml", HANDLERS),
        ("handlers/days.ics", &calendar("DTSTART;VALUE=DATE:20200101\r\nRRULE:FREQ=DAILY")),
    ]);
    let daemon = Daemon::start(&folder);
    daemon.push("temperature{host=\"a\"} 90\n");
    daemon.wait_alert("hot", "firing");
    let held = || daemon.get("/api/v1/history?kind=held").json()["data"]["events"][0]["reason"].clone();
    until_true("it is held", || held() == "muted");
    folder.write("handlers/days.ics", calendar("DTSTART;VALUE=DATE:20200101\r\nRRULE:FREQ=HOURLY"));
    let refused = daemon.post("/-/reload", &[], b"");
    let text = refused.text();
    assert!(refused.status == 422 && text.contains("days.ics:5") && text.contains("HOURLY"), "{text}");
    assert_eq!(kinds(&daemon, "hot"), Vec::<String>::new());
    folder.write("handlers/days.ics", calendar("DTSTART;VALUE=DATE:20200101"));
    until_true("the change is seen and it is told", || kinds(&daemon, "hot") == ["firing"]);
}

#[test]
fn check_tells_what_is_wrong_with_a_calendar_and_where() {
    let folder = Folder::with(&[("rules/a.yaml", RULES), ("handlers/h.yaml", HANDLERS)]);
    let missing = run(&folder, &["check", "rules/", "handlers/"]).exits(1);
    assert!(missing.out.contains("A536") && missing.out.contains("handlers/h.yaml:5"), "{missing:#?}");
    folder.write("handlers/days.ics", calendar("DTSTART:20261225T100000Z"));
    let timed = run(&folder, &["check", "rules/", "handlers/"]).exits(0);
    assert!(timed.out.contains("A537") && timed.out.contains("handlers/days.ics:4"), "{timed:#?}");
    folder.write("handlers/days.ics", calendar("DTSTART;VALUE=DATE:20261225"));
    let good = run(&folder, &["check", "rules/", "handlers/"]).exits(0);
    assert!(!good.out.contains("A53"), "{good:#?}");
}
