//! What makes a daemon the one that decides and tells: rules that are evaluated, and jobs that are pinged.
//!
//! Place in the flow: a load hands over what it read. A process that stands by puts it aside, and takes it up when it gets
//! the lease, after the state that the process before it left.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{error, warn};

use super::daemon::Daemon;
use super::heartbeat;
use super::replica::{self, Heard, Role, Seat};
use super::threads::{Stopper, work_at_moments};
use crate::notify::Handler;
use crate::persist::Loaded;
use crate::route::Routes;
use crate::rule::Rule;

/// What is evaluated and told, or would be.
#[derive(Default)]
pub(super) struct Work {
    /// Whether this process decides and tells.
    begun: bool,
    /// The last set that was taken before that.
    parked: Option<Set>,
    /// Heartbeats of the set in use.
    pings: Vec<Stopper>,
}

/// A set of rules, and who is told.
pub(super) struct Set {
    pub rules: Vec<Rule>,
    pub routes: Routes,
    pub pings: Vec<(Arc<dyn Handler>, Duration)>,
    /// How often the canary flies.
    pub every: Option<Duration>,
}

impl Work {
    /// Of a process that does, or does not yet.
    pub fn new(begun: bool) -> Self {
        Self { begun, ..Self::default() }
    }
}

/// Asks for the lease of a seat from now on; what comes of it.
pub(super) fn beat(seat: Option<&Arc<Seat>>) -> std::io::Result<(Option<Stopper>, Option<Receiver<Heard>>)> {
    let Some(seat) = seat.cloned() else { return Ok((None, None)) };
    let (tell, heard) = std::sync::mpsc::channel();
    let pulse = Stopper::spawn("lease", move |stop| replica::pulse(&seat, &tell, &stop))?;
    Ok((Some(pulse), Some(heard)))
}

impl Daemon {
    /// Has a set evaluated and told, now or when this process is the one that decides.
    pub(super) fn put_to_work(&self, set: Set) {
        let mut work = lock(&self.work);
        match work.begun {
            true => self.install(&mut work, set),
            false => work.parked = Some(set),
        }
    }

    fn install(&self, work: &mut Work, set: Set) {
        work.pings.clear();
        self.hub.replace(set.rules, set.routes);
        work.pings = self.start_pings(set.pings, set.every);
    }

    /// Goes on from what another process left: from now on this one decides and tells.
    pub(super) fn begin_work(self: &Arc<Self>, loaded: Loaded, role: Role) {
        let mut work = lock(&self.work);
        self.hub.restore(self.hub.keeper.take_up(loaded));
        // What jumped while others looked at the clock is theirs.
        drop(self.hub.clock.take_jumps());
        work.begun = true;
        // Only now may anybody ask for alerts, or for silence.
        if let Some(seat) = &self.seat {
            seat.set(role, &self.hub.metrics);
        }
        match work.parked.take() {
            Some(set) => self.install(&mut work, set),
            // The files could not be read so far: that is told now.
            None => self.request("taking over"),
        }
        drop(work);
        self.start_evaluator();
    }

    /// Ends what only the process that decides does.
    pub(super) fn end_work(&self) {
        drop(lock(&self.evaluator).take());
        let mut work = lock(&self.work);
        // What is loaded from now on is put aside.
        work.begun = false;
        work.pings.clear();
    }

    /// Whether this process decides and tells.
    pub(super) fn works(&self) -> bool {
        self.seat.as_ref().is_none_or(|seat| seat.role().works()) && !self.hub.keeper.displaced()
    }

    /// Returns when another process took over.
    pub(super) async fn displaced(&self) {
        match &self.seat {
            Some(seat) => seat.over().await,
            None => std::future::pending().await,
        }
    }

    pub(super) fn start_evaluator(&self) {
        let hub = Arc::clone(&self.hub);
        let work = move |stop: Receiver<()>| {
            work_at_moments(&*hub.clock, &stop, || hub.next_moment(), || drop(hub.run_due()));
        };
        match Stopper::spawn("evaluate", work) {
            Ok(started) => *lock(&self.evaluator) = Some(started),
            Err(error) => error!(%error, "Rules cannot be evaluated"),
        }
    }

    /// Draws the conclusions from what comes of asking for the lease.
    pub(super) fn watch_lease(daemon: &Arc<Self>, heard: Option<Receiver<Heard>>) -> std::io::Result<Option<Stopper>> {
        let watched = Arc::clone(daemon);
        let watch = |heard: Receiver<Heard>| {
            Stopper::spawn("replica", move |_stop| {
                if let Some(seat) = &watched.seat {
                    replica::watch(&watched, seat, &heard);
                }
            })
        };
        heard.map(watch).transpose()
    }

    /// At an orderly end nobody needs to wait for the lease to run out.
    pub(super) fn give_lease_back(&self) {
        let Some(seat) = &self.seat else { return };
        if let Err(error) = seat.persist.release() {
            warn!(%error, "The lease cannot be given back; it runs out");
        }
    }

    /// Heartbeats begin anew with a reload, after their interval.
    fn start_pings(&self, pings: Vec<(Arc<dyn Handler>, Duration)>, every: Option<Duration>) -> Vec<Stopper> {
        let mut started = Vec::new();
        for (handler, interval) in pings {
            let (hub, arrived_ms) = (Arc::clone(&self.hub), Arc::clone(&self.canary_ms));
            let name = format!("ping {}", handler.name());
            let pinger =
                heartbeat::Pinger { hub, handler, interval, arrived_ms, canary_every: every.unwrap_or(interval) };
            match Stopper::spawn(&name, move |stop| pinger.run(&stop)) {
                Ok(stopper) => started.push(stopper),
                Err(error) => error!(name, %error, "A heartbeat cannot be started"),
            }
        }
        started
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
