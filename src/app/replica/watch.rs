//! The lease, asked for again and again, and what is concluded from the answers.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use tracing::{error, info, warn};

use super::{BEATS, Heard, LOOK_INTERVAL, Role, Seat, ask, lock, merged};
use crate::app::daemon::Daemon;
use crate::app::keeper::Own;
use crate::app::threads::pause;
use crate::clock::Clock as _;
use crate::persist::{Commit, Everything, Holder, Loaded, Persist as _, PersistError};

/// Asks for the lease again and again, whatever else goes on, and tells what came of it.
pub fn pulse(seat: &Seat, heard: &Sender<Heard>, stop: &Receiver<()>) {
    loop {
        let works = seat.role().works();
        let interval = (seat.lease / BEATS).min(if works { seat.lease } else { LOOK_INTERVAL });
        if !pause(stop, interval) {
            return;
        }
        let heard_now = match ask(&seat.persist, &seat.clock, (seat.lease, seat.wants())) {
            Ok((beat, now)) => {
                now.into_iter().for_each(|now| seat.put_right(now));
                Heard { answer: Ok(beat), silent: seat.note(Ok(())) }
            }
            Err(error) => {
                let silent = seat.note(Err(&error));
                Heard { answer: Err(error), silent }
            }
        };
        if heard.send(heard_now).is_err() {
            return;
        }
    }
}

/// Draws the conclusions from what is heard, until nothing is heard any more.
pub fn watch(daemon: &Arc<Daemon>, seat: &Seat, heard: &Receiver<Heard>) {
    seat.measure(&daemon.hub.metrics);
    while let Ok(first) = heard.recv() {
        if *seat.role() == Role::Over {
            return;
        }
        // What came while the last conclusion was drawn is old by now.
        let last = heard.try_iter().last().unwrap_or(first);
        conclude(daemon, seat, last);
    }
}

/// How long answers of receivers are waited for before what happened alone goes into the database.
const ANSWERS_MAX: Duration = Duration::from_secs(5);

fn conclude(daemon: &Arc<Daemon>, seat: &Seat, heard: Heard) {
    let metrics = &daemon.hub.metrics;
    seat.measure(metrics);
    let role = seat.role();
    let stands_by = matches!(*role, Role::StandingBy { .. });
    if stands_by {
        // Nobody else looks at the clock: what jumped before it began to work is nobody's matter.
        drop(seat.clock.take_jumps());
    }
    if daemon.hub.keeper.displaced() {
        warn!(replica = seat.name, "Another process took over; standing by");
        return end(daemon, seat);
    }
    let beat = match heard.answer {
        Ok(beat) => beat,
        // It answers, but not this process: the others may be well.
        Err(error @ (PersistError::Newer { .. } | PersistError::Refused { .. })) if stands_by => {
            return seat.set(Role::StandingBy { holder: None, why: Some(error.to_string()) }, metrics);
        }
        Err(_) if stands_by && heard.silent > seat.lease => return go_on_alone(daemon, seat),
        Err(_) => return,
    };
    match (&*role, &beat.holder) {
        (Role::StandingBy { .. }, Holder::Here { token }) => take_over(daemon, seat, (*token, beat.seq)),
        (Role::StandingBy { .. }, Holder::Other { name, .. }) => {
            // Somebody could read the state: when that one ends it is worth another try.
            lock(&seat.answers).unreadable = None;
            seat.set(Role::StandingBy { holder: Some(name.clone()), why: None }, metrics);
            seat.look(&beat);
        }
        (Role::Active { token }, Holder::Here { token: now }) if token == now => {}
        // Its holder of before comes first, for a while.
        (Role::OnItsOwn, Holder::Other { left, .. }) if left.is_zero() => {}
        (Role::OnItsOwn, Holder::Here { token }) => match seat.persist.load() {
            Ok(theirs) => {
                bring(daemon, seat, (*token, theirs));
                end(daemon, seat);
            }
            // As it is one that cannot be used it is left to others.
            Err(_) => drop(seat.persist.release()),
        },
        // What others did meanwhile cannot be read: it is as if it were not there.
        (Role::OnItsOwn, _) if seat.persist.load().is_err() => {}
        _ => {
            warn!(replica = seat.name, "Another process took over, or may have; standing by");
            end(daemon, seat);
        }
    }
}

/// Puts what happened without the database beside what others stored there.
fn bring(daemon: &Arc<Daemon>, seat: &Seat, (token, theirs): (u64, Loaded)) {
    // Nobody evaluates, tells or asks meanwhile.
    seat.set(Role::Over, &daemon.hub.metrics);
    daemon.end_work();
    daemon.hub.outbox.finish(ANSWERS_MAX);
    let base = lock(&seat.shadow).loaded.take().unwrap_or_default();
    let Own { records, notices, history } = daemon.hub.own();
    let records = merged((base.records, theirs.records), records);
    seat.persist.write_as(token);
    // First what is to be told, then what is known to have been decided: one that is lost in between is told again.
    let commit = Commit { notices, history, durable: true, ..Commit::default() };
    let stored = seat.persist.commit(&commit).and_then(|_| {
        daemon.hub.keeper.settle_now();
        seat.persist.rewrite(&Everything { records, outbox: None })
    });
    match stored {
        Ok(()) => info!(replica = seat.name, "What happened without the database is in it now"),
        Err(error) => warn!(%error, "What happened without the database is lost: it may be told again"),
    }
}

fn take_over(daemon: &Arc<Daemon>, seat: &Seat, (token, seq): (u64, u64)) {
    seat.persist.write_as(token);
    match seat.state(seq) {
        Ok(loaded) => {
            lock(&seat.answers).unreadable = None;
            info!(replica = seat.name, token, "Taking over");
            daemon.begin_work(loaded, Role::Active { token });
        }
        Err(error) => {
            error!(error, "The state cannot be read; the lease is given back, for whoever can");
            let _ = seat.persist.release();
            seat.set(Role::StandingBy { holder: None, why: Some(error) }, &daemon.hub.metrics);
            if seat.note_unreadable() > seat.lease {
                go_on_alone(daemon, seat);
            }
        }
    }
}

fn go_on_alone(daemon: &Arc<Daemon>, seat: &Seat) {
    warn!(replica = seat.name, "Going on alone: whoever decides may not reach the database either, and tell the same");
    // Files of before the database are no state to go on from: nobody knows how old they are.
    let loaded = lock(&seat.shadow).loaded.clone().unwrap_or_default();
    daemon.begin_work(loaded, Role::OnItsOwn);
}

/// Ends all work; the process starts again, and stands by or goes on from what is in the database.
fn end(daemon: &Arc<Daemon>, seat: &Seat) {
    seat.set(Role::Over, &daemon.hub.metrics);
    daemon.hub.outbox.halt();
    daemon.end_work();
    seat.persist.write_as(0);
    seat.over.notify_one();
}
