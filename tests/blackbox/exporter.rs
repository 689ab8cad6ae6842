//! A scripted scrape target: each request is answered by the behaviour set at that moment.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

/// How a target answers.
#[derive(Clone)]
pub enum Answer {
    /// 200 with this body.
    Body(Vec<u8>),
    /// This status.
    Status(u16),
    /// Accepts and never answers.
    Hang,
    /// A head, then a byte every 200 ms.
    Drip,
    /// A head, then data without end.
    Endless,
    /// Closes in the middle of the body that it announced.
    Cut(Vec<u8>),
}

impl Answer {
    /// 200 with a text.
    pub fn text(text: &str) -> Self {
        Self::Body(text.as_bytes().to_vec())
    }
}

struct Shared {
    answer: Mutex<Answer>,
    requests: AtomicUsize,
    last: Mutex<String>,
    stop: AtomicBool,
}

/// The target; stops listening when dropped.
pub struct Exporter {
    pub address: String,
    shared: Arc<Shared>,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.address);
    }
}

impl Exporter {
    /// Listens on a port of its own.
    pub fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            answer: Mutex::new(answer),
            requests: AtomicUsize::new(0),
            last: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if served.stop.load(Ordering::Relaxed) {
                    break;
                }
                let served = Arc::clone(&served);
                std::thread::spawn(move || serve(stream, &served));
            }
        });
        Self { address, shared }
    }

    /// From now on it answers so.
    pub fn set(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    /// Connections so far.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// The head of the last request.
    pub fn last_request(&self) -> String {
        self.shared.last.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    shared.requests.fetch_add(1, Ordering::Relaxed);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => head.extend_from_slice(&buffer[..n]),
            _ => return,
        }
    }
    *shared.last.lock().unwrap() = String::from_utf8_lossy(&head).into_owned();
    let answer = shared.answer.lock().unwrap().clone();
    let ok = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nConnection: close\r\n";
    let _ = match answer {
        Answer::Body(body) => {
            stream.write_all(format!("{ok}Content-Length: {}\r\n\r\n", body.len()).as_bytes()).ok();
            stream.write_all(&body)
        }
        Answer::Cut(body) => {
            stream.write_all(format!("{ok}Content-Length: {}\r\n\r\n", body.len() + 100).as_bytes()).ok();
            stream.write_all(&body)
        }
        Answer::Status(status) => stream
            .write_all(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes()),
        Answer::Hang => {
            while !shared.stop.load(Ordering::Relaxed) {
                sleep(Duration::from_millis(50));
            }
            Ok(())
        }
        Answer::Drip => flow(&mut stream, shared, ok, b"#", Duration::from_millis(200)),
        Answer::Endless => flow(&mut stream, shared, ok, &b"# filler\n".repeat(2000), Duration::ZERO),
    };
}

fn flow(stream: &mut TcpStream, shared: &Shared, head: &str, piece: &[u8], pause: Duration) -> std::io::Result<()> {
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    while !shared.stop.load(Ordering::Relaxed) {
        stream.write_all(piece)?;
        sleep(pause);
    }
    Ok(())
}
