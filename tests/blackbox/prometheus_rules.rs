//! Prometheus rule files beside a real Prometheus: the same file, the same target, the same series and alerts; and what
//! alertd exports is a rule file to promtool.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::exporter::{Answer, Exporter};
use crate::http;
use crate::kit::{Daemon, Folder, Peer, command, free_port, peer, run, until_true};

const RULES: &str = r#"
groups:
  - name: load
    interval: 1s
    rules:
      - record: job:load:sum
        expr: sum by (job, zone) (load)
        labels: {source: rules}
      - alert: High
        expr: job:load:sum > 5
        for: 2s
        labels: {severity: page, level: "{{ $value }}"}
        annotations: {summary: "{{ $labels.zone }} is at {{ $value | humanize }}"}
      - alert: AnyHigh
        expr: count(ALERTS{alertname="High", alertstate="firing"}) > 1
      - alert: Since
        expr: time() - ALERTS_FOR_STATE{alertname="High"} >= 1
        keep_firing_for: 1s
"#;

const LOADED: &str = "load{zone=\"a\",i=\"1\"} 3\nload{zone=\"a\",i=\"2\"} 4\nload{zone=\"b\",i=\"1\"} 9\n";
const CALM: &str = "load{zone=\"a\",i=\"1\"} 1\nload{zone=\"a\",i=\"2\"} 1\n";

/// What a query yields: labels and value, as text, sorted.
fn answers(address: &str, expr: &str) -> BTreeSet<String> {
    let answer = http::get(address, &format!("/api/v1/query?query={}", http::encoded(expr))).unwrap();
    let rows = answer.json()["data"]["result"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| format!("{} {}", row["metric"], row["value"][1])).collect()
}

/// The rules of an address, without what moves.
fn rules(address: &str) -> Vec<Value> {
    let answer = http::get(address, "/api/v1/rules").unwrap().json();
    let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
    let pick = |rule: &Value| {
        let keys = ["name", "labels", "type", "health", "duration", "keepFiringFor", "annotations", "state"];
        Value::from_iter(keys.iter().filter(|k| rule.get(**k).is_some()).map(|k| ((*k).to_owned(), plain(&rule[*k]))))
    };
    let of = |group: &Value| {
        let mut list = vec![plain(&group["interval"]), plain(&group["limit"])];
        list.extend(group["rules"].as_array().unwrap().iter().map(pick));
        list
    };
    groups.iter().filter(|group| group["name"] == "load").flat_map(of).collect()
}

/// A number however it is written: `1` and `1.0` are equal.
fn plain(value: &Value) -> Value {
    value.as_f64().map_or_else(|| value.clone(), Value::from)
}

/// The exporter, alertd and a Prometheus on the same files.
struct Pair {
    folder: Folder,
    target: Exporter,
    daemon: Daemon,
    address: String,
    _prometheus: Peer,
}

fn pair(program: &Path) -> Pair {
    let target = Exporter::start(Answer::text(CALM));
    let scrape = format!(
        "scrape_configs: [{{job_name: app, scrape_interval: 1s, static_configs: [{{targets: ['{}']}}]}}]\n",
        target.address
    );
    let folder = Folder::with(&[("rules/load.yaml", RULES)]);
    folder.write("alertd.yaml", format!("evaluation_interval: 1s\nhost_metrics: {{enabled: false}}\n{scrape}"));
    let config = format!("global: {{evaluation_interval: 1s}}\nrule_files: [rules/load.yaml]\n{scrape}");
    folder.write("prometheus.yml", config);
    let address = format!("127.0.0.1:{}", free_port());
    let listen = format!("--web.listen-address={address}");
    let config = format!("--config.file={}", folder.at("prometheus.yml").display());
    let data = format!("--storage.tsdb.path={}", folder.at("tsdb").display());
    let prometheus = Peer::start(program, &[&config, &data, &listen], &address, "/-/ready");
    let daemon = Daemon::start(&folder);
    Pair { folder, target, daemon, address, _prometheus: prometheus }
}

#[test]
fn the_same_file_records_and_fires_as_in_prometheus_and_goes_on_after_a_kill() {
    let Some(program) = peer("prometheus") else { return };
    let mut pair = pair(&program);
    let both = |pair: &Pair, what: &str, expr: &str, count: usize| {
        until_true(&format!("{what}: {expr}"), || {
            let (ours, theirs) = (answers(&pair.daemon.address, expr), answers(&pair.address, expr));
            ours.len() == count && ours == theirs
        });
    };
    both(&pair, "calm", "job:load:sum", 1);
    pair.target.set(Answer::text(LOADED));
    both(&pair, "loaded", "job:load:sum", 2);
    both(&pair, "loaded", "ALERTS{alertname!=\"Since\"}", 3);
    both(&pair, "loaded", "ALERTS{alertname=\"Since\"}", 2);
    let (ours, theirs) = (rules(&pair.daemon.address), rules(&pair.address));
    assert_eq!(strip(ours), strip(theirs));
    let since = |pair: &Pair| answers(&pair.daemon.address, "ALERTS_FOR_STATE{alertname=\"High\"}");
    let before = since(&pair);
    assert_eq!(before.len(), 2, "{before:?}");
    pair.daemon.kill();
    pair.daemon = Daemon::start(&pair.folder);
    until_true("it goes on as if nothing had been", || since(&pair) == before);
    assert!(answers(&pair.daemon.address, "ALERTS{alertname=\"High\",alertstate=\"pending\"}").is_empty());
    // What it has not seen since the restart it does not take for gone: it sees its target once more first.
    let last = |pair: &Pair| answers(&pair.daemon.address, "timestamp(load)");
    let restored = last(&pair);
    until_true("the target is scraped again", || last(&pair) != restored);
    both(&pair, "seen again", "job:load:sum", 2);
    pair.target.set(Answer::text(CALM));
    both(&pair, "calm again", "ALERTS", 0);
    both(&pair, "calm again", "job:load:sum", 1);
}

/// Without a key that only one of the two has for every rule.
fn strip(rules: Vec<Value>) -> Vec<Value> {
    let bare = |mut rule: Value| {
        if let Some(keys) = rule.as_object_mut() {
            keys.retain(|key, value| key != "keepFiringFor" || value.as_f64() != Some(0.0));
        }
        rule
    };
    rules.into_iter().map(bare).collect()
}

#[test]
fn what_is_exported_is_a_rule_file_to_promtool_and_the_same_to_alertd() {
    let Some(promtool) = peer("promtool") else { return };
    let own = "defaults: {every: 15s}\nrules:\n  \
               - {name: disk, metric: disk_percent, levels: {warning: '> 80', critical: '> 95'}, description: Full}\n  \
               - {name: ratio, queries: {a: 'sum(x)', b: 'sum(y)'}, when: 'a / b > 0.2 && b > 10', severity: error}\n  \
               - {name: slow, metric: latency, reduce: p95, over: 5m, combine: max, by: [zone], threshold: '> 2'}\n";
    let folder = Folder::with(&[("rules/load.yaml", RULES), ("rules/own.yaml", own)]);
    run(&folder, &["export", "prometheus", "rules", "--out-dir", "out"]).exits(0);
    let files = ["out/load.yaml", "out/own.yaml"];
    let checked =
        Command::new(promtool).args(["check", "rules"]).args(files).current_dir(folder.path()).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let again = crate::kit::finish(command(&folder).args(["export", "prometheus", "out"])).exits(0);
    let whole = run(&folder, &["export", "prometheus", "rules"]).exits(0);
    assert_eq!(again.out, whole.out, "an export of an export is the same");
}

/// Files that hold one oddity each; `RULE` is a rule that is fine.
const ODDITIES: &[&str] = &[
    "",
    "# nothing\n",
    "---\n",
    "{}",
    "groups:",
    "groups: []",
    "groups: {}",
    "groups: x",
    "group: []",
    "groups: []\nother: 1",
    "groups: []\ngroups: []",
    "groups: []\n---\nnot: read\n",
    "groups: []\n---\n- [broken\n",
    "groups: [{name: a, rules: [RULE]}]",
    "groups: [{name: a}]",
    "groups: [{name: a, rules: }]",
    "groups: [{name: a, rules: x}]",
    "groups: [{rules: [RULE]}]",
    "groups: [{name: '', rules: [RULE]}]",
    "groups: [{name: 7, rules: [RULE]}]",
    "groups: [{name: a, rules: []}, {name: a, rules: []}]",
    "groups: [{name: a, rules: []}, {name: b, rules: []}]",
    "groups: [{name: a, interval: 30s, limit: 3, rules: [RULE]}]",
    "groups: [{name: a, interval: 30, rules: [RULE]}]",
    "groups: [{name: a, interval: 0s, rules: [RULE]}]",
    "groups: [{name: a, interval: -30s, rules: [RULE]}]",
    "groups: [{name: a, interval: 1h30m, rules: [RULE]}]",
    "groups: [{name: a, interval: 30m1h, rules: [RULE]}]",
    "groups: [{name: a, interval: 1.5h, rules: [RULE]}]",
    "groups: [{name: a, interval: , rules: [RULE]}]",
    "groups: [{name: a, limit: '3', rules: [RULE]}]",
    "groups: [{name: a, limit: -3, rules: [RULE]}]",
    "groups: [{name: a, limit: many, rules: [RULE]}]",
    "groups: [{name: a, partial_response_strategy: warn, rules: [RULE]}]",
    "groups: [{name: a, rules: [RULE, RULE]}]",
    "groups: [{name: a, rules: [{expr: up}]}]",
    "groups: [{name: a, rules: [{alert: , expr: up}]}]",
    "groups: [{name: a, rules: [{alert: '', record: b, expr: up}]}]",
    "groups: [{name: a, rules: [{alert: a, record: b, expr: up}]}]",
    "groups: [{name: a, rules: [{alert: a}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: }]}]",
    "groups: [{name: a, rules: [{alert: a, expr: ''}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: 1}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: '\"text\"'}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: 'up[5m]'}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: [up]}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: 'up =='}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: 'rate(up)'}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: 'nothing(up)'}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: '{a=\"\"}'}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: 'up offset 5m > 1 # end'}]}]",
    "groups: [{name: a, rules: [{alert: 'a b/c', expr: up}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, for: 5m, keep_firing_for: 1m}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, for: 5}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, for: ''}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, for: }]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, for: 0}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, FOR: 5m}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, labels: {b: 1, c: true, d: , e: ~}}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, labels: {b: [1]}}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, labels: [b]}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, labels: }]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, labels: {__name__: b}}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, labels: {alertname: b, severity: c, __own: d}}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, labels: {b: '{{ $labels.x }}', c: '{{ $value }}'}}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, labels: {b: '{{ $labels.x '}}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, annotations: {b: '{{ nothing }}'}}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, annotations: {b: '{{ $nothing }}'}}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, annotations: {b: '{{ .Nothing }}'}}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, annotations: {b: '{{ humanize }}'}}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, annotations: {b: '{{ if true }}x'}}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, annotations: {b: '{{ range query \"up\" }}{{ .Value }}{{ end }}'}}]}]",
    "groups: [{name: a, rules: [{alert: a, expr: up, annotations: {b: '{{ template \"x\" }}'}}]}]",
    "groups: [{name: a, rules: [{record: a, expr: up, labels: {b: '{{ broken'}}]}]",
    "groups: [{name: a, rules: [{record: a, expr: up, for: 5m}]}]",
    "groups: [{name: a, rules: [{record: a, expr: up, for: 0s}]}]",
    "groups: [{name: a, rules: [{record: a, expr: up, keep_firing_for: 5m}]}]",
    "groups: [{name: a, rules: [{record: a, expr: up, annotations: {}}]}]",
    "groups: [{name: a, rules: [{record: a, expr: up, annotations: {b: c}}]}]",
    "groups: [{name: a, rules: [{record: 'a{b=\"c\"}', expr: up}]}]",
    "groups: [{name: a, rules: [{record: 'a:b:c', expr: up, labels: {d: e}}]}]",
    "groups: [{name: a, rules: [{record: a, expr: 'vector(1)'}]}]",
    "groups: [{name: a, rules: [{record: a, expr: time()}]}]",
    "x: &r RULE\n",
    "groups: [{name: a, rules: [&r RULE, *r]}]",
    "groups:\n- name: a\n  rules:\n  - alert: a\n    expr: \"up\n    == 0\"\n",
    "groups:\n- name: a\n  rules:\n\t- alert: a\n",
    "- name: a\n  rules: []\n",
    "just text",
];

#[test]
fn promtool_and_alertd_agree_on_what_is_a_rule_file() {
    let Some(promtool) = peer("promtool") else { return };
    let folder = Folder::new();
    let mut differ = String::new();
    for (number, text) in ODDITIES.iter().enumerate() {
        let (text, file) = (text.replace("RULE", "{alert: Fine, expr: up == 0}"), format!("{number}.yaml"));
        folder.write(&file, &text);
        let mut check = Command::new(&promtool);
        let theirs = check.args(["check", "rules", "--lint=none", &file]).current_dir(folder.path()).output().unwrap();
        let ours = run(&folder, &["check", &file]);
        if theirs.status.success() != (ours.code == Some(0)) {
            let said = String::from_utf8_lossy(&theirs.stderr).into_owned();
            differ.push_str(&format!("{text:?}\npromtool: {said}\nalertd: {}\n", ours.out));
        }
    }
    assert!(differ.is_empty(), "{differ}");
}
