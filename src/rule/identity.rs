//! What tells the rules of a group apart: the group's and the rule's name, and where rules share both, their labels.
//!
//! Place in the flow: `rule::load` has read all files. The file is no part of an identity, so that state follows a rule
//! into another file. A rule that begins or ceases to share its name is known under the other form of its uid too.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Found;

/// Longest text of labels that stands in a uid, in bytes; longer ones are told by their hash.
const LABELS_LEN_MAX: usize = 200;

/// What a rule without a uid of its own may share its name with.
#[derive(Debug)]
pub(super) struct Sharing {
    /// Its labels as text.
    pub labels: String,
}

/// Gives the rules of groups that share a name uids of their own. Rules equal in their labels too are counted.
pub(super) fn tell_apart<'a>(found: impl Iterator<Item = &'a mut Found>) {
    let mut by_name: BTreeMap<Arc<str>, Vec<&mut Found>> = BTreeMap::new();
    for one in found.filter(|one| one.sharing.is_some()) {
        by_name.entry(one.uid.clone()).or_default().push(one);
    }
    for (short, rules) in by_name {
        let alone = rules.len() == 1;
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for one in rules {
            let labels = one.sharing.as_ref().map(|sharing| shown(&sharing.labels)).unwrap_or_default();
            let count = counts.entry(labels.clone()).or_default();
            *count += 1;
            let number = if *count == 1 { String::new() } else { format!("#{count}") };
            let long: Arc<str> = Arc::from(format!("{short}{labels}{number}"));
            let (uid, other) = if alone { (short.clone(), long) } else { (long, short.clone()) };
            if let Some(rule) = &mut one.rule {
                rule.uid = uid.clone();
                rule.also_known_as = Some(other);
            }
            one.uid = uid;
        }
    }
}

fn shown(labels: &str) -> String {
    if labels.len() <= LABELS_LEN_MAX {
        return labels.to_owned();
    }
    // FNV-1a 64, which is the same everywhere and for ever.
    let hash = labels
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{{{hash:016x}}}")
}
