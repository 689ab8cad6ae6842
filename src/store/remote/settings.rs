//! How a remote store is asked: settings with their secrets in them, which do not show.

use std::fmt;
use std::time::Duration;

use url::Url;

use crate::net::{Certificates, Scrub};

/// How to prove who asks. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    /// User and password.
    Basic(String, String),
    /// First word of the header, and what follows.
    Scheme(String, String),
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// How a remote store is asked.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name, for messages.
    pub name: String,
    /// What stands before `/api/v1`.
    pub url: Url,
    /// Headers of every request.
    pub headers: Vec<(String, String)>,
    /// Parameters of every request.
    pub params: Vec<(String, String)>,
    /// Credentials.
    pub authorization: Option<Authorization>,
    /// Further texts that must not be told: values that were read from references.
    pub secrets: Vec<String>,
    /// Certificates.
    pub tls: Certificates,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Most queries at once.
    pub queries_max: usize,
    /// Largest answer, uncompressed.
    pub response_bytes_max: usize,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("name", &self.name).field("url", &self.shown()).finish_non_exhaustive()
    }
}

impl Settings {
    /// A store at an address, with the defaults of the manual.
    pub fn new(name: &str, url: Url) -> Self {
        Self {
            name: name.to_owned(),
            url,
            headers: Vec::new(),
            params: Vec::new(),
            authorization: None,
            secrets: Vec::new(),
            tls: Certificates::default(),
            timeout: Duration::from_secs(10),
            queries_max: 16,
            response_bytes_max: 16 << 20,
        }
    }

    /// Reads an address; the error shows none of it that may be secret.
    pub fn address(text: &str) -> Result<Url, String> {
        let url = Url::parse(text.trim_end_matches('/')).map_err(|error| format!("not a web address: {error}"))?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(url),
            _ => Err("not a web address: expected http://… or https://…".to_owned()),
        }
    }

    /// Scheme, host and port of the address: a path may hold a token.
    pub fn shown(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// What must not be told of an exchange, however the other side repeats it.
    pub(super) fn scrub(&self) -> Scrub {
        use base64::Engine as _;
        let mut scrub = Scrub::default();
        self.secrets.iter().for_each(|secret| scrub.keep(secret));
        scrub.keep(self.url.password().unwrap_or_default());
        scrub.keep(self.url.path());
        // A user and a password in the address are sent as a header, decoded.
        let sent = crate::net::client().build().and_then(|client| client.get(self.url.clone()).build());
        let header = sent.ok().and_then(|request| {
            let header = request.headers().get(reqwest::header::AUTHORIZATION)?.to_str().ok()?;
            Some(header.strip_prefix("Basic ")?.to_owned())
        });
        if let Some(packed) = header {
            let both = base64::engine::general_purpose::STANDARD.decode(&packed).unwrap_or_default();
            let both = String::from_utf8_lossy(&both).into_owned();
            scrub.keep(both.split_once(':').map_or("", |(_, password)| password));
            scrub.keep(&packed);
        }
        self.url.query_pairs().for_each(|(_, value)| scrub.keep(&value));
        match &self.authorization {
            Some(Authorization::Basic(user, password)) => {
                scrub.keep(password);
                scrub.keep(&base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")));
            }
            Some(Authorization::Scheme(_, credentials)) => scrub.keep(credentials),
            None => {}
        }
        scrub
    }

    /// The address of an endpoint.
    pub(super) fn endpoint(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
        url
    }
}
