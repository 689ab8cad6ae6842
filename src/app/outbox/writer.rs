//! Puts endings of deliveries into the ledger, many at once: a transaction each would cost more than most deliveries.
//!
//! Place in the flow: lanes hand over what became of their notices and go on; a thread writes it in the order in which
//! it came. What one call of the ledger holds never names a notice in two orders, because the second would not see the
//! first.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::ledger::{Ledger, Settled, Settlement};
use crate::notify::delivery::Entry;

/// Most endings written in one transaction.
const BATCH_MAX: usize = 500;
/// How long whoever delivers waits for the ledger: a disk that stalls makes it slow, not mute.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How long the answer may take once that time is over.
const MOMENT: Duration = Duration::from_secs(1);

enum Order {
    Settle(Settlement),
    /// These are about to be tried: what was said of them before must be written, and they are claimed if that is true.
    Begin(Vec<String>, bool, SyncSender<bool>),
    /// Answer when everything before is written.
    Flush(SyncSender<()>),
}

/// The way to the thread that writes.
pub(crate) struct Writer {
    /// Where there is no thread: it is written at once, on the caller's.
    at_once: Option<Arc<dyn Ledger>>,
    orders: Mutex<Option<Sender<Order>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn new(ledger: Arc<dyn Ledger>) -> std::io::Result<Self> {
        let (orders, taken) = channel();
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(move || write(&*ledger, &taken))?;
        Ok(Self { at_once: None, orders: Mutex::new(Some(orders)), thread: Mutex::new(Some(thread)) })
    }

    /// One without a thread: everything is written when it is handed over.
    pub(super) fn at_once(ledger: Arc<dyn Ledger>) -> Self {
        Self { at_once: Some(ledger), orders: Mutex::default(), thread: Mutex::default() }
    }

    /// Hands an ending over; it is written soon.
    pub(super) fn settle(&self, settlement: Settlement) {
        if let Some(ledger) = &self.at_once {
            return ledger.settle(vec![settlement]);
        }
        self.order(Order::Settle(settlement));
    }

    /// Waits until everything handed over is written.
    pub(super) fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.order(Order::Flush(done)) {
            let _ = written.recv();
        }
    }

    /// Waits, but not for ever, until what was handed over of these is written and, with `claim`, that they are tried;
    /// false if they must not be.
    pub(super) fn begin(&self, ids: Vec<String>, claim: bool) -> bool {
        if let Some(ledger) = &self.at_once {
            return !claim || ledger.claim(&ids);
        }
        let (done, written) = sync_channel(1);
        // Once more for a moment: a process that hung wakes with the time over and the answer on its way.
        let answer = || written.recv_timeout(WAIT_MAX).or_else(|_| written.recv_timeout(MOMENT));
        !self.order(Order::Begin(ids, claim, done)) || answer().unwrap_or(true)
    }

    /// Writes what is left and ends.
    pub(super) fn close(&self) {
        drop(self.orders.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panicked thread has printed its reason already.
            let _ = thread.join();
        }
    }

    fn order(&self, order: Order) -> bool {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.as_ref().is_some_and(|orders| orders.send(order).is_ok())
    }
}

fn write(ledger: &dyn Ledger, orders: &Receiver<Order>) {
    let mut batch = Batch::default();
    while let Ok(first) = orders.recv() {
        for order in std::iter::once(first).chain(std::iter::from_fn(|| orders.try_recv().ok())) {
            match order {
                Order::Settle(settlement) => batch.add(settlement, ledger),
                Order::Begin(ids, claim, done) => {
                    if ids.iter().any(|id| batch.named.contains(id)) {
                        batch.write(ledger);
                    }
                    let _ = done.send(!claim || ledger.claim(&ids));
                }
                Order::Flush(done) => {
                    batch.write(ledger);
                    let _ = done.send(());
                }
            }
        }
        batch.write(ledger);
    }
}

/// Endings that one call of the ledger takes.
#[derive(Default)]
struct Batch {
    settlements: Vec<Settlement>,
    named: BTreeSet<String>,
}

impl Batch {
    fn add(&mut self, settlement: Settlement, ledger: &dyn Ledger) {
        let ids: Vec<String> = ids_of(&settlement).collect();
        if self.settlements.len() >= BATCH_MAX || ids.iter().any(|id| self.named.contains(id)) {
            self.write(ledger);
        }
        self.named.extend(ids);
        self.settlements.push(settlement);
    }

    fn write(&mut self, ledger: &dyn Ledger) {
        self.named.clear();
        if !self.settlements.is_empty() {
            ledger.settle(std::mem::take(&mut self.settlements));
        }
    }
}

/// The notices that a settlement changes.
fn ids_of(settlement: &Settlement) -> impl Iterator<Item = String> {
    let id = |entry: &Entry| entry.notice.id.clone();
    let others: Vec<String> = match &settlement.settled {
        Settled::Dead { instead, with, .. } => {
            instead.iter().map(|instead| id(&instead.entry)).chain(with.iter().map(id)).collect()
        }
        Settled::TellsToo(absorbed) => absorbed.iter().map(id).collect(),
        _ => Vec::new(),
    };
    std::iter::once(id(&settlement.entry)).chain(others)
}
