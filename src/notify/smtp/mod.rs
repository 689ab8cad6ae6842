//! The mail handler: one connection and one message per attempt, by SMTP with or without TLS.
//!
//! Several recipients share a message; each may be taken, refused for good or put off by the server on its own, and an
//! attempt after a partial one addresses only the rest. Every attempt ends at its deadline and says at which step it
//! stood. The message of a notice is the same at every attempt, its `Message-ID` included, so that a mail which went out
//! twice is seen as one. Never tries again by itself.

mod content;
#[cfg(test)]
mod content_tests;
mod dialogue;
mod html;
mod message;
mod problem;
mod settings;
mod subject;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

use std::borrow::Cow;
use std::sync::Arc;

use lettre::Address;
use tracing::warn;

pub use self::tls::tls_client;

use self::content::{Content, Manner, compose};
use self::dialogue::{Delivery, Progress, REFUSED, Standing, Taken};
use self::problem::Problem;
use self::settings::Settings;
use super::handler::{Attempt, Failure, FailureClass, Handler, Outcome, Phase, Preview, Sending};
use super::secrets::Secrets;
use super::wording::{self, Written};
use crate::config::smtp::{RECIPIENTS_MAX, mailbox, mailboxes};
use crate::config::{SecretText, SmtpConfig};
use crate::model::Notice;

/// What stands for a secret in a preview.
const REDACTED: &str = "<redacted>";

/// Sends mail.
#[derive(Debug)]
pub struct SmtpHandler {
    name: Arc<str>,
    config: SmtpConfig,
    external_url: String,
    secrets: Arc<Secrets>,
}

/// A mail that is to be sent.
struct Mail<'a> {
    content: Content,
    config: Cow<'a, SmtpConfig>,
    /// Why it has no recipients or no sender, if so.
    nobody: Option<String>,
    /// Which of its templates failed, and why.
    failed: Option<String>,
}

impl SmtpHandler {
    /// A handler; reads no secret and opens nothing.
    pub fn new(name: Arc<str>, config: SmtpConfig, external_url: String, secrets: Arc<Secrets>) -> Self {
        Self { name, config, external_url, secrets }
    }

    /// The mail, and the settings it is sent with: a receiver of an `alertmanager.yml` words both.
    fn compose(&self, notice: &Notice) -> Mail<'_> {
        let manner = Manner { subject: self.config.subject.as_deref(), external_url: &self.external_url };
        let Some(letter) = &self.config.letter else {
            let content = compose(notice, &manner, Written::default());
            return Mail { content, config: Cow::Borrowed(&self.config), nobody: None, failed: None };
        };
        let written = wording::write(letter, notice, &self.external_url);
        let (nobody, failed) = (nobody(&written), written.failed.clone());
        let mut config = self.config.clone();
        if let Some(to) = &written.to {
            config.to = vec![SecretText::literal(to)];
        }
        if let Some(from) = &written.from {
            config.from = Some(SecretText::literal(from));
        }
        config.headers.extend(written.headers.iter().map(|(name, text)| (name.clone(), SecretText::literal(text))));
        Mail { content: compose(notice, &manner, written), config: Cow::Owned(config), nobody, failed }
    }

    async fn attempt(&self, notice: &Notice, attempt: Attempt<'_>) -> Outcome {
        let early = |class, phase, message| Failure { class, phase, message, maybe_taken: false };
        let Mail { content, config, nobody, failed } = self.compose(notice);
        if let Some(message) = nobody {
            return Outcome::Rejected { failure: early(FailureClass::Config, Phase::Render, message) };
        }
        if let Some(reason) = failed {
            warn!(handler = &*self.name, notice = %notice.id, reason, "What a template of the mail does not give is told in plain words");
        }
        let settings = match Settings::read(&config, &self.secrets) {
            Ok(settings) => settings,
            // The file or variable may be there at the next attempt.
            Err(message) => {
                let failure = early(FailureClass::Config, Phase::Secret, message);
                return Outcome::Retry { after: None, failure, done: attempt.done.to_vec() };
            }
        };
        let mail = match message::bytes(&content, &settings) {
            Ok(mail) => mail,
            Err(error) => {
                return Outcome::Rejected { failure: early(FailureClass::Internal, Phase::Render, error.to_string()) };
            }
        };
        let is_done = |to: &Address| attempt.done.iter().any(|done| address_of(done) == to.to_string());
        let mut to: Vec<Address> = settings.to.iter().map(|mailbox| mailbox.email.clone()).collect();
        to.retain(|address| !is_done(address));
        let progress = Progress::new();
        let delivery = Delivery { settings: &settings, progress: &progress, to: &to, mail: &mail };
        let result = if to.is_empty() {
            Ok(Taken { answer: "every recipient was done with before".to_owned(), ..Taken::default() })
        } else {
            tokio::time::timeout(settings.timeout, delivery.run()).await.unwrap_or_else(|_| {
                let message = format!("no answer within {}", crate::model::format_duration(settings.timeout));
                Err(Problem::later(FailureClass::Timeout, message))
            })
        };
        outcome(result, &progress.standing(), attempt.done)
    }
}

/// Why a mail that a message addresses can go nowhere: at the next attempt the message is the same.
fn nobody(written: &Written) -> Option<String> {
    let told = |key: &str, text: &str, why: &str| format!("{key}: `{}`: {why}", settings::one_line(text, 100));
    let to = written.to.as_deref().and_then(|text| match mailboxes(text) {
        Ok(all) if all.len() > RECIPIENTS_MAX => {
            Some(told("to", text, &format!("{} recipients, at most {RECIPIENTS_MAX}", all.len())))
        }
        Ok(_) => None,
        Err(error) => Some(told("to", text, &error.message)),
    });
    let from = || written.from.as_deref().and_then(|text| Some(told("from", text, &mailbox(text).err()?.message)));
    let failed = to.or_else(from)?;
    // A template that fails gives nothing.
    Some(written.failed.iter().fold(failed, |failed, why| format!("{failed}; {why}")))
}

/// The address of a recipient that is done with.
fn address_of(done: &str) -> &str {
    done.split_once(REFUSED).map_or(done, |(address, _)| address)
}

/// What became of an attempt, given what earlier ones are done with.
fn outcome(result: Result<Taken, Problem>, standing: &Standing, before: &[String]) -> Outcome {
    let mut done: Vec<String> = before.to_vec();
    done.extend(standing.refused.iter().cloned());
    let taken = match result {
        Ok(taken) => taken,
        Err(problem) => {
            let never = problem.never;
            let failure = failure(problem, standing);
            // Part of the recipients has it, so the rest failing is no failure of the whole.
            if never && before.iter().any(|done| !done.contains(REFUSED)) {
                done.push(format!("all others{REFUSED}{failure}"));
                return Outcome::Sent {
                    answer: "taken by some at earlier attempts".to_owned(),
                    refused: refused(&done),
                };
            }
            return if never { Outcome::Rejected { failure } } else { Outcome::Retry { after: None, failure, done } };
        }
    };
    done.extend(taken.taken);
    let some = done.iter().any(|done| !done.contains(REFUSED));
    let failure = |class, message| Failure { class, phase: Phase::Envelope, message, maybe_taken: false };
    if let Some((address, words)) = taken.later.first() {
        let rest = match taken.later.len() {
            1 => format!("{address}: {words}"),
            n => format!("{address}: {words}, and {} more", n - 1),
        };
        Outcome::Retry { after: None, failure: failure(FailureClass::ServerError, rest), done }
    } else if some || standing.refused.is_empty() {
        Outcome::Sent { answer: taken.answer, refused: refused(&done) }
    } else {
        Outcome::Rejected { failure: failure(FailureClass::ClientError, refused(&done).join("; ")) }
    }
}

/// The recipients refused for good, with the server's words.
fn refused(done: &[String]) -> Vec<String> {
    done.iter().filter_map(|done| done.split_once(REFUSED)).map(|(to, words)| format!("{to}: {words}")).collect()
}

fn failure(problem: Problem, standing: &Standing) -> Failure {
    let message = match standing.verb.as_str() {
        "" => problem.message,
        verb => format!("{verb}: {}", problem.message),
    };
    // An answer says whether it was taken; without one, nobody knows.
    let silent = matches!(problem.class, FailureClass::Network | FailureClass::Timeout);
    let maybe_taken = standing.phase == Phase::Answer && silent;
    Failure { class: problem.class, phase: standing.phase, message, maybe_taken }
}

impl Handler for SmtpHandler {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "smtp"
    }

    /// Headers and text part, as people see them: not encoded.
    fn preview(&self, notice: &Notice) -> Preview {
        let Mail { content, config, .. } = self.compose(notice);
        let shown = |text: &SecretText| {
            let shown = text.resolve(|_| Ok::<_, std::convert::Infallible>(REDACTED.to_owned()));
            shown.unwrap_or_else(|never| match never {})
        };
        let from = config.from.as_ref().map(shown).unwrap_or_default();
        let domain = match mailbox(&from) {
            Ok(from) => content::domain(&from),
            Err(_) => format!("alertd.{REDACTED}"),
        };
        let mut payload = String::new();
        let mut header = |name: &str, value: &str| {
            payload.push_str(&format!("{name}: {}\n", settings::one_line(value, 1000)));
        };
        header("From", &from);
        header("To", &config.to.iter().map(shown).collect::<Vec<_>>().join(", "));
        header("Subject", &content.subject);
        header("Message-ID", &format!("<{}@{domain}>", content.id));
        header("References", &format!("<{}@{domain}>", content.thread));
        for (name, value) in &content.marks {
            header(name, value);
        }
        for (name, value) in &config.headers {
            header(name, &shown(value));
        }
        payload.push('\n');
        payload.push_str(if content.text.is_empty() { &content.html } else { &content.text });
        Preview { payload, ..Preview::default() }
    }

    fn send<'a>(&'a self, notice: &'a Notice, attempt: Attempt<'a>) -> Sending<'a> {
        Box::pin(self.attempt(notice, attempt))
    }
}
