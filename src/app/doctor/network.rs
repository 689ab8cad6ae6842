//! Handlers' hosts: name, connection, handshake, certificate, clock. No message is sent; a mail server is greeted.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::certificate::not_after;
use super::{Check, Grade};
use crate::config::{Handler, HandlerKind, SecretText, SmtpConfig, SmtpTls, TlsConfig};
use crate::model::Timestamp;
use crate::notify::Secrets;

/// A certificate that ends sooner than this should be renewed by now.
const CERTIFICATE_DAYS_MIN: i64 = 21;
/// A clock that differs by more than this from the server's is wrong.
const SKEW_SECS_MAX: i64 = 30;
/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 8 * 1024;

/// What is to be reached.
struct Target<'a> {
    host: String,
    port: u16,
    tls: bool,
    settings: &'a TlsConfig,
    deny_private: bool,
    limit: Duration,
}

pub(super) fn examine(what: &str, handler: &Handler, secrets: &Secrets, now: Timestamp) -> Vec<Check> {
    let failed = |found: String| vec![Check::new(what, Grade::Failure, found)];
    match &handler.kind {
        HandlerKind::Console { .. } => vec![Check::new(what, Grade::Ok, "prints to standard output")],
        HandlerKind::Smtp(config) => mail(what, config, secrets, now),
        HandlerKind::Webhook(config) => {
            // An address that a preset has holds no references.
            let fixed = config.recipe.as_ref().and_then(|preset| SecretText::parse(preset.url.as_ref()?).ok());
            let Some(url) = config.url.as_ref().or(fixed.as_ref()) else {
                return failed("has no URL".to_owned());
            };
            let proxy = config.proxy_url.as_ref();
            match target(url, proxy, (&config.tls_config, config.deny_private, config.timeout), secrets) {
                Ok(target) => vec![reach(what, &target, now)],
                Err(error) => failed(error),
            }
        }
        HandlerKind::Heartbeat(config) => {
            let Some(url) = &config.url else { return failed("has no URL".to_owned()) };
            let proxy = config.proxy_url.as_ref();
            match target(url, proxy, (&config.tls_config, config.deny_private, config.timeout), secrets) {
                Ok(target) => vec![reach(what, &target, now)],
                Err(error) => failed(error),
            }
        }
    }
}

/// The host of a URL; of the proxy, where one stands in between. The rest of a URL may be secret and is not told.
fn target<'a>(
    url: &SecretText,
    proxy: Option<&SecretText>,
    (settings, deny_private, limit): (&'a TlsConfig, bool, Duration),
    secrets: &Secrets,
) -> Result<Target<'a>, String> {
    let text = secrets.read(proxy.unwrap_or(url))?;
    let url = reqwest::Url::parse(text.expose()).map_err(|error| format!("the URL is none: {error}"))?;
    let host = url.host_str().ok_or("the URL names no host")?.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().ok_or("the URL names no port")?;
    let tls = url.scheme() == "https";
    Ok(Target { host, port, tls, settings, deny_private: deny_private && proxy.is_none(), limit })
}

/// A connection, or the check that failed.
fn connect(what: &str, target: &Target<'_>) -> Result<TcpStream, Check> {
    let unreachable = |found: String, help: &str| {
        let check = Check::new(what, Grade::Failure, found).with_help(help);
        Check { unreachable: true, ..check }
    };
    let Target { host, port, .. } = target;
    let addresses: Vec<SocketAddr> = (host.as_str(), *port)
        .to_socket_addrs()
        .map_err(|e| {
            unreachable(format!("resolving the host name: {host}: {e}"), "check the name and this machine's DNS")
        })?
        .collect();
    let denied = |ip: IpAddr| crate::net::address::denied(ip, target.deny_private);
    let Some(address) = addresses.iter().find(|address| denied(address.ip()).is_none()) else {
        let found = addresses.first().map_or_else(
            || format!("{host} has no address"),
            |address| format!("{host} is {}, {}: not allowed", address.ip(), denied(address.ip()).unwrap_or_default()),
        );
        return Err(Check::new(what, Grade::Failure, found));
    };
    let stream = TcpStream::connect_timeout(address, target.limit).map_err(|e| {
        unreachable(format!("connecting: {address}: {e}"), "check the port and the firewalls in between")
    })?;
    let _ = stream.set_read_timeout(Some(target.limit));
    let _ = stream.set_write_timeout(Some(target.limit));
    Ok(stream)
}

fn reach(what: &str, target: &Target<'_>, now: Timestamp) -> Check {
    let stream = match connect(what, target) {
        Ok(stream) => stream,
        Err(check) => return check,
    };
    let ask = format!("HEAD / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", target.host);
    if !target.tls {
        let date = ask_date(stream, &ask);
        return judged(what, target, None, date, now);
    }
    match shake_hands(target, stream) {
        Ok((stream, end)) => judged(what, target, end, ask_date(stream, &ask), now),
        Err(found) => Check { unreachable: true, ..tls_failure(what, found) },
    }
}

fn tls_failure(what: &str, found: String) -> Check {
    Check::new(what, Grade::Failure, format!("TLS handshake: {found}"))
        .with_help("check the host's certificate; a private authority goes into `tls_config: {ca_file: …}`")
}

type Secure = StreamOwned<ClientConnection, TcpStream>;

/// The handshake; the stream and the end of the certificate.
fn shake_hands(target: &Target<'_>, stream: TcpStream) -> Result<(Secure, Option<Timestamp>), String> {
    let config = client_config(target.settings)?;
    let name = target.settings.server_name.clone().unwrap_or_else(|| target.host.clone());
    let name = ServerName::try_from(name).map_err(|e| e.to_string())?;
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(|e| e.to_string())?;
    let mut stream = stream;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(|error| error.to_string())?;
    }
    let end = connection.peer_certificates().and_then(|chain| not_after(chain.first()?));
    Ok((StreamOwned::new(connection, stream), end))
}

fn client_config(tls: &TlsConfig) -> Result<ClientConfig, String> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let builder = ClientConfig::builder();
    let builder = match &tls.ca_file {
        None => builder.with_platform_verifier().map_err(|e| e.to_string())?,
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(path).map_err(|e| format!("{path}: {e}"))? {
                roots.add(certificate.map_err(|e| format!("{path}: {e}"))?).map_err(|e| format!("{path}: {e}"))?;
            }
            builder.with_root_certificates(roots)
        }
    };
    match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => {
            let chain: Result<Vec<_>, _> =
                CertificateDer::pem_file_iter(cert).map_err(|e| format!("{cert}: {e}"))?.collect();
            let chain = chain.map_err(|e| format!("{cert}: {e}"))?;
            // The words of this error could hold parts of the key.
            let key = PrivateKeyDer::from_pem_file(key).map_err(|_| format!("{key} holds no key in PEM"))?;
            builder.with_client_auth_cert(chain, key).map_err(|e| e.to_string())
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

/// The server's `Date`, if it answers.
fn ask_date(mut stream: impl Read + Write, ask: &str) -> Option<Timestamp> {
    stream.write_all(ask.as_bytes()).ok()?;
    let mut answer = Vec::new();
    let _ = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    let line = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date").then(|| value.trim().to_owned())
    })?;
    let at = chrono::DateTime::parse_from_rfc2822(&line).ok()?;
    Some(Timestamp(at.timestamp_millis()))
}

fn judged(what: &str, target: &Target<'_>, end: Option<Timestamp>, date: Option<Timestamp>, now: Timestamp) -> Check {
    let mut found = format!("{}:{} answers", target.host, target.port);
    if target.tls && target.settings.insecure_skip_verify {
        found.push_str(", its certificate is not checked when messages are sent");
    }
    if let Some(end) = end {
        let days = (end.0 - now.0) / 86_400_000;
        found.push_str(&format!(", certificate valid for {days} days"));
        if days < CERTIFICATE_DAYS_MIN {
            return Check::new(what, Grade::Warning, found).with_help("renew the certificate");
        }
    }
    if let Some(date) = date {
        let skew = (date.0 - now.0) / 1000;
        if skew.abs() > SKEW_SECS_MAX {
            found.push_str(&format!(", its clock differs by {skew} s"));
            return Check::new(what, Grade::Warning, found).with_help("one of the two clocks is wrong: run NTP here");
        }
    }
    Check::new(what, Grade::Ok, found)
}

/// A mail server: greeting, EHLO, STARTTLS, and whether it offers what the settings need.
fn mail(what: &str, config: &SmtpConfig, secrets: &Secrets, now: Timestamp) -> Vec<Check> {
    let host = match config.host.as_ref().map(|host| secrets.read(host)) {
        Some(Ok(host)) => host.expose().to_owned(),
        _ => return vec![Check::new(what, Grade::Failure, "has no host")],
    };
    let usual = match config.tls {
        SmtpTls::Starttls => 587,
        SmtpTls::Implicit => 465,
        SmtpTls::None => 25,
    };
    let target = Target {
        host,
        port: config.port.unwrap_or(usual),
        tls: config.tls != SmtpTls::None,
        settings: &config.tls_config,
        deny_private: false,
        limit: config.timeout,
    };
    vec![greet(what, config, &target, now).unwrap_or_else(|check| check)]
}

fn greet(what: &str, config: &SmtpConfig, target: &Target<'_>, now: Timestamp) -> Result<Check, Check> {
    let broken = |phase: &str, error: String| {
        let check = Check::new(what, Grade::Failure, format!("{phase}: {error}"));
        Check { unreachable: true, ..check.with_help("check that this is a mail server's port, and `tls`") }
    };
    let mut stream = connect(what, target)?;
    let (mut end, mut offers) = (None, String::new());
    if config.tls == SmtpTls::Implicit {
        let (mut secure, ends) = shake_hands(target, stream).map_err(|error| tls_failure(what, error))?;
        end = ends;
        converse(&mut secure, &mut offers).map_err(|error| broken("greeting", error))?;
    } else {
        converse(&mut stream, &mut offers).map_err(|error| broken("greeting", error))?;
        if config.tls == SmtpTls::Starttls {
            if !offers.to_ascii_uppercase().contains("STARTTLS") {
                let found = "the server does not offer STARTTLS";
                return Err(Check::new(what, Grade::Failure, found).with_help("use `tls: implicit`, or another port"));
            }
            say(&mut stream, "STARTTLS\r\n").map_err(|error| broken("STARTTLS", error))?;
            let (mut secure, ends) = shake_hands(target, stream).map_err(|error| tls_failure(what, error))?;
            end = ends;
            offers = say(&mut secure, "EHLO localhost\r\n").map_err(|error| broken("EHLO", error))?;
        }
    }
    if config.username.is_some() && !offers.to_ascii_uppercase().contains("AUTH") {
        return Err(Check::new(what, Grade::Failure, "the server offers no login")
            .with_help("leave out `username` and `password`, or use the submission port 587"));
    }
    Ok(judged(what, target, end, None, now))
}

fn converse(stream: &mut (impl Read + Write), offers: &mut String) -> Result<(), String> {
    reply(stream)?;
    *offers = say(stream, "EHLO localhost\r\n")?;
    Ok(())
}

fn say(stream: &mut (impl Read + Write), line: &str) -> Result<String, String> {
    stream.write_all(line.as_bytes()).map_err(|error| error.to_string())?;
    reply(stream)
}

/// A reply of several lines (RFC 5321 §4.2.1); an error if its code says so.
fn reply(stream: &mut impl Read) -> Result<String, String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while (text.len() as u64) < ANSWER_BYTES_MAX {
        if stream.read(&mut byte).map_err(|error| error.to_string())? == 0 {
            return Err("the server closed the connection".to_owned());
        }
        text.push(byte[0]);
        if byte[0] != b'\n' {
            continue;
        }
        let shown = String::from_utf8_lossy(&text).into_owned();
        let last = shown.lines().last().unwrap_or_default();
        if last.as_bytes().get(3) == Some(&b'-') {
            continue;
        }
        return match last.as_bytes().first() {
            Some(b'2' | b'3') => Ok(shown),
            _ => Err(crate::diag::harmless(last)),
        };
    }
    Err("the reply is too long".to_owned())
}
