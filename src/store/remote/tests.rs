//! A store that is scripted byte by byte: whatever it says, the client ends in time, within its limit, and says why.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::model::Labels;
use crate::promql::{Answer, Question, Value, When};

/// What the server does with a connection after it has read a request.
pub(super) type Script = Arc<dyn Fn(&mut TcpStream) + Send + Sync>;

/// Starts a server; its address, and the requests that it gets.
pub(super) fn server(script: Script) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let requests: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&requests);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
            std::thread::spawn(move || {
                while let Some(request) = request(&mut stream) {
                    seen.lock().unwrap().push(request);
                    script(&mut stream);
                }
            });
        }
    });
    (address, requests)
}

/// One request, head and body.
fn request(stream: &mut TcpStream) -> Option<String> {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .to_lowercase()
                .split_once("content-length: ")
                .map_or(0, |(_, rest)| rest.split("\r\n").next().unwrap_or_default().trim().parse().unwrap_or(0));
            if body.len() >= length {
                return Some(text);
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(n) => all.extend_from_slice(&buffer[..n]),
        }
    }
}

fn reply(status: u16, kind: &'static str, body: &'static str) -> Script {
    Arc::new(move |stream| {
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
        let _ = stream.write_all((head + body).as_bytes());
    })
}

fn json(body: &'static str) -> Script {
    reply(200, "application/json", body)
}

pub(super) fn settings(address: &str) -> Settings {
    let mut settings = Settings::new("mimir", Settings::address(address).unwrap());
    settings.timeout = Duration::from_secs(5);
    settings.response_bytes_max = 4 << 20;
    settings
}

pub(super) fn ask_with(settings: Settings, when: When) -> Result<Answer, RemoteError> {
    let store = RemoteStore::new(settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let question = Question { text: "up == 0".into(), when };
    let limit = Duration::from_secs(5);
    runtime.block_on(store.ask(&question, limit))
}

fn ask(script: Script) -> Result<Answer, RemoteError> {
    ask_with(settings(&server(script).0), When::At(1_700_000_000_500))
}

pub(super) const RANGE: When = When::Range { start_ms: 0, end_ms: 60_000, step_ms: 30_000 };

#[test]
fn every_kind_of_answer_becomes_a_value() {
    let vector = r#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{"__name__":"up","job":"b"},"value":[1700000000.5,"0"]},
        {"metric":{"job":"a"},"value":[1700000000.5,"+Inf"]}]},"infos":["PromQL info: might not be a counter"]}"#;
    let Answer { value: Value::Vector(samples), partial: None } = ask(json(vector)).unwrap() else { panic!() };
    assert_eq!(samples[0].labels, Labels::from_pairs([("__name__", "up"), ("job", "b")]));
    assert_eq!((samples[0].t_ms, samples[1].value), (1_700_000_000_500, f64::INFINITY));
    let histogram = r#"{"status":"success","data":{"resultType":"vector","result":[
        {"metric":{},"histogram":[0,{"count":"3","sum":"4.5","buckets":[[0,"1","2","3"]]}]}]}}"#;
    let Value::Vector(samples) = ask(json(histogram)).unwrap().value else { panic!() };
    assert!(samples[0].histogram.as_ref().is_some_and(|h| h.count == 3.0 && h.sum == 4.5));
    let scalar = r#"{"data":{"result":[1700000000,"NaN"],"resultType":"scalar"},"status":"success"}"#;
    assert!(matches!(ask(json(scalar)).unwrap().value, Value::Scalar(value) if value.is_nan()));
    let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[
        {"metric":{"job":"a"},"values":[[0,"1"],[30.000,"2.5e+06"]]}]}}"#;
    let (address, requests) = server(json(matrix));
    let Value::Matrix(series) = ask_with(settings(&address), RANGE).unwrap().value else { panic!() };
    assert_eq!((series[0].points[1].t_ms, series[0].points[1].value), (30_000, 2.5e6));
    let sent = requests.lock().unwrap()[0].clone();
    assert!(sent.starts_with("POST /api/v1/query_range HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains("query=up+%3D%3D+0&timeout=5000ms&start=0.000&end=60.000&step=30.000"), "{sent}");
    assert!(sent.to_lowercase().contains("accept-encoding: gzip"), "{sent}");
}

#[test]
fn warnings_and_partial_answers_are_partial() {
    for (body, want) in [
        (r#"{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[]}}"#, "partial"),
        (
            r#"{"status":"success","warnings":["store a is away"],"data":{"resultType":"vector","result":[]}}"#,
            "store a",
        ),
        (r#"{"status":"success","infos":["left out b"],"data":{"resultType":"vector","result":[]}}"#, "left out b"),
    ] {
        let partial = ask(json(body)).unwrap().partial.unwrap();
        assert!(partial.contains(want), "{partial}");
    }
}

#[test]
fn whatever_is_no_answer_is_an_error_that_says_what_came() {
    let query = |text: &'static str| (reply(422, "application/json", text), true);
    let cases: Vec<((Script, bool), &str)> = vec![
        ((reply(500, "text/plain", "out of memory"), false), "HTTP 500: \"out of memory\""),
        ((reply(200, "text/html", "<html>Please log in"), false), "<html>Please log in"),
        ((json(r#"{"status":"success","data":{"resultType":"vector","result":[{"met"#), false), "EOF while parsing"),
        ((json(r#"{"status":"success"}"#), false), "no `data`"),
        ((json(r#"{"status":"success","data":{"resultType":"odd","result":[]}}"#), false), "unknown resultType"),
        ((json(r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[0,"x"]}]}}"#), false), "\"x\""),
        ((reply(302, "text/plain", ""), false), "a redirect"),
        (query(r#"{"status":"error","errorType":"execution","error":"many-to-many"}"#), "execution: many-to-many"),
        (
            (reply(503, "application/json", r#"{"status":"error","errorType":"timeout","error":"slow"}"#), false),
            "HTTP 503: timeout: slow",
        ),
        (
            (Arc::new(|stream: &mut TcpStream| drop(stream.shutdown(std::net::Shutdown::Both))), false),
            "the request failed",
        ),
        (
            (
                Arc::new(|stream: &mut TcpStream| {
                    let _ = stream.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n{\"status\":");
                    let _ = stream.shutdown(std::net::Shutdown::Both);
                }),
                false,
            ),
            "broke off after 10 bytes",
        ),
    ];
    for ((script, of_query), want) in cases {
        let error = ask(script).unwrap_err();
        assert!(error.to_string().contains(want), "{error}");
        assert!(error.to_string().starts_with("store mimir (http://127.0.0.1:"), "{error}");
        assert_eq!(error.is_of_store(), !of_query, "{error}");
        assert!(error.to_string().len() < 1000);
    }
}

#[test]
fn a_store_that_is_not_there_is_named_by_the_phase_that_failed() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = ask_with(settings(&format!("http://{closed}")), RANGE).unwrap_err().to_string();
    assert!(refused.contains("cannot connect") && refused.contains("refused"), "{refused}");
    let nowhere = ask_with(settings("http://no-such-host.invalid:9090"), RANGE).unwrap_err().to_string();
    assert!(nowhere.contains("cannot look up no-such-host.invalid"), "{nowhere}");
    let mut impatient = settings(&server(Arc::new(|_| std::thread::sleep(Duration::from_secs(60)))).0);
    impatient.timeout = Duration::from_millis(150);
    let late = ask_with(impatient, RANGE).unwrap_err().to_string();
    assert!(late.contains("no answer within 0.15s"), "{late}");
}

#[test]
fn answers_without_end_and_bombs_are_cut_where_the_limit_is() {
    let endless = |stream: &mut TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\n\r\n");
        while stream.write_all(&[b' '; 65_536]).is_ok() {}
    };
    let error = ask(Arc::new(endless)).unwrap_err().to_string();
    assert!(error.contains("longer than max_response_bytes, 4194304"), "{error}");
    // 64 MiB of blanks in some 64 KiB.
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        packer.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let bomb = packer.finish().unwrap();
    assert!(bomb.len() < 100_000);
    let script: Script = Arc::new(move |stream| {
        let head = format!("HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len());
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(&bomb);
    });
    let error = ask(script).unwrap_err().to_string();
    assert!(error.contains("longer than max_response_bytes"), "{error}");
}

#[test]
fn credentials_are_sent_to_the_store_and_shown_to_nobody() {
    let empty = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    let (address, requests) = server(json(empty));
    let mut one = settings(&address);
    one.authorization = Some(Authorization::Basic("u".into(), "canary".into()));
    one.headers.push(("X-Scope-OrgID".into(), "ops".into()));
    one.params.push(("dedup".into(), "true".into()));
    assert!(!format!("{one:?}").contains("canary"));
    ask_with(one, When::At(0)).unwrap();
    let in_url = address.replace("http://", "http://user:canary@");
    ask_with(settings(&in_url), When::At(0)).unwrap();
    let seen = requests.lock().unwrap().clone();
    let low = seen[0].to_lowercase();
    assert!(low.contains("authorization: basic dtpjyw5hcnk=\r\n") && low.contains("x-scope-orgid: ops"), "{low}");
    assert!(seen[0].contains("dedup=true"), "{}", seen[0]);
    assert!(seen[1].to_lowercase().contains("authorization: basic "), "{}", seen[1]);
    let away = ask_with(settings("http://user:canary@127.0.0.1:1"), When::At(0)).unwrap_err().to_string();
    assert!(!away.contains("canary"), "{away}");
    assert!(!Settings::address("ftp://user:canary@h").unwrap_err().contains("canary"));
}

#[test]
fn a_store_that_takes_no_post_is_asked_by_get() {
    let answered = Arc::new(|stream: &mut TcpStream| {
        let body = r#"{"status":"success","data":{"resultType":"scalar","result":[0,"1"]}}"#;
        let _ = write!(stream, "HTTP/1.1 405 X\r\nContent-Length: 0\r\n\r\n");
        if request(stream).is_some_and(|r| r.starts_with("GET /api/v1/query?query=up")) {
            let _ = write!(stream, "HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    assert_eq!(ask(answered).unwrap().value, Value::Scalar(1.0));
}

/// An authority and a server's certificate that it signed, made here; the authority's certificate lies in a file.
struct Tls {
    folder: tempfile::TempDir,
    server: Arc<rustls::ServerConfig>,
}

impl Tls {
    fn new() -> Self {
        use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let ca = authority.self_signed(&authority_key).unwrap();
        let signer = Issuer::from_params(&authority, &authority_key);
        let cert = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &signer).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (name, pem) in [("ca.pem", ca.pem()), ("cert.pem", cert.pem()), ("key.pem", key.serialize_pem())] {
            std::fs::write(folder.path().join(name), pem).unwrap();
        }
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let clients = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
        let der = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let server = rustls::ServerConfig::builder().with_client_cert_verifier(clients);
        Self { server: Arc::new(server.with_single_cert(vec![cert.der().clone()], der).unwrap()), folder }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A store that answers every connection once.
    fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let config = Arc::clone(&self.server);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = rustls::StreamOwned::new(connection, stream);
                let mut buffer = [0; 4096];
                if stream.read(&mut buffer).is_ok_and(|n| n > 0) {
                    let body = r#"{"status":"success","data":{"resultType":"scalar","result":[0,"1"]}}"#;
                    let head = format!("HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                    let _ = stream.write_all((head + body).as_bytes());
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            }
        });
        address
    }
}

#[test]
fn a_store_over_tls_is_known_by_its_authority_and_may_want_a_certificate() {
    let tls = Tls::new();
    let address = tls.serve();
    let ask = |ca: bool, identity: bool| {
        let mut settings = settings(&address);
        settings.tls.ca_file = ca.then(|| tls.file("ca.pem"));
        settings.tls.identity = identity.then(|| (tls.file("cert.pem"), tls.file("key.pem")));
        ask_with(settings, When::At(0))
    };
    assert_eq!(ask(true, true).unwrap().value, Value::Scalar(1.0));
    assert!(ask(true, false).unwrap_err().is_of_store(), "no certificate is shown");
    let stranger = ask(false, true).unwrap_err().to_string();
    assert!(stranger.contains("cannot connect") && stranger.contains("certificate"), "{stranger}");
    let mut settings = settings(&address);
    settings.tls.ca_file = Some(tls.file("none.pem"));
    let missing = RemoteStore::new(settings).err().unwrap();
    assert!(missing.contains("none.pem"), "{missing}");
}
