//! One delivery of one mail: find the host, connect, encrypt, log in, name the recipients, hand the mail over.
//!
//! Commands, their quoting and the SASL mechanisms are lettre's; the order, what is refused and which step it was are
//! decided here. Nothing that was received before the handshake counts after it, and no credentials are sent before it.
//! Knows no deadline but those of finding and connecting: [`super::SmtpHandler`] ends the whole, and [`Progress`] says
//! where it stood.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::commands::{Auth, Data, Ehlo, Mail, Quit, Rcpt, Starttls};
use lettre::transport::smtp::extension::{ClientId, MailBodyParameter, MailParameter};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::problem::{Problem, broke, negative};
use super::settings::Settings;
use super::tls;
use super::wire::{Reply, Wire, WireError, stuffed};
use crate::config::SmtpTls;
use crate::notify::handler::{FailureClass, Phase};

/// Rounds of one login. Only `LOGIN` has more than one.
const CHALLENGES_MAX: usize = 4;
/// How long a server is waited for after `QUIT`; the mail is delivered by then.
const QUIT_WAIT_MAX: Duration = Duration::from_millis(250);
/// What a recipient that needs no further attempt has behind its address if it was refused.
pub(super) const REFUSED: &str = " refused: ";

/// Where a delivery stands.
#[derive(Debug)]
pub(super) struct Progress(Mutex<Standing>);

/// What [`Progress`] holds.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// The step.
    pub phase: Phase,
    /// What of it, for people: `EHLO`, `RCPT TO:<a@example.org>`.
    pub verb: String,
    /// Recipients refused for good so far: address, mark, the server's words.
    pub refused: Vec<String>,
}

impl Progress {
    pub fn new() -> Self {
        Self(Mutex::new(Standing { phase: Phase::Resolve, verb: String::new(), refused: Vec::new() }))
    }

    fn is(&self, phase: Phase, verb: impl Into<String>) {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (standing.phase, standing.verb) = (phase, verb.into());
    }

    fn refuse(&self, recipient: &Address, words: &str) {
        let mut standing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        standing.refused.push(format!("{recipient}{REFUSED}{words}"));
    }

    /// Where it stands now.
    pub fn standing(&self) -> Standing {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the server did with the mail.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Its answer; empty where nobody was left to send to.
    pub answer: String,
    /// Recipients that it took the mail for.
    pub taken: Vec<String>,
    /// Recipients that it would not take now, with its words.
    pub later: Vec<(String, String)>,
}

/// One delivery.
pub(super) struct Delivery<'a> {
    pub settings: &'a Settings,
    pub progress: &'a Progress,
    /// Recipients of this attempt.
    pub to: &'a [Address],
    /// The mail, lines ending in CRLF.
    pub mail: &'a [u8],
}

/// What a server said it can do.
#[derive(Debug, Default)]
struct Features(Vec<String>);

impl Features {
    fn of(reply: &Reply) -> Self {
        Self(reply.lines.iter().skip(1).map(|line| line.trim().to_ascii_uppercase()).collect())
    }

    fn has(&self, keyword: &str) -> bool {
        self.0.iter().any(|line| line.split_whitespace().next() == Some(keyword))
    }

    fn size_max(&self) -> Option<usize> {
        let value = self.0.iter().find_map(|line| line.strip_prefix("SIZE "))?;
        value.trim().parse().ok().filter(|size| *size > 0)
    }

    fn offers(&self, mechanism: Mechanism) -> bool {
        let name = mechanism.to_string();
        // `AUTH=` is how servers wrote it before RFC 2554 was one.
        let lines = self.0.iter().filter_map(|line| line.strip_prefix("AUTH ").or_else(|| line.strip_prefix("AUTH=")));
        lines.flat_map(str::split_whitespace).any(|word| word == name)
    }
}

impl Delivery<'_> {
    /// Delivers; what the recipients' part of it became stands in the progress, too.
    pub async fn run(&self) -> Result<Taken, Problem> {
        let stream = self.connect().await?;
        let here = stream.local_addr().ok().map(|address| address.ip());
        let hello = self.settings.hello(here);
        match self.settings.tls {
            SmtpTls::None => self.greeted(Wire::new(stream), &hello).await,
            SmtpTls::Implicit => {
                let stream = self.encrypt(stream).await?;
                self.greeted(Wire::new(stream), &hello).await
            }
            SmtpTls::Starttls => {
                let stream = self.starttls(Wire::new(stream), &hello).await?;
                let mut wire = Wire::new(self.encrypt(stream).await?);
                let features = self.ehlo(&mut wire, &hello).await?;
                self.talk(wire, &features).await
            }
        }
    }

    /// Finding the host and connecting get at most half of the time each; of several addresses each gets a share, so
    /// that one that does not answer leaves time for the next.
    async fn connect(&self) -> Result<TcpStream, Problem> {
        let Settings { host, port, timeout, .. } = self.settings;
        self.progress.is(Phase::Resolve, host.clone());
        let found = tokio::time::timeout(*timeout / 2, tokio::net::lookup_host((host.as_str(), *port))).await;
        let found: Vec<SocketAddr> = match found {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(error)) => return Err(Problem::later(FailureClass::Network, error.to_string())),
            Err(_) => return Err(Problem::later(FailureClass::Timeout, "no answer".to_owned())),
        };
        let allowed: Vec<SocketAddr> = found.iter().copied().filter(|a| self.settings.may_reach(a.ip())).collect();
        if let (Some(first), true) = (found.first(), allowed.is_empty()) {
            let message = format!("`tls: none` reaches this machine only, and {host} is {}", first.ip());
            return Err(Problem::never(FailureClass::Config, message));
        }
        let share = u32::try_from(allowed.len()).unwrap_or(u32::MAX).max(1);
        let mut last = Problem::later(FailureClass::Network, "the host has no address".to_owned());
        for address in allowed {
            self.progress.is(Phase::Connect, address.to_string());
            last = match tokio::time::timeout(*timeout / 2 / share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Every command waits for its answer: holding small packets back would only cost time.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => Problem::later(FailureClass::Network, error.to_string()),
                Err(_) => Problem::later(FailureClass::Timeout, "no answer".to_owned()),
            };
        }
        Err(last)
    }

    /// The dialogue before the handshake: nothing secret is said, and nothing of it is believed afterwards.
    async fn starttls(&self, mut wire: Wire<TcpStream>, hello: &ClientId) -> Result<TcpStream, Problem> {
        self.greeting(&mut wire).await?;
        let features = self.ehlo(&mut wire, hello).await?;
        self.progress.is(Phase::Tls, "STARTTLS");
        if !features.has("STARTTLS") {
            let message = "the server does not offer STARTTLS, or somebody on the way removes it; nothing was sent";
            return Err(Problem::never(FailureClass::Tls, message.to_owned()));
        }
        let reply = self.ask(&mut wire, Starttls).await?;
        if reply.code != 220 {
            return Err(self.negative(&reply));
        }
        wire.into_stream().ok_or_else(|| {
            let message = "the server sent data ahead of the handshake: somebody on the way may have added it";
            Problem::never(FailureClass::Tls, message.to_owned())
        })
    }

    async fn encrypt(&self, stream: TcpStream) -> Result<tls::Encrypted, Problem> {
        self.progress.is(Phase::Tls, "");
        tls::connect(&self.settings.tls_config, &self.settings.host, stream).await
    }

    async fn greeted<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut wire: Wire<S>,
        hello: &ClientId,
    ) -> Result<Taken, Problem> {
        self.greeting(&mut wire).await?;
        let features = self.ehlo(&mut wire, hello).await?;
        self.talk(wire, &features).await
    }

    async fn greeting<S: AsyncRead + AsyncWrite + Unpin>(&self, wire: &mut Wire<S>) -> Result<(), Problem> {
        self.progress.is(Phase::Greeting, "");
        let reply = wire.reply().await.map_err(|e| self.broke(&e))?;
        if reply.is_done() { Ok(()) } else { Err(self.negative(&reply)) }
    }

    async fn ehlo<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        wire: &mut Wire<S>,
        hello: &ClientId,
    ) -> Result<Features, Problem> {
        self.progress.is(Phase::Greeting, "EHLO");
        let reply = self.ask(wire, Ehlo::new(hello.clone())).await?;
        if reply.is_done() { Ok(Features::of(&reply)) } else { Err(self.negative(&reply)) }
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut wire: Wire<S>,
        features: &Features,
    ) -> Result<Taken, Problem> {
        if let Some(credentials) = &self.settings.credentials {
            self.login(&mut wire, features, credentials).await?;
        }
        let mut taken = self.envelope(&mut wire, features).await?;
        if !taken.taken.is_empty() {
            taken.answer = self.hand_over(&mut wire).await?;
        }
        // What follows can change nothing any more.
        let goodbye = async {
            let _ = wire.write(Quit.to_string().as_bytes()).await;
            let _ = wire.reply().await;
        };
        let _ = tokio::time::timeout(QUIT_WAIT_MAX.min(self.settings.timeout / 10), goodbye).await;
        Ok(taken)
    }

    async fn login<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        wire: &mut Wire<S>,
        features: &Features,
        credentials: &Credentials,
    ) -> Result<(), Problem> {
        self.progress.is(Phase::Auth, "AUTH");
        // XOAUTH2 takes a token for the password, so it is used only where the server takes no password.
        let known = [Mechanism::Plain, Mechanism::Login, Mechanism::Xoauth2];
        let Some(mechanism) = known.into_iter().find(|mechanism| features.offers(*mechanism)) else {
            let message = "the server offers no login by PLAIN, LOGIN or XOAUTH2, but `username` is set";
            return Err(Problem::never(FailureClass::Config, message.to_owned()));
        };
        self.progress.is(Phase::Auth, format!("AUTH {mechanism}"));
        let garbled =
            |_| Problem::later(FailureClass::Network, "the server asks for something it may not ask for".to_owned());
        let mut reply = self.ask(wire, Auth::new(mechanism, credentials.clone(), None).map_err(garbled)?).await?;
        for _ in 0..CHALLENGES_MAX {
            if reply.code != 334 {
                break;
            }
            // XOAUTH2 tells its error as a challenge, which wants an empty answer.
            let answer = if mechanism == Mechanism::Xoauth2 {
                "\r\n".to_owned()
            } else {
                let challenge = format!("{}\r\n", reply.words()).parse().map_err(garbled)?;
                Auth::new_from_response(mechanism, credentials.clone(), &challenge).map_err(garbled)?.to_string()
            };
            reply = self.ask(wire, answer).await?;
        }
        if reply.is_done() { Ok(()) } else { Err(self.negative(&reply)) }
    }

    async fn envelope<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        wire: &mut Wire<S>,
        features: &Features,
    ) -> Result<Taken, Problem> {
        let from = &self.settings.from.email;
        self.progress.is(Phase::Envelope, "MAIL FROM");
        let mut parameters = Vec::new();
        if let Some(max) = features.size_max() {
            if self.mail.len() > max {
                let message = format!("the mail has {} bytes, the server takes {max}", self.mail.len());
                return Err(Problem::never(FailureClass::ClientError, message));
            }
            parameters.push(MailParameter::Size(self.mail.len()));
        }
        if !self.mail.is_ascii() {
            if !features.has("SMTPUTF8") {
                let message = "an address has letters beyond ASCII, which the server does not take (SMTPUTF8)";
                return Err(Problem::never(FailureClass::ClientError, message.to_owned()));
            }
            parameters.push(MailParameter::SmtpUtfEight);
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let reply = self.ask(wire, Mail::new(Some(from.clone()), parameters)).await?;
        if !reply.is_done() {
            return Err(self.negative(&reply));
        }
        let mut taken = Taken::default();
        for recipient in self.to {
            self.progress.is(Phase::Envelope, format!("RCPT TO:<{recipient}>"));
            let reply = self.ask(wire, Rcpt::new(recipient.clone(), Vec::new())).await?;
            let words = self.settings.harmless(&reply.words());
            match reply.code {
                200..300 => taken.taken.push(recipient.to_string()),
                // The server closes the connection: nothing of this attempt counts.
                421 => return Err(self.negative(&reply)),
                // 552 here is an old way to say 452, too many recipients (RFC 5321 4.5.3.1.10).
                552 => taken.later.push((recipient.to_string(), words)),
                500..600 => self.progress.refuse(recipient, &words),
                _ => taken.later.push((recipient.to_string(), words)),
            }
        }
        Ok(taken)
    }

    /// `DATA`, the mail, and the answer after which the server is responsible for it.
    async fn hand_over<S: AsyncRead + AsyncWrite + Unpin>(&self, wire: &mut Wire<S>) -> Result<String, Problem> {
        self.progress.is(Phase::Send, "DATA");
        let reply = self.ask(wire, Data).await?;
        if reply.code != 354 {
            return Err(self.negative(&reply));
        }
        wire.write(&stuffed(self.mail)).await.map_err(|e| self.broke(&e))?;
        // From here on the server may have it, whatever becomes of the connection.
        self.progress.is(Phase::Answer, "");
        wire.write(b".\r\n").await.map_err(|e| self.broke(&e))?;
        let reply = wire.reply().await.map_err(|e| self.broke(&e))?;
        if reply.is_done() { Ok(self.settings.harmless(&reply.words())) } else { Err(self.negative(&reply)) }
    }

    async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        wire: &mut Wire<S>,
        command: impl Display,
    ) -> Result<Reply, Problem> {
        wire.write(command.to_string().as_bytes()).await.map_err(|e| self.broke(&e))?;
        wire.reply().await.map_err(|e| self.broke(&e))
    }

    fn broke(&self, error: &WireError) -> Problem {
        broke(error, self.settings)
    }

    fn negative(&self, reply: &Reply) -> Problem {
        negative(reply, self.settings)
    }
}

/// Whether an address is this machine.
pub(super) fn is_here(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
