//! What is measured only when somebody looks: the outbox, silences, and how the state is stored.
//!
//! Called before `/metrics` is rendered and before own metrics go into the store.

use super::hub::Hub;
use crate::http::{HandlerStanding, Standing};
use crate::persist::{OutboxState, Stats};
use crate::route::silence::SilenceState;

/// Brings every such metric up to date.
pub fn refresh(hub: &Hub) {
    hub.metrics.store(&hub.store.stats());
    hub.metrics.windows(&hub.core().engine.windows());
    let registry = hub.metrics.registry();
    for (handler, snapshot) in hub.outbox.status() {
        let labels = [("handler", &*handler)];
        registry.gauge("alertd_outbox_depth", &labels).set(snapshot.depth as f64);
        registry.gauge("alertd_outbox_oldest_seconds", &labels).set(snapshot.oldest.as_secs_f64());
    }
    for (state, count) in silences(hub) {
        registry.gauge("alertd_silences", &[("state", state.as_str())]).set(count as f64);
    }
    super::reminders::refresh(hub);
    hub.metrics.state(&hub.keeper.stats(hub.clock.monotonic()));
}

/// How many silences there are in each state.
pub fn silences(hub: &Hub) -> [(SilenceState, usize); 3] {
    let now = hub.clock.now();
    let core = hub.core();
    [SilenceState::Active, SilenceState::Pending, SilenceState::Expired]
        .map(|state| (state, core.silences.iter().filter(|silence| silence.state(now) == state).count()))
}

/// Notices of a handler that were given up and are kept.
fn dead(stats: &Stats, handler: &str) -> u64 {
    let of_handler = stats.outbox.iter().filter(|count| count.handler == handler && count.state == OutboxState::Dead);
    of_handler.map(|count| count.rows).sum()
}

/// How delivery, silences and the state stand. A handler that is gone is shown while it has notices.
pub fn standing(hub: &Hub) -> Standing {
    let stats = hub.keeper.stats(hub.clock.monotonic());
    let mut handlers: Vec<HandlerStanding> = hub
        .outbox
        .status()
        .into_iter()
        .map(|(name, snapshot)| HandlerStanding {
            dead: dead(&stats, &name),
            name: name.to_string(),
            waiting: snapshot.depth,
            oldest: snapshot.oldest,
            failing: snapshot.failing,
        })
        .collect();
    for count in stats.outbox.iter().filter(|count| count.state == OutboxState::Dead) {
        if handlers.iter().all(|handler| handler.name != count.handler) {
            let name = count.handler.clone();
            handlers.push(HandlerStanding { name, dead: count.rows, ..HandlerStanding::default() });
        }
    }
    handlers.sort_by(|a, b| a.name.cmp(&b.name));
    let in_force = silences(hub).iter().find(|(state, _)| *state == SilenceState::Active).map_or(0, |(_, n)| *n);
    Standing { silences: in_force, handlers, trouble: hub.keeper.trouble() }
}
