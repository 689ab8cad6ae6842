//! Who is on duty: for `alertd rotations`, `/api/v1/rotations`, the page and `alertd route`.

use serde_json::{Value, json};

use crate::http::OnDuty;
use crate::model::Timestamp;
use crate::schedule::Rotation;

/// How many handovers are told in advance.
const HANDOVERS_SHOWN: usize = 5;

/// Every rotation: who is on duty, until when, and who comes next.
pub fn list(rotations: &[Rotation], at: Timestamp) -> Value {
    let shown: Vec<Value> = rotations.iter().map(|rotation| shown(rotation, at)).collect();
    json!({"at": at, "rotations": shown})
}

fn shown(rotation: &Rotation, at: Timestamp) -> Value {
    let handover =
        |(at, handler): (Timestamp, _)| json!({"at": at, "local": rotation.turns.local_text(at), "handler": handler});
    let next: Vec<Value> = rotation.handovers(at, HANDOVERS_SHOWN).into_iter().map(handover).collect();
    json!({
        "name": rotation.name, "on_duty": rotation.on_duty(at), "override": rotation.is_overridden(at),
        "timezone": rotation.turns.zone.name(), "handlers": rotation.handlers, "handovers": next,
    })
}

/// The same in short, for the page.
pub(super) fn on_duty(rotations: &[Rotation], at: Timestamp) -> Vec<OnDuty> {
    let now = |rotation: &Rotation| {
        let until = rotation.next_handover(at);
        Some(OnDuty {
            rotation: rotation.name.to_string(),
            handler: rotation.on_duty(at)?.to_string(),
            until: until.map(|(until, _)| until),
            next: until.map(|(_, next)| next.to_string()),
        })
    };
    rotations.iter().filter_map(now).collect()
}
