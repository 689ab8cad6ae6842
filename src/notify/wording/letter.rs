//! Mails as a receiver of an `alertmanager.yml` words them.

use super::{Occasion, Teller};
use crate::config::alertmanager::Letter;
use crate::model::Notice;

/// Longest mail in bytes, without recipients and sender: encoded it may be sent.
pub const LETTER_BYTES_MAX: usize = 160 * 1024;

/// A mail's parts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Recipients, where the message decides about them.
    pub to: Option<String>,
    /// Sender, where the message decides about it.
    pub from: Option<String>,
    /// The subject, unless its template failed.
    pub subject: Option<String>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The page.
    pub html: Option<String>,
    /// The text; where there is no page either, the mail is alertd's own.
    pub text: Option<String>,
    /// What went wrong on the way.
    pub failed: Option<String>,
}

impl Written {
    fn bytes(&self) -> usize {
        let texts = [&self.subject, &self.html, &self.text].into_iter().flatten();
        let headers = self.headers.iter().flat_map(|(name, text)| [name, text]);
        texts.chain(headers).map(String::len).sum()
    }
}

/// Writes the mail of a notice.
pub fn write(letter: &Letter, notice: &Notice, external_url: &str) -> Written {
    let occasion = Occasion {
        notice,
        external_url,
        fires: notice.kind == crate::model::NoticeKind::Firing,
        parameter: &|_| String::new(),
    };
    let message = occasion.message(usize::MAX);
    let mut shown = notice.transitions.len();
    loop {
        let mut teller = Teller::new(&letter.receiver, &occasion, &message, shown);
        let written = Written {
            to: letter.to.as_ref().map(|text| teller.text(text)),
            from: letter.from.as_ref().map(|text| teller.text(text)),
            subject: teller.render(&letter.subject).ok(),
            headers: letter.headers.iter().map(|(name, text)| (name.clone(), teller.text(text))).collect(),
            html: letter.html.as_ref().map(|text| teller.text(text)),
            text: letter.text.as_ref().map(|text| teller.text(text)),
            failed: None,
        };
        let is_long = written.bytes() > LETTER_BYTES_MAX;
        if shown > 1 && (teller.too_long || is_long) {
            shown /= 2;
            continue;
        }
        let failed = teller.failed;
        if !is_long {
            return Written { failed, ..written };
        }
        let why = || format!("the mail was longer than {LETTER_BYTES_MAX} bytes");
        let failed = Some(failed.unwrap_or_else(why));
        return Written { failed, headers: Vec::new(), html: None, text: None, ..written };
    }
}
