//! Where a database is, and the state that is in it.

use std::path::Path;

use tracing::{error, info};

use crate::clock::{Clock as _, SystemClock};
use crate::config::StateConfig;
use crate::notify::{Secrets, tls_client};
use crate::persist::sqlite::{STATE_FILE, put_aside};
use crate::persist::{
    Address, Everything, Loaded, Options, OutboxQuery, OutboxState, Persist as _, PostgresPersist, SqlitePersist,
};

/// The database of a configuration, its URL read, none where the state is in files; the error names no secret.
pub fn address(config: &StateConfig) -> Result<Option<Address>, String> {
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

/// The state of a database for the holder of its lease. One that nobody ever wrote to begins with the state of the files
/// that were used before, so that nobody is told again of what fires.
pub(super) fn state(
    persist: &PostgresPersist,
    seq: u64,
    (dir, clock): (&Path, &SystemClock),
) -> Result<Loaded, String> {
    if seq == 0
        && let Some(before) = of_files(dir, clock)
    {
        let records: Vec<_> = before.records.into_values().flatten().collect();
        let (count, waiting) = (records.len(), before.outbox.len());
        let everything = Everything { records, outbox: Some(before.outbox) };
        persist.rewrite(&everything).map_err(|error| error.to_string())?;
        // A database that is new once more must not begin with a state that is long over.
        put_aside(dir).map_err(|error| format!("{} cannot be put aside: {error}", dir.display()))?;
        info!(records = count, waiting, from = %dir.display(), "The state of the files is in the database now; they are put aside, their history stays");
    }
    persist.load().map_err(|error| error.to_string())
}

/// The state that a process kept in files, with the notices that were given up; none where there is none that can be used.
fn of_files(dir: &Path, clock: &SystemClock) -> Option<Loaded> {
    let read = || -> Result<Loaded, String> {
        let options = Options { ballast_bytes: 0, ..Options::default() };
        let files = SqlitePersist::open(dir, &options, clock.now()).map_err(|error| error.to_string())?;
        let mut loaded = files.load().map_err(|error| error.to_string())?;
        let mut query = OutboxQuery { state: Some(OutboxState::Dead), ..OutboxQuery::default() };
        loop {
            let dead = files.outbox(&query).map_err(|error| error.to_string())?;
            let Some(last) = dead.last() else { return Ok(loaded) };
            query.after = Some(last.position);
            loaded.outbox.extend(dead);
        }
    };
    if !dir.join(STATE_FILE).is_file() {
        return None;
    }
    let read =
        read().inspect_err(|error| error!(error, "The state of the files cannot be used; it stays there")).ok()?;
    for damage in &read.damages {
        error!(file = damage.file, what = damage.what, lost = damage.lost, "Stored state was damaged");
    }
    Some(read)
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
