//! The identity of a notice.

use std::sync::Arc;

use super::group::Group;
use crate::model::Transition;

const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;

/// FNV-1a of 128 bits over bytes and an end mark.
fn fnv(hash: u128, bytes: &[u8]) -> u128 {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().chain(std::iter::once(&0xff)).fold(hash, |hash, b| (hash ^ u128::from(*b)).wrapping_mul(PRIME))
}

/// Identity of the copy of a notice for another handler.
pub fn derived_id(id: &str, handler: &str) -> String {
    format!("{:032x}", fnv(fnv(FNV_OFFSET, id.as_bytes()), handler.as_bytes()))
}

/// Identity of a notice: 128 bits of FNV-1a over the group, the handler, of everything in it rule uid, fingerprint,
/// episode, transition sequence and kind, and how many messages had news of it for this handler: what is told, taken
/// back and told again is another message though it is the same event.
///
/// Not a secret and not adversarial: whoever can choose the parts writes the rules.
pub(super) fn notice_id(group: &Group, handler: &str, transitions: &[(Arc<Transition>, u32)]) -> String {
    let mut hash = FNV_OFFSET;
    let mut add = |bytes: &[u8]| hash = fnv(hash, bytes);
    add(group.of.key.as_bytes());
    add(handler.as_bytes());
    for (transition, times) in transitions {
        let alert = &transition.alert;
        add(alert.rule_uid.as_bytes());
        add(&alert.fingerprint.0.to_be_bytes());
        add(&alert.active_at.0.to_be_bytes());
        add(&transition.sequence.to_be_bytes());
        add(transition.kind.as_str().as_bytes());
        add(&times.to_be_bytes());
    }
    format!("{hash:032x}")
}
