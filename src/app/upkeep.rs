//! What is done beside the evaluation so that it can go on: retention, repair, history that moves to where it stays.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::collect::{UPKEEP_INTERVAL, keep_tidy};
use super::daemon::Daemon;
use super::evaluations::KEPT_FOR;
use super::threads::pause;

/// How often history is moved.
const MOVE_INTERVAL: Duration = Duration::from_secs(1);
/// How often the state's files are looked after.
const REPAIR_INTERVAL: Duration = Duration::from_secs(10);
/// How often old history, old silences and notices that were given up long ago are removed.
const CLEAN_INTERVAL: Duration = Duration::from_secs(600);

/// Works until it is time to stop.
pub fn run(daemon: &Daemon, stop: &Receiver<()>) {
    let hub = &daemon.hub;
    let mut seconds: u64 = 0;
    while pause(stop, MOVE_INTERVAL) {
        seconds += MOVE_INTERVAL.as_secs();
        let due = |interval: Duration| seconds.is_multiple_of(interval.as_secs().max(1));
        let now = hub.clock.now();
        if due(UPKEEP_INTERVAL) {
            keep_tidy(hub, now);
        }
        if due(REPAIR_INTERVAL) {
            hub.keeper.upkeep(now);
            daemon.refresh_secrets();
        }
        // What is everybody's is looked after by the process that decides.
        if !daemon.works() {
            continue;
        }
        hub.keeper.move_history(now);
        if due(CLEAN_INTERVAL) {
            let state = daemon.config.load().state.clone();
            hub.keeper.clean_history(now.minus(state.history_retention), state.history_rows_max);
            hub.keeper.forget_evaluations(now.minus(KEPT_FOR));
            hub.forget_silences(now);
            hub.clean_outbox(now);
        }
    }
}
