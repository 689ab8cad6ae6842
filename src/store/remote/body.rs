//! Reads an answer's body with a limit that counts what comes out of the decompression, as it comes out.

use std::sync::Arc;

use reqwest::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::RemoteError;
use crate::net::{Scrub, innermost, quote};

/// Answers up to this size may be read side by side.
const SMALL_BYTES_MAX: usize = 1 << 20;
/// Answers above it that one store may give at the same time: what they take together, decoded, stays bounded.
pub(super) const LARGE_AT_ONCE_MAX: usize = 1;

/// A body, and its place among the large ones: to be kept until it is decoded.
pub(super) struct Body {
    pub bytes: Vec<u8>,
    _place: Option<OwnedSemaphorePermit>,
}

/// Reads a body of at most `bytes_max`.
pub(super) async fn read(
    mut response: Response,
    bytes_max: usize,
    large: &Arc<Semaphore>,
    scrub: &Scrub,
) -> Result<Body, RemoteError> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut place = None;
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok(Body { bytes, _place: place }),
            Err(error) => {
                let (why, said) = (innermost(&error.without_url()), quote(&bytes, scrub));
                let message = format!("the answer broke off after {} bytes: {why}: \"{said}\"", bytes.len());
                return Err(RemoteError::Store(message));
            }
        };
        let len = bytes.len() + chunk.len();
        if len > bytes_max {
            let said = quote(&bytes, scrub);
            let message = format!("the answer is longer than max_response_bytes, {bytes_max}: \"{said}\"");
            return Err(RemoteError::Store(message));
        }
        if len > SMALL_BYTES_MAX && place.is_none() {
            place = Arc::clone(large).acquire_owned().await.ok();
        }
        if bytes.capacity() < len {
            // Doubled, but never beyond what may come.
            bytes.reserve_exact((2 * len).min(bytes_max).saturating_sub(bytes.len()));
        }
        bytes.extend_from_slice(&chunk);
    }
}
