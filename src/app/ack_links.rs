//! Signed links by which people say from a message that they look after an alert.
//!
//! A link names the alert's fingerprint, its episode, when the link ends, and the message that it stands in; a tag over
//! these and the rule's uid proves that this installation wrote it. The key is made once and kept with the state. That a
//! link was used is kept with what routing knows of the alert.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use tracing::warn;

use super::hub::Hub;
use super::keeper::Others;
use crate::model::alert::CANARY;
use crate::model::{Fingerprint, Notice, Timestamp};
use crate::notify::message::hex;
use crate::persist::{Kind, Record};

/// How long a link of a message can be used.
pub const LINK_VALID: Duration = Duration::from_secs(7 * 24 * 3600);
/// Bytes of the key.
const KEY_LEN: usize = 32;
/// Bytes of a link before its tag.
const CLAIM_LEN: usize = 32;
/// Bytes of the tag that a link carries.
const TAG_LEN: usize = 16;
/// The record of the key.
const SETTING: &str = "link_key";

/// What a link says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The alert.
    pub fingerprint: Fingerprint,
    /// The beginning of its episode.
    pub active_at: Timestamp,
    /// When the link ends.
    pub ends_at: Timestamp,
    /// The message it stands in.
    pub message: u64,
}

impl Claim {
    fn bytes(self) -> Vec<u8> {
        let numbers =
            [self.fingerprint.0, self.active_at.0.cast_unsigned(), self.ends_at.0.cast_unsigned(), self.message];
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let mut numbers = bytes.chunks_exact(8).map(|chunk| chunk.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)));
        let fingerprint = Fingerprint(numbers.next()?);
        let active_at = Timestamp(numbers.next()?.cast_signed());
        let ends_at = Timestamp(numbers.next()?.cast_signed());
        Some(Self { fingerprint, active_at, ends_at, message: numbers.next()? })
    }
}

/// A link that was read; whether this installation made it shows with the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it says.
    pub claim: Claim,
    tag: Vec<u8>,
}

impl Token {
    /// Reads the last part of a link's path; `None` where it is none.
    pub fn read(text: &str) -> Option<Self> {
        let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        if text.len() != 2 * (CLAIM_LEN + TAG_LEN) {
            return None;
        }
        let pairs =
            text.as_bytes().chunks_exact(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?));
        let bytes = pairs.collect::<Option<Vec<u8>>>()?;
        let (claim, tag) = bytes.split_at_checked(CLAIM_LEN)?;
        Some(Self { claim: Claim::of(claim)?, tag: tag.to_vec() })
    }
}

/// The key of links.
pub struct AckLinks {
    key: Mutex<Option<[u8; KEY_LEN]>>,
    /// Whether messages carry links: people can follow one.
    offered: AtomicBool,
}

impl Default for AckLinks {
    fn default() -> Self {
        let mut key = [0; KEY_LEN];
        // Without randomness no link is made, and none is taken.
        let key = SystemRandom::new().fill(&mut key).is_ok().then_some(key);
        if key.is_none() {
            warn!("The system gives no random numbers; messages carry no links to acknowledge alerts");
        }
        Self { key: Mutex::new(key), offered: AtomicBool::new(false) }
    }
}

impl AckLinks {
    /// Goes on with the key that was stored; the record to be stored where there was none.
    pub fn restore(&self, settings: &[Record]) -> Option<Record> {
        let stored = settings.iter().find(|record| record.id == SETTING).and_then(|record| read_key(&record.value));
        match stored {
            Some(key) => {
                *self.key() = Some(key);
                None
            }
            None => self.record(),
        }
    }

    /// The key as a record.
    pub fn record(&self) -> Option<Record> {
        let key = (*self.key())?;
        Some(Record { kind: Kind::Setting, id: SETTING.to_owned(), value: format!("\"{}\"", hex(&key)) })
    }

    /// From now on messages carry links, or do not.
    pub fn offer(&self, offered: bool) {
        self.offered.store(offered, Ordering::Relaxed);
    }

    /// Writes links into a notice, one for each alert that fires.
    pub fn sign(&self, notice: &mut Notice) {
        if !self.offered.load(Ordering::Relaxed) {
            return;
        }
        let Some(key) = self.hmac_key() else { return };
        let digest = ring::digest::digest(&ring::digest::SHA256, notice.id.as_bytes());
        let message = digest.as_ref().iter().take(8).fold(0u64, |n, b| n << 8 | u64::from(*b));
        let ends_at = notice.at.plus(LINK_VALID);
        for transition in &mut notice.transitions {
            let alert = &transition.alert;
            if transition.kind.is_end() || *alert.rule_uid == *CANARY {
                continue;
            }
            let claim = Claim { fingerprint: alert.fingerprint, active_at: alert.active_at, ends_at, message };
            let tag = hmac::sign(&key, &signed(&claim, &alert.rule_uid));
            let tag = tag.as_ref().get(..TAG_LEN).unwrap_or_default();
            let link = format!("{}{}", hex(&claim.bytes()), hex(tag));
            Arc::make_mut(transition).link = Some(link.into());
        }
    }

    /// Whether this installation made a link for an alert of a rule.
    pub fn made(&self, token: &Token, rule_uid: &str) -> bool {
        let Some(key) = self.hmac_key() else { return false };
        let tag = hmac::sign(&key, &signed(&token.claim, rule_uid));
        // In constant time, so that a tag cannot be found byte by byte.
        let differ = tag.as_ref().iter().zip(&token.tag).fold(0, |differ, (a, b)| differ | (a ^ b));
        token.tag.len() == TAG_LEN && differ == 0
    }

    fn hmac_key(&self) -> Option<hmac::Key> {
        (*self.key()).map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    fn key(&self) -> std::sync::MutexGuard<'_, Option<[u8; KEY_LEN]>> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    /// Records of what is stored one by one, and with all else when that is lost.
    pub(super) fn others(&self) -> Others<'_> {
        Others { heartbeats: &self.heartbeats, links: &self.links }
    }

    /// Goes on with the key that was stored, or stores one.
    pub(super) fn restore_links(&self, settings: &[Record]) {
        if let Some(key) = self.links.restore(settings) {
            // Where it cannot be stored now, it is with everything else later; until then it lives in memory.
            let _ = self.keeper.put_now(vec![key], Vec::new());
        }
    }
}

/// What the tag is over.
fn signed(claim: &Claim, rule_uid: &str) -> Vec<u8> {
    [b"ack\0".as_slice(), &claim.bytes(), rule_uid.as_bytes()].concat()
}

fn read_key(value: &str) -> Option<[u8; KEY_LEN]> {
    let text = value.trim_matches('"');
    let byte = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
    if text.len() != 2 * KEY_LEN || !text.is_ascii() {
        return None;
    }
    (0..KEY_LEN).map(byte).collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TransitionKind;
    use crate::notify::console::tests::{notice, transition};

    #[test]
    fn a_link_says_what_was_signed_and_holds_for_its_rule_and_key_alone() {
        let links = AckLinks::default();
        let mut told = notice(vec![transition(TransitionKind::Fired)]);
        links.sign(&mut told);
        assert_eq!(told.transitions[0].link, None, "not offered");
        links.offer(true);
        links.sign(&mut told);
        let alert = told.transitions[0].alert.clone();
        let link = told.transitions[0].link.clone().unwrap();
        let token = Token::read(&link).unwrap();
        assert_eq!(
            (token.claim.fingerprint, token.claim.active_at, token.claim.ends_at),
            (alert.fingerprint, alert.active_at, told.at.plus(LINK_VALID))
        );
        assert!(links.made(&token, &alert.rule_uid));
        assert!(!links.made(&token, "another"));
        assert!(!AckLinks::default().made(&token, &alert.rule_uid), "another key");
        let other = AckLinks::default();
        assert_eq!(other.restore(&[links.record().unwrap()]), None);
        assert!(other.made(&token, &alert.rule_uid), "the key that was stored");
        for at in 0..link.len() {
            let mut changed = link.as_bytes().to_vec();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let token = Token::read(std::str::from_utf8(&changed).unwrap()).unwrap();
            assert!(!links.made(&token, &alert.rule_uid), "changed at {at}");
        }
        assert!(
            Token::read("").is_none() && Token::read(&link[1..]).is_none() && Token::read(&"é".repeat(48)).is_none()
        );
    }
}
