//! Which of the processes that share a database decides and tells, and what becomes of the others.
//!
//! Place in the flow: the daemon asks for the lease before it starts anything ([`Seat::take`]), and a thread holds on to
//! it ([`watch`]). A process without the lease stands by: it collects samples and reads files, evaluates nothing and tells
//! nobody. One that gets the lease goes on from the state in the database; one that loses it ends all it does and stands
//! by again. A database that does not answer ends no alerting: the holder goes on from memory, and one that stands by
//! takes it for the end of the others, after the lease, and goes on alone from what it last read.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::json;
use tracing::{error, info, warn};

use super::daemon::Daemon;
use super::own_metrics::OwnMetrics;
use super::threads::pause;
use crate::clock::{Clock as _, JUMP_MIN, SystemClock};
use crate::config::StateConfig;
use crate::notify::{Secrets, tls_client};
use crate::persist::sqlite::STATE_FILE;
use crate::persist::{
    Address, Beat, Everything, Holder, Loaded, Options, Persist as _, PersistError, PostgresPersist, SqlitePersist,
};

/// How often one that stands by looks whether the lease is free.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A holder holds on to the lease so many times within it.
const BEATS: u32 = 5;
/// A beat that took longer says nothing about clocks.
const PROMPT: Duration = Duration::from_millis(500);
/// Clocks that differ by less need not be put right at a start.
const SMALL_MS: u64 = 50;

/// What a process does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It shares its state with nobody.
    Alone,
    /// It waits.
    StandingBy {
        /// Who decides and tells; none where that is not known.
        holder: Option<String>,
    },
    /// It decides and tells.
    Active {
        /// Which holder of the lease it is.
        token: u64,
    },
    /// The database does not answer: it decides and tells, whatever others do.
    OnItsOwn,
    /// Another process took over.
    Over,
}

impl Role {
    /// Whether it decides and tells.
    pub fn works(&self) -> bool {
        matches!(self, Self::Alone | Self::Active { .. } | Self::OnItsOwn)
    }

    /// The word for it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::StandingBy { .. } => "standby",
            Self::Active { .. } => "active",
            Self::OnItsOwn => "on_its_own",
            Self::Over => "over",
        }
    }
}

/// The state of a process that stands by, for the case that it cannot ask for it any more.
#[derive(Default)]
struct Shadow {
    loaded: Option<Loaded>,
    seq: u64,
    read: Duration,
}

/// How a database answers, on the steady clock.
#[derive(Clone, Copy)]
struct Answers {
    /// When it did last.
    last: Duration,
    /// Since when it does at every time; none while it does not.
    since: Option<Duration>,
    /// Whether it ever did not: a holder of the lease may then have been kept from holding on to it.
    was_silent: bool,
}

/// A process's place among those that share a database.
pub struct Seat {
    /// The database.
    pub persist: Arc<PostgresPersist>,
    /// The name that it goes by.
    pub name: String,
    lease: Duration,
    /// Where the state was before it was in a database.
    data_dir: PathBuf,
    clock: Arc<SystemClock>,
    role: ArcSwap<Role>,
    shadow: Mutex<Shadow>,
    /// How the database answers.
    answers: Mutex<Answers>,
    /// Wakes who waits for the end.
    over: tokio::sync::Notify,
}

/// Names a run of the process; the same for all its seats.
pub fn run_id() -> String {
    format!("{:032x}", crate::telemetry::TraceIds::from_os().next_id().0)
}

/// The name of a process where none is given.
fn default_name(listen: &str) -> String {
    let host = sysinfo::System::host_name().unwrap_or_else(|_| "alertd".to_owned());
    match listen.rsplit_once(':') {
        Some((_, port)) => format!("{host}:{port}"),
        None => host,
    }
}

/// The database of a configuration, its URL read, none where the state is in files; the error names no secret.
pub(super) fn address(config: &StateConfig) -> Result<Option<Address>, String> {
    let Some(url) = config.database() else { return Ok(None) };
    let url = Secrets::default().read(url)?;
    if url.expose() == "sqlite" {
        return Ok(None);
    }
    let (ca_file, url) = authority(url.expose());
    Address::new(&url, tls_client(ca_file)?).map(Some)
}

/// The file of the authority that a URL names in the way of libpq, and the URL without what tokio-postgres does not know.
fn authority(url: &str) -> (Option<String>, String) {
    let Some((place, parameters)) = url.split_once('?') else { return (None, url.to_owned()) };
    let mut ca_file = None;
    let mut kept = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.split_once('=') {
            Some(("sslrootcert", _)) => {
                ca_file = url::form_urlencoded::parse(parameter.as_bytes()).next().map(|(_, path)| path.into_owned());
            }
            // A certificate is verified in any case.
            Some(("sslmode", "verify-ca" | "verify-full")) => kept.push("sslmode=require"),
            _ => kept.push(parameter),
        }
    }
    match kept.is_empty() {
        true => (ca_file, place.to_owned()),
        false => (ca_file, format!("{place}?{}", kept.join("&"))),
    }
}

/// What a seat is taken with.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// `state:` of the configuration.
    pub config: &'a StateConfig,
    /// The address of the API.
    pub listen: &'a str,
    /// The folder of this process.
    pub data_dir: &'a Path,
}

/// A seat, and the state to go on from where it comes with the lease.
pub type Taken = (Seat, Option<Loaded>);

impl Seat {
    /// Asks for the lease for the first time, `polite` where a holder comes first that may have been kept from holding on
    /// to it; none where the state is in files. The clock that comes with it is that of
    /// the database, where that answers: the state's times are one clock's, whoever writes them.
    pub fn take(place: &Place<'_>, (run, polite): (&str, bool)) -> Result<Option<Taken>, String> {
        let Place { config, listen, data_dir } = *place;
        let Some(address) = address(config)? else { return Ok(None) };
        let name = config.replica.clone().unwrap_or_else(|| default_name(listen));
        let probe = Arc::new(SystemClock::new());
        let watch = Arc::clone(&probe);
        let persist = PostgresPersist::new(address, run.to_owned(), name.clone(), Arc::new(move || watch.monotonic()));
        let persist = Arc::new(persist.map_err(|error| error.to_string())?);
        let asked = ask(&persist, &probe, (config.lease, polite));
        let ahead_ms = asked.as_ref().ok().and_then(|(_, ahead_ms)| *ahead_ms).unwrap_or(0);
        let ahead_ms = if ahead_ms.unsigned_abs() < SMALL_MS { 0 } else { ahead_ms };
        if ahead_ms != 0 {
            warn!(ahead_seconds = seconds(ahead_ms), "The database's clock counts, not that of this machine");
        }
        let clock = Arc::new(SystemClock::ahead(ahead_ms));
        let (role, loaded) = match asked {
            Ok((Beat { holder: Holder::Here { token }, seq, .. }, _)) => match state(&persist, seq, (data_dir, &clock))
            {
                Ok(loaded) => (Role::Active { token }, Some(loaded)),
                Err(error) => {
                    error!(%error, "The state cannot be read; trying again");
                    (Role::StandingBy { holder: None }, None)
                }
            },
            Ok((Beat { holder: Holder::Other { name, .. }, .. }, _)) => (Role::StandingBy { holder: Some(name) }, None),
            Err(error @ PersistError::Newer { .. }) => return Err(error.to_string()),
            Err(error) => {
                error!(%error, "The database of the state does not answer; waiting for it as long as the lease is");
                (Role::StandingBy { holder: None }, None)
            }
        };
        info!(replica = name, role = role.word(), database = persist.place(), "State is in a database");
        let answered = !matches!(role, Role::StandingBy { holder: None });
        let now = clock.monotonic();
        let answers = Answers { last: now, since: answered.then_some(now), was_silent: polite || !answered };
        let answers = Mutex::new(answers);
        let (shadow, over) = (Mutex::default(), tokio::sync::Notify::new());
        let role = ArcSwap::from_pointee(role);
        let (lease, data_dir) = (config.lease, data_dir.to_owned());
        Ok(Some((Self { persist, name, lease, data_dir, clock, role, shadow, answers, over }, loaded)))
    }

    /// The clock of the process.
    pub fn clock(&self) -> Arc<SystemClock> {
        Arc::clone(&self.clock)
    }

    /// What the process does.
    pub fn role(&self) -> Arc<Role> {
        self.role.load_full()
    }

    /// Returns when another process took over.
    pub async fn over(&self) {
        self.over.notified().await;
    }

    /// For `GET /api/v1/status`.
    pub fn status(&self) -> serde_json::Value {
        let role = self.role();
        let (holder, token) = match &*role {
            Role::StandingBy { holder } => (holder.clone(), None),
            Role::Active { token } => (Some(self.name.clone()), Some(*token)),
            _ => (None, None),
        };
        let ahead = seconds(self.clock.ahead_ms());
        json!({"name": self.name, "role": role.word(), "holder": holder, "token": token, "clock_ahead_seconds": ahead,
               "database": self.persist.place()})
    }

    /// For people who look at the page.
    pub fn words(&self) -> String {
        format!("This is {}, with its state in {}.", self.name, self.persist.place())
    }

    /// What people should know of it while it works.
    pub fn remark(&self) -> Option<String> {
        let alone = "the database of the state does not answer: another process may tell the same";
        (*self.role() == Role::OnItsOwn).then(|| alone.to_owned())
    }

    /// Why it does not work, where it stands by.
    pub fn waits(&self) -> Option<String> {
        match &*self.role() {
            Role::StandingBy { holder: Some(holder) } => {
                Some(format!("{} stands by, {holder} decides and tells", self.name))
            }
            Role::StandingBy { holder: None } | Role::Over => {
                Some(format!("{} stands by until the database of the state answers", self.name))
            }
            _ => None,
        }
    }

    /// Shows what it does in its metrics.
    fn measure(&self, metrics: &OwnMetrics) {
        metrics.replica(self.role().works(), seconds(self.clock.ahead_ms()));
    }

    fn set(&self, role: Role, metrics: &OwnMetrics) {
        self.role.store(Arc::new(role));
        self.measure(metrics);
    }

    /// Takes what a beat tells of the database's clock: small differences are the network's.
    fn put_right(&self, ahead_ms: i64) {
        let moved_ms = ahead_ms - self.clock.ahead_ms();
        if moved_ms.unsigned_abs() > JUMP_MIN.as_millis() as u64 {
            warn!(
                ahead_seconds = seconds(ahead_ms),
                "The clock of this machine moved away from the database's, which counts"
            );
            self.clock.set_ahead(ahead_ms);
        }
    }

    /// Notes whether the database answered; for how long it has not.
    fn note(&self, answer: Result<(), &PersistError>) -> Duration {
        let mut answers = lock(&self.answers);
        let now = self.clock.monotonic();
        match answer {
            Ok(()) => {
                if answers.since.is_none() {
                    info!("The database of the state answers again");
                }
                answers.since.get_or_insert(now);
                answers.last = now;
            }
            Err(error) => {
                if answers.since.take().is_some() {
                    error!(%error, "The database of the state does not answer");
                }
                answers.was_silent = true;
            }
        }
        now.saturating_sub(answers.last)
    }

    /// Whether a lease that ran out is left to its holder: after a time without the database the holder comes first, who
    /// knows what happened meanwhile.
    fn is_polite(&self) -> bool {
        let answers = *lock(&self.answers);
        let answered_for = answers.since.map_or(Duration::ZERO, |since| self.clock.monotonic().saturating_sub(since));
        answers.was_silent && answered_for < self.lease
    }

    /// The state to go on from, for the holder of the lease.
    fn state(&self, seq: u64) -> Result<Loaded, String> {
        state(&self.persist, seq, (&self.data_dir, &self.clock))
    }

    /// Reads the state that it would go on from, if it changed and was not read for a while.
    fn look(&self, beat: &Beat) {
        let mut shadow = lock(&self.shadow);
        let now = self.clock.monotonic();
        if shadow.loaded.is_some() && (shadow.seq == beat.seq || now.saturating_sub(shadow.read) < self.lease) {
            return;
        }
        match self.persist.load() {
            Ok(loaded) => *shadow = Shadow { loaded: Some(loaded), seq: beat.seq, read: now },
            Err(error) => warn!(%error, "The state cannot be read while standing by"),
        }
    }
}

/// The state of a database for the holder of its lease. One that nobody ever wrote to begins with the state of the files
/// that were used before, so that nobody is told again of what fires.
fn state(persist: &PostgresPersist, seq: u64, (dir, clock): (&Path, &SystemClock)) -> Result<Loaded, String> {
    if seq == 0 && dir.join(STATE_FILE).is_file() {
        let options = Options { ballast_bytes: 0, ..Options::default() };
        let files = SqlitePersist::open(dir, &options, clock.now()).map_err(|error| error.to_string())?;
        let before = files.load().map_err(|error| error.to_string())?;
        let records: Vec<_> = before.records.into_values().flatten().collect();
        let (count, waiting) = (records.len(), before.outbox.len());
        let everything = Everything { records, outbox: Some(before.outbox) };
        persist.rewrite(&everything).map_err(|error| error.to_string())?;
        info!(records = count, waiting, from = %dir.display(), "The state of the files is in the database now; their history stays there");
    }
    persist.load().map_err(|error| error.to_string())
}

/// A beat, and by how much the database's clock is ahead of the machine's, ms, where it was prompt.
fn ask(
    persist: &PostgresPersist,
    clock: &SystemClock,
    (lease, polite): (Duration, bool),
) -> Result<(Beat, Option<i64>), PersistError> {
    let (asked_at, machine) = (clock.monotonic(), clock.now().0 - clock.ahead_ms());
    let beat = persist.beat(lease, polite)?;
    let took = clock.monotonic().saturating_sub(asked_at);
    let half_ms = i64::try_from(took.as_millis() / 2).unwrap_or(0);
    let ahead_ms = (took < PROMPT).then(|| beat.now.0 - machine - half_ms);
    Ok((beat, ahead_ms))
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Holds on to the lease, or waits for it, until it is time to stop.
pub fn watch(daemon: &Arc<Daemon>, seat: &Seat, stop: &Receiver<()>) {
    seat.measure(&daemon.hub.metrics);
    loop {
        let interval = (seat.lease / BEATS).min(if seat.role().works() { seat.lease } else { LOOK_INTERVAL });
        if !pause(stop, interval) || *seat.role() == Role::Over {
            return;
        }
        step(daemon, seat);
    }
}

fn step(daemon: &Arc<Daemon>, seat: &Seat) {
    let metrics = &daemon.hub.metrics;
    let role = seat.role();
    let beat = match ask(&seat.persist, &seat.clock, (seat.lease, seat.is_polite())) {
        Ok((beat, ahead_ms)) => {
            seat.note(Ok(()));
            ahead_ms.into_iter().for_each(|ahead_ms| seat.put_right(ahead_ms));
            beat
        }
        Err(error) => {
            let silent = seat.note(Err(&error));
            if matches!(*role, Role::StandingBy { .. }) && silent > seat.lease {
                warn!("Going on alone: whoever decides may not reach the database either, and tell the same");
                let loaded = lock(&seat.shadow).loaded.take().unwrap_or_default();
                seat.set(Role::OnItsOwn, metrics);
                daemon.begin_work(loaded);
            }
            return;
        }
    };
    match (&*role, &beat.holder) {
        (Role::StandingBy { .. }, Holder::Here { token }) => match seat.state(beat.seq) {
            Ok(loaded) => {
                info!(replica = seat.name, token, "Taking over");
                seat.set(Role::Active { token: *token }, metrics);
                daemon.begin_work(loaded);
            }
            Err(error) => error!(%error, "The state cannot be read; trying again"),
        },
        (Role::StandingBy { .. }, Holder::Other { name, .. }) => {
            seat.set(Role::StandingBy { holder: Some(name.clone()) }, metrics);
            seat.look(&beat);
        }
        (Role::Active { token }, Holder::Here { token: now }) if token == now => {}
        _ => {
            warn!(replica = seat.name, "Another process took over, or may have; standing by");
            daemon.hub.outbox.halt();
            seat.set(Role::Over, metrics);
            seat.over.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, ca_file: Option<&str>, kept: &str) {
        assert_eq!(authority(url), (ca_file.map(str::to_owned), kept.to_owned()), "{url}");
    }

    #[test]
    fn parameters_of_libpq_that_the_library_does_not_know_are_taken_out_of_a_url() {
        check("postgres://u:p@h/d", None, "postgres://u:p@h/d");
        check("postgres://h/d?sslmode=verify-full", None, "postgres://h/d?sslmode=require");
        check("postgres://h/d?sslrootcert=%2Fa%20b.pem", Some("/a b.pem"), "postgres://h/d");
        check(
            "postgres://a:1,b:2/d?sslrootcert=/a.pem&target_session_attrs=read-write&connect_timeout=3",
            Some("/a.pem"),
            "postgres://a:1,b:2/d?target_session_attrs=read-write&connect_timeout=3",
        );
    }
}
