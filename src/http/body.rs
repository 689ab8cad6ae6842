//! Request bodies: read with a limit, unpacked with a limit, counted against a budget that all requests share.

use std::io::Read;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{ApiError, ErrorKind};

/// Largest body of a form.
pub const FORM_BYTES_MAX: usize = 1 << 20;
/// Largest JSON body of a change.
pub const JSON_BYTES_MAX: usize = 1 << 20;
/// Largest JSON body of alerts that another program reports.
pub const ALERTS_BYTES_MAX: usize = 16 << 20;
/// Largest body of an import as it comes over the wire.
pub const IMPORT_BYTES_MAX: usize = 32 << 20;
/// Largest body of an import after unpacking.
pub const UNPACKED_BYTES_MAX: usize = 64 << 20;
/// Largest body of a remote write, packed and unpacked.
pub const WRITE_BYTES_MAX: usize = 32 << 20;
/// Bytes that a byte of a snappy block stands for at most: an element of three bytes copies up to 64.
const SNAPPY_RATIO_MAX: usize = 64;
/// Bytes of all bodies in memory at once, unpacked ones included.
pub const ALL_BODIES_BYTES_MAX: usize = 256 << 20;

const UNIT: usize = 1024;

/// The memory that bodies may take together.
#[derive(Clone)]
pub struct Budget {
    free: Arc<Semaphore>,
    max: usize,
}

impl Budget {
    /// So many bytes, at most [`ALL_BODIES_BYTES_MAX`].
    pub fn new(bytes: usize) -> Self {
        let max = bytes.min(ALL_BODIES_BYTES_MAX) / UNIT * UNIT;
        Self { free: Arc::new(Semaphore::new(max / UNIT)), max }
    }

    /// Room for so many bytes more of a request that has `held` already. What can never fit is told apart from what
    /// does not fit now.
    fn take(&self, held: usize, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let whole = held.saturating_add(bytes);
        if whole > self.max {
            let message = format!("{whole} bytes are more than there is memory for, {}", self.max);
            return Err(ApiError::new(ErrorKind::TooLarge, message));
        }
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let busy = |_| ApiError::new(ErrorKind::Unavailable, "too many large requests at once");
        Arc::clone(&self.free).try_acquire_many_owned(units).map_err(busy)
    }
}

/// A body in memory; gives its share of the budget back when dropped.
pub struct Held {
    /// The bytes.
    pub bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

/// Reads a body of at most `bytes_max`. A declared length is checked before anything is read.
pub async fn read(headers: &HeaderMap, body: Body, bytes_max: usize, budget: &Budget) -> Result<Held, ApiError> {
    let bytes_max = bytes_max.min(budget.max);
    let too_large = || ApiError::new(ErrorKind::TooLarge, format!("the body is longer than {bytes_max} bytes"));
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|n| n > bytes_max) {
        return Err(too_large());
    }
    let mut body = body;
    let mut bytes = BytesMut::new();
    let mut share: Option<OwnedSemaphorePermit> = None;
    let mut taken = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| ApiError::bad(format!("cannot read the body: {e}")))?;
        let Ok(chunk) = frame.into_data() else { continue };
        if bytes.len() + chunk.len() > bytes_max {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
        if bytes.len() > taken {
            // In steps of 64 KiB, so that small chunks do not each ask.
            let more = (bytes.len() - taken).max(64 * UNIT);
            let permit = budget.take(taken, more)?;
            taken += more;
            match &mut share {
                Some(share) => share.merge(permit),
                None => share = Some(permit),
            }
        }
    }
    Ok(Held { bytes: bytes.freeze(), _share: share })
}

/// Unpacks a body as `Content-Encoding` says: nothing, `identity` or `gzip`. Blocks: call it where blocking is allowed.
pub fn unpack(encoding: Option<&str>, held: Held, budget: &Budget) -> Result<Held, ApiError> {
    match encoding.map(str::trim).map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "identity") => Ok(held),
        Some("gzip" | "x-gzip") => gunzip(&held.bytes, UNPACKED_BYTES_MAX, budget),
        Some(other) => {
            Err(ApiError::new(ErrorKind::MediaType, format!("content encoding {other:?} is not read; use gzip")))
        }
    }
}

fn gunzip(packed: &[u8], bytes_max: usize, budget: &Budget) -> Result<Held, ApiError> {
    let mut out = Vec::new();
    let mut share: Option<OwnedSemaphorePermit> = None;
    let mut decoder = MultiGzDecoder::new(packed);
    let mut taken = 0;
    loop {
        let step = 1 << 20;
        let permit = budget.take(packed.len() + taken, step)?;
        taken += step;
        match &mut share {
            Some(share) => share.merge(permit),
            None => share = Some(permit),
        }
        let read = (&mut decoder).take(step as u64).read_to_end(&mut out);
        let n = read.map_err(|e| ApiError::bad(format!("cannot unpack the gzip body: {e}")))?;
        if out.len() > bytes_max {
            let message = format!("the body unpacks to more than {bytes_max} bytes");
            return Err(ApiError::new(ErrorKind::TooLarge, message));
        }
        if n == 0 {
            return Ok(Held { bytes: Bytes::from(out), _share: share });
        }
    }
}

/// Bytes that a snappy block says it unpacks to; checked against a limit before any room is made for them.
pub fn unsnapped_len(packed: &[u8], bytes_max: usize) -> Result<usize, ApiError> {
    let declared = snap::raw::decompress_len(packed);
    let len = declared.map_err(|e| ApiError::bad(format!("cannot unpack the snappy body: {e}")))?;
    if len > bytes_max {
        let message = format!("the body unpacks to {len} bytes; at most {bytes_max} are taken");
        return Err(ApiError::new(ErrorKind::TooLarge, message));
    }
    // No block packs better than this: what says so lies, and gets no room.
    if len / SNAPPY_RATIO_MAX > packed.len() {
        return Err(ApiError::bad(format!("a snappy body of {} bytes cannot unpack to {len}", packed.len())));
    }
    Ok(len)
}

/// Unpacks a snappy block (not the framed format), as remote write sends it.
pub fn unsnap(held: Held, bytes_max: usize, budget: &Budget) -> Result<Held, ApiError> {
    let len = unsnapped_len(&held.bytes, bytes_max)?;
    // As much again for what it is read into.
    let share = budget.take(held.bytes.len(), len.saturating_mul(2))?;
    let mut out = vec![0; len];
    let unpacked = snap::raw::Decoder::new().decompress(&held.bytes, &mut out);
    unpacked.map_err(|e| ApiError::bad(format!("cannot unpack the snappy body: {e}")))?;
    Ok(Held { bytes: Bytes::from(out), _share: Some(share) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_snappy_body_is_refused_by_the_length_it_declares_before_any_room_is_made() {
        let check = |packed: &[u8], kind: ErrorKind, said: &str| {
            let error = unsnapped_len(packed, WRITE_BYTES_MAX).expect_err("must be refused");
            assert_eq!(error.kind, kind, "{}", error.message);
            assert!(error.message.contains(said), "{}", error.message);
        };
        check(&[0xff, 0xff, 0xff, 0xff, 0x0f], ErrorKind::TooLarge, "unpacks to 4294967295 bytes");
        check(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff], ErrorKind::BadData, "cannot unpack");
        check(&[0x80, 0x80, 0x80, 0x08, 0, 0], ErrorKind::BadData, "cannot unpack to 16777216");
        let budget = Budget::new(ALL_BODIES_BYTES_MAX);
        let held = |bytes: Vec<u8>| Held { bytes: Bytes::from(bytes), _share: None };
        let packed = snap::raw::Encoder::new().compress_vec(&vec![7; 100_000]).unwrap();
        let whole = unsnap(held(packed.clone()), WRITE_BYTES_MAX, &budget).map_err(|e| e.message).unwrap();
        assert_eq!(whole.bytes.len(), 100_000);
        for cut in [1, packed.len() / 2, packed.len() - 1] {
            let error = unsnap(held(packed[..cut].to_vec()), WRITE_BYTES_MAX, &budget).err().expect("torn");
            assert_eq!(error.kind, ErrorKind::BadData, "{}", error.message);
        }
    }

    #[test]
    fn a_gzip_bomb_stops_at_the_limit_and_gives_its_memory_back() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![b'x'; 4 << 20]).unwrap();
        let bomb = packer.finish().unwrap();
        assert!(bomb.len() < 8 * UNIT);
        let budget = Budget::new(ALL_BODIES_BYTES_MAX);
        let free = budget.free.available_permits();
        let refused = gunzip(&bomb, 1 << 20, &budget).err().map(|e| (e.kind, e.message));
        assert_eq!(refused, Some((ErrorKind::TooLarge, "the body unpacks to more than 1048576 bytes".to_owned())));
        assert_eq!(budget.free.available_permits(), free);
        let held = gunzip(&bomb, 4 << 20, &budget).map_err(|e| e.message).unwrap();
        assert_eq!(held.bytes.len(), 4 << 20);
        assert!(budget.free.available_permits() <= free - (4 << 20) / UNIT);
        drop(held);
        assert_eq!(budget.free.available_permits(), free);
    }

    #[tokio::test]
    async fn bodies_share_one_budget() {
        let budget = Budget::new(100 * UNIT);
        let read = |n: usize| {
            let budget = budget.clone();
            async move { read(&HeaderMap::new(), Body::from(vec![0; n]), 1 << 20, &budget).await }
        };
        let first = read(60 * UNIT).await.map_err(|e| e.message).unwrap();
        assert_eq!(read(60 * UNIT).await.err().map(|e| e.kind), Some(ErrorKind::Unavailable));
        drop(first);
        assert!(read(60 * UNIT).await.is_ok());
        // What can never fit is not asked to come again.
        assert_eq!(read(200 * UNIT).await.err().map(|e| e.kind), Some(ErrorKind::TooLarge));
        let zeros = snap::raw::Encoder::new().compress_vec(&vec![0; 60 * UNIT]).unwrap();
        let packed = Held { bytes: Bytes::from(zeros), _share: None };
        let large = unsnap(packed, WRITE_BYTES_MAX, &budget).err().map(|e| e.kind);
        assert_eq!(large, Some(ErrorKind::TooLarge), "with what it is read into it is too large");
        let budget = Budget::new((2 << 20) + 1);
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![b'x'; 8 << 20]).unwrap();
        let large = gunzip(&packer.finish().unwrap(), UNPACKED_BYTES_MAX, &budget).err().map(|e| e.kind);
        assert_eq!(large, Some(ErrorKind::TooLarge), "unpacked step by step it is too large");
        let last = super::read(&HeaderMap::new(), Body::from(vec![0; (2 << 20) + 1]), 4 << 20, &budget).await;
        assert_eq!(last.err().map(|e| e.kind), Some(ErrorKind::TooLarge), "a byte that no unit is left for");
    }
}
