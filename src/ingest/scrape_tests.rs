//! Scrapes of real sockets: answers, limits, hostile targets, redirects, changes of the job list.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::clock::SystemClock;
use crate::ingest::scrape::TargetGroup;

/// Keeps what it is told; garbage begins with `<`.
struct Told(mpsc::UnboundedSender<String>, Mutex<Vec<Sample>>);

impl ScrapeSink for Told {
    fn explain(&self, error: &reqwest::Error, _https: bool) -> String {
        crate::net::chain(error)
    }

    fn take(&self, scrape: Scrape) -> Result<u64, String> {
        let (line, result) = match scrape {
            Scrape::Answered { body, content_type, target, .. } => {
                let text = String::from_utf8_lossy(&body).chars().take(40).collect::<String>();
                let result = if text.starts_with('<') { Err("garbage".to_owned()) } else { Ok(7) };
                (format!("{} answered {text:?} {content_type:?}", target.job.job_name), result)
            }
            Scrape::Failed { reason, target, .. } => (format!("{} failed {reason}", target.job.job_name), Ok(0)),
            Scrape::Ended { target, .. } => (format!("{} ended", target.job.job_name), Ok(0)),
        };
        let _ = self.0.send(line);
        result
    }

    fn report(&self, samples: Vec<Sample>) {
        self.1.lock().unwrap().extend(samples);
    }
}

/// A server that gives each connection the answer, then keeps it open if `hang`.
async fn serve(answer: Vec<u8>, hang: bool) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (requests_tx, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (answer, requests_tx) = (answer.clone(), requests_tx.clone());
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let n = socket.read(&mut request).await.unwrap_or(0);
                let _ = requests_tx.send(String::from_utf8_lossy(&request[..n]).into_owned());
                let _ = socket.write_all(&answer).await;
                if hang {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (address, requests)
}

fn job(name: &str, address: &str) -> ScrapeJob {
    let mut job = ScrapeJob::new(name);
    job.scrape_interval = Duration::from_millis(100);
    job.scrape_timeout = Duration::from_millis(100);
    job.static_configs = vec![TargetGroup { targets: vec![address.to_owned()], labels: Labels::empty() }];
    job
}

struct Harness {
    jobs: watch::Sender<Vec<Arc<ScrapeJob>>>,
    lines: mpsc::UnboundedReceiver<String>,
    sink: Arc<Told>,
}

fn start(jobs: Vec<ScrapeJob>) -> Harness {
    let (tx, lines) = mpsc::unbounded_channel();
    let sink = Arc::new(Told(tx, Mutex::default()));
    let (jobs, jobs_rx) = watch::channel(jobs.into_iter().map(Arc::new).collect());
    tokio::spawn(Scraper::new(Arc::new(SystemClock::new()), sink.clone()).run(jobs_rx));
    Harness { jobs, lines, sink }
}

impl Harness {
    /// Waits for a line that contains a text.
    async fn see(&mut self, text: &str) -> String {
        let mut seen = Vec::new();
        let found = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let line = self.lines.recv().await.unwrap();
                if line.contains(text) {
                    return line;
                }
                seen.push(line);
            }
        });
        found.await.unwrap_or_else(|_| panic!("no {text:?} in {seen:?}"))
    }

    /// Whether a sample of that name was reported whose value is such.
    fn has(&self, name: &str, such: impl Fn(f64) -> bool) -> bool {
        self.sink.1.lock().unwrap().iter().any(|s| s.labels.metric_name() == Some(name) && such(s.value.float()))
    }

    fn value(&self, name: &str) -> Option<f64> {
        let samples = self.sink.1.lock().unwrap();
        samples.iter().rev().find(|s| s.labels.metric_name() == Some(name)).map(|s| s.value.float())
    }
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn an_answer_reaches_the_sink_with_the_headers_of_prometheus_and_the_scrape_is_reported() {
    let (address, mut requests) = serve(ok(b"a 1\n"), false).await;
    let mut job = job("app", &address);
    job.authorization = Some(Authorization::Basic { username: "u".into(), password: "p".into() });
    job.scrape_timeout = Duration::from_millis(90);
    let mut harness = start(vec![job]);
    assert_eq!(harness.see("answered").await, r#"app answered "a 1\n" Some("text/plain")"#);
    let request = requests.recv().await.unwrap().to_ascii_lowercase();
    for part in [
        "get /metrics http/1.1",
        "accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application",
        "user-agent: alertd/",
        "accept-encoding: gzip",
        "authorization: basic dtpw",
        "x-prometheus-scrape-timeout-seconds: 0.09",
    ] {
        assert!(request.contains(part), "{part}\n{request}");
    }
    harness.see("answered").await;
    assert_eq!(harness.value("up"), Some(1.0));
    assert_eq!(harness.value("scrape_samples_scraped"), Some(7.0));
    assert!(harness.value("scrape_duration_seconds").unwrap() < 0.1);
}

#[tokio::test]
async fn a_slow_or_endless_or_broken_target_fails_by_itself_and_delays_no_other() {
    let endless = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), b"4\r\na 1\n\r\n".repeat(100)];
    let (slow, _a) = serve(endless.concat(), true).await;
    let (silent, _b) = serve(vec![], true).await;
    let (garbage, _c) = serve(ok(b"<html>"), false).await;
    let (error, _d) = serve(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n".to_vec(), false).await;
    let (good, _e) = serve(ok(b"b 1\n"), false).await;
    let mut large = job("large", &good);
    large.body_size_limit = 3;
    let jobs = vec![
        job("slow", &slow),
        job("silent", &silent),
        job("garbage", &garbage),
        job("error", &error),
        job("good", &good),
        job("refused", "127.0.0.1:1"),
        large,
    ];
    let mut harness = start(jobs);
    for _ in 0..3 {
        harness.see("good answered").await;
    }
    for (name, reason) in [
        ("slow", "no complete answer within 0.1s"),
        ("silent", "no complete answer within 0.1s"),
        ("error", "the target answered 503"),
        ("refused", "refused"),
        ("large", "longer than body_size_limit (3 bytes)"),
    ] {
        let line = harness.see(&format!("{name} failed")).await;
        assert!(line.contains(reason), "{line}");
    }
    harness.see("garbage answered").await;
    harness.see("garbage answered").await;
    let samples = harness.sink.1.lock().unwrap();
    let mut of_garbage =
        samples.iter().filter(|s| s.labels.metric_name() == Some("up") && s.labels.get("job") == Some("garbage"));
    assert!(of_garbage.all(|s| s.value.float() == 0.0));
}

#[tokio::test]
async fn a_target_that_speaks_no_tls_where_it_should_fails_with_the_reason() {
    let (plain, _r) = serve(b"HTTP/1.1 400 Plain\r\n\r\n".to_vec(), false).await;
    let mut job = job("tls", &plain);
    job.scheme = "https".into();
    job.tls.insecure_skip_verify = true;
    let mut harness = start(vec![job]);
    let line = harness.see("tls failed").await;
    assert!(line.contains("error sending request") && line.len() > 60, "{line}");
    let mut broken = ScrapeJob::new("ca");
    broken.tls.ca_pem = Some(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".to_vec());
    assert!(build_client(&broken).unwrap_err().starts_with("cannot set up the client"));
}

#[tokio::test]
async fn a_gzip_bomb_is_cut_at_the_limit() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    (0..64).for_each(|_| packed.write_all(&[b'x'; 65536]).unwrap());
    let packed = packed.finish().unwrap();
    assert!(packed.len() < 10_000);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", packed.len());
    let (address, _r) = serve([head.into_bytes(), packed].concat(), false).await;
    let mut job = job("bomb", &address);
    job.body_size_limit = 100_000;
    let mut harness = start(vec![job]);
    assert!(harness.see("failed").await.contains("longer than body_size_limit (100000 bytes)"));
}

#[tokio::test]
async fn redirects_stay_on_the_host() {
    let (goal, _a) = serve(ok(b"moved 1\n"), false).await;
    let to = |place: &str| format!("HTTP/1.1 302 F\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n").into_bytes();
    let (same_host, _b) = serve(to(&format!("http://{goal}/x")), false).await;
    let (elsewhere, mut asked) = serve(to("http://169.254.169.254/latest/meta-data"), false).await;
    let (looping, _d) = serve(to("/again"), false).await;
    let mut off = job("off", &same_host);
    off.follow_redirects = false;
    let jobs = vec![job("same", &same_host), job("else", &elsewhere), job("loop", &looping), off];
    let mut harness = start(jobs);
    harness.see(r#"same answered "moved 1"#).await;
    assert!(harness.see("redirect to another host refused").await.contains("else failed"));
    assert!(asked.recv().await.is_some());
    assert!(harness.see("more than 5 redirects").await.contains("loop failed"));
    assert!(harness.see("the target answered 302").await.contains("off failed"));
}

#[tokio::test]
async fn a_target_that_leaves_the_list_is_ended_and_a_new_one_begins() {
    let (first, _a) = serve(ok(b"a 1\n"), false).await;
    let (second, _b) = serve(ok(b"b 1\n"), false).await;
    let mut harness = start(vec![job("first", &first)]);
    harness.see("first answered").await;
    harness.jobs.send(vec![Arc::new(job("second", &second))]).unwrap();
    harness.see("first ended").await;
    // The end marks of `up` are reported right behind the event.
    tokio::time::timeout(Duration::from_secs(10), async {
        while !harness.has("up", crate::model::is_end_mark) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("`up` of the first target ends");
    harness.see("second answered").await;
    assert!(harness.lines.try_recv().is_err() || !harness.see("answered").await.contains("first"));
}

#[test]
fn targets_are_spread_over_the_interval_and_the_same_every_time() {
    let at = |i: u32| {
        let job = Arc::new(ScrapeJob::new("app"));
        spread(&Target::new(&job, &format!("host-{i}:80"), &Labels::empty()).unwrap())
    };
    let offsets: Vec<i64> = (0..600).map(at).collect();
    assert!(offsets.iter().all(|o| (0..60_000).contains(o)));
    for tenth in 0..10 {
        let in_tenth = offsets.iter().filter(|o| **o / 6000 == tenth).count();
        assert!((30..=90).contains(&in_tenth), "{in_tenth}");
    }
    assert_eq!(at(0), offsets[0]);
}
