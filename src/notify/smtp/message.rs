//! The bytes of a mail: headers and a text and an HTML part, encoded by lettre.
//!
//! Both parts are encoded so that every line is ASCII and short, whatever stands in them; the boundary between them
//! holds characters that no encoded part can. So nothing from outside can end a part or a header.

use std::time::{Duration, SystemTime};

use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, MultiPart, SinglePart};
use thiserror::Error;

use super::content::{Content, domain};
use super::settings::Settings;

/// Largest mail, in bytes.
pub(super) const MAIL_BYTES_MAX: usize = 256 * 1024;

/// Why there is no mail.
#[derive(Debug, Error)]
pub(super) enum MessageError {
    /// Headers that do not fit together.
    #[error("the mail cannot be made: {0}")]
    Lettre(#[from] lettre::error::Error),
    /// Only with very many recipients or own headers: the parts are limited.
    #[error("the mail has {0} bytes, at most {MAIL_BYTES_MAX} are sent")]
    Large(usize),
    /// A header's name.
    #[error("`{0}` is no name of a header")]
    Name(String),
}

/// The mail with lines ending in CRLF.
pub(super) fn bytes(content: &Content, settings: &Settings) -> Result<Vec<u8>, MessageError> {
    let domain = domain(&settings.from);
    let thread = format!("<{}@{domain}>", content.thread);
    let mut builder = Message::builder()
        .from(settings.from.clone())
        .date(SystemTime::UNIX_EPOCH + Duration::from_secs(content.date))
        .message_id(Some(format!("<{}@{domain}>", content.id)))
        .in_reply_to(thread.clone())
        .references(thread)
        .subject(content.subject.clone());
    for to in &settings.to {
        builder = builder.to(to.clone());
    }
    let own = settings.headers.iter().map(|(name, value)| (name.as_str(), value.clone()));
    for (name, value) in content.marks.iter().map(|(name, value)| (*name, value.clone())).chain(own) {
        let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|_| MessageError::Name(name.to_owned()))?;
        builder = builder.raw_header(HeaderValue::new(name, value));
    }
    // `=` is escaped in quoted-printable and ends base64, so this is in neither.
    let alternatives = MultiPart::alternative().boundary(format!("=_{}", content.id));
    let message = match (content.text.as_str(), content.html.as_str()) {
        (text, "") => builder.multipart(alternatives.singlepart(part(ContentType::TEXT_PLAIN, text))),
        ("", html) => builder.multipart(alternatives.singlepart(part(ContentType::TEXT_HTML, html))),
        (text, html) => {
            let text = alternatives.singlepart(part(ContentType::TEXT_PLAIN, text));
            builder.multipart(text.singlepart(part(ContentType::TEXT_HTML, html)))
        }
    };
    let bytes = message?.formatted();
    if bytes.len() > MAIL_BYTES_MAX { Err(MessageError::Large(bytes.len())) } else { Ok(bytes) }
}

/// Quoted-printable, which people can read in the source, or base64 where that is shorter: so no part grows by more than
/// two fifths.
fn part(kind: ContentType, text: &str) -> SinglePart {
    let escaped = text.bytes().filter(|byte| !byte.is_ascii() || *byte == b'=').count();
    let encoding = match escaped * 6 > text.len() {
        true => ContentTransferEncoding::Base64,
        false => ContentTransferEncoding::QuotedPrintable,
    };
    let body = Body::new_with_encoding(text.to_owned(), encoding)
        // Never taken: both encodings hold any text.
        .unwrap_or_else(Body::new);
    SinglePart::builder().header(kind).body(body)
}
