//! Reads an answer's body with a limit that counts what comes out of the decompression, as it comes out.

use std::sync::Arc;

use reqwest::Response;
use tokio::sync::Semaphore;

use super::{QUOTED_BYTES_MAX, RemoteError};

/// Answers up to this size may be read side by side.
const SMALL_BYTES_MAX: usize = 1 << 20;
/// Answers above it that are read at the same time: what many answers take together stays bounded.
pub(super) const LARGE_AT_ONCE_MAX: usize = 2;

/// Reads a body of at most `bytes_max`.
pub(super) async fn read(
    mut response: Response,
    bytes_max: usize,
    large: &Arc<Semaphore>,
) -> Result<Vec<u8>, RemoteError> {
    let mut body = Vec::new();
    let mut place = None;
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok(body),
            Err(error) => {
                let why = innermost(&error.without_url());
                let message = format!("the answer broke off after {} bytes: {why}: {}", body.len(), quoted(&body));
                return Err(RemoteError::Store(message));
            }
        };
        if body.len() + chunk.len() > bytes_max {
            let message = format!("the answer is longer than max_response_bytes, {bytes_max}: {}", quoted(&body));
            return Err(RemoteError::Store(message));
        }
        if body.len() + chunk.len() > SMALL_BYTES_MAX && place.is_none() {
            place = Arc::clone(large).acquire_owned().await.ok();
        }
        body.extend_from_slice(&chunk);
    }
}

/// The beginning of a body, for messages.
pub(super) fn quoted(body: &[u8]) -> String {
    let head = body.get(..QUOTED_BYTES_MAX).unwrap_or(body);
    let more = if head.len() < body.len() { "…" } else { "" };
    format!("{:?}{more}", String::from_utf8_lossy(head))
}

/// The cause that says most: transport errors wrap it several times.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
