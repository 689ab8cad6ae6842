//! A receiver that does as its script says: one reply for each request, the last one for all that follow.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a request is answered with.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// A status, further header lines, a body; the connection is kept.
    Status(u16, &'static str, String),
    /// These bytes; then the connection is closed.
    Raw(Vec<u8>),
    /// Nothing, while the connection stays open.
    Hang,
    /// A head, then a byte now and then.
    Drip(u16),
    /// A head, then bytes without end.
    Endless(u16),
    /// Nothing; the connection is closed.
    Close,
    /// The connection is reset before the request is read.
    Reset,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self::Status(status, "", String::new())
    }

    pub(super) fn body(status: u16, body: &str) -> Self {
        Self::Status(status, "", body.to_owned())
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Request line and headers, names in lower case.
    pub(super) head: String,
    pub(super) body: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
}

/// The receiver.
pub(super) struct Sink {
    pub(super) url: String,
    pub(super) port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
}

impl Sink {
    pub(super) fn new(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (seen, count, script) = (Arc::clone(&requests), Arc::clone(&connections), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
                std::thread::spawn(move || serve(stream, &script, &seen));
            }
        });
        Self { url: format!("http://127.0.0.1:{port}"), port, requests, connections }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(super) fn last(&self) -> Request {
        self.requests().pop().expect("a request")
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, script: &[Reply], seen: &Mutex<Vec<Request>>) {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let next = |seen: &Mutex<Vec<Request>>| script.get(seen.lock().unwrap().len()).or(script.last()).cloned().unwrap();
    loop {
        if matches!(next(seen), Reply::Reset) {
            // Closing with bytes unread makes the system send a reset.
            let _ = stream.read(&mut [0]);
            seen.lock().unwrap().push(Request { head: String::new(), body: String::new() });
            return;
        }
        let Some(request) = read_request(&mut stream) else { return };
        let reply = {
            let mut seen = seen.lock().unwrap();
            let reply = script.get(seen.len()).or(script.last()).cloned().unwrap();
            seen.push(request);
            reply
        };
        if !answer(&mut stream, &reply) {
            return;
        }
    }
}

/// Whether the connection is kept.
fn answer(stream: &mut TcpStream, reply: &Reply) -> bool {
    match reply {
        Reply::Status(status, headers, body) => {
            let length = if matches!(status, 100..200 | 204 | 304) {
                String::new()
            } else {
                format!("content-length: {}\r\n", body.len())
            };
            stream.write_all(format!("HTTP/1.1 {status} X\r\n{length}{headers}\r\n{body}").as_bytes()).is_ok()
        }
        Reply::Raw(bytes) => {
            let _ = stream.write_all(bytes);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read(&mut [0; 64]);
            false
        }
        Reply::Hang => {
            let _ = stream.read(&mut [0]);
            false
        }
        Reply::Drip(status) => {
            let mut alive =
                stream.write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 1000\r\n\r\n").as_bytes()).is_ok();
            while alive {
                alive = stream.write_all(b"o").is_ok();
                std::thread::sleep(Duration::from_millis(20));
            }
            false
        }
        Reply::Endless(status) => {
            let mut alive = stream.write_all(format!("HTTP/1.1 {status} X\r\n\r\n").as_bytes()).is_ok();
            while alive {
                alive = stream.write_all(&[b'x'; 4096]).is_ok();
            }
            false
        }
        Reply::Close | Reply::Reset => false,
    }
}

fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 65536];
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).replace("\r\n", "\n");
            let length =
                head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let body = bytes.get(end + 4..end + 4 + length.unwrap_or(0));
            if let Some(body) = body {
                let body = String::from_utf8_lossy(body).into_owned();
                return Some(Request { head, body });
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}
