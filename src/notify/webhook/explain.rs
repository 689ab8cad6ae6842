//! From an error of the HTTP client to words: which phase, what it was, and whether trying again can help.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use crate::model::Timestamp;
use crate::net::{ResolveError, chain, find, innermost};
use crate::notify::handler::{Failure, FailureClass, Phase};

/// Most names of a certificate that are told.
const NAMES_MAX: usize = 10;

/// What an exchange without an answer failed at. `connected`: a connection stood, so the request may have been sent.
pub fn failure(error: &reqwest::Error, connected: bool, https: bool) -> Failure {
    if let Some(refused) = find::<ResolveError>(error) {
        let class = match refused {
            ResolveError::Lookup { .. } => FailureClass::Network,
            ResolveError::Timeout { .. } => FailureClass::Timeout,
            ResolveError::Denied { .. } => FailureClass::Config,
        };
        return Failure { class, phase: Phase::Resolve, message: refused.to_string(), maybe_taken: false };
    }
    if let Some(tls) = find::<TlsError>(error) {
        return Failure { class: FailureClass::Tls, phase: Phase::Tls, message: certificate(tls), maybe_taken: false };
    }
    if error.is_builder() {
        let message = "the request cannot be made".to_owned();
        return Failure { class: FailureClass::Config, phase: Phase::Send, message, maybe_taken: false };
    }
    let kind = io_kind(error);
    if connected && !error.is_connect() {
        let message = match (kind, find::<hyper::Error>(error)) {
            (Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe), _) => {
                "the connection was reset before an answer came".to_owned()
            }
            (_, Some(hyper)) if hyper.is_incomplete_message() => {
                "the connection was closed before an answer came".to_owned()
            }
            (_, Some(hyper)) if hyper.is_parse() => format!("the answer is no HTTP: {}", chain(hyper)),
            _ => words(error),
        };
        return Failure { class: FailureClass::Network, phase: Phase::Answer, message, maybe_taken: true };
    }
    let (phase, message) = match kind {
        Some(io::ErrorKind::ConnectionRefused) => (Phase::Connect, "connection refused".to_owned()),
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) if https => {
            (Phase::Tls, "the server closed the connection".to_owned())
        }
        Some(io::ErrorKind::ConnectionReset) => (Phase::Connect, "the connection was reset".to_owned()),
        _ => (Phase::Connect, words(error)),
    };
    Failure { class: FailureClass::Network, phase, message, maybe_taken: false }
}

/// A failure of TLS in words.
pub fn certificate(error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(problem) => invalid(problem),
        TlsError::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server asks for a client certificate: set `cert_file` and `key_file`".to_owned()
        }
        TlsError::AlertReceived(AlertDescription::ProtocolVersion) | TlsError::PeerIncompatible(_) => {
            format!("the server speaks no version of TLS from 1.2 on ({error})")
        }
        TlsError::AlertReceived(alert) => format!("the server refused the connection: {alert:?}"),
        TlsError::InvalidMessage(_) => "the server does not speak TLS".to_owned(),
        other => other.to_string(),
    }
}

fn invalid(problem: &CertificateError) -> String {
    let time = |time: &rustls::pki_types::UnixTime| {
        Timestamp(i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000))
    };
    match problem {
        CertificateError::Expired => "the certificate has expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => format!("the certificate expired at {}", time(not_after)),
        CertificateError::NotValidYet => "the certificate is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the certificate is not valid before {}", time(not_before))
        }
        CertificateError::NotValidForName => "the certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let bare = |name: &String| {
                let name = name.strip_prefix("DnsName(\"").and_then(|n| n.strip_suffix("\")")).unwrap_or(name);
                crate::model::visible::visible(name).into_owned()
            };
            let names: Vec<String> = presented.iter().take(NAMES_MAX).map(bare).collect();
            let names = if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") };
            format!("the certificate is for {names}, not for {}", expected.to_str())
        }
        CertificateError::UnknownIssuer => {
            "the certificate's issuer is not trusted (self-signed?): name the authority in `ca_file`".to_owned()
        }
        other => format!("the certificate is not valid: {other}"),
    }
}

/// What the innermost I/O error is: those around it may call themselves something else.
fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut kind = None;
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        kind = io.map(io::Error::kind).or(kind);
        next = match io.and_then(io::Error::get_ref) {
            Some(hidden) => Some(hidden),
            None => error.source(),
        };
    }
    kind
}

/// The innermost words.
fn words(error: &reqwest::Error) -> String {
    // The outermost words hold the URL.
    if error.source().is_none() { "the request failed".to_owned() } else { innermost(error) }
}
