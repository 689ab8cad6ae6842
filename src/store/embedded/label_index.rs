//! The inverted index: label name and value to the slots of the series that carry them, and the search in it.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::label_filler::{Filled, LabelFiller};
use super::postings::Postings;
use crate::model::Labels;
use crate::promql::{MatchOp, Matcher};

type Values = BTreeMap<Arc<str>, Postings>;

/// Names and values of all labels.
#[derive(Debug, Default)]
pub(super) struct LabelIndex {
    names: BTreeMap<Arc<str>, Values>,
    /// Bytes of texts and entries, about.
    bytes: usize,
}

/// Heap and tree overhead of one label value, about: the text's header, the entry, its share of the tree.
const VALUE_OVERHEAD: usize = 96;

/// A set of slots as a bitmap, for unions over many label values.
struct SlotSet(Vec<u64>);

impl SlotSet {
    fn insert(&mut self, slot: u32) {
        if let Some(word) = self.0.get_mut((slot >> 6) as usize) {
            *word |= 1 << (slot & 63);
        }
    }

    fn contains(&self, slot: u32) -> bool {
        self.0.get((slot >> 6) as usize).is_some_and(|word| word >> (slot & 63) & 1 == 1)
    }
}

impl LabelIndex {
    pub(super) fn insert(&mut self, labels: &Labels, slot: u32) {
        for (name, value) in labels.iter() {
            if !self.names.contains_key(name) {
                self.names.insert(Arc::from(name), Values::new());
            }
            let Some(values) = self.names.get_mut(name) else { continue };
            match values.get_mut(value) {
                Some(postings) => postings.insert(slot),
                None => {
                    self.bytes += value.len() + VALUE_OVERHEAD;
                    values.insert(Arc::from(value), Postings::one(slot));
                }
            }
        }
    }

    /// Takes what was gathered of many series.
    pub(super) fn fill(&mut self, filler: LabelFiller) {
        for Filled { name, values, .. } in filler.names {
            self.bytes += values.iter().map(|(value, _)| value.len() + VALUE_OVERHEAD).sum::<usize>();
            self.names.insert(name, values.into_iter().collect());
        }
    }

    pub(super) fn remove(&mut self, labels: &Labels, slot: u32) {
        for (name, value) in labels.iter() {
            let Some(values) = self.names.get_mut(name) else { continue };
            if values.get_mut(value).is_some_and(|postings| postings.remove(slot)) {
                values.remove(value);
                self.bytes -= value.len() + VALUE_OVERHEAD;
            }
            if values.is_empty() {
                self.names.remove(name);
            }
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.names.keys().map(|n| n.to_string()).collect()
    }

    pub(super) fn values(&self, name: &str) -> Vec<String> {
        self.names.get(name).map(|values| values.keys().map(|v| v.to_string()).collect()).unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Slots of the series that match all matchers, ascending. `slots` has the labels of each slot, `None` if free.
    pub(super) fn search(&self, matchers: &[Matcher], slots: &[Option<Labels>]) -> Vec<u32> {
        let (exact, rest): (Vec<&Matcher>, Vec<&Matcher>) =
            matchers.iter().partition(|m| m.op == MatchOp::Equal && !m.value.is_empty());
        let mut found = match self.intersect(&exact) {
            Some(found) => found,
            None if exact.is_empty() => Vec::new(),
            None => return Vec::new(),
        };
        let mut narrowed = !exact.is_empty();
        // Matchers that a missing label fails narrow the search; the others only sift it.
        let (narrowing, sifting): (Vec<&Matcher>, Vec<&Matcher>) = rest.into_iter().partition(|m| !m.matches(""));
        for matcher in narrowing {
            if narrowed {
                self.sift(matcher, slots, &mut found);
            } else {
                found = self.union(matcher);
                narrowed = true;
            }
        }
        if !narrowed {
            found = (0u32..).zip(slots).filter(|(_, labels)| labels.is_some()).map(|(slot, _)| slot).collect();
        }
        for matcher in sifting {
            self.sift(matcher, slots, &mut found);
        }
        found
    }

    /// The slots that carry all of these values, from the shortest list; `None` if a value is unknown or none is asked.
    fn intersect(&self, exact: &[&Matcher]) -> Option<Vec<u32>> {
        let mut lists = Vec::with_capacity(exact.len());
        for matcher in exact {
            lists.push(self.names.get(matcher.name.as_str())?.get(matcher.value.as_str())?);
        }
        lists.sort_by_key(|list| list.len());
        let (shortest, others) = lists.split_first()?;
        let mut found = Vec::new();
        shortest.for_each(|slot| {
            if others.iter().all(|list| list.contains(slot)) {
                found.push(slot);
            }
        });
        Some(found)
    }

    /// All slots with a value of the label that matches.
    fn union(&self, matcher: &Matcher) -> Vec<u32> {
        let mut found = Vec::new();
        self.for_values(matcher, |postings| postings.for_each(|slot| found.push(slot)));
        found.sort_unstable();
        found
    }

    /// Keeps the slots that match, by testing each of them or each value of the label, whichever are fewer.
    fn sift(&self, matcher: &Matcher, slots: &[Option<Labels>], found: &mut Vec<u32>) {
        let values = self.names.get(matcher.name.as_str()).map_or(0, BTreeMap::len);
        if found.len() <= values.saturating_mul(2) {
            let labels = |slot: u32| slots.get(slot as usize).and_then(Option::as_ref);
            found.retain(|slot| labels(*slot).is_some_and(|l| matcher.matches_labels(l)));
            return;
        }
        let wanted = !matcher.matches("");
        let mut set = SlotSet(vec![0; slots.len().div_ceil(64)]);
        if wanted {
            self.for_values(matcher, |postings| postings.for_each(|slot| set.insert(slot)));
        } else {
            let all = self.names.get(matcher.name.as_str()).into_iter().flatten();
            all.filter(|(value, _)| !matcher.matches(value)).for_each(|(_, p)| p.for_each(|slot| set.insert(slot)));
        }
        found.retain(|slot| set.contains(*slot) == wanted);
    }

    /// Visits the posting lists of the values that match. A list of plain words is looked up word by word, a pattern
    /// that begins with plain characters tests only the values that begin with them.
    fn for_values(&self, matcher: &Matcher, mut visit: impl FnMut(&Postings)) {
        let Some(values) = self.names.get(matcher.name.as_str()) else { return };
        if matcher.op == MatchOp::Regex {
            if is_plain(&matcher.value, true) {
                let mut words: Vec<&str> = matcher.value.split('|').collect();
                words.sort_unstable();
                words.dedup();
                words.into_iter().filter_map(|word| values.get(word)).for_each(visit);
                return;
            }
            let prefix = plain_prefix(&matcher.value);
            let from = (Bound::Included(prefix), Bound::Unbounded);
            let candidates = values.range::<str, _>(from).take_while(|(value, _)| value.starts_with(prefix));
            candidates.filter(|(value, _)| matcher.matches(value)).for_each(|(_, p)| visit(p));
            return;
        }
        values.iter().filter(|(value, _)| matcher.matches(value)).for_each(|(_, p)| visit(p));
    }
}

fn is_plain_char(c: char) -> bool {
    !matches!(c, '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' | '#' | '&' | '~')
}

fn is_plain(pattern: &str, alternatives: bool) -> bool {
    pattern.chars().all(|c| is_plain_char(c) || (alternatives && c == '|'))
}

/// The characters that every match begins with.
fn plain_prefix(pattern: &str) -> &str {
    if pattern.contains('|') {
        return "";
    }
    let end = pattern.find(|c| !is_plain_char(c)).unwrap_or(pattern.len());
    // A quantifier may make the character before it optional.
    let quantified = pattern[end..].starts_with(['*', '?', '{']);
    let prefix = &pattern[..end];
    match prefix.char_indices().next_back() {
        Some((last, _)) if quantified => &prefix[..last],
        _ => prefix,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_of_a_pattern_never_says_too_much() {
        let check = |pattern: &str, prefix: &str| assert_eq!(plain_prefix(pattern), prefix, "{pattern}");
        check("web-.*", "web-");
        check("web-?x", "web");
        check("a{0,1}b", "");
        check("ünï*", "ün");
        check("(?i)abc", "");
        check("abc|abd", "");
        check("abc+", "abc");
        check("^abc", "");
    }
}
