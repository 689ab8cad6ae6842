//! Mails as a receiver of an `alertmanager.yml` words them.

use super::{Occasion, Teller};
use crate::config::alertmanager::Letter;
use crate::model::Notice;

/// Longest page and longest text together, in bytes: encoded they fit into a mail.
pub const LETTER_BYTES_MAX: usize = 160 * 1024;

/// A mail's parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Recipients, where the message decides about them.
    pub to: Option<String>,
    /// Sender, where the message decides about it.
    pub from: Option<String>,
    /// The subject, one line.
    pub subject: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The page.
    pub html: Option<String>,
    /// The text.
    pub text: Option<String>,
    /// What went wrong on the way.
    pub failed: Option<String>,
}

/// Writes the mail of a notice.
pub fn write(letter: &Letter, notice: &Notice, external_url: &str) -> Written {
    let occasion = Occasion {
        notice,
        external_url,
        fires: notice.kind == crate::model::NoticeKind::Firing,
        parameter: &|_| String::new(),
    };
    let mut shown = notice.transitions.len();
    loop {
        let mut teller = Teller::new(&letter.receiver, &occasion, shown);
        let mut written = Written {
            to: letter.to.as_ref().map(|text| teller.text(text)),
            from: letter.from.as_ref().map(|text| teller.text(text)),
            subject: teller.text(&letter.subject).replace(['\r', '\n'], " "),
            headers: letter.headers.iter().map(|(name, text)| (name.clone(), teller.text(text))).collect(),
            html: letter.html.as_ref().map(|text| teller.text(text)),
            text: letter.text.as_ref().map(|text| teller.text(text)),
            failed: None,
        };
        let bytes = written.html.as_ref().map_or(0, String::len) + written.text.as_ref().map_or(0, String::len);
        if (teller.too_long || bytes > LETTER_BYTES_MAX) && shown > 1 {
            shown /= 2;
            continue;
        }
        written.failed = teller.failed;
        return written;
    }
}
