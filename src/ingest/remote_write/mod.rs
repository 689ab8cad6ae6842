//! Prometheus remote write, 1.0 and 2.0: the messages, read and written.
//!
//! Place in the flow: `http` takes a body and unpacks it, [`read`] turns it into points of known series and label sets
//! of new ones, the app resolves those and appends. A sender's next request goes through [`Encoder`] and [`pack`].
//! Reading borrows everything from the body: a series that was seen before costs one hash over its encoded labels and no
//! allocation. It opens nothing, reads no clock, and does not decide what the store takes.
//!
//! Formats: <https://prometheus.io/docs/specs/prw/remote_write_spec/>,
//! <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>.

mod encode;
mod histogram;
mod known;
mod proto;
mod read;
mod refusals;
mod v1;
mod v2;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use encode::{Encoder, pack};
pub use histogram::{decode_histogram, encode_histogram};
pub use known::{Key, Known};
pub use read::{NewSeries, Page, read};
pub use refusals::Refusals;

use std::borrow::Cow;

use thiserror::Error;

/// Samples of one request; more are an error of the whole.
pub const SAMPLES_MAX: usize = 1_000_000;
/// Native histograms of one request; more are an error of the whole.
pub const HISTOGRAMS_MAX: usize = 100_000;
/// Texts in the table of a 2.0 request.
pub const SYMBOLS_MAX: usize = 1_000_000;
/// Series of one request that were not seen before.
pub const NEW_SERIES_MAX: usize = 500_000;
/// Metric families of one request that are declared.
pub const FAMILIES_MAX: usize = 100_000;
/// Bytes of labels of new series and of declared families that a request is read into: in 2.0 a text that stands once in
/// the table may be named by every series.
pub const TEXT_BYTES_MAX: usize = 128 << 20;

/// Which message a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `prometheus.WriteRequest`
    V1,
    /// `io.prometheus.write.v2.Request`
    V2,
}

/// Why a body is refused as a whole.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ReadError {
    /// It is no message of this kind.
    #[error("byte {offset} of the message: {reason}")]
    Malformed {
        /// Where, in the unpacked body.
        offset: usize,
        /// Why.
        reason: Cow<'static, str>,
    },
    /// It holds more than one request may.
    #[error("more than {max} {what} in one request")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are taken.
        max: usize,
    },
}
