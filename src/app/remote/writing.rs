//! Remote write of what rules make: one bounded queue and one thread per receiver.
//!
//! Place in the flow: the hub pushes samples as the engine publishes them; a thread sends them in order, again and again
//! while the receiver is away. When more waits than may, the oldest go and are counted: evaluation never waits.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use super::stores::settings;
use crate::app::own_metrics::OwnMetrics;
use crate::app::threads::{Stopper, Waiter, pause};
use crate::clock::Clock;
use crate::config::{RemoteWriteConfig, ServerConfig};
use crate::model::{LabelsBuilder, Sample};
use crate::net::{backoff, fraction};
use crate::notify::Secrets;
use crate::store::remote::{RemoteWriter, WriteError, request};

/// How often an empty queue is looked at.
const IDLE: Duration = Duration::from_millis(200);
/// Requests that are still sent at the end of the process.
const LAST_REQUESTS_MAX: usize = 3;
/// How long an attempt may still take at the end of the process.
const LAST_ATTEMPT_MAX: Duration = Duration::from_secs(1);

/// Samples that wait for a receiver.
pub struct Queue {
    name: String,
    capacity: usize,
    external: Vec<(String, String)>,
    metrics: OwnMetrics,
    /// Held to put in or take out, never while something is sent.
    waiting: Mutex<VecDeque<Sample>>,
}

impl Queue {
    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<Sample>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts samples in, with the labels that tell this server apart; the oldest beyond the capacity go.
    pub fn push(&self, samples: &[Sample]) {
        let mut waiting = self.waiting();
        for sample in samples {
            let mut builder = LabelsBuilder::from(&sample.labels);
            for (name, value) in self.external.iter().filter(|(name, _)| sample.labels.get(name).is_none()) {
                builder.set(name.as_str(), value.as_str());
            }
            waiting.push_back(Sample { labels: builder.build(), ..sample.clone() });
        }
        let over = waiting.len().saturating_sub(self.capacity);
        waiting.drain(..over);
        self.metrics.written(&self.name, "dropped", over);
        self.metrics.waiting_to_be_written(&self.name, waiting.len());
    }

    fn take(&self, most: usize) -> Vec<Sample> {
        let mut waiting = self.waiting();
        let count = most.min(waiting.len());
        let taken = waiting.drain(..count).collect();
        self.metrics.waiting_to_be_written(&self.name, waiting.len());
        taken
    }
}

/// A receiver that is written to; dropping it sends what can be sent at once, and ends.
pub struct Writing {
    config: RemoteWriteConfig,
    /// Where samples are put.
    pub queue: Arc<Queue>,
    _thread: Stopper,
}

/// The receivers of a configuration; those that stay as they are keep what waits.
pub fn start(
    before: Vec<Writing>,
    config: &ServerConfig,
    secrets: &Arc<Secrets>,
    metrics: &OwnMetrics,
    clock: &Arc<dyn Clock>,
) -> std::io::Result<Vec<Writing>> {
    let mut before = before;
    let external: Vec<(String, String)> = config.external_labels.clone().into_iter().collect();
    let mut all = Vec::new();
    for (number, receiver) in config.remote_write.iter().enumerate() {
        let same = |old: &Writing| old.config == *receiver && old.queue.external == external;
        if let Some(at) = before.iter().position(same) {
            all.push(before.swap_remove(at));
            continue;
        }
        let name = receiver.name.clone().unwrap_or_else(|| number.to_string());
        let queue = Arc::new(Queue {
            capacity: receiver.queue_config.capacity,
            external: external.clone(),
            metrics: metrics.clone(),
            waiting: Mutex::default(),
            name,
        });
        let sender = Sender {
            queue: Arc::clone(&queue),
            config: receiver.clone(),
            secrets: Arc::clone(secrets),
            metrics: metrics.clone(),
            waiter: Waiter::new()?,
            clock: Arc::clone(clock),
            random: ahash::RandomState::new(),
            writer: None,
            failing: false,
        };
        let thread = Stopper::spawn("remote write", move |stop| sender.run(&stop))?;
        all.push(Writing { config: receiver.clone(), queue, _thread: thread });
    }
    Ok(all)
}

struct Sender {
    queue: Arc<Queue>,
    config: RemoteWriteConfig,
    secrets: Arc<Secrets>,
    metrics: OwnMetrics,
    waiter: Waiter,
    clock: Arc<dyn Clock>,
    random: ahash::RandomState,
    writer: Option<RemoteWriter>,
    failing: bool,
}

impl Sender {
    fn run(mut self, stop: &Receiver<()>) {
        let most = self.config.queue_config.max_samples_per_send;
        loop {
            let batch = self.queue.take(most);
            if batch.is_empty() {
                if !pause(stop, IDLE) {
                    break;
                }
            } else if !self.deliver(&batch, stop) {
                break;
            }
        }
        for _ in 0..LAST_REQUESTS_MAX {
            let batch = self.queue.take(most);
            if batch.is_empty() {
                return;
            }
            let (result, goes_on) = match self.attempt(&batch, stop) {
                Ok(()) => ("sent", true),
                Err(WriteError::Never(_)) => ("refused", true),
                Err(WriteError::Later { .. }) => ("dropped", false),
            };
            self.metrics.written(&self.queue.name, result, batch.len());
            if !goes_on {
                break;
            }
        }
        let left = self.queue.take(usize::MAX).len();
        self.metrics.written(&self.queue.name, "dropped", left);
    }

    /// Sends a batch until it is taken or refused; false when it is time to end.
    fn deliver(&mut self, batch: &[Sample], stop: &Receiver<()>) -> bool {
        for failures in 1.. {
            match self.attempt(batch, stop) {
                Ok(()) => {
                    if std::mem::take(&mut self.failing) {
                        info!(receiver = self.queue.name, "Remote write gets through again");
                    }
                    self.metrics.written(&self.queue.name, "sent", batch.len());
                    return true;
                }
                Err(WriteError::Never(reason)) => {
                    warn!(receiver = self.queue.name, reason, samples = batch.len(), "Remote write was refused");
                    self.metrics.written(&self.queue.name, "refused", batch.len());
                    return true;
                }
                Err(WriteError::Later { reason, after }) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        warn!(
                            receiver = self.queue.name,
                            reason, "Remote write does not get through; it is tried again"
                        );
                    }
                    self.metrics.write_retried(&self.queue.name);
                    let random = fraction(self.random.hash_one(self.clock.now()));
                    if !pause(stop, backoff(failures, after, random)) {
                        break;
                    }
                }
            }
        }
        self.metrics.written(&self.queue.name, "dropped", batch.len());
        false
    }

    fn attempt(&mut self, batch: &[Sample], stop: &Receiver<()>) -> Result<(), WriteError> {
        let later = |reason| WriteError::Later { reason, after: None };
        let settings = settings(&self.queue.name, &self.config.connection(), &self.secrets).map_err(later)?;
        let writer = match self.writer.take().filter(|writer| *writer.settings() == settings) {
            Some(writer) => writer,
            None => RemoteWriter::new(settings).map_err(later)?,
        };
        let result = self.waiter.block_on(async {
            tokio::select! {
                result = writer.send(request(batch), self.clock.now()) => result,
                () = ending(stop) => Err(later("the process ends".to_owned())),
            }
        });
        self.writer = Some(writer);
        result
    }
}

/// Ends a little after it is time to end.
async fn ending(stop: &Receiver<()>) {
    while !matches!(stop.try_recv(), Err(TryRecvError::Disconnected)) {
        tokio::time::sleep(IDLE).await;
    }
    tokio::time::sleep(LAST_ATTEMPT_MAX).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::config::RemoteWriteConfig;
    use crate::model::{Labels, Timestamp};
    use crate::telemetry::Registry;

    #[test]
    fn every_sample_is_counted_once_at_the_end_too() {
        let registry = Arc::new(Registry::new());
        let metrics = OwnMetrics::new(Arc::clone(&registry));
        let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::default());
        // Nobody listens there.
        let mut receiver = RemoteWriteConfig {
            url: crate::config::SecretText::parse("http://127.0.0.1:1/api/v1/write").ok(),
            name: Some("away".to_owned()),
            ..RemoteWriteConfig::default()
        };
        receiver.queue_config.max_samples_per_send = 2;
        let config = ServerConfig { remote_write: vec![receiver], ..ServerConfig::default() };
        let mut writing = start(Vec::new(), &config, &Arc::default(), &metrics, &clock).unwrap();
        let labels = Labels::from_pairs([("__name__", "m")]);
        let sample = |n: i64| Sample { labels: labels.clone(), at: Timestamp(n), value: 1.0.into() };
        writing[0].queue.push(&(0..20).map(sample).collect::<Vec<_>>());
        writing.clear();
        let counted = |result| {
            let labels = [("receiver", "away"), ("result", result)];
            registry.counter("alertd_remote_write_samples_total", &labels).get()
        };
        assert_eq!((counted("sent"), counted("refused"), counted("dropped")), (0.0, 0.0, 20.0));
    }
}
