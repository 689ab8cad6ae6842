//! Which of the processes that share a database decides and tells, and what becomes of the others.
//!
//! Place in the flow: the daemon asks for the lease before it starts anything ([`Seat::take`]); from then on one thread asks
//! for it again and again ([`pulse`]), and another one draws the conclusions, which may take long ([`watch()`]). A process
//! without the lease stands by: it collects samples and reads files, evaluates nothing and tells nobody. One that gets the
//! lease goes on from the state in the database; one that loses it ends all it does and stands by again. A database that
//! does not answer ends no alerting: the holder goes on from memory, and one that stands by takes it for the end of the
//! others, after the lease, and goes on alone from what it last read.

mod address;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::json;
use tracing::{error, info, warn};

use super::own_metrics::OwnMetrics;
use crate::clock::{Clock as _, JUMP_MIN, SystemClock};
use crate::config::StateConfig;
use crate::model::Timestamp;
use crate::persist::{Ask, Beat, Holder, Kind, Loaded, PersistError, PostgresPersist, Record};

pub use address::address;
use address::state;
pub use watch::{pulse, watch};

/// How often one that stands by looks whether the lease is free.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A holder holds on to the lease so many times within it.
const BEATS: u32 = 5;
/// A beat that took longer says nothing about clocks.
const PROMPT: Duration = Duration::from_millis(500);
/// The state is read so seldom by one that stands by, at most, however short the lease is.
const LOOKED_AT_LEAST: Duration = Duration::from_secs(2);
/// How long that may take.
const LOOK_MAX: Duration = Duration::from_secs(10);
/// Clocks that differ by less need not be put right.
const SMALL_MS: u64 = 50;

/// What a process does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It waits.
    StandingBy {
        /// Who decides and tells; none where that is not known.
        holder: Option<String>,
        /// Why it cannot take over, if that is so.
        why: Option<String>,
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
        matches!(self, Self::Active { .. } | Self::OnItsOwn)
    }

    /// The word for it.
    pub const fn word(&self) -> &'static str {
        match self {
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
    /// The transaction that it is of.
    seq: u64,
    read: Duration,
}

/// How a database answers, on the steady clock.
#[derive(Clone, Copy, Default)]
struct Answers {
    /// Since when it does not; none while it does, be it with a refusal.
    silent_since: Option<Duration>,
    /// Until when a lease that ran out is left to its holder, who may have been kept from holding on to it.
    polite_until: Option<Duration>,
    /// Since when the state cannot be read though the database answers.
    unreadable: Option<Duration>,
}

/// What came of asking for the lease.
pub struct Heard {
    answer: Result<Beat, PersistError>,
    /// For how long the database has not answered.
    silent: Duration,
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
    /// Asks for the lease for the first time, politely where a holder comes first that may have been kept from holding on
    /// to it; none where the state is in files. The clock that comes with it is that of the database, where that answers:
    /// the state's times are one clock's, whoever writes them.
    pub fn take(place: &Place<'_>, (run, again): (&str, bool)) -> Result<Option<Taken>, String> {
        let Place { config, listen, data_dir } = *place;
        let Some(address) = address(config)? else { return Ok(None) };
        let name = config.replica.clone().unwrap_or_else(|| default_name(listen));
        let probe = Arc::new(SystemClock::new());
        let watch = Arc::clone(&probe);
        let persist = PostgresPersist::new(address, run.to_owned(), name.clone(), Arc::new(move || watch.monotonic()));
        let persist = Arc::new(persist.map_err(|error| error.to_string())?);
        let wanted = if again { Ask::Politely } else { Ask::Take };
        let asked = ask(&persist, &probe, (config.lease, wanted));
        let now = asked.as_ref().ok().and_then(|(_, now)| *now);
        let clock = Arc::new(now.map_or_else(SystemClock::new, SystemClock::steered));
        if clock.ahead_ms().unsigned_abs() > JUMP_MIN.as_millis() as u64 {
            warn!(ahead_seconds = seconds(clock.ahead_ms()), "The database's clock counts, not that of this machine");
        }
        let silent = matches!(&asked, Err(error) if !is_refusal(error));
        let standing_by = |holder, why| Role::StandingBy { holder, why };
        let (role, loaded) = match asked {
            Ok((Beat { holder: Holder::Here { token }, seq, .. }, _)) => {
                persist.write_as(token);
                match state(&persist, seq, (data_dir, &clock)) {
                    Ok(loaded) => (Role::Active { token }, Some(loaded)),
                    Err(error) => {
                        error!(error, "The state cannot be read; trying again");
                        (standing_by(None, Some(error)), None)
                    }
                }
            }
            Ok((Beat { holder: Holder::Other { name, .. }, .. }, _)) => (standing_by(Some(name), None), None),
            // Waiting would not mend it. One that has worked before waits all the same.
            Err(error @ (PersistError::Newer { .. } | PersistError::Refused { .. })) if !again => {
                return Err(error.to_string());
            }
            Err(error) => {
                error!(%error, "The database of the state does not answer; waiting for it as long as the lease is");
                (standing_by(None, Some(error.to_string())), None)
            }
        };
        info!(replica = name, role = role.word(), database = persist.place(), "State is in a database");
        let now = clock.monotonic();
        let answers = Answers {
            silent_since: silent.then_some(now),
            polite_until: again.then_some(now + config.lease),
            unreadable: None,
        };
        let seat = Self {
            persist,
            name,
            lease: config.lease,
            data_dir: data_dir.to_owned(),
            clock,
            role: ArcSwap::from_pointee(role),
            shadow: Mutex::default(),
            answers: Mutex::new(answers),
            over: tokio::sync::Notify::new(),
        };
        Ok(Some((seat, loaded)))
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
            Role::StandingBy { holder, .. } => (holder.clone(), None),
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
        let name = &self.name;
        match &*self.role() {
            Role::StandingBy { why: Some(why), .. } => Some(format!("{name} stands by and cannot take over: {why}")),
            Role::StandingBy { holder: Some(holder), .. } => {
                Some(format!("{name} stands by, {holder} decides and tells"))
            }
            Role::StandingBy { .. } => Some(format!("{name} stands by")),
            Role::Over => Some(format!("{name} stands by, another process took over")),
            Role::Active { .. } | Role::OnItsOwn => None,
        }
    }

    /// Shows what it does in its metrics.
    fn measure(&self, metrics: &OwnMetrics) {
        metrics.replica(self.role().works(), seconds(self.clock.ahead_ms()));
    }

    /// From now on it does this.
    pub fn set(&self, role: Role, metrics: &OwnMetrics) {
        self.role.store(Arc::new(role));
        self.measure(metrics);
    }

    /// Takes what a beat tells of the database's clock: small differences are the network's.
    fn put_right(&self, now: Timestamp) {
        let moved = now.0 - self.clock.now().0;
        if moved.unsigned_abs() > JUMP_MIN.as_millis() as u64 {
            warn!(moved_seconds = seconds(moved), "The database's clock was set, or this machine slept");
        }
        // A start without the database went by the machine's clock.
        if moved.unsigned_abs() > SMALL_MS || !self.clock.is_steered() {
            self.clock.steer(now);
        }
    }

    /// Notes whether the database answered; for how long it has not.
    fn note(&self, answer: Result<(), &PersistError>) -> Duration {
        let mut answers = lock(&self.answers);
        let now = self.clock.monotonic();
        match answer {
            Err(error) if !is_refusal(error) => {
                if answers.silent_since.is_none() {
                    error!(%error, "The database of the state does not answer");
                }
                now.saturating_sub(*answers.silent_since.get_or_insert(now))
            }
            _ => {
                if let Some(since) = answers.silent_since.take() {
                    info!("The database of the state answers again");
                    // A short silence keeps nobody from holding on to a lease.
                    if now.saturating_sub(since) > self.lease / 2 {
                        answers.polite_until = Some(now + self.lease);
                    }
                }
                Duration::ZERO
            }
        }
    }

    /// Notes that the state cannot be read; for how long it cannot.
    fn note_unreadable(&self) -> Duration {
        let now = self.clock.monotonic();
        now.saturating_sub(*lock(&self.answers).unreadable.get_or_insert(now))
    }

    /// How much is asked for. After a time without the database a lease that ran out is left to its holder for a while, who
    /// knows what happened meanwhile; and one that could not be used is left to others.
    fn wants(&self) -> Ask {
        let answers = *lock(&self.answers);
        let now = self.clock.monotonic();
        match &*self.role() {
            Role::Active { .. } | Role::Over => Ask::Hold,
            Role::StandingBy { .. } if answers.unreadable.is_some() => Ask::Politely,
            // The first answer after a silence is one to this.
            _ if answers.silent_since.is_some() || answers.polite_until.is_some_and(|until| now < until) => {
                Ask::Politely
            }
            _ => Ask::Take,
        }
    }

    /// The state to go on from, for the holder of the lease.
    fn state(&self, seq: u64) -> Result<Loaded, String> {
        state(&self.persist, seq, (&self.data_dir, &self.clock))
    }

    /// Reads the state that it would go on from, if it changed and was not read for a while.
    fn look(&self, beat: &Beat) {
        let mut shadow = lock(&self.shadow);
        let now = self.clock.monotonic();
        if shadow.loaded.is_some()
            && (shadow.seq == beat.seq || now.saturating_sub(shadow.read) < self.lease.max(LOOKED_AT_LEAST))
        {
            return;
        }
        match self.persist.load_within(LOOK_MAX) {
            Ok(loaded) => *shadow = Shadow { loaded: Some(loaded), seq: beat.seq, read: now },
            Err(error) => warn!(%error, "The state cannot be read while standing by"),
        }
    }
}

/// Whether a database answers, and says that it will not let this process in.
fn is_refusal(error: &PersistError) -> bool {
    matches!(error, PersistError::Newer { .. } | PersistError::Refused { .. })
}

/// Records by kind.
type Records = BTreeMap<Kind, Vec<Record>>;

/// The records of two sides that went on from one state: those of ours where theirs did not change.
fn merged((base, theirs): (Records, Records), ours: Vec<Record>) -> Vec<Record> {
    let by_key = |records: Vec<Record>| -> BTreeMap<(Kind, String), String> {
        records.into_iter().map(|record| ((record.kind, record.id), record.value)).collect()
    };
    let of_all = |records: Records| by_key(records.into_values().flatten().collect());
    let (base, mut out, ours) = (of_all(base), of_all(theirs), by_key(ours));
    for key in base.keys().chain(ours.keys()) {
        // Our readings of the clock went on from theirs, and our alerts count by them.
        if key.0 == Kind::Clock || out.get(key) == base.get(key) {
            match ours.get(key) {
                Some(value) => _ = out.insert(key.clone(), value.clone()),
                None => _ = out.remove(key),
            }
        }
    }
    out.into_iter().map(|((kind, id), value)| Record { kind, id, value }).collect()
}

/// A beat, and what the database's clock says now, where the answer was prompt.
fn ask(
    persist: &PostgresPersist,
    clock: &SystemClock,
    (lease, wanted): (Duration, Ask),
) -> Result<(Beat, Option<Timestamp>), PersistError> {
    let asked_at = clock.monotonic();
    let beat = persist.beat(lease, wanted)?;
    let took = clock.monotonic().saturating_sub(asked_at);
    let now = (took < PROMPT).then(|| beat.now.plus(took / 2));
    Ok((beat, now))
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<Record> {
        let record = |pair: &str| {
            let (id, value) = pair.split_once('=').unwrap();
            Record { kind: Kind::Alert, id: id.to_owned(), value: value.to_owned() }
        };
        text.split_whitespace().map(record).collect()
    }

    #[track_caller]
    fn check(base: &str, theirs: &str, ours: &str, want: &str) {
        let of = |text: &str| Records::from([(Kind::Alert, records(text))]);
        assert_eq!(merged((of(base), of(theirs)), records(ours)), records(want), "{base} | {theirs} | {ours}");
    }

    #[test]
    fn of_two_sides_that_went_on_from_one_state_both_are_kept_and_theirs_where_they_differ() {
        check("a=1 b=1", "a=1 b=1", "a=2 c=1", "a=2 c=1");
        check("a=1 b=1", "a=3 b=1", "a=2 b=1", "a=3 b=1");
        check("a=1", "b=1", "a=2 c=1", "b=1 c=1");
        check("a=1", "a=1 b=1", "", "b=1");
        check("", "a=1", "a=2", "a=1");
        check("a=1", "a=2", "", "a=2");
        let clock = |value: &str| Record { kind: Kind::Clock, id: "now".to_owned(), value: value.to_owned() };
        let of = |value: &str| Records::from([(Kind::Clock, vec![clock(value)])]);
        assert_eq!(merged((of("1"), of("2")), vec![clock("3")]), [clock("3")]);
    }
}
