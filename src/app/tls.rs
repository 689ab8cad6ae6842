//! The process-wide choice of cryptography: rustls with ring.

/// Installs the provider; does nothing if one is there.
pub fn install() {
    // An error means that a provider was installed before, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
