//! The desk: keeps the rules that wait for their stores, has the stores asked, and steps rules that have their answers.
//!
//! One thread, which never waits for a store; the stores are asked by tasks on a small runtime. The same question of
//! several rules at one slot is asked once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Runtime;
use tracing::warn;

use super::{Remote, Stores, Waiting};
use crate::app::hub::Hub;
use crate::app::threads::Stopper;
use crate::engine::Answered;
use crate::model::Timestamp;
use crate::promql::{Answer, Answers, Question};
use crate::store::remote::RemoteError;

/// Threads that talk to stores.
const THREADS: usize = 2;
/// Most threads that look names up or read what blocks.
const BLOCKING_THREADS_MAX: usize = 16;
/// Most rounds of questions for one evaluation.
const ROUNDS_MAX: u8 = 4;
/// Longest wait for a message: how soon the end of the process is noticed.
const NAP: Duration = Duration::from_millis(200);
/// A question that is not answered so long after its deadline is given up.
const GRACE: Duration = Duration::from_secs(2);

/// What comes to the desk.
pub(super) enum Message {
    /// Rules of a slot are due.
    Begin(Round),
    /// A store answered.
    Said(Said),
}

/// Rules of one slot.
pub(super) struct Round {
    pub slot: Timestamp,
    /// The set of rules that they belong to.
    pub generation: u64,
    pub rules: Vec<Waiting>,
}

/// What a store said.
pub(super) struct Said {
    store: Arc<str>,
    question: Question,
    result: Result<Answer, RemoteError>,
}

/// A rule and the slot it is evaluated at.
type Place = (Timestamp, Arc<str>);

/// A rule that is being evaluated.
struct Open {
    generation: u64,
    store: Arc<str>,
    missing: BTreeSet<Question>,
    answers: Answers,
    begun: Duration,
    deadline: Duration,
    rounds: u8,
}

/// See the module.
pub struct Desk {
    hub: Weak<Hub>,
    stores: Arc<Stores>,
    runtime: Runtime,
    sender: Sender<Message>,
    open: BTreeMap<Place, Open>,
    /// Who waits for what was asked.
    asked: BTreeMap<(Arc<str>, Question), Vec<Place>>,
}

impl Desk {
    /// Starts the thread and puts the way to it into the hub.
    pub fn start(hub: &Arc<Hub>, stores: Arc<Stores>) -> std::io::Result<Stopper> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_name("stores")
            .enable_all()
            .build()?;
        let (sender, received) = channel();
        let remote = Remote { stores: Arc::clone(&stores), desk: sender.clone() };
        let desk =
            Self { hub: Arc::downgrade(hub), stores, runtime, sender, open: BTreeMap::new(), asked: BTreeMap::new() };
        let stopper = Stopper::spawn("desk", move |stop| desk.run(&received, &stop))?;
        // There is one desk for the life of a hub.
        let _ = hub.remote.set(remote);
        Ok(stopper)
    }

    fn run(mut self, received: &Receiver<Message>, stop: &Receiver<()>) {
        while matches!(stop.try_recv(), Err(TryRecvError::Empty)) {
            match received.recv_timeout(NAP) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Ok(message) = received.try_recv() {
                self.take(message);
            }
            let Some(hub) = self.hub.upgrade() else { break };
            self.give_up(&hub);
            self.advance(&hub);
        }
        self.runtime.shutdown_background();
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Begin(round) => self.begin(round),
            Message::Said(Said { store, question, result }) => {
                let said = result.map(Arc::new).map_err(|error| Arc::from(error.to_string()));
                for place in self.asked.remove(&(store, question.clone())).unwrap_or_default() {
                    if let Some(open) = self.open.get_mut(&place) {
                        open.missing.remove(&question);
                        open.answers.insert(question.clone(), said.clone());
                    }
                }
            }
        }
    }

    fn begin(&mut self, round: Round) {
        let Some(hub) = self.hub.upgrade() else { return };
        let begun = hub.clock.monotonic();
        let busy: BTreeSet<Arc<str>> = self.open.keys().map(|(_, uid)| uid.clone()).collect();
        for Waiting { uid, store, within } in round.rules {
            if busy.contains(&uid) {
                warn!(rule = %uid, "An evaluation was missed: the one before waits for its store");
                hub.metrics.missed(1);
                continue;
            }
            let open = Open {
                generation: round.generation,
                store,
                missing: BTreeSet::new(),
                answers: Answers::default(),
                begun,
                deadline: begun + within,
                rounds: 0,
            };
            self.open.insert((round.slot, uid), open);
        }
    }

    /// Answers in the place of tasks that died: whatever happens, a rule is evaluated.
    fn give_up(&mut self, hub: &Hub) {
        let now = hub.clock.monotonic();
        let late = self.open.values().any(|open| !open.missing.is_empty() && now > open.deadline + GRACE);
        if !late {
            return;
        }
        for open in self.open.values_mut().filter(|open| now > open.deadline + GRACE) {
            for question in std::mem::take(&mut open.missing) {
                open.answers.insert(question, Err("the store gave no answer".into()));
            }
        }
        let open = &self.open;
        self.asked.retain(|(_, question), places| {
            places.retain(|place| open.get(place).is_some_and(|open| open.missing.contains(question)));
            !places.is_empty()
        });
    }

    /// Asks on for rules whose questions are answered, and steps those that have all they need.
    fn advance(&mut self, hub: &Arc<Hub>) {
        let mut slots: BTreeMap<(Timestamp, u64), Vec<Arc<str>>> = BTreeMap::new();
        for ((slot, uid), open) in self.open.iter().filter(|(_, open)| open.missing.is_empty()) {
            slots.entry((*slot, open.generation)).or_default().push(uid.clone());
        }
        for ((slot, generation), uids) in slots {
            let waiting: Vec<(Arc<str>, &Answers)> = uids
                .iter()
                .filter_map(|uid| Some((uid.clone(), &self.open.get(&(slot, uid.clone()))?.answers)))
                .collect();
            let further = hub.questions((slot, generation), &waiting);
            let mut ready = Answered::new();
            for (uid, further) in uids.into_iter().zip(further) {
                let place = (slot, uid);
                match further {
                    Some(questions) if !questions.is_empty() && self.may_ask(&place) => {
                        self.ask(hub, &place, questions);
                    }
                    Some(_) => {
                        let Some(mut open) = self.open.remove(&place) else { continue };
                        open.answers.took = hub.clock.monotonic().saturating_sub(open.begun);
                        ready.insert(place.1, open.answers);
                    }
                    // Another set of rules was loaded meanwhile.
                    None => drop(self.open.remove(&place)),
                }
            }
            if !ready.is_empty() {
                hub.settle(slot, generation, &ready);
            }
        }
    }

    fn may_ask(&self, place: &Place) -> bool {
        self.open.get(place).is_some_and(|open| open.rounds < ROUNDS_MAX)
    }

    fn ask(&mut self, hub: &Arc<Hub>, place: &Place, questions: Vec<Question>) {
        let Some(open) = self.open.get_mut(place) else { return };
        open.rounds += 1;
        open.missing.extend(questions.iter().cloned());
        let limit = open.deadline.saturating_sub(hub.clock.monotonic());
        let store = open.store.clone();
        for question in questions {
            let places = self.asked.entry((store.clone(), question.clone())).or_default();
            places.push(place.clone());
            if places.len() > 1 {
                continue;
            }
            let (stores, sender, clock) = (Arc::clone(&self.stores), self.sender.clone(), Arc::clone(&hub.clock));
            let store = store.clone();
            self.runtime.spawn(async move {
                let begun = clock.monotonic();
                let result = match stores.get(&store) {
                    Ok(client) => client.ask(&question, limit).await,
                    Err(reason) => Err(RemoteError::Store(reason)),
                };
                stores.note(&store, result.as_ref().err(), clock.monotonic().saturating_sub(begun));
                // The desk is gone at the end of the process.
                let _ = sender.send(Message::Said(Said { store, question, result }));
            });
        }
    }
}
