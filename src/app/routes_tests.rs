//! Trees of routes: what an alert takes, and what each route has from above.

use super::*;
use crate::config;
use crate::diag::SourceFile;

const FILE: &str = r#"
handlers:
  - {name: screen, type: console}
  - {name: log, type: console}
  - {name: oncall, type: console}
time_intervals:
  - {name: nights, time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}]}]}
  - {name: days, time_intervals: [{times: [{start_time: '08:00', end_time: '20:00'}]}]}
route:
  group_by: [alertname]
  group_wait: 10s
  handlers: [screen]
  labels: {site: fra, tier: low}
  routes:
    - matchers: ['severity="critical"']
      continue: true
      handlers: [oncall]
      group_wait: 0s
      labels: {tier: high}
      mute: [nights]
      routes:
        - {matchers: ['team="db"'], repeat_interval: 1h, active: [days]}
        - {matchers: ['team="dev"'], mute: [], group_by: []}
    - matchers: ['team=~"db|web"', env!=dev]
      group_by: ['...']
      handlers: [log]
    - matchers: ['team=~"db|web"', env!=dev]
"#;

fn root() -> Route {
    let file = SourceFile::new("handlers.yaml".to_owned(), FILE.to_owned());
    let (said, found) = config::handlers::load(&[Arc::clone(&file)]);
    assert!(found.iter().all(|d| d.code == "A542"), "{found:?}");
    let (intervals, found) = config::intervals::load(&[file], chrono_tz::UTC);
    assert!(found.is_empty(), "{found:?}");
    tree(&said.route.unwrap(), &intervals)
}

#[test]
fn an_alert_takes_the_first_route_that_it_fits_and_those_behind_one_that_goes_on() {
    for (case, labels, want) in [
        ("nothing fits: the root", "", "{}"),
        ("a child", "team=web", "{}/{env!=\"dev\",team=~\"db|web\"}"),
        ("a missing label is empty, and the value excluded is excluded", "team=web env=dev", "{}"),
        ("the route goes on, and nothing behind it fits", "severity=critical", "{}/{severity=\"critical\"}"),
        (
            "the deepest of each branch",
            "severity=critical team=db",
            "{}/{severity=\"critical\"}/{team=\"db\"} {}/{env!=\"dev\",team=~\"db|web\"}",
        ),
        ("patterns are anchored", "team=webs", "{}"),
    ] {
        let pairs = labels.split_whitespace().map(|pair| pair.split_once('=').unwrap());
        let root = root();
        let taken = root.taken(&Labels::from_pairs(pairs));
        let paths: Vec<&str> = taken.iter().map(|route| &*route.path).collect();
        assert_eq!(paths.join(" "), want, "{case}");
    }
}

#[test]
fn what_a_route_leaves_open_it_has_from_above() {
    let root = root();
    let shown: Vec<String> = root
        .all()
        .iter()
        .map(|route| {
            let names = |list: &[Arc<TimeInterval>]| list.iter().map(|i| i.name.to_string()).collect::<Vec<_>>();
            let timers = [route.group_wait, route.group_interval, route.repeat_interval].map(|t| t.as_secs());
            format!(
                "{} {:?} {timers:?} {:?} {} {:?} {:?}",
                route.path,
                route.group_by,
                route.handlers,
                route.labels,
                names(&route.times.mute),
                names(&route.times.active)
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            r#"{} Labels(["alertname"]) [10, 300, 14400] ["screen"] {site="fra", tier="low"} [] []"#,
            r#"{}/{severity="critical"} Labels(["alertname"]) [0, 300, 14400] ["oncall"] {site="fra", tier="high"} ["nights"] []"#,
            r#"{}/{severity="critical"}/{team="db"} Labels(["alertname"]) [0, 300, 3600] ["oncall"] {site="fra", tier="high"} ["nights"] ["days"]"#,
            r#"{}/{severity="critical"}/{team="dev"} Labels([]) [0, 300, 14400] ["oncall"] {site="fra", tier="high"} [] []"#,
            r#"{}/{env!="dev",team=~"db|web"} All [10, 300, 14400] ["log"] {site="fra", tier="low"} [] []"#,
            r#"{}/{env!="dev",team=~"db|web"}#2 Labels(["alertname"]) [10, 300, 14400] ["screen"] {site="fra", tier="low"} [] []"#,
        ]
    );
}

#[test]
fn steps_are_those_of_the_route_above_unless_a_route_has_its_own_or_none() {
    let text = "handlers: [{name: a, type: console}, {name: b, type: console}]\nroute:\n  handlers: [a]\n  \
        escalate: [{after: 10m, handlers: [b]}]\n  routes:\n    - {matchers: ['x=\"1\"']}\n    \
        - {matchers: ['x=\"2\"'], escalate: []}\n    - {matchers: ['x=\"3\"'], escalate: [{after: 1h, handlers: [b]}]}\n";
    let (said, found) = config::handlers::load(&[SourceFile::new("handlers.yaml", text)]);
    assert!(found.is_empty(), "{found:?}");
    let root = tree(&said.route.unwrap(), &[]);
    let steps = |route: &Route| route.escalate.iter().map(|step| step.after.as_secs() / 60).collect::<Vec<_>>();
    assert_eq!(root.all().into_iter().map(steps).collect::<Vec<_>>(), [vec![10], vec![10], vec![], vec![60]]);
}
