//! The lease: of the processes that share a database one decides and tells, and writes; the others stand by.
//!
//! All times are the database's: clocks of machines that differ change nothing. A holder that cannot reach the database
//! keeps the lease for as long as nobody else took it, and whatever a former holder writes is refused, because every
//! transaction reads the lease under a lock that a new holder must wait for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::PostgresPersist;
use super::wire::{Fault, Line};
use crate::model::Timestamp;
use crate::persist::PersistError;

/// Takes the lease where it is free, or holds on to it; and reads it as it was before.
const BEAT: &str = "WITH beat AS (UPDATE alertd_lease SET token = CASE WHEN run = $1 THEN token ELSE token + 1 END, run = $1, \
                    name = $2, until = clock_timestamp() + $3::bigint * interval '1 millisecond' \
                    WHERE run = $1 OR ($4 AND run = '') OR ($5 AND until <= clock_timestamp()) RETURNING token) \
                    SELECT (SELECT token FROM beat), name, \
                    greatest(0, extract(epoch FROM until - clock_timestamp()) * 1000)::bigint, \
                    (extract(epoch FROM clock_timestamp()) * 1000)::bigint, seq FROM alertd_lease, alertd_head";

/// How much somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To hold on to it.
    Hold,
    /// To have it if it was given back. One that only ran out is left to its holder, who may have been kept from holding
    /// on to it.
    Politely,
    /// To have it if nobody holds on to it.
    Take,
}

/// How the lease stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Who has it.
    pub holder: Holder,
    /// What the database's clock says.
    pub now: Timestamp,
    /// Number of the last transaction that stored something.
    pub seq: u64,
}

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// This process.
    Here {
        /// Which holder it is, counted from 1.
        token: u64,
    },
    /// Another process.
    Other {
        /// The name it goes by.
        name: String,
        /// For how long, unless it holds on to it.
        left: Duration,
    },
}

impl PostgresPersist {
    /// Asks for the lease for a while; whoever holds it keeps it. To be called several times within that while.
    pub fn beat(&self, lease: Duration, ask: Ask) -> Result<Beat, PersistError> {
        let (run, name) = (self.run.clone(), self.name.clone());
        let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        let asked = self.wire.probe(&self.lease, |client| beat(client, (run, name), lease_ms, ask));
        self.told(asked)
    }

    /// From now on this writes as the holder of that number; 0 writes nothing.
    pub fn write_as(&self, token: u64) {
        self.token.store(token, Ordering::Release);
    }

    /// Gives the lease back, so that another process need not wait for its end.
    pub fn release(&self) -> Result<(), PersistError> {
        self.write_as(0);
        let run = self.run.clone();
        let asked = self.wire.ask(&self.lease, |client| async move {
            client.execute("UPDATE alertd_lease SET run = '', until = 'epoch' WHERE run = $1", &[&run]).await?;
            Ok(())
        });
        self.told(asked)
    }
}

async fn beat(client: Arc<Line>, (run, name): (String, String), lease_ms: i64, ask: Ask) -> Result<Beat, Fault> {
    let row = client.query_one(BEAT, &[&run, &name, &lease_ms, &(ask != Ask::Hold), &(ask == Ask::Take)]).await?;
    let left = row.get::<_, Option<i64>>(2).and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0);
    let holder = match row.get::<_, Option<i64>>(0) {
        Some(token) => Holder::Here { token: u64::try_from(token).unwrap_or(0) },
        None => Holder::Other { name: row.get(1), left: Duration::from_millis(left) },
    };
    Ok(Beat { holder, now: Timestamp(row.get(3)), seq: row.get::<_, i64>(4).cast_unsigned() })
}
