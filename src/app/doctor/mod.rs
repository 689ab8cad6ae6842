//! `alertd doctor`: looks at everything that delivery needs and says what would go wrong, before an alert does.
//!
//! Place in the flow: beside the daemon. It opens connections to the handlers' hosts and to remote stores, and sends no message.

mod certificate;
mod machine;
mod network;

use serde::Serialize;

use super::load::Inputs;
use super::remote::source::AskedStore;
use super::replica;
use crate::config::{Handler, HandlerKind, SecretText};
use crate::diag::Level;
use crate::model::Timestamp;
use crate::notify::Secrets;
use crate::persist::{Glance, Options, PostgresPersist};
use crate::promql::{Question, When};

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// Well.
    Ok,
    /// It works, and may soon not.
    Warning,
    /// It does not work.
    Failure,
}

impl Grade {
    /// The word of the report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "FAILURE",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What: `disk`, `clock`, `handler NAME`.
    pub what: String,
    /// How it went.
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// What to do.
    pub help: Option<String>,
    /// Whether something outside could not be reached.
    pub unreachable: bool,
}

impl Check {
    fn new(what: impl Into<String>, grade: Grade, found: impl Into<String>) -> Self {
        Self { what: what.into(), grade, found: found.into(), help: None, unreachable: false }
    }

    fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// What the checks need besides the files.
pub struct Surroundings<'a> {
    /// The wall clock.
    pub now: Timestamp,
    /// The data directory.
    pub data_dir: &'a std::path::Path,
}

/// Looks at everything; the checks in the order of the report.
pub fn examine(inputs: &Inputs, around: &Surroundings<'_>) -> Vec<Check> {
    let mut checks = vec![files(inputs)];
    checks.extend(machine::examine(inputs, around));
    let secrets = Secrets::default();
    for handler in &inputs.handlers {
        let what = format!("handler {}", handler.name);
        let unread = secrets_of(handler).into_iter().find_map(|(key, text)| Some((key, secrets.read(text).err()?)));
        match unread {
            Some((key, error)) => checks.push(
                Check::new(what, Grade::Failure, format!("`{key}` cannot be read: {error}"))
                    .with_help("set the variable or mend the path, for the user that alertd runs as"),
            ),
            None => checks.extend(network::examine(&what, handler, &secrets, around.now)),
        }
    }
    checks.extend(state(inputs));
    checks.extend(inputs.config.remote_stores().keys().map(|name| store(name, inputs)));
    checks
}

/// Asks the database of the state what it is like; makes no table and takes no lease.
fn state(inputs: &Inputs) -> Option<Check> {
    const WHAT: &str = "state";
    let failure = |found: String, unreachable| Check { unreachable, ..Check::new(WHAT, Grade::Failure, found) };
    let address = match replica::address(&inputs.config.state) {
        Ok(address) => address?,
        Err(error) => return Some(failure(error, false)),
    };
    let name = "alertd doctor".to_owned();
    let persist = PostgresPersist::new(address, name.clone(), name, Options::default().stopwatch);
    let glance = persist.map_err(|e| e.to_string()).and_then(|persist| persist.glance().map_err(|e| e.to_string()));
    Some(match glance {
        Ok(Glance { version, made: true, holder, .. }) => {
            let holder = holder
                .map_or_else(|| "nobody holds the lease".to_owned(), |name| format!("{name} held the lease last"));
            Check::new(WHAT, Grade::Ok, format!("PostgreSQL {version}, {holder}"))
        }
        Ok(Glance { version, may_make: true, .. }) => {
            Check::new(WHAT, Grade::Ok, format!("PostgreSQL {version}, tables will be made"))
        }
        Ok(Glance { version, .. }) => {
            failure(format!("PostgreSQL {version}: there are no tables, and none can be made"), false)
                .with_help("give the role CREATE on the schema for the first start")
        }
        Err(error) => failure(error, true).with_help("alertd would go on from memory, without the state of before"),
    })
}

/// Asks a remote store for a number.
fn store(name: &str, inputs: &Inputs) -> Check {
    let what = format!("store {name}");
    let asked = AskedStore::open(name, &inputs.config).map_err(|error| (error.to_string(), false));
    let question = Question { text: "1".into(), when: When::At(0) };
    match asked.and_then(|store| store.ask(&question).map_err(|error| (error.to_string(), true))) {
        Ok(_) => Check::new(what, Grade::Ok, "answers queries"),
        Err((error, unreachable)) => Check { unreachable, ..Check::new(what, Grade::Failure, error) }
            .with_help("rules that read it would have errors; their alerts would keep their state"),
    }
}

fn files(inputs: &Inputs) -> Check {
    let of = |level: Level| inputs.diagnostics.iter().filter(|d| d.level == level).count();
    let (errors, warnings) = (of(Level::Error), of(Level::Warning));
    let found = format!(
        "{} rules, {} handlers; {errors} errors, {warnings} warnings",
        inputs.rules.len(),
        inputs.handlers.len()
    );
    let (grade, help) = match (errors, warnings) {
        (0, 0) => return Check::new("files", Grade::Ok, found),
        (0, _) => (Grade::Warning, "`alertd check` shows them"),
        _ => (Grade::Failure, "`alertd check` shows them; the daemon would refuse these files"),
    };
    Check::new("files", grade, found).with_help(help)
}

/// Every text of a handler in which a reference to a secret may stand, with its key.
fn secrets_of(handler: &Handler) -> Vec<(&'static str, &SecretText)> {
    let mut all: Vec<(&'static str, &SecretText)> = Vec::new();
    match &handler.kind {
        HandlerKind::Console { .. } => {}
        HandlerKind::Webhook(c) => {
            let named = [
                ("url", &c.url),
                ("hmac_secret", &c.hmac_secret),
                ("proxy_url", &c.proxy_url),
                ("routing_key", &c.routing_key),
                ("api_key", &c.api_key),
                ("bot_token", &c.bot_token),
                ("chat_id", &c.chat_id),
            ];
            all.extend(named.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?))));
            all.extend(c.headers.values().map(|text| ("headers", text)));
            all.extend(c.params.values().map(|text| ("params", text)));
            all.extend(c.basic_auth.iter().flat_map(|b| [("username", &b.username), ("password", &b.password)]));
            all.extend(c.authorization.iter().map(|a| ("credentials", &a.credentials)));
        }
        HandlerKind::Smtp(c) => {
            let named = [("host", &c.host), ("username", &c.username), ("password", &c.password), ("from", &c.from)];
            all.extend(named.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?))));
            all.extend(c.to.iter().map(|text| ("to", text)));
            all.extend(c.headers.values().map(|text| ("headers", text)));
        }
        HandlerKind::Heartbeat(c) => {
            let named = [("url", &c.url), ("proxy_url", &c.proxy_url)];
            all.extend(named.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?))));
            all.extend(c.headers.values().map(|text| ("headers", text)));
            all.extend(c.basic_auth.iter().flat_map(|b| [("username", &b.username), ("password", &b.password)]));
            all.extend(c.authorization.iter().map(|a| ("credentials", &a.credentials)));
        }
    }
    all
}
