//! TLS to the mail server: rustls with ring; certificates from the system or from `tls_config`.
//!
//! Certificates and keys are read at each connection, so that renewed ones need no reload.

use std::fmt::Display;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::problem::Problem;
use crate::config::TlsConfig;
use crate::model::Timestamp;
use crate::notify::handler::FailureClass;
use crate::telemetry::visible::{shortened, visible};

/// A connection after the handshake.
pub(super) type Encrypted = TlsStream<TcpStream>;

/// Longest text of a certificate's error, in characters.
const ERROR_CHARS_MAX: usize = 300;

/// The handshake.
pub(super) async fn connect(config: &TlsConfig, host: &str, stream: TcpStream) -> Result<Encrypted, Problem> {
    // A file that cannot be read may be there at the next attempt.
    let client = client(config).map_err(|message| Problem::later(FailureClass::Config, message))?;
    let name = config.server_name.as_deref().unwrap_or(host);
    let name = ServerName::try_from(name.to_owned()).map_err(|_| {
        Problem::never(FailureClass::Config, format!("`{name}` is no name that a certificate can have"))
    })?;
    TlsConnector::from(Arc::new(client)).connect(name, stream).await.map_err(|error| problem(&error))
}

/// A certificate that is not accepted is no matter of time; everything else may be.
fn problem(error: &std::io::Error) -> Problem {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let harmless = |text: String| visible(&shortened(&text, ERROR_CHARS_MAX)).into_owned();
    match inner {
        Some(rustls::Error::InvalidCertificate(why)) => {
            Problem::never(FailureClass::Tls, harmless(format!("the server's certificate {}", certificate(why))))
        }
        Some(other) => Problem::later(FailureClass::Tls, harmless(other.to_string())),
        None => Problem::later(FailureClass::Network, harmless(error.to_string())),
    }
}

fn certificate(error: &CertificateError) -> String {
    let day = |time: &UnixTime| Timestamp::from_secs(i64::try_from(time.as_secs()).unwrap_or(i64::MAX)).to_string();
    match error {
        CertificateError::ExpiredContext { not_after, .. } => format!("expired at {}", day(not_after)),
        CertificateError::NotValidYetContext { not_before, .. } => format!("is not valid before {}", day(not_before)),
        CertificateError::UnknownIssuer => "is of an authority that is not trusted (`ca_file` names others)".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            // Each stands as `DnsName("mail.example")`.
            let names = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name));
            format!("is for {}, not for {}", names.collect::<Vec<_>>().join(", "), expected.to_str())
        }
        other => format!("is not accepted: {other}"),
    }
}

/// How a client encrypts whose servers the authorities of a file vouch for, or those of the system; the error names what
/// cannot be used.
pub fn tls_client(ca_file: Option<String>) -> Result<ClientConfig, String> {
    client(&TlsConfig { ca_file, ..TlsConfig::default() })
}

fn client(config: &TlsConfig) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let failed = |what: &str, error: &dyn Display| format!("{what}: {error}");
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|e| failed("TLS", &e))?;
    let builder = if config.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
    } else if let Some(path) = &config.ca_file {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|e| failed(path, &e))?;
        }
        builder.with_root_certificates(roots)
    } else {
        let system = rustls_platform_verifier::Verifier::new(provider);
        let system = system.map_err(|e| failed("the system's certificate authorities", &e))?;
        builder.dangerous().with_custom_certificate_verifier(Arc::new(system))
    };
    match (&config.cert_file, &config.key_file) {
        (Some(chain), Some(key)) => {
            let private = PrivateKeyDer::from_pem_file(key).map_err(|e| failed(key, &e))?;
            builder.with_client_auth_cert(certificates(chain)?, private).map_err(|e| failed(chain, &e))
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(format!("{path}: no certificate in it")),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{path}: {error}")),
    }
}

/// `insecure_skip_verify`.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
