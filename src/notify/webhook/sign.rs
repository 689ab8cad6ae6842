//! The signature of a request, by which a receiver knows that alertd sent it, and when: HMAC-SHA256 over the time and the
//! body, in the header `X-Alertd-Signature: t=SECONDS,v1=HEX`. Also checks one.

use std::time::Duration;

use ring::hmac;
use thiserror::Error;

use crate::model::Timestamp;
use crate::notify::message::hex;

/// The header.
pub const SIGNATURE_HEADER: &str = "x-alertd-signature";
/// How old a signature may be where nothing else is said.
pub const TOLERANCE: Duration = Duration::from_secs(300);
/// Most signatures of one header; a receiver that changes its key sees two.
const SIGNATURES_MAX: usize = 10;

/// Why a signature is not accepted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    /// It is not of the form.
    #[error("the signature is not of the form `t=SECONDS,v1=HEX`")]
    Malformed,
    /// It is too old, or from the future.
    #[error("the signature was made at {made}, which is more than {} away from now", crate::model::format_duration(*.tolerance))]
    Stale {
        /// When it was made.
        made: Timestamp,
        /// How far that may be.
        tolerance: Duration,
    },
    /// It was made with another key or of another body.
    #[error("the signature does not fit the body: another secret, or the body was changed")]
    Mismatch,
}

/// The header's value for a body sent at an instant.
pub fn sign(secret: &str, at: Timestamp, body: &[u8]) -> String {
    let seconds = at.0.div_euclid(1000);
    let tag = hmac::sign(&key(secret), &signed(seconds, body));
    format!("t={seconds},v1={}", hex(tag.as_ref()))
}

/// Whether a header's value is right for a body received at an instant. The comparison takes the same time for any value.
pub fn verify(
    secret: &str,
    header: &str,
    body: &[u8],
    now: Timestamp,
    tolerance: Duration,
) -> Result<(), SignatureError> {
    let mut seconds = None;
    let mut tags = Vec::new();
    for part in header.trim().split(',') {
        match part.trim().split_once('=') {
            Some(("t", text)) if seconds.is_none() => seconds = text.parse::<i64>().ok(),
            Some(("v1", text)) if tags.len() < SIGNATURES_MAX => {
                tags.push(bytes(text).ok_or(SignatureError::Malformed)?)
            }
            // Schemes of later versions.
            Some((name, _)) if name.starts_with('v') && name != "v1" => {}
            _ => return Err(SignatureError::Malformed),
        }
    }
    let seconds = seconds.filter(|_| !tags.is_empty()).ok_or(SignatureError::Malformed)?;
    let made = Timestamp(seconds.checked_mul(1000).ok_or(SignatureError::Malformed)?);
    let message = signed(seconds, body);
    if !tags.iter().any(|tag| hmac::verify(&key(secret), &message, tag).is_ok()) {
        return Err(SignatureError::Mismatch);
    }
    let away = made.0.abs_diff(now.0);
    if u128::from(away) > tolerance.as_millis() + 999 {
        return Err(SignatureError::Stale { made, tolerance });
    }
    Ok(())
}

fn key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

fn signed(seconds: i64, body: &[u8]) -> Vec<u8> {
    let mut message = format!("{seconds}.").into_bytes();
    message.extend_from_slice(body);
    message
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let hexadecimal = digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit);
    hexadecimal.then(|| digits.chunks(2).map(pair).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_500);

    #[test]
    fn a_signature_is_right_for_its_secret_body_and_time_alone() {
        let header = sign("key", NOW, b"{}");
        // Computed with Python's hmac module.
        assert_eq!(header, "t=1700000000,v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae");
        let check = |secret: &str, header: &str, body: &[u8], seconds: i64| {
            verify(secret, header, body, NOW.plus(Duration::from_secs(seconds.unsigned_abs())), TOLERANCE)
        };
        assert_eq!(check("key", &header, b"{}", 0), Ok(()));
        assert_eq!(check("key", &format!(" {header}, v2=abc"), b"{}", 300), Ok(()));
        assert_eq!(check("key", &header, b"{ }", 0), Err(SignatureError::Mismatch));
        assert_eq!(check("kex", &header, b"{}", 0), Err(SignatureError::Mismatch));
        assert!(matches!(check("key", &header, b"{}", 302), Err(SignatureError::Stale { .. })));
        let early = verify("key", &header, b"{}", Timestamp(NOW.0 - 400_000), TOLERANCE);
        assert!(matches!(early, Err(SignatureError::Stale { .. })));
        for bad in
            ["", "t=1", "v1=00", "t=x,v1=00", "t=1,v1=zz", "t=9223372036854775807,v1=", &header.replace("v1", "v2")]
        {
            assert_eq!(check("key", bad, b"{}", 0), Err(SignatureError::Malformed), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_panics(header in "(t=|v1=|,|[0-9a-f]{0,64}|\\PC){0,8}", body in proptest::collection::vec(0u8.., 0..20)) {
            proptest::prop_assert!(verify("k", &header, &body, NOW, TOLERANCE).is_err());
        }
    }
}
