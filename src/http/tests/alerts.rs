//! Alerts over HTTP in Alertmanager's shapes: parameters, bodies, errors, and requests as their clients make them.

use serde_json::{Value, json};

use super::*;
use crate::http::body::ALERTS_BYTES_MAX;

impl Alerting for Fake {
    fn post_alerts(&self, posted: Vec<PostedAlert>) -> Result<(), ApiError> {
        let one = posted.first().ok_or_else(|| ApiError::new(ErrorKind::Unavailable, "the disk is full"))?;
        match one.labels.get("alertname").map(String::as_str) {
            Some("bad") => Err(ApiError::bad(format!("{one:?}"))),
            Some("full") => Err(ApiError::new(ErrorKind::TooMany, "no room")),
            _ => Ok(()),
        }
    }

    fn firing(&self, query: &AlertQuery) -> Result<Vec<AlertView>, ApiError> {
        if query.filter.iter().any(|text| text == "bad") {
            return Err(ApiError::bad(format!("{query:?}")));
        }
        let view = AlertView {
            annotations: Labels::empty(),
            ends_at: Timestamp(4000),
            fingerprint: crate::model::Fingerprint(10),
            receivers: vec![ReceiverView("mail".into())],
            starts_at: Timestamp(1000),
            status: AlertStatus { silenced_by: vec!["s".into()], ..AlertStatus::default() },
            updated_at: Timestamp(3000),
            generator_url: "http://prom/".into(),
            labels: Labels::from_pairs([("alertname", "a")]),
        };
        Ok(if query.silenced { vec![view] } else { Vec::new() })
    }

    fn alert_groups(&self, query: &AlertQuery) -> Result<Vec<AlertGroup>, ApiError> {
        let group = |alerts| AlertGroup { alerts, labels: Labels::empty(), receiver: ReceiverView("mail".into()) };
        self.firing(query).map(|alerts| vec![group(alerts)])
    }

    fn receivers(&self, matchers: &[String]) -> Result<Vec<ReceiverView>, ApiError> {
        Ok(if matchers.is_empty() { vec![ReceiverView("mail".into())] } else { Vec::new() })
    }

    fn routing(&self) -> String {
        "route: {}".into()
    }
}

const JSON: &str = "Content-Type: application/json\r\n";

fn text(answer: &Answered) -> (u16, Value) {
    assert_eq!(answer.headers.get("content-type").map(String::as_str), Some("application/json"), "{}", answer.body);
    (answer.status, serde_json::from_str(&answer.body).expect(&answer.body))
}

#[tokio::test]
async fn alerts_groups_and_receivers_have_the_shapes_of_alertmanager() {
    let server = start().await;
    let receiver = json!({"name": "mail", "labels": {"name": "mail"}});
    let alert = json!({
        "annotations": {}, "endsAt": "1970-01-01T00:00:04Z", "fingerprint": "000000000000000a",
        "receivers": [receiver], "startsAt": "1970-01-01T00:00:01Z",
        "status": {"inhibitedBy": [], "mutedBy": [], "silencedBy": ["s"], "state": "suppressed"},
        "updatedAt": "1970-01-01T00:00:03Z", "generatorURL": "http://prom/", "labels": {"alertname": "a"},
    });
    for (path, want) in [
        ("/api/v2/alerts", json!([alert])),
        ("/api/v2/alerts?silenced=false", json!([])),
        ("/api/v2/alerts/groups", json!([{"alerts": [alert], "labels": {}, "receiver": receiver}])),
        ("/api/v2/receivers", json!([receiver])),
        ("/api/v2/receivers?receiver_matchers=name%3D%22x%22", json!([])),
        // As `amtool alert query` asks (prometheus/alertmanager:cli/alert_query.go).
        (
            "/api/v2/alerts?active=true&filter=alertname%3D%22a%22&inhibited=false&silenced=false&unprocessed=false",
            json!([]),
        ),
        // As Grafana asks (grafana/grafana:public/app/features/alerting/unified/api/alertmanager.ts).
        ("/api/v2/alerts?filter=alertname%3Da&silenced=true&active=true&inhibited=true", json!([alert])),
        ("/api/v2/alerts/groups?", json!([{"alerts": [alert], "labels": {}, "receiver": receiver}])),
    ] {
        assert_eq!(text(&server.get(path).await), (200, want), "{path}");
    }
    // karma names no parameter and sends its own header (prymitive/karma:internal/alertmanager/models.go).
    let karma = "Accept-Encoding: gzip\r\nUser-Agent: karma/v0.120\r\n";
    assert_eq!(server.send("GET", "/api/v2/alerts/groups", karma, b"").await.status, 200);
    let status = text(&server.get("/api/v2/status").await).1;
    assert_eq!(status["config"], json!({"original": "route: {}"}));
    assert_eq!(status["cluster"], json!({"status": "disabled", "peers": []}));
    for key in ["version", "revision", "branch", "buildUser", "buildDate", "goVersion"] {
        assert!(status["versionInfo"][key].is_string(), "{key}: {status}");
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_is_answered_by_a_json_string() {
    let server = start().await;
    let filters =
        "/api/v2/alerts/groups?filter=bad&filter[]=b&receiver=m.*&receiver_matchers=c&muted=false&active=false";
    let asked = AlertQuery {
        filter: vec!["bad".into(), "b".into()],
        receiver: Some("m.*".into()),
        receiver_matchers: vec!["c".into()],
        active: false,
        silenced: true,
        inhibited: true,
        muted: false,
    };
    assert_eq!(text(&server.get(filters).await), (400, json!(format!("{asked:?}"))));
    let (status, told) = text(&server.get("/api/v2/alerts?unprocessed=maybe").await);
    assert!(status == 400 && told.as_str().unwrap().contains("unprocessed"), "{told}");
}

#[tokio::test]
async fn alerts_are_taken_as_prometheus_and_amtool_post_them() {
    let server = start().await;
    let post = async |headers: &str, body: &str| server.send("POST", "/api/v2/alerts", headers, body.as_bytes()).await;
    // prometheus/prometheus:notifier/alertmanagerset.go and notifier/alert.go
    let prometheus = r#"[{"annotations":{"s":"x"},"endsAt":"2026-01-01T00:04:00.123456789Z","startsAt":"2026-01-01T00:00:00.1Z","generatorURL":"http://p/","labels":{"alertname":"ok"}}]"#;
    // prometheus/alertmanager:cli/alert_add.go leaves times at Go's zero.
    let amtool = r#"[{"annotations":null,"endsAt":"0001-01-01T00:00:00.000Z","startsAt":"0001-01-01T00:00:00.000Z","labels":{"alertname":"ok"}}]"#;
    for body in [prometheus, amtool, r#"[{"labels":{"alertname":"ok"},"startsAt":"","of":"later"}]"#] {
        let answer = post(JSON, body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{body}");
    }
    let seen = text(&post(JSON, &amtool.replace("ok", "bad")).await);
    assert_eq!(seen.0, 400);
    assert!(seen.1.as_str().unwrap().contains("starts_at: None, ends_at: None"), "{}", seen.1);
    assert_eq!(text(&post(JSON, "[]").await), (503, json!("the disk is full")));
    let full = post(JSON, &amtool.replace("ok", "full")).await;
    assert_eq!((text(&full), full.headers.contains_key("retry-after")), ((429, json!("no room")), true));
    for (body, said) in [
        ("", "EOF"),
        ("{}", "invalid type: map"),
        (r#"[{"annotations":{}}]"#, "missing field `labels`"),
        (r#"[{"labels":{"a":1}}]"#, "invalid type: integer"),
        (r#"[{"labels":{},"endsAt":"soon"}]"#, "not a time: \"soon\""),
    ] {
        let (status, told) = text(&post(JSON, body).await);
        assert!(status == 400 && told.as_str().unwrap().contains(said), "{body}: {told}");
    }
    let form = post("Content-Type: application/x-www-form-urlencoded\r\n", amtool).await;
    assert_eq!(text(&form), (415, json!("the body must be application/json")));
    let long = format!("{JSON}Content-Length: {}\r\n", ALERTS_BYTES_MAX + 1);
    assert_eq!(text(&server.send("POST", "/api/v2/alerts", &long, b"").await).0, 413);
}

#[tokio::test]
async fn a_page_of_another_site_can_report_no_alert_and_make_no_silence() {
    let server = start().await;
    for path in ["/api/v2/alerts", "/api/v2/silences"] {
        for from in [
            "Origin: https://evil.example\r\n",
            "Sec-Fetch-Site: cross-site\r\n",
            "Sec-Fetch-Site: same-site\r\n",
            "Origin: null\r\n",
        ] {
            let answer = server.send("POST", path, &format!("{JSON}{from}"), b"[]").await;
            assert_eq!(answer.status, 403, "{path} {from}");
            assert!(answer.headers.keys().all(|name| !name.starts_with("access-control-")), "{:?}", answer.headers);
        }
        // What a browser asks before it would send JSON elsewhere.
        let preflight = "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\
                         Access-Control-Request-Headers: content-type\r\n";
        let answer = server.send("OPTIONS", path, preflight, b"").await;
        assert!(answer.status == 405 && answer.headers.keys().all(|name| !name.starts_with("access-control-")));
    }
}
