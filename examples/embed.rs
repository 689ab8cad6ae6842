//! A program that watches itself: a small web shop that records what it does, with rules about it, in one process.
//!
//! `cargo run --example embed` runs five seconds of real time, by a thread of the monitor's own; with `-- --simulated`
//! the same five seconds pass at once, on a clock that is moved by hand, as in a test. In the third second the payment
//! provider of the shop is in trouble: payments get slow, some fail, and orders pile up.

use std::error::Error;
use std::io::Write;
use std::sync::mpsc;
use std::thread::sleep;
use std::time::Duration;

use alertd::embed::{Counter, Gauge, Histogram, Monitor, MonitorBuilder, Notice, NoticeKind, Timestamp, Value};

/// One evaluation, one round of work.
const TICK: Duration = Duration::from_millis(100);
const TICKS: u32 = 50;
const REQUESTS_PER_TICK: u32 = 20;

/// Rules are YAML, here and in files. They are evaluated every tick, because none says `every`.
const RULES: &str = r#"
rules:
  - name: payments_slow
    description: The 95th percentile of the time of a request is above half a second.
    severity: error
    expr: histogram_quantile(0.95, sum by (le, route) (rate({"shop.request_seconds_bucket"}[1s]))) > 0.5

  - name: payments_failing
    description: More than a fifth of the payments of the last second failed.
    severity: critical
    queries:
      failed: sum(rate({"shop.payments_total", result="failed"}[1s]))
      all: sum(rate({"shop.payments_total"}[1s]))
    when: failed / all > 0.2
    recover_when: failed / all < 0.05
    value: failed / all
    annotations:
      summary: "{{ $value | humanizePercentage }} of payments fail"

  - name: orders_unusual
    description: The number of waiting orders is not what the last half minute lets expect.
    metric: shop.orders_waiting
    anomaly: {method: moving_average, window: 30s, sigma: 4, min_samples: 10, min_deviation: 5}
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let simulated = std::env::args().any(|argument| argument == "--simulated");
    run(simulated, &mut std::io::stdout().lock())
}

/// Runs the shop and writes what happened.
pub fn run(simulated: bool, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let (tell, told) = mpsc::channel();
    let builder = Monitor::builder()
        .rules_text("examples/embed.yaml", RULES)
        .evaluation_interval(TICK)
        // Called on a thread of its own; a program would page someone, open a circuit breaker, shed load …
        .on_notice("shop", move |notice| {
            // The other end is gone only when the program ends.
            let _ = tell.send(line(notice));
        });
    let mut show = |out: &mut dyn Write| told.try_iter().try_for_each(|line| writeln!(out, "{line}"));
    if simulated {
        run_simulated(builder, out, &mut show)?;
    } else {
        run_live(builder, out, &mut show)?;
    }
    show(out)?;
    Ok(())
}

type Show<'a> = &'a mut dyn FnMut(&mut dyn Write) -> std::io::Result<()>;

fn run_live(builder: MonitorBuilder, out: &mut dyn Write, show: Show<'_>) -> Result<(), Box<dyn Error>> {
    let monitor = builder.start()?;
    let shop = Shop::new(&monitor)?;
    for tick in 0..TICKS {
        shop.work(tick);
        sleep(TICK);
        show(out)?;
    }
    report(&monitor, out)
    // Here the monitor is dropped: its threads end, and what is still to be told is told.
}

fn run_simulated(builder: MonitorBuilder, out: &mut dyn Write, show: Show<'_>) -> Result<(), Box<dyn Error>> {
    let start = Timestamp::from_secs(0);
    let monitor = builder.stepped(start)?;
    let shop = Shop::new(&monitor)?;
    for tick in 0..TICKS {
        shop.work(tick);
        monitor.step(start.plus(TICK * (tick + 1)));
        show(out)?;
    }
    report(&monitor, out)
}

/// The shop's handles: made once, kept where the work is done.
struct Shop {
    requests: Counter,
    seconds: Histogram,
    waiting: Gauge,
}

impl Shop {
    fn new(monitor: &Monitor) -> Result<Self, Box<dyn Error>> {
        let registry = monitor.registry();
        registry.describe("shop.request_seconds", "Time to answer a request.");
        registry.set_buckets("shop.request_seconds", &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5]);
        // From here on the macros of the `metrics` crate record into the monitor too.
        monitor.install_recorder()?;
        Ok(Self {
            requests: monitor.counter("shop.requests_total", &[("route", "/pay")]),
            seconds: monitor.histogram("shop.request_seconds", &[("route", "/pay")]),
            waiting: monitor.gauge("shop.orders_waiting", &[]),
        })
    }

    /// One round of requests.
    fn work(&self, tick: u32) {
        let trouble = (20..30).contains(&tick);
        for request in 0..REQUESTS_PER_TICK {
            let slow = trouble && request % 2 == 0;
            self.requests.inc();
            self.seconds.observe(if slow { 1.8 } else { 0.04 });
            // Libraries that know nothing of alertd record through the facade.
            let result = if trouble && request % 3 == 0 { "failed" } else { "ok" };
            metrics::counter!("shop.payments_total", "result" => result).increment(1);
        }
        self.waiting.set(if trouble { 60.0 } else { 10.0 + f64::from(tick % 3) });
    }
}

/// A notice in one line.
fn line(notice: &Notice) -> String {
    let word = match notice.kind {
        NoticeKind::Firing => "FIRING  ",
        NoticeKind::Resolved => "resolved",
        NoticeKind::Acknowledged => "quiet   ",
    };
    let one = |t: &std::sync::Arc<alertd::embed::Transition>| {
        let alert = &t.alert;
        let summary = alert.annotations.get("summary").unwrap_or_default();
        format!("{word} {} {} value {:.2} {summary}", alert.severity, alert.labels, alert.value).trim_end().to_owned()
    };
    notice.transitions.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// What the monitor knows at the end.
fn report(monitor: &Monitor, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    writeln!(out, "--")?;
    if let Value::Vector(samples) = monitor.query("sum by (result) (shop.payments_total)")? {
        for sample in samples {
            writeln!(out, "payments {}: {}", sample.labels.get("result").unwrap_or("?"), sample.value)?;
        }
    }
    for failing in monitor.failing_rules() {
        writeln!(out, "rule {} cannot be evaluated: {}", failing.rule, failing.message)?;
    }
    writeln!(out, "alerts at the end: {}", monitor.alerts().len())?;
    Ok(())
}
