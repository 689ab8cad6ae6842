//! A hub on a simulated clock with one rule, `m > 5`, and one handler, `ear`, that does what the test wants.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::app::hub::{Hub, Parts};
use crate::app::keeper::{Keeper, Restored};
use crate::app::outbox::Target;
use crate::app::own_metrics::OwnMetrics;
use crate::clock::{Clock, SimulatedClock};
use crate::diag::SourceFile;
use crate::engine::EngineOptions;
use crate::ingest::Batch;
use crate::model::{Labels, Notice, Timestamp};
use crate::notify::{Attempt, Failure, FailureClass, Handler, Outcome, Phase, Preview, Sending};
use crate::persist::Options;
use crate::route::{Receiver, Routes};
use crate::rule::{LoadOptions, load};
use crate::store::embedded::{EmbeddedStore, StoreOptions};
use crate::telemetry::Registry;

/// What the handler does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It takes every notice.
    Takes,
    /// It refuses every notice for good.
    Refuses,
    /// It never answers.
    Hangs,
}

/// Remembers what it is told.
struct Ear {
    told: Arc<Mutex<Vec<String>>>,
    mood: Arc<Mutex<Mood>>,
}

impl Handler for Ear {
    fn name(&self) -> &str {
        "ear"
    }
    fn kind(&self) -> &'static str {
        "test"
    }
    fn preview(&self, _notice: &Notice) -> Preview {
        Preview::default()
    }
    fn send<'a>(&'a self, notice: &'a Notice, _attempt: Attempt<'a>) -> Sending<'a> {
        let refused = || Failure {
            class: FailureClass::ClientError,
            phase: Phase::Answer,
            message: "no such channel".to_owned(),
            maybe_taken: false,
        };
        match *self.mood.lock().unwrap() {
            Mood::Takes => {
                self.told.lock().unwrap().push(format!("{} {}", notice.kind.as_str(), notice.reason.as_str()));
                Box::pin(std::future::ready(Outcome::sent("taken")))
            }
            Mood::Refuses => Box::pin(std::future::ready(Outcome::Rejected { failure: refused() })),
            Mood::Hangs => Box::pin(std::future::pending()),
        }
    }
}

/// When it begins, in seconds.
pub const START: i64 = 1_700_000_000 / 15 * 15;

/// The hub and its surroundings.
pub struct Bench {
    pub clock: Arc<SimulatedClock>,
    pub hub: Hub,
    told: Arc<Mutex<Vec<String>>>,
    mood: Arc<Mutex<Mood>>,
}

impl Bench {
    pub fn over(keeper: impl FnOnce(OwnMetrics) -> (Arc<Keeper>, Restored), at: i64) -> Self {
        let clock = Arc::new(SimulatedClock::new(Timestamp::from_secs(at)));
        let metrics = OwnMetrics::new(Arc::new(Registry::new()));
        let (keeper, restored) = keeper(metrics.clone());
        let store = Arc::new(EmbeddedStore::new(StoreOptions::default()));
        let hub = Hub::new(Parts { clock: clock.clone(), store, metrics, keeper }, EngineOptions::default()).unwrap();
        hub.restore(restored);
        let told = Arc::new(Mutex::new(Vec::new()));
        let mood = Arc::new(Mutex::new(Mood::Takes));
        let ear = Ear { told: Arc::clone(&told), mood: Arc::clone(&mood) };
        hub.outbox.replace(vec![Target::new(Arc::new(ear))]);
        let text = r#"rules: [{name: high, metric: m, threshold: "> 5", every: 15s}]"#;
        let loaded = load(&[SourceFile::new("rules.yaml", text)], &LoadOptions::default());
        let ear = Receiver::new("ear");
        let external_labels = Labels::from_pairs([("cluster", "a")]);
        hub.replace(loaded.rules, Routes { receivers: vec![ear], external_labels, ..Routes::default() });
        Self { clock, hub, told, mood }
    }

    pub fn new() -> Self {
        Self::over(|metrics| (Keeper::in_memory(metrics), Restored::default()), START)
    }

    pub fn on_disk(dir: &Path, at: i64) -> Self {
        let open = |metrics| Keeper::open(dir, &Options::default(), metrics, Timestamp::from_secs(at)).unwrap();
        Self::over(open, at)
    }

    /// Seconds.
    pub fn now(&self) -> i64 {
        self.clock.now().0 / 1000
    }

    /// From now on the handler does this.
    pub fn mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Fifteen seconds pass, `m` has a value, rules are evaluated, what is to be told is told.
    pub fn tick(&self, value: f64) {
        self.clock.set(Timestamp::from_secs(self.now() + 15));
        let mut batch = Batch::default();
        let labels = Labels::from_pairs([("__name__", "m"), ("host", "a")]);
        batch.push(labels, Some(self.now() * 1000), value);
        self.hub.store.append(&batch, self.now() * 1000);
        self.hub.run_due();
    }

    /// What the handler was told since it was last asked.
    pub fn told(&self) -> Vec<String> {
        assert!(self.hub.outbox.settle(Duration::from_secs(20)));
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

/// Waits, at most twenty seconds, until there is something.
pub fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..4000 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited in vain");
}
