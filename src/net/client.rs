//! The HTTP client that everything is built on, and certificates out of files.

use std::error::Error;
use std::io::Read as _;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Identity};

/// Largest file of certificates, in bytes.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// Chooses the cryptography of the process, rustls with ring; does nothing if it is chosen.
pub fn install() {
    // An error means that a provider was installed before, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client that follows no redirect and uses no proxy.
pub fn client() -> ClientBuilder {
    install();
    Client::builder()
        .no_proxy()
        .referer(false)
        .redirect(Policy::none())
        .user_agent(concat!("alertd/", env!("CARGO_PKG_VERSION")))
}

/// Certificates of a connection: files in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Authorities that are trusted instead of the system's.
    pub ca_file: Option<String>,
    /// The client's certificate and its key.
    pub identity: Option<(String, String)>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
}

impl Certificates {
    /// Reads the files and builds the client; `plain` says that it will not speak TLS. The error names the file.
    pub fn build(&self, builder: ClientBuilder, plain: bool) -> Result<Client, String> {
        let mut builder = builder.tls_danger_accept_invalid_certs(self.insecure_skip_verify);
        if let Some((cert, key)) = &self.identity {
            let both = [pem(cert)?, b"\n".to_vec(), pem(key)?].concat();
            // The words of the error could hold parts of the key.
            let identity = Identity::from_pem(&both)
                .map_err(|_| format!("{cert} and {key} hold no certificate with its key in PEM"))?;
            builder = builder.identity(identity);
        }
        if let Some(path) = &self.ca_file {
            let authorities =
                Certificate::from_pem_bundle(&pem(path)?).map_err(|e| format!("{path}: {}", chain(&e)))?;
            builder = builder.tls_certs_only(authorities);
        } else if plain || self.insecure_skip_verify {
            // Without TLS no root certificates are needed: reading them takes time, and some machines have none.
            builder = builder.tls_certs_only([]);
        }
        builder.build().map_err(|error| format!("cannot set up the client: {}", chain(&error)))
    }
}

fn pem(path: &str) -> Result<Vec<u8>, String> {
    let fail = |error: std::io::Error| format!("{path}: {error}");
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(fail)?.take(PEM_BYTES_MAX).read_to_end(&mut bytes).map_err(fail)?;
    Ok(bytes)
}

/// An error with its causes.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = inner.source();
    }
    text
}

/// The cause that says most: transport errors wrap it several times, and the outermost holds the URL.
pub fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The first error of a type among the causes. I/O errors hide theirs.
pub fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        let hidden = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = hidden.and_then(|hidden| find::<E>(hidden)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}
