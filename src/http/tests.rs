//! Requests over real sockets: routes, limits, hostile clients.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

mod acks;
mod alerts;
mod openapi;

use super::guard::Guard;
use super::*;
use crate::model::{LabelMatcher, Labels, Point, Timestamp};

/// Holds slow queries until a test lets them go on.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn wait(&self) {
        let open = self.open.lock().unwrap();
        let (open, _) = self.opened.wait_timeout_while(open, Duration::from_secs(60), |open| !*open).unwrap();
        assert!(*open, "nobody opened the gate");
    }
}

struct Fake {
    gate: Arc<Gate>,
    /// What is turned away, and what was refused.
    shedding: Arc<Mutex<Shedding>>,
    refused: Arc<Mutex<Vec<(&'static str, &'static str)>>>,
}

impl Api for Fake {
    fn shedding(&self) -> Shedding {
        *self.shedding.lock().unwrap()
    }

    fn refused(&self, class: &'static str, reason: &'static str) {
        self.refused.lock().unwrap().push((class, reason));
    }

    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }

    fn ready(&self) -> Readiness {
        Readiness { ready: false, reasons: vec!["state <not> durable".into()] }
    }

    fn reload(&self) -> Result<(), ApiError> {
        Ok(())
    }

    fn metrics(&self, accept: Option<&str>) -> (&'static str, String) {
        ("text/plain", format!("accept {accept:?}\n"))
    }

    fn import(&self, format: ImportFormat, body: &[u8]) -> Result<Imported, ApiError> {
        let text = std::str::from_utf8(body).map_err(|_| ApiError::bad("not UTF-8"))?;
        let rejected = text.lines().filter(|line| line.starts_with('!')).count() as u64;
        let errors = (rejected > 0).then(|| format!("{format:?} line 1")).into_iter().collect();
        let again = text.contains("full");
        Ok(Imported { samples: text.lines().count() as u64 - rejected, rejected, again, errors })
    }

    fn remote_write(&self, format: WriteFormat, message: &[u8]) -> Result<Written, ApiError> {
        let refused = u64::from(message == b"bad");
        let reasons = (refused > 0).then(|| format!("{format:?} refused")).into_iter().collect();
        match message {
            b"torn" => return Err(ApiError::bad("torn")),
            b"many" => return Err(ApiError::new(ErrorKind::TooLarge, "too many")),
            b"full" => return Ok(Written { samples: 3, refused: 1, again: true, ..Written::default() }),
            _ => {}
        }
        Ok(Written { samples: message.len() as u64, refused, reasons, ..Written::default() })
    }

    fn query(&self, query: &InstantQuery) -> Result<api::Answered, ApiError> {
        match query.query.as_str() {
            "boom" => panic!("boom"),
            "slow" => self.gate.wait(),
            "wrong" => return Err(ApiError::new(ErrorKind::Execution, "many-to-many")),
            _ => {}
        }
        Ok(Answer::Scalar(Point { t_ms: query.time.0, value: 1.0 }).into())
    }

    fn query_range(&self, _: &RangeQuery) -> Result<api::Answered, ApiError> {
        Ok(Answer::Matrix(vec![]).into())
    }

    fn format_query(&self, query: &str) -> Result<String, ApiError> {
        Ok(query.to_uppercase())
    }

    fn federate(&self, _: &[String]) -> Result<Vec<(Labels, Point)>, ApiError> {
        Ok(vec![(Labels::from_pairs([("__name__", "up")]), Point { t_ms: 5, value: 1.0 })])
    }

    fn matches(&self, _: &[String], labels: &[Labels]) -> Result<Vec<bool>, ApiError> {
        Ok(labels.iter().map(|_| false).collect())
    }

    fn about(&self, what: &str) -> Option<serde_json::Value> {
        Some(serde_json::json!({ "what": what }))
    }

    fn series(&self, _: &SeriesQuery) -> Result<Vec<Labels>, ApiError> {
        Ok(vec![Labels::from_pairs([("__name__", "up"), ("job", "a")])])
    }

    fn beat(&self, name: &str) -> Result<Timestamp, ApiError> {
        if name == "backup" { Ok(Timestamp(0)) } else { Err(ApiError::bad("no name")) }
    }
    fn beats(&self) -> Vec<(String, Timestamp)> {
        vec![("backup".to_owned(), Timestamp(0))]
    }
    fn forget_beat(&self, _name: &str) -> Result<(), ApiError> {
        Ok(())
    }
    fn groups(&self) -> Vec<GroupView> {
        let mut transition = crate::notify::console::tests::transition(crate::model::TransitionKind::Fired);
        transition.alert.labels =
            Labels::from_pairs([("alertname", "<script>alert(1)</script>"), ("a", "\"'&\u{202e}")]);
        transition.alert.annotations =
            Labels::from_pairs([("runbook", "https://x.example/?a=1&b=\"2\""), ("bad", "javascript:alert(1)")]);
        let rule = RuleView {
            name: "r<b>".into(),
            uid: "g/r".into(),
            recording: false,
            query: "up < 1".into(),
            hold: Duration::from_secs(60),
            keep_firing_for: Duration::ZERO,
            labels: Labels::empty(),
            annotations: Labels::empty(),
            state: crate::model::AlertState::Firing,
            last_error: Some("</table>".into()),
            last_evaluation: Some(Timestamp(1_699_999_990_000)),
            evaluated_here: true,
            evaluation_time: Duration::from_micros(1500),
            alerts: vec![transition.alert],
            line: 3,
        };
        let recording = RuleView { recording: true, name: "rec".into(), alerts: vec![], ..rule.clone() };
        vec![GroupView {
            name: "g".into(),
            file: "rules/a.yml".into(),
            interval: Duration::from_secs(15),
            limit: 0,
            last_evaluation: None,
            evaluation_time: Duration::ZERO,
            rules: vec![rule, recording],
        }]
    }

    fn metadata(&self) -> BTreeMap<String, MetricAbout> {
        let about = MetricAbout { kind: "gauge".into(), help: "h".into(), unit: String::new() };
        BTreeMap::from([("up".into(), about.clone()), ("down".into(), about)])
    }

    fn status(&self) -> serde_json::Value {
        serde_json::json!({"rules": 2})
    }
}

impl Records for Fake {
    fn rotations(&self, at: Timestamp) -> serde_json::Value {
        serde_json::json!({"at": at, "rotations": []})
    }

    fn silences(&self, query: &SilenceQuery) -> Result<Vec<SilenceView>, ApiError> {
        if query.filter.iter().any(|text| text == "bad") {
            return Err(ApiError::bad("`bad` is no \"matcher\""));
        }
        Ok(if query.active { vec![self.silence("1")?] } else { Vec::new() })
    }

    fn silence(&self, id: &str) -> Result<SilenceView, ApiError> {
        if id != "1" {
            return Err(ApiError::new(ErrorKind::NotFound, format!("silence {id} not found")));
        }
        let matcher = Matcher { name: "a".into(), value: "b".into(), is_regex: true, is_equal: false };
        Ok(SilenceView {
            id: "1".into(),
            status: SilenceStatus { state: "active" },
            updated_at: Timestamp(0),
            comment: "c".into(),
            created_by: "me".into(),
            ends_at: Timestamp(2000),
            matchers: vec![matcher],
            starts_at: Timestamp(1000),
            annotations: BTreeMap::new(),
            matcher_sets: Vec::new(),
            recurrence: None,
            window: None,
            held: 3,
            hides: None,
            shown: vec!["a!~\"<b>\"".into()],
        })
    }

    fn put_silence(&self, posted: PostedSilence) -> Result<String, ApiError> {
        if posted.comment == "full" {
            return Err(ApiError::new(ErrorKind::Unavailable, "the disk is full"));
        }
        Ok(format!("{:?} {} {}", posted.id, posted.starts_at, serde_json::json!(posted.matchers)))
    }

    fn expire_silence(&self, id: &str) -> Result<(), ApiError> {
        self.silence(id).map(drop)
    }

    fn try_silence(&self, posted: PostedSilence) -> Result<SilenceView, ApiError> {
        self.put_silence(posted).and_then(|_| self.silence("1"))
    }

    fn preview(&self, _: &[Vec<LabelMatcher>]) -> Result<Preview, ApiError> {
        let rules = vec![PastRule { name: "<rule>".into(), episodes: 3 }];
        let past = Past { from: Timestamp(0), alerts: 2, episodes: 3, notices: 4, complete: true, rules };
        Ok(Preview { alerts: self.groups()[0].rules[0].alerts.clone(), past })
    }

    fn hidden(&self, alerts: &[&crate::model::Alert]) -> Vec<Vec<String>> {
        alerts.iter().map(|_| vec!["1".to_owned()]).collect()
    }

    fn outbox(&self, query: &OutboxQuery) -> Result<serde_json::Value, ApiError> {
        Ok(serde_json::json!(format!("{query:?}")))
    }

    fn retry_notices(&self, chosen: &Chosen) -> Result<serde_json::Value, ApiError> {
        Ok(serde_json::json!({"retried": chosen.ids}))
    }

    fn drop_notices(&self, chosen: &Chosen) -> Result<serde_json::Value, ApiError> {
        Ok(serde_json::json!({"dropped": chosen.ids}))
    }

    fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, ApiError> {
        let event = serde_json::json!({"time": query.from, "kind": "sent", "reason": "=1+1"});
        Ok(HistoryPage { events: vec![event], next: Some("5.1".into()), cut: false })
    }

    fn why(&self, alert: &str, at: Timestamp) -> Result<serde_json::Value, ApiError> {
        Ok(serde_json::json!([alert, at]))
    }

    fn route(&self, labels: &str, at: Option<Timestamp>) -> Result<serde_json::Value, ApiError> {
        Ok(serde_json::json!([labels, at]))
    }
    fn standing(&self) -> Standing {
        let handler = HandlerStanding { name: "<mail>".into(), waiting: 3, dead: 2, ..HandlerStanding::default() };
        let duty = OnDuty { rotation: "<duty>".into(), handler: "ann".into(), until: None, next: None };
        let [trouble, replica] = ["no <space>", "This is a <b>"].map(|text| Some(text.to_owned()));
        Standing { silences: 1, handlers: vec![handler], on_duty: vec![duty], trouble, replica }
    }
}

struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
    gate: Arc<Gate>,
    shedding: Arc<Mutex<Shedding>>,
    refused: Arc<Mutex<Vec<(&'static str, &'static str)>>>,
}

async fn start_with(options: ServerOptions, checks: Guard) -> Server {
    let listener = server::bind("127.0.0.1:0".parse().unwrap(), false).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let fake = Fake { gate: Arc::default(), shedding: Arc::default(), refused: Arc::default() };
    let (gate, shedding, refused) = (fake.gate.clone(), fake.shedding.clone(), fake.refused.clone());
    let router = router(Arc::new(fake), checks, Router::new());
    let task = tokio::spawn(serve(listener, router, options, stopped));
    Server { address, stop, task, gate, shedding, refused }
}

async fn start() -> Server {
    let external_url = Some("https://alerts.example.org/x".parse().unwrap());
    start_with(ServerOptions::default(), Guard { loopback: true, external_url }).await
}

struct Answered {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Server {
    /// Sends raw bytes and reads until the server closes.
    async fn raw(&self, request: &[u8]) -> Answered {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        // The server may answer and close before it has read everything.
        let _ = socket.write_all(request).await;
        let mut got = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut got)).await;
        let _ = read.expect("an answer");
        let text = String::from_utf8_lossy(&got).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|l| l.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
        let headers = lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
        Answered { status, headers, body: body.to_owned() }
    }

    async fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answered {
        let host = if headers.contains("Host:") { String::new() } else { format!("Host: {}\r\n", self.address) };
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head = format!("{method} {path} HTTP/1.1\r\n{host}{headers}{length}Connection: close\r\n\r\n");
        self.raw(&[head.as_bytes(), body].concat()).await
    }

    async fn get(&self, path: &str) -> Answered {
        self.send("GET", path, "", b"").await
    }
}

fn error(answer: &Answered) -> (u16, String, String) {
    let json: serde_json::Value = serde_json::from_str(&answer.body).expect(&answer.body);
    assert_eq!(json["status"], "error");
    (answer.status, json["errorType"].as_str().unwrap().to_owned(), json["error"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn routes_answer_in_the_shapes_of_prometheus() {
    let server = start().await;
    for (path, want) in [
        ("/-/healthy", "alertd is healthy.\n"),
        ("/api/v1/query?query=1&time=5", r#"{"status":"success","data":{"resultType":"scalar","result":[5,"1"]}}"#),
        (
            "/api/v1/query_range?query=1&start=0&end=1&step=1",
            r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
        ),
        ("/api/v1/series?match[]=up", r#"{"status":"success","data":[{"__name__":"up","job":"a"}]}"#),
        ("/api/v1/labels", r#"{"status":"success","data":["__name__","job"]}"#),
        ("/api/v1/label/job/values", r#"{"status":"success","data":["a"]}"#),
        ("/api/v1/metadata?metric=up", r#"{"status":"success","data":{"up":[{"type":"gauge","help":"h","unit":""}]}}"#),
        (
            "/api/v1/labels?limit=1",
            r#"{"status":"success","data":["__name__"],"warnings":["results truncated due to limit"]}"#,
        ),
        ("/api/v1/metadata?limit=1", r#"{"status":"success","data":{"down":[{"type":"gauge","help":"h","unit":""}]}}"#),
        ("/api/v1/format_query?query=up", r#"{"status":"success","data":"UP"}"#),
        ("/api/v1/query_exemplars?query=up", r#"{"status":"success","data":[]}"#),
        ("/api/v1/status/flags", r#"{"status":"success","data":{"what":"flags"}}"#),
        ("/api/v1/rules?match[]=%7Ba%3D%22b%22%7D", r#"{"status":"success","data":{"groups":[]}}"#),
        ("/federate?match[]=up", "# TYPE up untyped\nup{instance=\"\"} 1 5\n"),
        ("/api/v1/status", r#"{"status":"success","data":{"rules":2}}"#),
        ("/metrics", "accept None\n"),
    ] {
        let got = server.get(path).await;
        assert_eq!((got.status, got.body.as_str()), (200, want), "{path}");
    }
    let ready = server.get("/-/ready").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, r#"{"ready":false,"reasons":["state <not> durable"]}"#));
    let rules: serde_json::Value = serde_json::from_str(&server.get("/api/v1/rules?type=alert").await.body).unwrap();
    let rule = &rules["data"]["groups"][0]["rules"][0];
    assert_eq!((&rule["health"], &rule["duration"]), (&"err".into(), &60.0.into()));
    assert_eq!(rule["alerts"][0]["value"], "9.2437e+01");
    assert_eq!(rules["data"]["groups"][0]["rules"].as_array().unwrap().len(), 1);
    let alerts = server.get("/api/v1/alerts").await.body;
    assert!(alerts.contains(r#""activeAt":"2023-11-14T22:13:20Z""#), "{alerts}");
    assert!(server.get("/api/v1/status/buildinfo").await.body.contains(env!("CARGO_PKG_VERSION")));
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    assert_eq!(server.send("POST", "/api/v1/query", form, b"query=1").await.status, 200);
    assert_eq!(server.send("HEAD", "/-/healthy", "", b"").await.status, 200);
    assert_eq!(server.send("POST", "/-/reload", "", b"").await.status, 200);
}

const NO_QUERY: &str = "invalid parameter \"query\": unknown position: parse error: no expression found in input";

#[tokio::test]
async fn errors_are_json_of_the_prometheus_shape() {
    let server = start().await;
    for (method, path, want) in [
        ("GET", "/nowhere", (404, "not_found", "nothing at /nowhere")),
        ("GET", "/-/reload", (405, "method_not_allowed", "GET is not for /-/reload")),
        ("DELETE", "/api/v1/query", (405, "method_not_allowed", "DELETE is not for /api/v1/query")),
        ("OPTIONS", "/api/v1/query", (405, "method_not_allowed", "OPTIONS is not for /api/v1/query")),
        ("GET", "/api/v1/query", (400, "bad_data", NO_QUERY)),
        ("GET", "/api/v1/query?query=wrong", (422, "execution", "many-to-many")),
        ("GET", "/api/v1/query?query=boom", (500, "internal", "the request failed inside; see the log")),
        ("GET", "/api/v1/series", (400, "bad_data", "no match[] parameter provided")),
        ("GET", "/api/v1/rules?type=x", (400, "bad_data", "invalid parameter \"type\": not supported value \"x\"")),
    ] {
        let answer = server.send(method, path, "", b"").await;
        assert_eq!(error(&answer), (want.0, want.1.to_owned(), want.2.to_owned()), "{method} {path}");
        if want.0 == 405 {
            assert!(answer.headers.contains_key("allow"), "{path}");
        }
    }
    assert_eq!(server.send("POST", "/api/v1/query", "Content-Type: text/plain\r\n", b"query=1").await.status, 415);
}

#[tokio::test]
async fn other_sites_may_change_nothing_and_foreign_hosts_see_nothing() {
    let server = start().await;
    let own = format!("Origin: http://{}\r\n", server.address);
    for (headers, want) in [
        ("", 200),
        (own.as_str(), 200),
        ("Origin: https://alerts.example.org\r\n", 200),
        ("Sec-Fetch-Site: same-origin\r\n", 200),
        ("Sec-Fetch-Site: none\r\n", 200),
        ("Origin: https://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Origin: https://alerts.example.org.evil.example\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\n", 403),
        ("Host: evil.example\r\n", 403),
        ("Host: evil.example:80\r\nOrigin: http://evil.example:80\r\n", 403),
        ("Host: localhost:1\r\n", 200),
        ("Host: [::1]:9097\r\n", 200),
        ("Host: alerts.example.org\r\n", 200),
        ("Host: localhost.evil.example\r\n", 403),
    ] {
        let json = format!("{headers}Content-Type: application/json\r\n");
        for (method, path, headers, body) in [
            ("POST", "/-/reload", headers, ""),
            ("POST", "/api/v1/import", headers, ""),
            ("POST", "/api/v1/import/prometheus", headers, ""),
            ("POST", "/api/v2/silences", json.as_str(), SILENCE),
            ("DELETE", "/api/v2/silence/1", headers, ""),
            ("POST", "/api/v1/outbox/retry", json.as_str(), "{}"),
            ("POST", "/api/v1/outbox/drop", json.as_str(), "{}"),
        ] {
            let answer = server.send(method, path, headers, body.as_bytes()).await;
            assert_eq!(answer.status, want, "{method} {path} {headers}");
            assert!(!answer.headers.keys().any(|name| name.starts_with("access-control")));
        }
    }
    assert_eq!(server.send("GET", "/api/v1/alerts", "Host: evil.example\r\n", b"").await.status, 403);
    assert_eq!(server.send("GET", "http://evil.example/metrics", "", b"").await.status, 403);
    let twice = "Host: localhost\r\nHost: evil.example\r\n";
    assert_eq!(server.send("GET", "/api/v1/alerts", twice, b"").await.status, 400);
    let answer = server.get("/api/v1/alerts").await;
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(answer.headers["content-security-policy"].starts_with("default-src 'none'"));
}

const SILENCE: &str = r#"{"matchers":[{"name":"a","value":"b","isRegex":false}],"startsAt":"2026-01-01T00:00:00.000Z",
    "endsAt":"2026-01-01T02:00:00+01:00","createdBy":"me","comment":"c"}"#;

#[tokio::test]
async fn silences_have_the_shapes_of_alertmanager_and_errors_are_json_strings() {
    let server = start().await;
    let json = "Content-Type: application/json; charset=utf-8\r\n";
    let view = r#"{"id":"1","status":{"state":"active"},"updatedAt":"1970-01-01T00:00:00Z","comment":"c","createdBy":"me","endsAt":"1970-01-01T00:00:02Z","matchers":[{"name":"a","value":"b","isRegex":true,"isEqual":false}],"startsAt":"1970-01-01T00:00:01Z","held":3}"#;
    let list = format!("[{view}]");
    let made = r#"{"silenceID":"None 2026-01-01T00:00:00Z [{\"name\":\"a\",\"value\":\"b\",\"isRegex\":false,\"isEqual\":true}]"}"#;
    let full = SILENCE.replace("\"c\"", "\"full\"");
    for (method, path, headers, body, want) in [
        ("GET", "/api/v2/silences", "", "", (200, list.as_str())),
        ("GET", "/api/v2/silences?filter=a%3Db&active=false&expired=true", "", "", (200, "[]")),
        ("GET", "/api/v2/silences?filter=bad", "", "", (400, r#""`bad` is no \"matcher\"""#)),
        (
            "GET",
            "/api/v2/silences?active=x",
            "",
            "",
            (400, r#""parameter \"active\" is neither true nor false: \"x\"""#),
        ),
        ("GET", "/api/v2/silence/1", "", "", (200, view)),
        ("GET", "/api/v2/silence/2", "", "", (404, "\"silence 2 not found\"")),
        ("DELETE", "/api/v2/silence/2", "", "", (404, "\"silence 2 not found\"")),
        ("DELETE", "/api/v2/silence/1", "", "", (200, "")),
        ("POST", "/api/v2/silences", json, SILENCE, (200, made)),
        ("POST", "/api/v2/silences", json, full.as_str(), (503, "\"the disk is full\"")),
        (
            "POST",
            "/api/v2/silences",
            json,
            "{",
            (400, "\"cannot read the body: EOF while parsing an object at line 1 column 1\""),
        ),
        // What a form of another site can send is no silence.
        (
            "POST",
            "/api/v2/silences",
            "Content-Type: text/plain\r\n",
            SILENCE,
            (415, "\"the body must be application/json\""),
        ),
        ("POST", "/api/v2/silences", "", SILENCE, (415, "\"the body must be application/json\"")),
    ] {
        let got = server.send(method, path, headers, body.as_bytes()).await;
        assert_eq!((got.status, got.body.as_str()), want, "{method} {path} {body}");
    }
    let status: serde_json::Value = serde_json::from_str(&server.get("/api/v2/status").await.body).unwrap();
    assert_eq!(
        (&status["cluster"]["status"], &status["config"]["original"]),
        (&"disabled".into(), &"route: {}".into())
    );
    let preview = server.get("/api/v1/silences/preview?filter[]=a%3Db").await;
    assert!(
        preview.body.starts_with(r#"{"status":"success","data":{"firing":1,"pending":0,"alerts":[{"#),
        "{}",
        preview.body
    );
    assert!(preview.body.contains(r#""past":{"from":"1970-01-01T00:00:00Z","alerts":2,"#), "{}", preview.body);
    let refused = server.get("/api/v1/silences/preview?set[]=a").await;
    assert_eq!(error(&refused).2, "`a` is no matcher: write it as name=\"value\"");
    assert_eq!(error(&server.get("/api/v1/silences/preview").await).2, "parameter \"filter[]\" is missing");
}

#[tokio::test]
async fn history_is_json_or_csv_and_the_outbox_is_changed_by_json_alone() {
    let server = start().await;
    let events = r#"{"status":"success","data":{"events":[{"time":null,"kind":"sent","reason":"=1+1"}],"next":"5.1","cut":false}}"#;
    assert_eq!(server.get("/api/v1/history").await.body, events);
    for (path, headers) in [("/api/v1/history?format=csv", ""), ("/api/v1/history", "Accept: text/csv\r\n")] {
        let answer = server.send("GET", path, headers, b"").await;
        assert!(answer.headers["content-type"].starts_with("text/csv"), "{path}");
        assert_eq!(answer.headers["x-alertd-next"], "5.1");
        let body = "time,kind,rule,severity,handler,reason,fingerprint,notice,labels,detail,rule_uid\r\n,sent,,,,\"'=1+1\",,,,,\r\n";
        assert_eq!(answer.body, body);
    }
    assert_eq!(error(&server.get("/api/v1/history?format=xml").await).0, 400);
    let json = "Content-Type: application/json\r\n";
    for (path, want) in [("retry", r#"{"retried":["a"]}"#), ("drop", r#"{"dropped":["a"]}"#)] {
        let path = format!("/api/v1/outbox/{path}");
        let answer = server.send("POST", &path, json, br#"{"ids":["a"]}"#).await;
        assert_eq!(answer.body, format!(r#"{{"status":"success","data":{want}}}"#));
        assert_eq!(server.send("POST", &path, "", br#"{"ids":["a"]}"#).await.status, 415);
        assert_eq!(server.send("POST", &path, json, br#"{"id":"a"}"#).await.status, 400);
    }
    let asked = server.get("/api/v1/outbox?handler=h&state=dead&limit=5&after=7").await.body;
    assert!(asked.contains("limit: 5, after: Some(7)"), "{asked}");
    assert_eq!(error(&server.get("/api/v1/outbox?after=x").await).0, 400);
}

#[tokio::test]
async fn imports_are_counted_unpacked_and_limited() {
    let server = start().await;
    let path = "/api/v1/import/prometheus";
    let taken = r#"{"status":"success","data":{"samples":2,"rejected":0,"errors":[]}}"#;
    let answer = server.send("POST", path, "", b"a 1\nb 2\n").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, taken));
    let gzip = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    let packed = "Content-Encoding: gzip\r\n";
    assert_eq!(server.send("POST", "/api/v1/import", packed, &gzip(b"a 1\nb 2\n")).await.body, taken);
    let chunked = b"POST /api/v1/import HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\
        Connection: close\r\n\r\n4\r\na 1\n\r\n4\r\nb 2\n\r\n0\r\n\r\n";
    assert_eq!(server.raw(chunked).await.body, taken);

    let refused = error(&server.send("POST", path, "", b"a 1\n!\n").await);
    assert_eq!(refused.2, "1 of 2 refused: Prometheus { open_metrics: false } line 1");
    assert_eq!(error(&server.send("POST", path, packed, b"no gzip").await).0, 400);
    assert_eq!(error(&server.send("POST", path, "Content-Encoding: br\r\n", b"x").await).0, 415);
    // A declared length above the limit is refused before any of it is read.
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n");
    assert_eq!(server.raw(head.as_bytes()).await.status, 413);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let large = vec![b'a'; body::FORM_BYTES_MAX + 1];
    assert_eq!(server.send("POST", "/api/v1/query", form, &large).await.status, 413);
}

#[tokio::test]
async fn a_slow_head_an_idle_connection_and_a_long_head_are_ended() {
    let options = ServerOptions { header_timeout: Duration::from_millis(200), ..ServerOptions::default() };
    let server = start_with(options, Guard { loopback: true, external_url: None }).await;
    for beginning in
        [&b""[..], b"GET / HTTP/1.1\r\nHost: localh", b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n"]
    {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(beginning).await.unwrap();
        let mut got = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut got)).await;
        assert!(closed.is_ok(), "{:?} stayed open", String::from_utf8_lossy(beginning));
    }
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(300_000));
    assert_eq!(server.raw(long.as_bytes()).await.status, 431);
    assert_eq!(server.raw(b"\x16\x03\x01 TLS\r\n\r\n").await.status, 400);
}

#[tokio::test]
async fn more_connections_than_allowed_wait_and_health_answers_beside_slow_queries() {
    let options = ServerOptions { connections_max: 2, ..ServerOptions::default() };
    let server = start_with(options, Guard { loopback: true, external_url: None }).await;
    let first = TcpStream::connect(server.address).await.unwrap();
    let _second = TcpStream::connect(server.address).await.unwrap();
    let third = server.get("/-/healthy");
    let mut third = std::pin::pin!(third);
    let early = tokio::time::timeout(Duration::from_millis(200), third.as_mut()).await;
    assert!(early.is_err(), "a third connection was served");
    drop(first);
    assert_eq!(third.await.status, 200);

    let server = start().await;
    let slow = (0..routes::QUERIES_MAX + 4).map(|_| server.get("/api/v1/query?query=slow"));
    let slow = futures_util::future::join_all(slow);
    let mut slow = std::pin::pin!(slow);
    assert!(tokio::time::timeout(Duration::from_millis(50), slow.as_mut()).await.is_err());
    let others = ["/-/healthy", "/metrics", "/api/v1/alerts"];
    for path in others {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    assert!(tokio::time::timeout(Duration::ZERO, slow.as_mut()).await.is_err());
    server.gate.open();
    assert!(slow.await.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn a_client_that_never_reads_or_never_ends_is_dropped_at_the_age_limit() {
    let brief = Duration::from_millis(200);
    let options = ServerOptions { connection_age_max: brief, grace: brief, ..ServerOptions::default() };
    let server = start_with(options, Guard { loopback: true, external_url: None }).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let unfinished = b"POST /api/v1/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc";
    socket.write_all(unfinished).await.unwrap();
    let mut got = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut got)).await;
    assert!(closed.is_ok());
}

#[tokio::test]
async fn shutdown_lets_requests_finish_and_takes_no_new_ones() {
    let mut server = start().await;
    let task = std::mem::replace(&mut server.task, tokio::spawn(async {}));
    let under_way = server.get("/api/v1/query?query=slow");
    let mut under_way = std::pin::pin!(under_way);
    assert!(tokio::time::timeout(Duration::from_millis(100), under_way.as_mut()).await.is_err());
    server.stop.send(true).unwrap();
    server.gate.open();
    assert_eq!(under_way.await.status, 200);
    task.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn an_address_others_can_reach_is_refused_unless_asked_for() {
    for open in ["0.0.0.0:0", "[::]:0", "[::ffff:1.2.3.4]:0"] {
        let refused = server::bind(open.parse().unwrap(), false).await;
        assert!(matches!(refused, Err(ListenError::NotLoopback(_))), "{open}");
    }
    assert!(server::bind("0.0.0.0:0".parse().unwrap(), true).await.is_ok());
}

#[tokio::test]
async fn the_page_shows_alerts_and_lets_no_label_become_markup() {
    let server = start().await;
    let answer = server.get("/").await;
    assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
    let html = answer.body;
    for wanted in [
        "(1) alertd",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "<code>a=&quot;&#39;&amp;\\u{202e}</code>",
        r#"<a rel="noreferrer noopener" href="https://x.example/?a=1&amp;b=&quot;2&quot;">"#,
        "<b>bad</b> javascript:alert(1)",
        "<li>state &lt;not&gt; durable</li>",
        "r&lt;b&gt;",
        "<p class=\"error\">&lt;/table&gt;</p>",
        "10s ago, 1.5ms",
        "rules/host.yaml:12",
        "<tr id=\"",
    ] {
        assert!(html.contains(wanted), "{wanted}\n{html}");
    }
    assert!(!html.contains("<script") && !html.contains("style=") && !html.contains("href=\"javascript"));
    assert_eq!(html.matches("<article").count(), html.matches("</article>").count());
    // A rule is where messages say that it is.
    let link = crate::notify::links::generator("https://alerts.example/", "g/r");
    let id = link.split_once('#').expect("it names the rule").1;
    assert!(html.contains(&format!("<tr id=\"{id}\"")), "{id}\n{html}");
    let graph = server.get("/graph?g0.expr=sum+%28up%29&g0.tab=0").await;
    assert_eq!(graph.status, 307);
    assert_eq!(graph.headers["location"], "api/v1/query?query=sum+%28up%29");
    assert_eq!(server.get("/graph").await.headers["location"], "./");
    let style = server.get("/assets/style.css").await;
    assert_eq!(style.headers["content-type"], "text/css; charset=utf-8");
    assert!(html.len() + style.body.len() < 60 * 1024);
}

#[path = "gate_tests.rs"]
mod gate_tests;
#[path = "remote_write_tests.rs"]
mod remote_write;
