//! Statuses of remote write, over a real socket.

use super::*;

fn snappy(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).unwrap()
}

const V1: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n";
const V2: &str =
    "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\nContent-Encoding: snappy\r\n";

#[tokio::test]
async fn a_remote_write_is_answered_as_the_specifications_say() {
    let server = start().await;
    let post = async |headers: &str, body: &[u8]| server.send("POST", "/api/v1/write", headers, body).await;
    for headers in [V1, V2, "", "Content-Type: application/x-protobuf; proto=prometheus.WriteRequest\r\n"] {
        let answer = post(headers, &snappy(b"12345")).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{headers}");
        assert_eq!(answer.headers["x-prometheus-remote-write-samples-written"], "5");
        assert_eq!(answer.headers["x-prometheus-remote-write-histograms-written"], "0");
        assert_eq!(answer.headers["x-prometheus-remote-write-exemplars-written"], "0");
    }
    let partial = post(V2, &snappy(b"bad")).await;
    let reason = "1 of 4 samples refused: V2 refused".to_owned();
    assert_eq!(error(&partial), (400, "bad_data".to_owned(), reason));
    assert_eq!(partial.headers["x-prometheus-remote-write-samples-written"], "3");
    assert_eq!(error(&post(V1, &snappy(b"torn")).await).0, 400);
    assert_eq!(error(&post(V1, &snappy(b"many")).await).0, 413);
    let full = post(V2, &snappy(b"full")).await;
    assert_eq!((full.status, &*full.headers["retry-after"]), (429, "1"));
    assert_eq!(full.headers["x-prometheus-remote-write-samples-written"], "3");

    let unread = [
        ("Content-Type: application/json\r\n", "content type \"application/json\" is not read"),
        ("Content-Type: application/x-protobuf;proto=x.Y\r\n", "message \"x.Y\" is not read"),
        ("Content-Type: application/x-protobuf\r\nContent-Encoding: gzip\r\n", "content encoding \"gzip\" is not read"),
    ];
    for (headers, said) in unread {
        let (status, kind, message) = error(&post(headers, &snappy(b"1")).await);
        assert_eq!((status, kind.as_str()), (415, "unsupported_media_type"), "{headers}");
        assert!(message.starts_with(said), "{message}");
    }
    assert_eq!(error(&post(V1, b"\xff\xff\xff\xff\x0f").await).0, 413);
    assert_eq!(error(&post(V1, b"no snappy").await).0, 400);
    let declared = format!("{V1}Content-Length: {}\r\n", 100 << 20);
    assert_eq!(error(&post(&declared, b"").await).0, 413);
    assert_eq!(server.get("/api/v1/write").await.status, 405);
    assert_eq!(post("Origin: https://evil.example\r\n", &snappy(b"1")).await.status, 403);
}

#[tokio::test]
async fn too_many_remote_writes_are_asked_to_come_again() {
    let server = start().await;
    let head = format!("POST /api/v1/write HTTP/1.1\r\nHost: {}\r\nContent-Length: 10\r\n\r\n", server.address);
    // Heads whose bodies do not come hold their places.
    let mut held = Vec::new();
    for _ in 0..crate::http::remote_write::WRITES_WAITING_MAX {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        held.push(socket);
    }
    let mut refused = server.send("POST", "/api/v1/write", V1, &snappy(b"1")).await;
    for _ in 0..200 {
        if refused.status == 429 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        refused = server.send("POST", "/api/v1/write", V1, &snappy(b"1")).await;
    }
    assert_eq!(error(&refused).0, 429);
    assert_eq!(refused.headers["retry-after"], "1");
    drop(held);
}
