//! Posting lists: the slots of the series that carry a label value.
//!
//! Slots are reused, so insertion and removal in the middle must be cheap, and a label such as `job` names a million
//! series while a label such as `pod` names ten: a list is one slot, or blocks of 1,024 slots, each a short sorted
//! list or a bitmap (the idea of Roaring bitmaps).

const BLOCK_BITS: u32 = 10;
const WORDS: usize = 1 << (BLOCK_BITS - 6);
/// From here a bitmap (128 bytes) is smaller than the list.
const SPARSE_MAX: usize = 64;

#[derive(Debug)]
enum Block {
    Sparse(Vec<u16>),
    Dense(Box<[u64; WORDS]>),
}

/// A set of slots.
#[derive(Debug)]
pub(super) struct Postings(Form);

#[derive(Debug)]
enum Form {
    One(u32),
    Blocks { blocks: Vec<(u32, Block)>, len: u32 },
}

fn split(slot: u32) -> (u32, u16) {
    (slot >> BLOCK_BITS, (slot & ((1 << BLOCK_BITS) - 1)) as u16)
}

fn word(low: u16) -> (usize, u64) {
    (usize::from(low >> 6), 1 << (low & 63))
}

impl Block {
    fn insert(&mut self, low: u16) -> bool {
        match self {
            // Most come in ascending order.
            Self::Sparse(list) if list.len() < SPARSE_MAX && list.last().is_some_and(|last| *last < low) => {
                list.push(low);
                true
            }
            Self::Sparse(list) => match list.binary_search(&low) {
                Ok(_) => false,
                Err(_) if list.len() >= SPARSE_MAX => {
                    let mut bits = Box::new([0u64; WORDS]);
                    for low in list.iter().copied().chain([low]) {
                        let (i, bit) = word(low);
                        bits[i] |= bit;
                    }
                    *self = Self::Dense(bits);
                    true
                }
                Err(at) => {
                    list.insert(at, low);
                    true
                }
            },
            Self::Dense(bits) => {
                let (i, bit) = word(low);
                let new = bits[i] & bit == 0;
                bits[i] |= bit;
                new
            }
        }
    }

    fn remove(&mut self, low: u16) -> bool {
        match self {
            Self::Sparse(list) => list.binary_search(&low).map(|at| list.remove(at)).is_ok(),
            Self::Dense(bits) => {
                let (i, bit) = word(low);
                let there = bits[i] & bit != 0;
                bits[i] &= !bit;
                there
            }
        }
    }

    fn contains(&self, low: u16) -> bool {
        match self {
            Self::Sparse(list) => list.binary_search(&low).is_ok(),
            Self::Dense(bits) => {
                let (i, bit) = word(low);
                bits[i] & bit != 0
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Sparse(list) => list.is_empty(),
            Self::Dense(bits) => bits.iter().all(|w| *w == 0),
        }
    }

    fn for_each(&self, mut visit: impl FnMut(u32)) {
        match self {
            Self::Sparse(list) => list.iter().for_each(|low| visit(u32::from(*low))),
            Self::Dense(bits) => {
                for (i, word) in bits.iter().enumerate() {
                    let mut word = *word;
                    while word != 0 {
                        visit(i as u32 * 64 + word.trailing_zeros());
                        word &= word - 1;
                    }
                }
            }
        }
    }
}

impl Postings {
    /// A list of one.
    pub(super) fn one(slot: u32) -> Self {
        Self(Form::One(slot))
    }

    /// How many slots it holds.
    pub(super) fn len(&self) -> usize {
        match &self.0 {
            Form::One(_) => 1,
            Form::Blocks { len, .. } => *len as usize,
        }
    }

    /// Adds a slot.
    pub(super) fn insert(&mut self, slot: u32) {
        match &mut self.0 {
            Form::One(there) if *there == slot => {}
            Form::One(there) => {
                let first = *there;
                self.0 = Form::Blocks { blocks: Vec::new(), len: 0 };
                self.insert(first);
                self.insert(slot);
            }
            Form::Blocks { blocks, len } => {
                let (key, low) = split(slot);
                let new = match blocks.last_mut() {
                    Some((last, block)) if *last == key => block.insert(low),
                    _ => match blocks.binary_search_by_key(&key, |(k, _)| *k) {
                        Ok(at) => blocks[at].1.insert(low),
                        Err(at) => {
                            blocks.insert(at, (key, Block::Sparse(vec![low])));
                            true
                        }
                    },
                };
                *len += u32::from(new);
            }
        }
    }

    /// Removes a slot; `true` if none is left.
    pub(super) fn remove(&mut self, slot: u32) -> bool {
        match &mut self.0 {
            Form::One(there) => *there == slot,
            Form::Blocks { blocks, len } => {
                let (key, low) = split(slot);
                if let Ok(at) = blocks.binary_search_by_key(&key, |(k, _)| *k) {
                    *len -= u32::from(blocks[at].1.remove(low));
                    if blocks[at].1.is_empty() {
                        blocks.remove(at);
                    }
                }
                blocks.is_empty()
            }
        }
    }

    /// Whether it holds a slot.
    pub(super) fn contains(&self, slot: u32) -> bool {
        match &self.0 {
            Form::One(there) => *there == slot,
            Form::Blocks { blocks, .. } => {
                let (key, low) = split(slot);
                blocks.binary_search_by_key(&key, |(k, _)| *k).is_ok_and(|at| blocks[at].1.contains(low))
            }
        }
    }

    /// Visits the slots, ascending.
    pub(super) fn for_each(&self, mut visit: impl FnMut(u32)) {
        match &self.0 {
            Form::One(slot) => visit(*slot),
            Form::Blocks { blocks, .. } => {
                for (key, block) in blocks {
                    block.for_each(|low| visit((key << BLOCK_BITS) + low));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_list_holds_what_a_set_holds(steps in prop::collection::vec((any::<bool>(), 0u32..3000), 1..600)) {
            let mut list = Postings::one(7);
            let mut model = BTreeSet::from([7]);
            for (add, slot) in steps {
                if add {
                    list.insert(slot);
                    model.insert(slot);
                } else if model.len() > 1 {
                    model.remove(&slot);
                    prop_assert_eq!(list.remove(slot), model.is_empty());
                }
                prop_assert_eq!(list.contains(slot), model.contains(&slot));
            }
            let mut all = Vec::new();
            list.for_each(|s| all.push(s));
            prop_assert_eq!(list.len(), model.len());
            prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        }
    }
}
