//! A mail server for tests, with scripted faults: it can hang, put off, refuse, lie about TLS, drip and flood.
//!
//! Speaks real SMTP on a real socket, with STARTTLS or TLS from the first byte and logins, one thread per connection.
//! Used from outside by the tests of the binary and, by path, by those of the mail handler.

#![allow(dead_code, reason = "each of the crates that include it uses a part")]

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

/// What a server does instead of its usual answer.
#[derive(Clone, Debug)]
pub enum Act {
    /// These bytes.
    Say(String),
    /// Nothing, until the client goes away.
    Hang,
    /// Closes the connection.
    Close,
    /// These bytes, one at a time with a pause between.
    Drip(String, Duration),
    /// Bytes without a line end, for ever.
    Flood,
    /// Lines of one reply, for ever.
    Lines,
}

impl Act {
    /// A line.
    pub fn line(text: &str) -> Self {
        Self::Say(format!("{text}\r\n"))
    }
}

/// Steps at which a server can be told to act: `greeting`, the begin of a command (`EHLO`, `RCPT TO:<b@`), `.` for the
/// end of a mail.
#[derive(Clone, Debug)]
struct Rule {
    at: String,
    act: Act,
    /// How many times yet; `None`: always.
    times: Option<usize>,
}

/// A mail as it came.
#[derive(Clone, Debug, Default)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    /// As it was meant: dots unstuffed.
    pub data: Vec<u8>,
    pub encrypted: bool,
    pub user: Option<String>,
}

impl Received {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }

    /// A header, unfolded and not decoded.
    pub fn header(&self, name: &str) -> Option<String> {
        let text = self.text();
        let head = text.split("\r\n\r\n").next()?.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut found =
            head.lines().filter_map(|line| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)));
        let value = found.next()?.1.to_owned();
        assert!(found.next().is_none(), "two headers {name}");
        Some(value)
    }
}

/// What a server is and saw.
#[derive(Default)]
struct Shared {
    rules: Mutex<Vec<Rule>>,
    mails: Mutex<Vec<Received>>,
    /// Every line of a client outside of mails, with `tls ` before it where it came encrypted.
    lines: Mutex<Vec<String>>,
    connections: Mutex<usize>,
    /// User and password that are accepted; without it every login is.
    users: BTreeMap<String, String>,
    mechanisms: String,
    tls: Option<Arc<rustls::ServerConfig>>,
    implicit: bool,
    starttls: bool,
    ended: AtomicBool,
}

/// How a server is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Encrypted from the first byte.
    pub implicit: bool,
    /// Whether STARTTLS is offered.
    pub starttls: bool,
    /// Mechanisms of AUTH, such as `PLAIN LOGIN`; empty: none.
    pub mechanisms: String,
    /// The only user and password.
    pub user: Option<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { implicit: false, starttls: true, mechanisms: "PLAIN LOGIN".to_owned(), user: None }
    }
}

/// A certificate for some names and the PEM of the authority that signed it.
pub struct Identity {
    pub ca_pem: String,
    pub pem: String,
    pub key_pem: String,
    config: Arc<rustls::ServerConfig>,
}

impl Identity {
    pub fn new(names: &[&str]) -> Self {
        Self::between(names, (2020, 1, 1), (2100, 1, 1))
    }

    /// One that is valid between two days.
    pub fn between(names: &[&str], from: (i32, u8, u8), to: (i32, u8, u8)) -> Self {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, format!("test authority of {}", names.join(" ")));
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params =
            rcgen::CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        params.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        Self { ca_pem, pem: certificate.pem(), key_pem: key.serialize_pem(), config: Arc::new(config) }
    }
}

/// A mail server that runs until it is dropped.
pub struct SmtpServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

impl SmtpServer {
    /// Without TLS.
    pub fn plain() -> Self {
        Self::start(Options { starttls: false, ..Options::default() }, None)
    }

    pub fn start(options: Options, identity: Option<&Identity>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            users: options.user.into_iter().collect(),
            mechanisms: options.mechanisms,
            tls: identity.map(|identity| Arc::clone(&identity.config)),
            implicit: options.implicit,
            starttls: options.starttls,
            ..Shared::default()
        });
        let kept = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if kept.ended.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&kept)) else { continue };
                *shared.connections.lock().unwrap() += 1;
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, shared }
    }

    /// Acts so whenever this step is reached.
    pub fn on(self, at: &str, act: Act) -> Self {
        self.rule(at, act, None);
        self
    }

    /// Acts so the next `times` times.
    pub fn on_next(self, at: &str, act: Act, times: usize) -> Self {
        self.rule(at, act, Some(times));
        self
    }

    /// Acts so from now on, or a number of times.
    pub fn rule(&self, at: &str, act: Act, times: Option<usize>) {
        self.shared.rules.lock().unwrap().push(Rule { at: at.to_owned(), act, times });
    }

    /// Does as a server should again.
    pub fn heal(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The mails it took.
    pub fn mails(&self) -> Vec<Received> {
        self.shared.mails.lock().unwrap().clone()
    }

    /// What clients said outside of mails.
    pub fn lines(&self) -> Vec<String> {
        self.shared.lines.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }
}

/// A connection, encrypted or not.
enum Line {
    Plain(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ServerConnection, TcpStream>>),
}

impl Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// The next line without its end; `None` at the end of the connection.
    fn read(&mut self, shared: &Shared) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            let read = match self {
                Self::Plain(stream) => stream.read(&mut byte),
                Self::Tls(stream) => stream.read(&mut byte),
            };
            match read {
                Ok(0) => return None,
                Ok(_) if byte[0] == b'\n' => return Some(line.strip_suffix(b"\r").unwrap_or(&line).to_vec()),
                Ok(_) => line.push(byte[0]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if shared.ended.load(Ordering::Relaxed) {
                        return None;
                    }
                }
                Err(_) => return None,
            }
        }
    }

    fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    fn encrypt(self, shared: &Shared) -> Option<Self> {
        let (Self::Plain(stream), Some(config)) = (self, &shared.tls) else { return None };
        let connection = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
        Some(Self::Tls(Box::new(rustls::StreamOwned::new(connection, stream))))
    }
}

/// What is said at a step: the scripted act, else the usual; `None` ends the connection.
fn say(line: &mut Line, shared: &Shared, at: &str, usual: &str) -> Option<bool> {
    let act = {
        let mut rules = shared.rules.lock().unwrap();
        let rule = rules.iter_mut().find(|rule| {
            let hit = if rule.at == "." || rule.at == "greeting" { at == rule.at } else { at.starts_with(&rule.at) };
            hit && rule.times != Some(0)
        });
        rule.map(|rule| {
            rule.times = rule.times.map(|n| n - 1);
            rule.act.clone()
        })
    };
    let Some(act) = act else {
        line.write(format!("{usual}\r\n").as_bytes()).ok()?;
        return Some(true);
    };
    let ended = || shared.ended.load(Ordering::Relaxed);
    match act {
        Act::Say(text) => {
            line.write(text.as_bytes()).ok()?;
            // The usual goes on where the answer is positive.
            return Some(text.starts_with(['2', '3']));
        }
        Act::Close => return None,
        Act::Hang => while line.read(shared).is_some() {},
        Act::Drip(text, pause) => {
            for byte in text.bytes() {
                if ended() || line.write(&[byte]).is_err() {
                    return None;
                }
                sleep(pause);
            }
        }
        Act::Flood => while !ended() && line.write(&[b'2'; 4096]).is_ok() {},
        Act::Lines => while !ended() && line.write(&b"250-and another thing\r\n".repeat(64)).is_ok() {},
    }
    None
}

fn serve(stream: TcpStream, shared: &Shared) {
    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
    let mut line = Line::Plain(stream);
    if shared.implicit {
        let Some(encrypted) = line.encrypt(shared) else { return };
        line = encrypted;
    }
    if say(&mut line, shared, "greeting", "220 mail.test ESMTP").is_some() {
        dialogue(line, shared);
    }
}

fn dialogue(mut line: Line, shared: &Shared) -> Option<()> {
    let mut mail = Received::default();
    let mut user = None;
    loop {
        let said = String::from_utf8_lossy(&line.read(shared)?).into_owned();
        let mark = if line.is_tls() { "tls " } else { "" };
        shared.lines.lock().unwrap().push(format!("{mark}{said}"));
        let verb = said.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                let mut features = vec!["mail.test", "8BITMIME", "SMTPUTF8", "SIZE 1000000"];
                let auth = format!("AUTH {}", shared.mechanisms);
                if shared.starttls && !line.is_tls() {
                    features.push("STARTTLS");
                }
                if !shared.mechanisms.is_empty() {
                    features.push(&auth);
                }
                let last = features.len() - 1;
                let lines = features.iter().enumerate();
                let lines: Vec<_> =
                    lines.map(|(i, f)| format!("250{}{f}", if i == last { ' ' } else { '-' })).collect();
                say(&mut line, shared, &said, &lines.join("\r\n"))?;
            }
            "STARTTLS" => {
                if say(&mut line, shared, &said, "220 go ahead")? {
                    line = line.encrypt(shared)?;
                }
            }
            "AUTH" => {
                if let Some(name) = login(&mut line, shared, &said)? {
                    user = Some(name);
                }
            }
            "MAIL" => {
                mail = Received { from: said, encrypted: line.is_tls(), user: user.clone(), ..Received::default() };
                let at = mail.from.clone();
                say(&mut line, shared, &at, "250 2.1.0 sender ok")?;
            }
            "RCPT" => {
                if say(&mut line, shared, &said, "250 2.1.5 recipient ok")? {
                    let address = said.split(['<', '>']).nth(1).unwrap_or_default();
                    mail.to.push(address.to_owned());
                }
            }
            "DATA" => {
                if say(&mut line, shared, &said, "354 end with a dot")? {
                    mail.data = data(&mut line, shared)?;
                    let at = shared.rules.lock().unwrap().iter().any(|rule| rule.at == "." && rule.times != Some(0));
                    let taken = say(&mut line, shared, ".", "250 2.0.0 queued as 4711");
                    // An answer that is lost on the way leaves the mail with the server.
                    if taken != Some(false) || !at {
                        shared.mails.lock().unwrap().push(std::mem::take(&mut mail));
                    }
                    taken?;
                }
            }
            "QUIT" => {
                say(&mut line, shared, &said, "221 bye")?;
                return None;
            }
            _ => {
                say(&mut line, shared, &said, "502 5.5.1 what?")?;
            }
        }
    }
}

/// The mail up to the lone dot.
fn data(line: &mut Line, shared: &Shared) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let next = line.read(shared)?;
        if next == b"." {
            return Some(data);
        }
        assert!(next.len() <= 998, "a line of {} octets", next.len());
        data.extend_from_slice(next.strip_prefix(b".").unwrap_or(&next));
        data.extend_from_slice(b"\r\n");
    }
}

/// AUTH PLAIN with an initial response, LOGIN in two rounds, XOAUTH2; the user, where the login is right.
fn login(line: &mut Line, shared: &Shared, said: &str) -> Option<Option<String>> {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let text = |word: &[u8]| String::from_utf8_lossy(&BASE64_STANDARD.decode(word).unwrap_or_default()).into_owned();
    let mut words = said.split(' ').skip(1);
    let (mechanism, first) = (words.next().unwrap_or_default().to_ascii_uppercase(), words.next());
    let (user, password) = match (mechanism.as_str(), first) {
        ("PLAIN", Some(first)) => {
            let all = text(first.as_bytes());
            let mut parts = all.split('\0').skip(1).map(str::to_owned);
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        }
        ("XOAUTH2", Some(first)) => {
            let all = text(first.as_bytes());
            let part =
                |begin: &str| all.split('\u{1}').find_map(|p| p.strip_prefix(begin)).unwrap_or_default().to_owned();
            (part("user="), part("auth=Bearer "))
        }
        ("LOGIN", None) => {
            let mut parts = Vec::new();
            for ask in ["Username:", "Password:"] {
                line.write(format!("334 {}\r\n", BASE64_STANDARD.encode(ask)).as_bytes()).ok()?;
                parts.push(text(&line.read(shared)?));
            }
            (parts[0].clone(), parts[1].clone())
        }
        _ => {
            say(line, shared, said, "504 5.5.4 not that way")?;
            return Some(None);
        }
    };
    let right = shared.users.is_empty() || shared.users.get(&user) == Some(&password);
    let usual = if right { "235 2.7.0 welcome" } else { "535 5.7.8 wrong user or password" };
    let went = say(line, shared, said, usual)?;
    Some((right && went).then_some(user))
}
