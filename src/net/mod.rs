//! What the clients over HTTP share, be it to tell people, to ask a store or to write to one: addresses that nothing may be
//! sent to, the search for a name, certificates, the way of errors and answers into texts, pauses between attempts.
//!
//! Place in the flow: below `notify` and `store`, which make requests and judge answers. Never follows a redirect, never
//! uses a proxy that the environment names, never shows a secret.

pub mod address;
mod client;
mod pause;
mod resolve;
mod scrub;

pub use client::{Certificates, chain, client, find, innermost, install};
pub use pause::{RETRY_AFTER_MAX, asked, backoff, fraction, retry_after};
pub use resolve::{LookUp, ResolveError, Resolver, system};
pub use scrub::{QUOTE_CHARS_MAX, REDACTED, Scrub, quote, shown};
