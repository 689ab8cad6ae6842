//! Answers that stand for more than they are long, stores that repeat secrets, addresses and names that lead astray.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use super::tests::{RANGE, Script, ask_with, server, settings};
use super::*;
use crate::promql::{Answer, Question, Value, When};

/// An answer as it is read by a store with this limit.
fn read(body: &str, when: When, bytes_max: usize) -> Result<Answer, String> {
    decode(200, body.as_bytes(), when, bytes_max).map_err(|error| error.to_string())
}

#[test]
fn answers_that_stand_for_many_times_their_length_are_refused_before_they_are_built() {
    let of = |kind: &str, element: &str, count: usize| {
        let all = vec![element; count].join(",");
        format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":[{all}]}}}}"#)
    };
    let max = 1 << 20;
    for (kind, element) in [
        ("matrix", "{}"),
        ("vector", r#"{"value":[0,"1"]}"#),
        ("matrix", r#"{"values":[[0,"1"]]}"#),
        ("matrix", r#"{"histograms":[[0,{"count":"1","sum":"1"}]]}"#),
        ("vector", r#"{"metric":{"":"a"},"value":[0,"1"]}"#),
    ] {
        let body = of(kind, element, max / (element.len() + 1) - 30);
        assert!(body.len() <= max);
        let error = read(&body, When::At(0), max).unwrap_err();
        assert!(error.contains("it would take more than 2097152 bytes in memory"), "{element}: {error}");
    }
    let labels: Vec<String> = (0..100_000).map(|i| format!(r#""{i}":"x""#)).collect();
    let wide = of("vector", &format!(r#"{{"metric":{{{}}},"value":[0,"1"]}}"#, labels.join(",")), 1);
    assert!(read(&wide, When::At(0), 2 << 20).unwrap_err().contains("bytes in memory"));
    let warnings = vec!["\"\""; 100_000].join(",");
    let body =
        format!(r#"{{"status":"success","warnings":[{warnings}],"data":{{"resultType":"vector","result":[]}}}}"#);
    assert_eq!(read(&body, When::At(0), 1 << 20).unwrap().partial.as_deref(), Some("; ; "));
    let names = decode::Reader { scrub: &crate::net::Scrub::default(), bytes_max: 1 << 20 };
    let error = names.names(200, format!(r#"{{"status":"success","data":[{warnings}]}}"#).as_bytes()).unwrap_err();
    assert!(error.to_string().contains("bytes in memory"), "{error}");
}

#[test]
fn what_stores_answer_fits_however_long_it_is() {
    let series = r#"{"metric":{"__name__":"up","i":"12345"},"value":[1700000000.123,"1"]}"#;
    let all = vec![series; 10_000].join(",");
    let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{all}]}}}}"#);
    assert!(read(&body, When::At(0), body.len()).is_ok());
    let points = vec![r#"[1700000000,"1"]"#; 10_000].join(",");
    let one = format!(r#"{{"metric":{{"a":"b"}},"values":[{points}]}}"#);
    let body = format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{one}]}}}}"#);
    assert!(read(&body, RANGE, body.len()).is_ok());
}

#[test]
fn native_histograms_of_a_range_are_taken() {
    let body = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"job":"a"},
        "values":[[0,"1"]],"histograms":[[60,{"count":"3","sum":"4","buckets":[[0,"1","2","3"]]}],[30,{"count":"2","sum":"1"}]]}]}}"#;
    let answer = read(body, RANGE, 1 << 20).unwrap();
    let Value::Matrix(series) = &answer.value else { panic!() };
    assert_eq!(
        series[0].histograms.iter().map(|h| (h.t_ms, h.histogram.count)).collect::<Vec<_>>(),
        [(30_000, 2.0), (60_000, 3.0)]
    );
    let text: Arc<str> = "up".into();
    let mut answers = crate::promql::Answers::default();
    answers.insert(Question { text: Arc::clone(&text), when: RANGE }, Ok(Arc::new(answer)));
    let counts = [0, 30_000].map(|at| {
        let Some(Ok(Value::Vector(samples))) = answers.at(&text, at) else { panic!() };
        (samples.len(), samples[0].histogram.as_ref().map(|h| h.count))
    });
    assert_eq!(counts, [(1, None), (1, Some(2.0))], "an instant within the range sees them too");
}

#[test]
fn a_store_that_repeats_its_secrets_does_not_get_them_told() {
    let cases = [
        (Some(Authorization::Basic("u".into(), "canary-pass".into())), "dTpjYW5hcnktcGFzcw== canary-pass"),
        (Some(Authorization::Scheme("Bearer".into(), "canary-token".into())), "canary-token"),
        // Out of the address, as it is sent and as it is meant.
        (None, "dTpjYW5hcnktcEBzcw== canary-p@ss canary-p%40ss"),
    ];
    for (credentials, secret) in cases {
        let told = format!("{secret} canary-header canary-query");
        for (status, body) in [
            (
                200,
                format!(r#"{{"status":"success","warnings":["{told}"],"data":{{"resultType":"vector","result":[]}}}}"#),
            ),
            (200, format!(r#"{{"status":"success","data":{{"resultType":"{told}","result":[]}}}}"#)),
            (422, format!(r#"{{"status":"error","errorType":"execution","error":"{told}"}}"#)),
            // A secret that is cut in two is found no more.
            (500, format!("{}{told}", "x".repeat(190))),
            (500, format!("{}{told}", " ".repeat(64 * 1024 - 8))),
            (422, format!(r#"{{"status":"error","errorType":"{}{told}","error":"e"}}"#, "x".repeat(490))),
            (200, format!(r#"{{"status":"success","data":{{"resultType":"{}{told}","result":[]}}}}"#, "x".repeat(490))),
        ] {
            let script: Script = Arc::new(move |stream: &mut TcpStream| {
                let _ = write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            });
            let address = server(script).0;
            let user = if credentials.is_none() { "u:canary-p%40ss@" } else { "" };
            let mut settings = settings(&format!("{}/?key=canary-query", address.replace("//", &format!("//{user}"))));
            settings.secrets = vec!["canary-header".to_owned()];
            settings.authorization = credentials.clone();
            let told = match ask_with(settings, When::At(0)) {
                Ok(answer) => answer.partial.unwrap(),
                Err(error) => error.to_string(),
            };
            let secrets = ["canary", "cnktcGFz", "cnktcEBz"].iter().any(|secret| told.contains(secret));
            // Far behind the beginning nothing is told.
            assert!(!secrets && (told.contains("<red") || told.contains(&"x".repeat(190))), "{status}: {told}");
        }
    }
}

#[test]
fn a_store_is_never_asked_at_an_address_that_nothing_may_be_sent_to() {
    for url in
        ["http://169.254.169.254/latest", "http://[fe80::1]:9090", "http://0.0.0.0:9090", "http://100.100.100.200"]
    {
        let error = ask_with(settings(url), When::At(0)).unwrap_err();
        assert!(error.is_of_store() && error.to_string().contains("not allowed"), "{error}");
    }
    let metadata: crate::net::LookUp = |_| Ok(vec![std::net::SocketAddr::from(([169, 254, 169, 254], 0))]);
    let named = settings("http://store.example:9090");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = RemoteStore::searching(named.clone(), metadata).unwrap();
    let question = Question { text: "up".into(), when: When::At(0) };
    let error = runtime.block_on(store.ask(&question, Duration::from_secs(5))).unwrap_err().to_string();
    assert!(error.contains("store.example is a link-local address (169.254.169.254): not allowed"), "{error}");
    let write = |settings: Settings| {
        let writer = RemoteWriter::searching(settings, metadata).unwrap();
        runtime.block_on(writer.send(Vec::new(), crate::model::Timestamp(0)))
    };
    assert!(write(named).unwrap_err().to_string().contains("not allowed"));
    assert!(matches!(write(settings("http://169.254.169.254/w")), Err(WriteError::Never(_))));
}

#[test]
fn a_name_server_that_hangs_costs_a_store_its_deadline_and_one_thread() {
    static SEARCHES: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let mut settings = settings("http://store.example:9090");
    settings.timeout = Duration::from_millis(100);
    let hangs: crate::net::LookUp = |_| {
        SEARCHES.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        std::thread::sleep(Duration::from_secs(1));
        Ok(Vec::new())
    };
    let store = RemoteStore::searching(settings, hangs).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let question = Question { text: "up".into(), when: When::At(0) };
    let asked = (0..20).map(|_| store.ask(&question, Duration::from_secs(5)));
    for said in runtime.block_on(futures_util::future::join_all(asked)) {
        let error = said.unwrap_err().to_string();
        assert!(error.contains("no answer within"), "{error}");
    }
    assert_eq!(SEARCHES.load(std::sync::atomic::Ordering::SeqCst), 1);
    runtime.shutdown_background();
}

#[test]
fn a_receiver_says_when_it_wants_to_be_written_to_again() {
    let answer = |head: &'static str| -> Script {
        Arc::new(move |stream: &mut TcpStream| {
            let _ = write!(stream, "HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n");
        })
    };
    let now = crate::model::Timestamp(1_700_000_000_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (head, want) in [
        ("503 X\r\nRetry-After: 7", Some(Some(7))),
        ("429 X\r\nRetry-After: Tue, 14 Nov 2023 22:13:50 GMT", Some(Some(30))),
        ("500 X\r\nRetry-After: 999999", Some(Some(3600))),
        ("500 X\r\nRetry-After: soon", Some(None)),
        ("400 X\r\nRetry-After: 7", None),
    ] {
        let writer = RemoteWriter::new(settings(&server(answer(head)).0)).unwrap();
        let got = match runtime.block_on(writer.send(Vec::new(), now)).unwrap_err() {
            WriteError::Later { after, .. } => Some(after.map(|after| after.as_secs())),
            WriteError::Never(_) => None,
        };
        assert_eq!(got, want, "{head}");
    }
}
