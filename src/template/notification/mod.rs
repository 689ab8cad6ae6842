//! Templates of messages, as Alertmanager has them: named ones in a set, and those that a receiver writes beside them.
//!
//! Place in the flow: the configuration reads the set and the receivers' texts; the handlers render them. The set begins
//! with alertd's own `default.tmpl`, whose names and outputs are those of Alertmanager; the page of mails is alertd's.

mod data;

use std::sync::{Arc, OnceLock};

pub use data::{Dot, Notification, NotifiedAlert};

use super::ast::{Definitions, Node};
use super::error::{RenderError, Span, TemplateError};
use super::format::Sink;
use super::html::Page;
use super::{Dialect, Environment, Inner, RenderLimits, Template, control, exec, functions, host, json};
use crate::model::Timestamp;

/// Steps that the template of a message may take: enough for thousands of alerts.
pub const NOTIFICATION_STEPS_MAX: u64 = 5_000_000;
/// Longest text that the template of a message may make, in bytes.
pub const NOTIFICATION_BYTES_MAX: usize = 1 << 20;

static DIALECT: Dialect = Dialect {
    tables: &[functions::GO, functions::ALERTMANAGER],
    variables: &[],
    fields: &[
        "Receiver",
        "Status",
        "Alerts",
        "NotificationReason",
        "GroupLabels",
        "CommonLabels",
        "CommonAnnotations",
        "ExternalURL",
    ],
    labels: None,
};

/// How a template of a message is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As it is.
    Text,
    /// Values are escaped for their place in a page.
    Html,
}

/// Named templates, which texts of receivers call; cheap to clone.
#[derive(Clone, Debug)]
pub struct TemplateSet(Arc<Definitions>);

impl Default for TemplateSet {
    /// The default templates.
    fn default() -> Self {
        static BUILT_IN: OnceLock<TemplateSet> = OnceLock::new();
        let read = || {
            let mut set = Self(Arc::default());
            for (name, text) in
                [("default.tmpl", include_str!("default.tmpl")), ("email.tmpl", include_str!("email.tmpl"))]
            {
                // A test reads them.
                let _ = set.add(name, text);
            }
            set
        };
        BUILT_IN.get_or_init(read).clone()
    }
}

impl TemplateSet {
    /// Adds the templates of a file: those that it defines, and itself under its name. What they define anew takes the
    /// place of what was there. Gives what would fail when it is rendered.
    ///
    /// # Errors
    /// Everything that is wrong with it; spans are bytes of `text`. Then nothing was added.
    pub fn add(&mut self, name: &str, text: &str) -> Result<Vec<TemplateError>, Vec<TemplateError>> {
        let Inner { mut main, definitions, failures, .. } = Inner::read(text, &DIALECT, &self.0)?;
        if main.slots == 0 {
            (main.slots, main.body) = (1, vec![Node::Text(Span::new(0, text.len()))]);
        }
        let mut all = (*definitions).clone();
        if !(control::is_empty(&main.body, text) && all.contains_key(name)) {
            main.name = Some(Arc::from(name));
            all.insert(Arc::from(name), Arc::new(main));
        }
        self.0 = Arc::new(all);
        Ok(failures)
    }

    /// Whether it has a template of that name.
    pub fn defines(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Reads a text of a receiver.
    ///
    /// # Errors
    /// Everything that is wrong with it; spans are bytes of `text`.
    pub fn template(&self, text: &str) -> Result<Template, Vec<TemplateError>> {
        Template::parse_over(text, &DIALECT, &self.0)
    }
}

impl Template {
    /// Renders a text of a receiver; `now` is what `since` counts to.
    ///
    /// # Errors
    /// If a function fails, a value is of the wrong kind, or a limit is met.
    pub fn notification(&self, dot: &Dot, manner: Manner, now: Timestamp) -> Result<String, RenderError> {
        if let (Some(text), Manner::Text) = (self.constant(), manner) {
            return Ok(text.to_owned());
        }
        let limits = RenderLimits {
            steps_max: NOTIFICATION_STEPS_MAX,
            output_bytes_max: NOTIFICATION_BYTES_MAX,
            ..RenderLimits::default()
        };
        let environment = Environment { external_url: &dot.external_url, now, query: None };
        if self.constant().is_some() {
            return Ok(Page::new().text(self.text()));
        }
        let inner = &*self.0;
        let host = host::Host::new(environment, &limits, &inner.patterns);
        let page = (manner == Manner::Html).then(Page::new);
        exec::Exec::render((&inner.main, &inner.definitions), host, vec![dot.value.clone()], page)
            .map_err(|error| *error)
    }
}

/// A message as JSON, with Alertmanager's names.
pub fn json_of(dot: &Dot) -> String {
    let mut text = String::new();
    json::write(&mut Sink::new(&mut text, NOTIFICATION_BYTES_MAX), &dot.value);
    text
}
