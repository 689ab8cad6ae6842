//! The console handler: notices to a stream (stdout), through a bounded queue and a thread of its own.
//!
//! A blocked stdout never blocks delivery: what does not fit is dropped, counted, and told in one line once stdout
//! flows again. A closed stdout is counted and the process goes on. Never tries again by itself.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use super::console::{ConsoleFormat, Renderer, Style, json_line};
use super::handler::{Attempt, Failure, FailureClass, Handler, Outcome, Phase, Preview, Sending};
use crate::model::Notice;
use crate::telemetry::outlet::{Outlet, OutletStats, Refused};

/// Writes notices to a stream.
pub struct ConsoleHandler {
    name: Arc<str>,
    format: ConsoleFormat,
    renderer: Renderer,
    outlet: Outlet,
}

impl ConsoleHandler {
    /// A handler that writes to stdout, styled as the environment allows.
    pub fn stdout(name: &str, format: ConsoleFormat) -> io::Result<Self> {
        let style = Style::detect(io::stdout().is_terminal(), |name| std::env::var(name).ok());
        Self::new(name, format, style, io::stdout())
    }

    /// A handler that writes to `writer`.
    pub fn new(
        name: &str,
        format: ConsoleFormat,
        style: Style,
        writer: impl Write + Send + 'static,
    ) -> io::Result<Self> {
        let lost = move |n: u64| match format {
            ConsoleFormat::Text => format!("{n} notices were dropped because stdout was blocked"),
            ConsoleFormat::Json => format!(r#"{{"kind":"dropped","notices":{n},"reason":"stdout was blocked"}}"#),
        };
        let outlet = Outlet::spawn("console", writer, lost)?;
        Ok(Self { name: Arc::from(name), format, renderer: Renderer { style }, outlet })
    }

    fn text(&self, notice: &Notice) -> String {
        match self.format {
            ConsoleFormat::Text => self.renderer.message(notice),
            ConsoleFormat::Json => json_line(notice),
        }
    }

    /// How many notices were dropped and how many could not be written.
    pub fn stats(&self) -> Arc<OutletStats> {
        self.outlet.stats()
    }

    /// Takes no more notices and waits until those taken are written, at most `grace`; false if they were not.
    pub fn close(&mut self, grace: Duration) -> bool {
        self.outlet.close(grace)
    }
}

impl Handler for ConsoleHandler {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "console"
    }

    fn preview(&self, notice: &Notice) -> Preview {
        Preview { payload: self.text(notice), ..Preview::default() }
    }

    /// `Sent` means that the notice was handed to the stream's queue.
    fn send<'a>(&'a self, notice: &'a Notice, _attempt: Attempt<'a>) -> Sending<'a> {
        let lost = |message: &str| Outcome::Rejected {
            failure: Failure {
                class: FailureClass::Network,
                phase: Phase::Send,
                message: message.to_owned(),
                maybe_taken: false,
            },
        };
        let outcome = match self.outlet.send(self.text(notice).into_bytes()) {
            Ok(()) => Outcome::sent("written"),
            // Not retried: the queue already holds more than anybody reads at once, and the loss is told there.
            Err(Refused::Blocked) => lost("stdout is blocked"),
            Err(Refused::Closed) => lost("the console is shut down"),
        };
        Box::pin(std::future::ready(outcome))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Timestamp, TransitionKind};
    use crate::notify::console::tests::{notice, transition};
    use crate::telemetry::outlet::QUEUE_BLOCKS_MAX;
    use crate::telemetry::outlet::tests::gate;

    fn send(handler: &ConsoleHandler) -> Outcome {
        use futures_util::FutureExt;
        let notice = notice(vec![transition(TransitionKind::Fired)]);
        let attempt = Attempt { number: 1, now: Timestamp(0), done: &[] };
        handler.send(&notice, attempt).now_or_never().unwrap()
    }

    #[test]
    fn a_blocked_stdout_never_blocks_the_caller_and_the_loss_is_told_once() {
        let (gate, go, out) = gate();
        let mut handler = ConsoleHandler::new("screen", ConsoleFormat::Text, Style::default(), gate).unwrap();
        let sent = (0..QUEUE_BLOCKS_MAX + 10).filter(|_| matches!(send(&handler), Outcome::Sent { .. })).count();
        assert_eq!(handler.stats().dropped(), (QUEUE_BLOCKS_MAX + 10 - sent) as u64);
        assert!(handler.stats().dropped() >= 9);
        drop(go);
        assert!(handler.close(Duration::from_secs(20)));
        let text = String::from_utf8(out.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("notices were dropped because stdout was blocked").count(), 1);
        assert_eq!(text.matches("FIRING").count(), sent);
        assert!(
            matches!(send(&handler), Outcome::Rejected { failure } if failure.message == "the console is shut down")
        );
    }

    #[test]
    fn a_closed_stdout_is_counted_and_the_process_goes_on() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut handler = ConsoleHandler::new("screen", ConsoleFormat::Json, Style::default(), writer).unwrap();
        assert!(matches!(send(&handler), Outcome::Sent { .. }));
        assert!(matches!(send(&handler), Outcome::Sent { .. }));
        assert!(handler.close(Duration::from_secs(5)));
        assert_eq!(handler.stats().failed(), 2);
    }
}
