//! What is counted: alerts after each step; the outbox, silences, and how the state is stored only when somebody looks.
//!
//! [`refresh`] is called before `/metrics` is rendered and before own metrics go into the store.

use super::hub::{Core, Hub};
use crate::http::{HandlerStanding, Standing};
use crate::model::AlertState;
use crate::model::alert::CANARY;
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

impl Hub {
    /// Counts alerts, those that flap among them, failing rules and detectors.
    pub(super) fn count_alerts(&self, core: &Core) {
        let (mut pending, mut firing, mut flapping) = (0u32, 0u32, 0u32);
        let (mut failing, mut detectors) = (0u32, 0usize);
        for rule in core.engine.rules().iter() {
            let Some(state) = core.engine.state(&rule.uid).filter(|_| *rule.uid != *CANARY) else { continue };
            for instance in state.instances.values() {
                flapping += u32::from(instance.is_flapping());
                match instance.state {
                    AlertState::Pending => pending += 1,
                    AlertState::Firing => firing += 1,
                    AlertState::Inactive => {}
                }
            }
            // That a store is away is one thing, however many rules ask it.
            let down = rule.source.as_ref().is_some_and(|s| self.remote.get().is_some_and(|r| r.stores.is_down(s)));
            failing += u32::from(!down && matches!(state.health, crate::state::Health::Err { .. }));
            detectors += state.detectors.len();
        }
        let received = core.received.firing().count();
        self.metrics.gauge("alertd_received_alerts", received as f64);
        firing += u32::try_from(received).unwrap_or(u32::MAX);
        let registry = self.metrics.registry();
        registry.gauge("alertd_alerts", &[("state", "pending")]).set(f64::from(pending));
        registry.gauge("alertd_alerts", &[("state", "firing")]).set(f64::from(firing));
        self.metrics.gauge("alertd_alerts_flapping", f64::from(flapping));
        self.metrics.gauge("alertd_rules_failing", f64::from(failing));
        self.metrics.gauge("alertd_detectors", detectors as f64);
    }
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
    let on_duty = super::rotations::on_duty(&hub.core().routes.rotations, hub.clock.now());
    Standing { silences: in_force, handlers, on_duty, trouble: hub.keeper.trouble(), replica: None }
}
