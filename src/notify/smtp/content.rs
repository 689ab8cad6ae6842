//! What a mail says: subject, text part and what goes into the headers. Pure: the same notice gives the same mail, at
//! every attempt, after a restart and on another replica.
//!
//! **Threads.** Mail programs put messages into one conversation by `References` (RFC 5322 3.6.4). All messages about
//! one group name the same root, an identifier that is a hash of the handler and of the group's key. No message has it
//! as its own `Message-ID`: then the first one need not be known, by an outbox that forgot it or by a replica that never
//! sent it, for the others to find it. Programs that thread by the algorithm of RFC 5256 (Thunderbird, mutt, Apple Mail)
//! and Gmail take a root that nobody has seen as the head of the conversation; Outlook does so too where it reads
//! `References`, and elsewhere groups by subject. A group that fires again in a month continues its conversation:
//! nothing that stays the same over one episode, and changes with the next, is in every notice.

use lettre::message::Mailbox;
use ring::digest::{SHA256, digest};

use super::html;
use super::settings::one_line;
use super::subject;
use crate::config::smtp::SUBJECT_CHARS_MAX;
use crate::model::{Notice, Timestamp};
use crate::notify::console::{Renderer, Style};
use crate::notify::wording::Written;

/// Longest text part, in bytes; the end is cut, with a mark.
pub(super) const TEXT_BYTES_MAX: usize = 48 * 1024;
/// Longest note of a notice, in characters.
const NOTE_CHARS_MAX: usize = 500;
/// The last second of the year 9999, beyond which there is no date in a mail.
const LAST_SECOND: i64 = 253_402_300_799;

/// How mails are made, besides the notice.
pub(super) struct Manner<'a> {
    /// Own subject.
    pub subject: Option<&'a str>,
    /// How people reach this server; may be empty.
    pub external_url: &'a str,
}

/// A mail without sender and recipients.
#[derive(Debug)]
pub(super) struct Content {
    pub subject: String,
    /// Empty: no such part.
    pub text: String,
    /// Empty: no such part.
    pub html: String,
    /// Headers of alertd's own, ASCII.
    pub marks: Vec<(&'static str, String)>,
    /// Left part of the message's identifier.
    pub id: String,
    /// Left part of the conversation's identifier.
    pub thread: String,
    /// Seconds since the epoch.
    pub date: u64,
}

/// Makes the mail of a notice, as far as a receiver has not written it.
pub(super) fn compose(notice: &Notice, manner: &Manner<'_>, written: Written) -> Content {
    let own = manner.subject.map(|template| subject::of_template(template, notice, manner.external_url));
    let (subject, note) = match (written.subject, own) {
        (Some(subject), _) => (one_line(&subject, SUBJECT_CHARS_MAX), written.failed),
        (None, Some(Ok(subject))) => (subject, written.failed),
        // A message with a plain subject is worth more than none.
        (None, Some(Err(error))) => {
            (subject::standard(notice), Some(format!("The subject's template failed: {error}")))
        }
        (None, None) => (subject::standard(notice), written.failed),
    };
    let (text, html) = match (written.text, written.html) {
        (None, None) => {
            let foot = foot(notice, note.as_deref());
            (text(notice, &foot, manner.external_url), html::page(notice, &subject, &foot, manner.external_url))
        }
        (text, html) => (text.unwrap_or_default(), html.unwrap_or_default()),
    };
    Content {
        subject,
        text,
        html,
        marks: vec![
            ("Auto-Submitted", "auto-generated".to_owned()),
            // Keeps Exchange from answering with absence notes.
            ("X-Auto-Response-Suppress", "All".to_owned()),
            ("X-Alertd-Severity", notice.severity().to_string()),
            ("X-Alertd-Status", notice.kind.as_str().to_owned()),
            ("X-Alertd-Handler", one_line(&notice.handler, 100)),
        ],
        id: identifier(&notice.id),
        thread: thread(notice),
        date: u64::try_from(notice.at.0.div_euclid(1000).clamp(0, LAST_SECOND)).unwrap_or(0),
    }
}

/// The domain of identifiers: the sender's, which stays the same when the machine's name does not.
pub(super) fn domain(from: &Mailbox) -> String {
    let domain = from.email.domain();
    format!("alertd.{}", domain.trim_matches(['[', ']']).replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "."))
}

/// Why the mail came, in lines.
fn foot(notice: &Notice, note: Option<&str>) -> Vec<String> {
    let notes = notice.note.as_deref().into_iter().chain(note);
    let mut lines: Vec<String> = notes.map(|note| one_line(note, NOTE_CHARS_MAX)).collect();
    lines.push(format!("Sent by alertd, handler {}: {}", one_line(&notice.handler, 100), notice.reason.as_str()));
    let earliest = notice.news_at();
    if earliest != notice.at && earliest > Timestamp(0) {
        lines.push(format!("The news is of {earliest}; it was passed on at {}", notice.at));
    }
    lines
}

fn text(notice: &Notice, foot: &[String], external_url: &str) -> String {
    let renderer = Renderer { style: Style { colour: false, unicode: true } };
    let mut text = renderer.notice(notice);
    if text.len() > TEXT_BYTES_MAX {
        let cut = (0..=TEXT_BYTES_MAX).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(cut);
        text.push_str("... (cut)\n");
    }
    // The line that mail programs know as the begin of a signature (RFC 3676 4.3).
    text.push_str("\n-- \n");
    for line in foot {
        text.push_str(line);
        text.push('\n');
    }
    if !external_url.is_empty() {
        text.push_str(&one_line(external_url, 500));
        text.push('\n');
    }
    text
}

/// The notice's id as it may stand in a `Message-ID`; an odd one by its hash.
fn identifier(id: &str) -> String {
    let fits = !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if fits { id.to_owned() } else { hash(&[id]) }
}

fn thread(notice: &Notice) -> String {
    format!("group-{}", hash(&[&notice.handler, &notice.group.key]))
}

/// The first half of a SHA-256 over the parts, in hex; each part with its length, so that no two lists give one text.
fn hash(parts: &[&str]) -> String {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part.as_bytes());
    }
    digest(&SHA256, &all).as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
