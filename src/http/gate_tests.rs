//! Requests that are turned away, over a real socket.

use super::*;

#[tokio::test]
async fn what_is_turned_away_for_want_of_memory_says_when_to_come_again() {
    let server = start().await;
    let statuses = async || {
        let mut all = Vec::new();
        for (method, path) in [
            ("POST", "/api/v1/write"),
            ("POST", "/api/v1/import/prometheus"),
            ("GET", "/api/v1/query?query=1"),
            ("GET", "/"),
            ("POST", "/api/v1/heartbeat/backup"),
            ("GET", "/-/healthy"),
            ("GET", "/metrics"),
        ] {
            // An empty message is no snappy block: 400 where it is looked at.
            all.push(server.send(method, path, "", b"").await.status);
        }
        all
    };
    assert_eq!(statuses().await, [400, 200, 200, 200, 200, 200, 200]);
    *server.shedding.lock().unwrap() = Shedding::Ingest;
    assert_eq!(statuses().await, [503, 503, 200, 200, 200, 200, 200]);
    *server.shedding.lock().unwrap() = Shedding::All;
    assert_eq!(statuses().await, [503, 503, 503, 503, 200, 200, 200]);
    let refused = server.get("/api/v1/rules").await;
    let want = (503, "unavailable".to_owned(), "there is no memory for this now".to_owned());
    assert_eq!(error(&refused), want);
    assert_eq!((&*refused.headers["retry-after"], &*refused.headers["x-content-type-options"]), ("10", "nosniff"));
    *server.shedding.lock().unwrap() = Shedding::None;
    assert_eq!(statuses().await, [400, 200, 200, 200, 200, 200, 200]);
}

#[tokio::test]
async fn every_refused_request_is_counted_by_what_it_was_for_and_why() {
    let server = start().await;
    let large = format!("Content-Length: {}\r\n", 100 << 20);
    server.send("POST", "/api/v1/write", &large, b"").await;
    server.send("POST", "/api/v1/write", "Content-Type: text/plain\r\n", b"x").await;
    server.send("POST", "/api/v1/import", &large, b"").await;
    server.get("/api/v1/query").await;
    server.get("/nowhere").await;
    server.send("POST", "/-/reload", "Origin: https://evil.example\r\n", b"").await;
    server.send("POST", "/api/v2/silences", "", b"{}").await;
    server.get("/api/v1/query?query=1").await;
    *server.shedding.lock().unwrap() = Shedding::Ingest;
    server.send("POST", "/api/v1/write", "", b"").await;
    let refused = server.refused.lock().unwrap().clone();
    assert_eq!(
        refused,
        [
            ("ingest", "too_large"),
            ("ingest", "unsupported_media_type"),
            ("ingest", "too_large"),
            ("ask", "bad_data"),
            ("ask", "not_found"),
            ("vital", "forbidden"),
            ("vital", "unsupported_media_type"),
            ("ingest", "memory"),
        ]
    );
}
