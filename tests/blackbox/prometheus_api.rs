//! The Prometheus HTTP API from outside: promtool, a real Prometheus that federates, and the requests of Grafana's data
//! source as it sends them.

use std::process::Command;

use serde_json::{Value, json};

use crate::http;
use crate::kit::{Daemon, Folder, Peer, Ran, finish, free_port, peer, until};

const RULES: &str = r#"
defaults: {every: 1s}
rules:
  - {name: hot, metric: temperature, threshold: "> 80", labels: {team: a}}
  - {name: cold, metric: temperature, threshold: "< 0", labels: {team: b}}
"#;

fn daemon() -> (Folder, Daemon) {
    let config = "host_metrics: {enabled: false}\nexternal_labels: {cluster: one}\n\
                  stores: {mimir: {url: 'http://127.0.0.1:1', headers: {X-Token: 'canary-secret'}}}\n";
    let other = "rules: [{name: other, expr: vector(1) > 2}]\n";
    let folder = Folder::with(&[("rules/a.yaml", RULES), ("rules/b.yaml", other), ("alertd.yaml", config)]);
    let daemon = Daemon::start(&folder);
    daemon.push("temperature{host=\"a\",job=\"x\"} 90\ntemperature{host=\"b\",job=\"x\"} 20\n");
    (folder, daemon)
}

fn promtool(daemon: &Daemon, args: &[&str]) -> Option<Ran> {
    let program = peer("promtool")?;
    let server = format!("http://{}", daemon.address);
    let args: Vec<&str> = args.iter().map(|arg| if *arg == "SERVER" { server.as_str() } else { arg }).collect();
    Some(finish(Command::new(program).args(args)))
}

#[test]
fn promtool_asks_as_it_asks_a_prometheus() {
    let (_folder, daemon) = daemon();
    let now = daemon.query("vector(time())").first().map_or(0.0, |(_, now)| *now);
    let (start, end) = (format!("--start={}", now - 60.0), format!("--end={}", now + 5.0));
    let Some(ran) = promtool(&daemon, &["query", "instant", "SERVER", "temperature{host=\"a\"}"]) else { return };
    assert!(ran.exits(0).out.starts_with("temperature{host=\"a\", job=\"x\"} => 90 @["));
    let range = ["query", "range", "--step=5s", &start, &end, "SERVER", "sum(temperature)"];
    let ran = promtool(&daemon, &range).unwrap().exits(0);
    assert!(ran.out.starts_with("{} =>\n110 @["), "{ran:?}");
    let ran = promtool(&daemon, &["query", "series", "--match=temperature", &start, &end, "SERVER"]).unwrap().exits(0);
    assert_eq!(ran.out.lines().count(), 2, "{ran:?}");
    let ran = promtool(&daemon, &["query", "labels", &start, &end, "SERVER", "host"]).unwrap().exits(0);
    assert_eq!(ran.out, "a\nb\n");
    let wrong = promtool(&daemon, &["query", "instant", "SERVER", "sum("]).unwrap();
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.err.contains("bad_data: invalid parameter \"query\": 1:5: parse error:"), "{wrong:?}");
}

#[test]
fn a_real_prometheus_federates() {
    let Some(program) = peer("prometheus") else { return };
    let (_folder, daemon) = daemon();
    daemon.push("dotted{\"a.b\"=\"c\"} 7\n");
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: federate\n    honor_labels: true\n    \
         metrics_path: /federate\n    params: {{'match[]': ['{{job=\"x\"}}', 'alertd_build_info']}}\n    \
         static_configs: [{{targets: ['{}']}}]\n",
        daemon.address
    );
    let home = Folder::with(&[("prometheus.yml", &config)]);
    let (listen, file, store) = (
        format!("--web.listen-address={address}"),
        format!("--config.file={}", home.at("prometheus.yml").display()),
        format!("--storage.tsdb.path={}", home.at("tsdb").display()),
    );
    let _prometheus = Peer::start(&program, &[&listen, &file, &store], &address, "/-/ready");
    let path = format!("/api/v1/query?query={}", http::encoded("temperature"));
    let rows = until("Prometheus has the samples", || {
        let rows = http::get(&address, &path).ok()?.json()["data"]["result"].as_array().cloned()?;
        (rows.len() == 2).then_some(rows)
    });
    let labels = json!({"__name__": "temperature", "cluster": "one", "host": "a", "job": "x"});
    assert_eq!(rows[0]["metric"], labels);
    assert_eq!(rows[0]["value"][1], "90");
}

/// The data of a request with a form as Grafana sends it.
#[track_caller]
fn posted(daemon: &Daemon, path: &str, form: &str) -> Value {
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("User-Agent", "Grafana/12.0.0")];
    let answer = daemon.post(path, &headers, form.as_bytes());
    assert_eq!(answer.status, 200, "{path} {form}: {}", answer.text());
    answer.json()["data"].clone()
}

#[test]
fn the_requests_of_grafanas_data_source_are_answered() {
    let (_folder, daemon) = daemon();
    let now = daemon.query("vector(time())").first().map_or(0.0, |(_, now)| *now);
    let (start, end) = (now - 300.0, now + 1.0);
    // "Save & test" of the data source.
    let health = posted(&daemon, "/api/v1/query", &format!("query=1%2B1&time={end}"));
    assert_eq!(health["result"][1], "2");
    assert!(daemon.get("/api/v1/status/buildinfo").json()["data"]["version"].is_string());
    // A panel.
    let form = format!("end={end}&query=temperature%7Bhost%3D%22a%22%7D&start={start}&step=15");
    assert_eq!(posted(&daemon, "/api/v1/query_range", &form)["resultType"], "matrix");
    let exemplars = format!("query=temperature&start={start}&end={end}");
    assert_eq!(posted(&daemon, "/api/v1/query_exemplars", &exemplars), json!([]));
    // The query builder and variables.
    let window = format!("start={}&end={}", start as i64, end as i64 + 1);
    let matching = format!("{window}&match%5B%5D=%7B__name__%3D%22temperature%22%7D");
    assert_eq!(posted(&daemon, "/api/v1/labels", &matching), json!(["__name__", "host", "job"]));
    assert_eq!(posted(&daemon, "/api/v1/series", &matching).as_array().map(Vec::len), Some(2));
    let values = daemon.get(&format!("/api/v1/label/host/values?{matching}&limit=1")).json();
    assert_eq!((&values["data"], &values["warnings"]), (&json!(["a"]), &json!(["results truncated due to limit"])));
    assert_eq!(daemon.get(&format!("/api/v1/label/U__host/values?{window}")).json()["data"], json!(["a", "b"]));
    let old = daemon.get("/api/v1/label/host/values?start=1000&end=2000").json();
    assert_eq!(old["data"], json!([]), "no series lived then");
    assert!(daemon.get("/api/v1/metadata?limit=10").json()["data"].is_object());
    assert_eq!(posted(&daemon, "/api/v1/format_query", "query=sum+by(a)(x)"), json!("sum by (a) (x)"));
    // The alerting pages.
    assert!(daemon.get("/api/v1/rules").json()["data"]["groups"].is_array());
}

#[test]
fn answers_are_worded_as_those_of_prometheus() {
    let (_folder, daemon) = daemon();
    let now = daemon.query("vector(time())").first().map_or(0.0, |(_, now)| *now);
    let get = |path: &str| {
        let answer = daemon.get(path);
        (answer.status, answer.json())
    };
    for (path, status, kind, error) in [
        ("/api/v1/query?query=a%2B", 400, "bad_data", "invalid parameter \"query\": 1:3: parse error:"),
        (
            "/api/v1/query?query=a&time=x",
            400,
            "bad_data",
            "invalid parameter \"time\": cannot parse \"x\" to a valid timestamp",
        ),
        (
            "/api/v1/query_range?query=a&start=0&end=20000&step=1",
            400,
            "bad_data",
            "exceeded maximum resolution of 11,000 points per timeseries",
        ),
        (
            "/api/v1/query_range?query=a[1m]&start=0&end=1&step=1",
            400,
            "bad_data",
            "invalid parameter \"query\": invalid expression type \"range vector\" for range query",
        ),
        ("/api/v1/series", 400, "bad_data", "no match[] parameter provided"),
        ("/api/v1/series?match[]=1", 400, "bad_data", "invalid parameter \"match[]\""),
        ("/api/v1/query?query=temperature%20%2B%20on()%20temperature", 422, "execution", "many-to-many"),
        (
            "/api/v1/rules?group_limit=1&group_next_token=x",
            400,
            "bad_data",
            "invalid parameter \"group_next_token\": invalid group_next_token 'x'",
        ),
    ] {
        let (got, body) = get(path);
        let text = body["error"].as_str().unwrap_or_default().to_owned();
        assert_eq!((got, body["errorType"].as_str()), (status, Some(kind)), "{path}: {text}");
        assert!(text.contains(error), "{path}: {text}");
    }
    let (_, body) = get(&format!("/api/v1/query?query=temperature&limit=1&stats=all&lookback_delta=1h&time={now}"));
    assert_eq!(body["data"]["result"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["warnings"], json!(["results truncated due to limit"]));
    assert!(body["data"]["stats"]["timings"]["evalTotalTime"].is_f64(), "{body}");
    assert_eq!(body["data"]["stats"]["samples"]["totalQueryableSamples"], 2);
    let (_, body) = get(&format!("/api/v1/query?query=temperature&time={}&lookback_delta=10s", now + 60.0));
    assert_eq!(body["data"]["result"], json!([]), "older than the look-back asked for");
    let (_, body) = get("/api/v1/query?query=quantile(2,temperature)");
    let warning = "PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)";
    assert_eq!(body["warnings"], json!([warning]), "{body}");
}

#[test]
fn rules_come_in_pages_and_by_labels_and_what_it_says_of_itself_holds_no_secret() {
    let (_folder, daemon) = daemon();
    let get = |path: &str| {
        let answer = daemon.get(path);
        (answer.status, answer.json())
    };
    daemon.wait_alert("hot", "firing");
    let (_, first) = get("/api/v1/rules?group_limit=1&type=alert");
    let token = first["data"]["groupNextToken"].as_str().unwrap().to_owned();
    let (_, second) = get(&format!("/api/v1/rules?group_limit=1&type=alert&group_next_token={token}"));
    let file = |body: &Value| body["data"]["groups"][0]["file"].as_str().unwrap_or_default().to_owned();
    assert_eq!((file(&first).as_str(), file(&second).as_str()), ("rules/a.yaml", "rules/b.yaml"));
    let (_, body) = get("/api/v1/rules?match[]=%7Bteam%3D%22a%22%7D&exclude_alerts=true");
    let rules = body["data"]["groups"][0]["rules"].as_array().unwrap();
    assert_eq!((rules.len(), &rules[0]["name"], &rules[0]["alerts"]), (1, &json!("hot"), &json!([])));

    for path in ["runtimeinfo", "flags", "config"] {
        let answer = daemon.get(&format!("/api/v1/status/{path}"));
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.text().contains("canary"), "{path}");
    }
    let yaml = daemon.get("/api/v1/status/config").json()["data"]["yaml"].as_str().unwrap_or_default().to_owned();
    assert!(yaml.contains("evaluation_interval: 15s") && yaml.contains("\"cluster\": \"one\""), "{yaml}");
    let page = daemon.get(&format!("/federate?match[]={}", http::encoded("temperature"))).text();
    assert!(
        page.starts_with(
            "# TYPE temperature untyped\ntemperature{cluster=\"one\",host=\"a\",job=\"x\",instance=\"\"} 90 "
        ),
        "{page}"
    );
}
