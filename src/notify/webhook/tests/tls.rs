//! TLS with certificates made here: who is trusted, for how long, under which name, and who must show one.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::*;

/// An authority, whose certificate lies in a file.
struct Authority {
    folder: tempfile::TempDir,
    params: CertificateParams,
    key: KeyPair,
}

/// A certificate with its key.
struct Identity {
    cert: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pem: (String, String),
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        // Two authorities of one name would be taken for each other.
        let name = format!("authority {:?}", key.public_key_raw().get(1..9));
        params.distinguished_name.push(DnType::CommonName, name);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, params, key }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let cert = params.signed_by(&key, &issuer).unwrap();
        identity(cert.der().clone(), cert.pem(), &key)
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.params.self_signed(&self.key).unwrap().der().clone()).unwrap();
        Arc::new(roots)
    }
}

fn identity(cert: CertificateDer<'static>, pem: String, key: &KeyPair) -> Identity {
    let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Identity { cert, key: der, pem: (pem, key.serialize_pem()) }
}

fn config(identity: &Identity, clients: Option<Arc<RootCertStore>>) -> Arc<ServerConfig> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = match clients {
        Some(roots) => {
            ServerConfig::builder().with_client_cert_verifier(WebPkiClientVerifier::builder(roots).build().unwrap())
        }
        None => ServerConfig::builder().with_no_client_auth(),
    };
    Arc::new(builder.with_single_cert(vec![identity.cert.clone()], identity.key.clone_key()).unwrap())
}

/// A receiver that answers every request with 200, and with the name it was asked for.
fn serve(config: Arc<ServerConfig>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let config = Arc::clone(&config);
            std::thread::spawn(move || {
                let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                let mut head = Vec::new();
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = tls.read(&mut buffer) {
                    head.extend_from_slice(&buffer[..n]);
                    if head.windows(4).any(|w| w == b"\r\n\r\n") {
                        let name = tls.conn.server_name().unwrap_or("none").to_owned();
                        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
                        let host = text.lines().find_map(|l| l.strip_prefix("host: ")).unwrap_or("none").to_owned();
                        let body = format!("asked {name} as {}", host.split(':').next().unwrap());
                        let _ = write!(
                            tls,
                            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                            body.len()
                        );
                        return;
                    }
                }
            });
        }
    });
    port
}

async fn outcome(port: u16, tls_config: &str) -> Outcome {
    send(&handler("generic", &format!("url: 'https://localhost:{port}/x', tls_config: {{{tls_config}}}")), &firing())
        .await
}

#[track_caller]
fn rejected(outcome: &Outcome, words: &str) {
    let (retry, told, maybe_taken) = failed(outcome);
    assert!(
        !retry && !maybe_taken && told.starts_with("TLS handshake: ") && told.contains(words),
        "{told} (retry: {retry})"
    );
}

#[tokio::test]
async fn a_trusted_certificate_is_accepted_and_another_issuer_is_not() {
    let authority = Authority::new();
    let port = serve(config(&authority.issue("localhost", |_| {}), None));
    let ca = format!("ca_file: {}", authority.file("ca.pem"));
    let taken = outcome(port, &ca).await;
    assert!(
        matches!(&taken, Outcome::Sent { answer, .. } if answer == "200: asked localhost as localhost"),
        "{taken:?}"
    );
    rejected(&outcome(port, "").await, "the certificate's issuer is not trusted");
    let other = Authority::new();
    rejected(
        &outcome(port, &format!("ca_file: {}", other.file("ca.pem"))).await,
        "the certificate's issuer is not trusted",
    );
    let trusting = outcome(port, "insecure_skip_verify: true").await;
    assert!(matches!(trusting, Outcome::Sent { .. }), "{trusting:?}");
}

#[tokio::test]
async fn an_expired_certificate_is_told_with_its_date() {
    let authority = Authority::new();
    let ca = format!("ca_file: {}", authority.file("ca.pem"));
    let expired = authority.issue("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 2, 3);
    });
    rejected(&outcome(serve(config(&expired, None)), &ca).await, "the certificate expired at 2020-02-03T00:00:00Z");
    let early = authority.issue("localhost", |params| params.not_before = rcgen::date_time_ymd(2100, 1, 1));
    rejected(
        &outcome(serve(config(&early, None)), &ca).await,
        "the certificate is not valid before 2100-01-01T00:00:00Z",
    );
}

#[tokio::test]
async fn a_certificate_of_another_name_is_told_with_its_names_unless_server_name_says_so() {
    let authority = Authority::new();
    let port = serve(config(&authority.issue("hooks.internal", |_| {}), None));
    let ca = format!("ca_file: {}", authority.file("ca.pem"));
    rejected(&outcome(port, &ca).await, "the certificate is for hooks.internal, not for localhost");
    let named = outcome(port, &format!("{ca}, server_name: hooks.internal")).await;
    assert!(
        matches!(&named, Outcome::Sent { answer, .. } if answer == "200: asked hooks.internal as localhost"),
        "{named:?}"
    );
    rejected(&outcome(port, &format!("{ca}, server_name: other.internal")).await, "not for other.internal");
}

#[tokio::test]
async fn a_self_signed_certificate_is_told_as_such() {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let own = identity(cert.der().clone(), cert.pem(), &key);
    rejected(&outcome(serve(config(&own, None)), "").await, "not trusted (self-signed?)");
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_it_and_a_renewed_one_without_a_reload() {
    let authority = Authority::new();
    let port = serve(config(&authority.issue("localhost", |_| {}), Some(authority.roots())));
    let ca = format!("ca_file: {}", authority.file("ca.pem"));
    rejected(&outcome(port, &ca).await, "asks for a client certificate");
    let files = |identity: &Identity| {
        std::fs::write(authority.file("cert.pem"), &identity.pem.0).unwrap();
        std::fs::write(authority.file("key.pem"), &identity.pem.1).unwrap();
    };
    let client =
        |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let both = format!("{ca}, cert_file: {}, key_file: {}", authority.file("cert.pem"), authority.file("key.pem"));
    let sender = handler("generic", &format!("url: 'https://localhost:{port}/x', tls_config: {{{both}}}"));
    let stranger = Authority::new();
    files(&stranger.issue("client-of-another-authority.example", client));
    let (retry, told, _) = failed(&send(&sender, &firing()).await);
    assert!(!retry && told.contains("the server refused the connection"), "{told}");
    files(&authority.issue("client", client));
    let taken = send(&sender, &firing()).await;
    assert!(matches!(taken, Outcome::Sent { .. }), "{taken:?}");
    std::fs::write(authority.file("key.pem"), CANARY).unwrap();
    let (_, told, _) = failed(&send(&sender, &firing()).await);
    assert!(told.contains("hold no certificate with its key") && !told.contains("CANARY"), "{told}");
    assert!(Path::new(&authority.file("ca.pem")).exists());
}

#[tokio::test]
async fn a_server_without_tls_and_one_that_hangs_up_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    rejected(&outcome(port, "insecure_skip_verify: true").await, "the server does not speak TLS");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    let (retry, told, maybe_taken) = failed(&outcome(port, "insecure_skip_verify: true").await);
    assert!(retry && !maybe_taken, "{told}");
    assert_eq!(told, "TLS handshake: the server closed the connection");
}
