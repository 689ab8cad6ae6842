//! A receiver of webhooks with scripted faults, on threads of its own: what it answers can change while it runs, for each
//! path apart; it can go away and come back on its port, and call the test while a request is in its hands.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kit::{free_port, instant, until};

const NAP: Duration = Duration::from_millis(5);

/// What a request is answered with.
#[derive(Clone)]
pub enum Act {
    /// A status, further header lines, a body; the connection is kept.
    Answer(u16, String, String),
    /// The same after a time.
    After(Duration, Box<Act>),
    /// Nothing until [`Sink::release`] or the end; then the answer of [`Act::ok`].
    Hold,
    /// The connection is reset before the request is read; it is not among the requests.
    ResetUnread,
    /// The request is read and the connection closed.
    CloseAfterReading,
    /// A head, then so many bytes; the connection is closed.
    Flood(u16, usize),
    /// A head that promises a body; the connection is closed.
    CloseAfterHead(u16),
    /// Calls the test, then acts.
    Call(Arc<dyn Fn() + Send + Sync>, Box<Act>),
    /// Acts, then calls the test at once.
    ThenCall(Box<Act>, Arc<dyn Fn() + Send + Sync>),
}

impl Act {
    /// 200.
    pub fn ok() -> Self {
        Self::status(200)
    }

    pub fn status(status: u16) -> Self {
        Self::Answer(status, String::new(), "as scripted".to_owned())
    }

    /// A status with one more header.
    pub fn with_header(status: u16, header: &str) -> Self {
        Self::Answer(status, format!("{header}\r\n"), "as scripted".to_owned())
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub at: Instant,
    /// The status it was answered with; none while, or because, it was not.
    pub status: Option<u16>,
}

impl Request {
    /// Its `Idempotency-Key`.
    pub fn id(&self) -> &str {
        self.headers.get("idempotency-key").map_or("", String::as_str)
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("no JSON ({e}): {}", self.body))
    }

    /// Whether it is about alertd itself, which on a slow machine has things to say.
    fn is_own(&self) -> bool {
        let json: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let own = |alert: &Value| alert["name"].as_str().is_some_and(|name| name.starts_with("alertd_"));
        json["alerts"].as_array().is_some_and(|alerts| !alerts.is_empty() && alerts.iter().all(own))
    }

    /// Whether the receiver has it.
    pub fn taken(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

#[derive(Default)]
struct Script {
    next: VecDeque<Act>,
    then: Option<Act>,
}

#[derive(Default)]
struct Shared {
    scripts: Mutex<BTreeMap<String, Script>>,
    requests: Mutex<Vec<Request>>,
    open: Mutex<Vec<TcpStream>>,
    /// Counts the times it was taken down: connections of before end.
    away: AtomicBool,
    held: AtomicBool,
}

/// The receiver.
pub struct Sink {
    pub port: u16,
    shared: Arc<Shared>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.held.store(false, Ordering::SeqCst);
        self.down();
    }
}

impl Sink {
    /// One that answers 200 to everything.
    pub fn start() -> Self {
        let sink = Self::away();
        sink.up();
        sink
    }

    /// One whose port refuses connections until [`Self::up`].
    pub fn away() -> Self {
        let shared = Arc::new(Shared::default());
        shared.away.store(true, Ordering::SeqCst);
        Self { port: free_port(), shared }
    }

    /// Listens on its port.
    pub fn up(&self) {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        // The port may still be in the hands of the listener before.
        let listener = until("the receiver's port is free", || TcpListener::bind(address).ok());
        self.shared.away.store(false, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.away.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&shared)) else { continue };
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
    }

    /// Refuses connections from now on, and resets those that are open.
    pub fn down(&self) {
        if self.shared.away.swap(true, Ordering::SeqCst) {
            return;
        }
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Acts so at a path from now on.
    pub fn on(&self, path: &str, act: Act) {
        self.shared.scripts.lock().unwrap().entry(path.to_owned()).or_default().then = Some(act);
    }

    /// Acts so for the next requests at a path, one after the other, before what [`Self::on`] says.
    pub fn next(&self, path: &str, acts: impl IntoIterator<Item = Act>) {
        self.shared.scripts.lock().unwrap().entry(path.to_owned()).or_default().next.extend(acts);
    }

    /// Holds requests that are to be held, or answers those that are.
    pub fn hold(&self, held: bool) {
        self.shared.held.store(held, Ordering::SeqCst);
    }

    /// Everything that came.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// What came at a path, but for what alertd says of itself.
    pub fn at(&self, path: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.path == path && !request.is_own()).collect()
    }

    /// What came at a path and was answered with 2xx.
    pub fn taken(&self, path: &str) -> Vec<Request> {
        self.at(path).into_iter().filter(Request::taken).collect()
    }
}

/// The request that a connection is at.
fn serve(mut stream: TcpStream, shared: &Shared) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(120)));
    if let Ok(copy) = stream.try_clone() {
        shared.open.lock().unwrap().push(copy);
    }
    loop {
        let Some((path, length)) = peek(&stream) else { return };
        let act = {
            let mut scripts = shared.scripts.lock().unwrap();
            let script = scripts.entry(path).or_default();
            script.next.pop_front().or_else(|| script.then.clone()).unwrap_or_else(Act::ok)
        };
        if matches!(act, Act::ResetUnread) {
            // Closing with bytes unread makes the system send a reset.
            let _ = stream.read(&mut [0]);
            return;
        }
        let Some(request) = read(&mut stream, length) else { return };
        let number = {
            let mut requests = shared.requests.lock().unwrap();
            requests.push(request);
            requests.len() - 1
        };
        if !perform(&act, &mut stream, shared, number) {
            return;
        }
    }
}

/// Whether the connection is kept.
fn perform(act: &Act, stream: &mut TcpStream, shared: &Shared, number: usize) -> bool {
    let status = |status: u16| shared.requests.lock().unwrap()[number].status = Some(status);
    match act {
        Act::Answer(code, headers, body) => {
            let length = body.len();
            // Before the answer: whoever is told of it finds it.
            status(*code);
            stream
                .write_all(format!("HTTP/1.1 {code} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}").as_bytes())
                .is_ok()
        }
        Act::After(pause, act) => {
            sleep(*pause);
            perform(act, stream, shared, number)
        }
        Act::Hold => {
            while shared.held.load(Ordering::SeqCst) && !shared.away.load(Ordering::SeqCst) {
                sleep(NAP);
            }
            // The other side may have gone: then nobody has the answer, and the request is not taken.
            !is_gone(stream) && perform(&Act::ok(), stream, shared, number)
        }
        Act::ResetUnread | Act::CloseAfterReading => false,
        Act::Flood(code, bytes) => {
            status(*code);
            let mut alive = stream.write_all(format!("HTTP/1.1 {code} X\r\n\r\n").as_bytes()).is_ok();
            let mut left = *bytes;
            while alive && left > 0 {
                alive = stream.write_all(&[b'x'; 1 << 16]).is_ok();
                left = left.saturating_sub(1 << 16);
            }
            false
        }
        Act::CloseAfterHead(code) => {
            status(*code);
            let _ = stream.write_all(format!("HTTP/1.1 {code} X\r\ncontent-length: 100\r\n\r\n").as_bytes());
            false
        }
        Act::Call(call, act) => {
            call();
            perform(act, stream, shared, number)
        }
        Act::ThenCall(act, call) => {
            let kept = perform(act, stream, shared, number);
            call();
            kept
        }
    }
}

fn is_gone(stream: &TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    let gone = matches!(stream.peek(&mut [0]), Ok(0));
    let _ = stream.set_nonblocking(false);
    gone
}

/// The path and the length of the request that begins, without taking it from the connection.
fn peek(stream: &TcpStream) -> Option<(String, usize)> {
    let mut buffer = vec![0; 1 << 16];
    let begun = instant();
    while begun.elapsed() < Duration::from_secs(120) {
        let n = stream.peek(&mut buffer).ok().filter(|n| *n > 0)?;
        if let Some(end) = buffer[..n].windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let path = head.split(' ').nth(1)?.to_owned();
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            return Some((path, end + 4 + length.unwrap_or(0)));
        }
        sleep(NAP);
    }
    None
}

fn read(stream: &mut TcpStream, length: usize) -> Option<Request> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).ok()?;
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    let body = String::from_utf8_lossy(&bytes[end + 4..]).into_owned();
    Some(Request { path, headers, body, at: instant(), status: None })
}
