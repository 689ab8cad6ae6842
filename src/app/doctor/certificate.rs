//! When a certificate ends, read from its DER encoding (RFC 5280 §4.1): just the path to `notAfter`.
//!
//! The chain itself is judged by the library; this finds one date in a certificate it has accepted.

use chrono::{NaiveDate, NaiveDateTime};

use crate::model::Timestamp;

const SEQUENCE: u8 = 0x30;
const CONTEXT_0: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of a certificate's validity; `None` if the bytes are no certificate.
pub(super) fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = element(der, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    if rest.first() == Some(&CONTEXT_0) {
        rest = element(rest, CONTEXT_0)?.1;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest, *rest.first()?)?.1;
    }
    let (validity, _) = element(rest, SEQUENCE)?;
    let (_, after_begin) = element(validity, *validity.first()?)?;
    let tag = *after_begin.first()?;
    let (text, _) = element(after_begin, tag)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let at = match tag {
        UTC_TIME => {
            // Two digits of the year: 50 to 99 are of the last century.
            let year: i32 = text.get(..2)?.parse().ok()?;
            let year = if year >= 50 { 1900 + year } else { 2000 + year };
            read(&format!("{year}{}", text.get(2..)?))?
        }
        GENERALIZED_TIME => read(text)?,
        _ => return None,
    };
    Some(Timestamp(at.and_utc().timestamp_millis()))
}

fn read(text: &str) -> Option<NaiveDateTime> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
    let date = NaiveDate::from_ymd_opt(text.get(..4)?.parse().ok()?, number(4..6)?, number(6..8)?)?;
    date.and_hms_opt(number(8..10)?, number(10..12)?, number(12..14)?)
}

/// The content of an element with this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..0x80 => (usize::from(first), rest),
        _ => {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 || rest.len() < count {
                return None;
            }
            let (bytes, rest) = rest.split_at(count);
            (bytes.iter().fold(0, |len, byte| (len << 8) | usize::from(*byte)), rest)
        }
    };
    (found == tag && rest.len() >= len).then(|| rest.split_at(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        match content.len() {
            len @ 0..0x80 => out.push(len as u8),
            len => out.extend([0x82, (len >> 8) as u8, len as u8]),
        }
        out.extend(content);
        out
    }

    fn certificate(version: bool, tag: u8, end: &str) -> Vec<u8> {
        let begin = tlv(UTC_TIME, b"250101000000Z");
        let validity = tlv(SEQUENCE, &[begin, tlv(tag, end.as_bytes())].concat());
        let version = if version { tlv(CONTEXT_0, &tlv(2, &[2])) } else { Vec::new() };
        let names = [tlv(2, &[1, 2, 3]), tlv(SEQUENCE, &[6, 0]), tlv(SEQUENCE, &[0; 300])].concat();
        tlv(SEQUENCE, &tlv(SEQUENCE, &[version, names, validity, tlv(SEQUENCE, &[])].concat()))
    }

    #[test]
    fn the_end_of_validity_is_found_in_both_forms() {
        for (der, want) in [
            (certificate(true, UTC_TIME, "261231235959Z"), Some("2026-12-31T23:59:59Z")),
            (certificate(false, GENERALIZED_TIME, "20510704000000Z"), Some("2051-07-04T00:00:00Z")),
            (certificate(true, UTC_TIME, "991231235959Z"), Some("1999-12-31T23:59:59Z")),
            (certificate(true, UTC_TIME, "26123123Z"), None),
            (certificate(true, 4, "261231235959Z"), None),
        ] {
            assert_eq!(not_after(&der).map(|at| at.to_string()).as_deref(), want);
        }
        let whole = certificate(true, UTC_TIME, "261231235959Z");
        for cut in 0..whole.len() {
            assert_eq!(not_after(&whole[..cut]), None, "cut at {cut}");
        }
    }
}
