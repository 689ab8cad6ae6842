//! Test groups about messages: how many findings there are and what they say.

use super::*;

/// The rules of all cases.
const RULES: &str = "groups:
- name: a
  rules:
  - alert: Full
    expr: disk > 90
";

/// A unit-test file with one group, and the handler `chat` that is told of every host by itself.
fn file(group: &str) -> String {
    let handlers = "{handlers: [{name: chat, type: console}], route: {group_by: [host], group_wait: 0s}}";
    format!("rule_files: [r.yaml]\nhandlers: {handlers}\ntests:\n- interval: 1m\n{group}")
}

/// What a unit-test file beside these rules tells: findings of the file, or else the failures of its groups.
fn told(rules: &str, tests: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("r.yaml"), rules).expect("the rules");
    std::fs::write(folder.path().join("t.yaml"), tests).expect("the tests");
    let file = files::read_file(&folder.path().join("t.yaml")).expect("the file");
    let (suite, found) = load(&file, ReadOptions::default());
    let Some(suite) = suite else { return found.into_iter().map(|d| d.message).collect() };
    let ran = run(&suite, &Batch::default(), &|_| true, (&EngineOptions::default(), Telling::default()));
    ran.cases.into_iter().flat_map(|case| case.failures).map(|failure| failure.diagnostic.message).collect()
}

#[test]
fn of_very_many_messages_that_no_test_names_some_are_told_and_the_number_of_the_others() {
    let series: String =
        (0..25).map(|n| format!("  - {{series: 'disk{{host=\"{n:02}\"}}', values: 95x3}}\n")).collect();
    let group = format!(
        "  input_series:\n{series}  notice_test: [{{by: 2m, handler: chat, alerts: [{{labels: {{host: '00'}}}}]}}]\n  no_other_notices: true\n"
    );
    let told = told(RULES, &file(&group));
    assert_eq!(told.len(), 21, "{told:?}");
    assert!(told[0].starts_with("no test names this: `chat` receives firing at 0s"), "{told:?}");
    assert_eq!(told[20], "and 4 more that no test names");
}

#[test]
fn slots_of_a_cron_rule_are_counted_as_they_come() {
    let rules = |when: &str| format!("rules:\n  - {{name: daily, expr: disk > 90, {when}}}\n");
    let test = |by: &str| file(&format!("  notice_test: [{{by: {by}, handler: chat, receives: nothing}}]\n"));
    assert_eq!(told(&rules("cron: '0 0 6 * * *'"), &test("30d")), [""; 0]);
    let refused = ["`daily` is evaluated more than 1000000 times until the last test"];
    assert_eq!(told(&rules("cron: '* * * * * *'"), &test("13d")), refused);
    assert_eq!(told(&rules("every: 1s"), &test("13d")), refused);
}

#[test]
fn a_message_that_one_test_names_stays_named_where_another_wants_none() {
    let group =
        "  input_series: [{series: 'disk{host=\"a\"}', values: 95x3}]\n  no_other_notices: true\n  notice_test:\n";
    let named = "  - {by: 2m, handler: chat, receives: firing}\n";
    let unwanted = "  - {by: 2m, handler: chat, receives: nothing}\n";
    let failed = ["`chat` receives nothing between 0s and 2m: 1 message came"];
    assert_eq!(told(RULES, &file(&format!("{group}{named}{unwanted}"))), failed);
    assert_eq!(told(RULES, &file(&format!("{group}{unwanted}{named}"))), failed);
}

#[test]
fn silences_without_a_window_in_their_time_are_told_when_the_test_is_played() {
    let test = |silence: &str| {
        let series = "{series: 'disk{host=\"a\"}', values: 95x3}";
        let test = "{by: 2m, handler: chat, receives: nothing}";
        file(&format!(
            "  input_series: [{series}]\n  silences: [{{matchers: [host=a], {silence}}}]\n  notice_test: [{test}]\n"
        ))
    };
    let nightly = |more: &str| test(&format!("recurrence: {{cron: '0 0 2 * * *', duration: 1h}}{more}"));
    let none = "the silence cannot be made: no window of the recurrence begins between the start and the end of the \
                silence; have it end later";
    let came = "`chat` receives nothing between 0s and 2m: 1 message came";
    assert_eq!(told(RULES, &nightly("")), [came]);
    assert_eq!(told(RULES, &nightly(", ends: 2h")), [none, came]);
    assert_eq!(told(RULES, &test("recurrence: {cron: '@daily', duration: 1h}")), [""; 0]);
    // Whether a rule happens is a question of when the test begins, which samples of a file may say.
    let over = told(RULES, &test("recurrence: {rrule: FREQ=DAILY;UNTIL=19690101, duration: 1h}"));
    assert_eq!(
        over[0],
        "the silence cannot be made: recurrence: this rule never happens (days, months and the end must all fit on some day within five years)"
    );
}

#[test]
fn handlers_that_are_written_out_have_aliases_of_what_stands_among_them() {
    let file = |anchor: &str, first: &str| {
        format!(
            "rule_files: [r.yaml]\n{anchor}handlers: {{handlers: [{first}, {{<<: *a, name: log}}]}}\n\
            tests:\n- notice_test: [{{at: 1m, handler: log, receives: nothing}}]\n"
        )
    };
    let chat = "&a {name: chat, type: console}";
    assert_eq!(told(RULES, &file("", chat)), [""; 0]);
    let refused = ["`handlers` has an alias of an anchor that stands outside of it"];
    assert_eq!(
        told(RULES, &file(&format!("config: {{external_labels: {chat}}}\n"), "{name: b, type: console}")),
        refused
    );
}
