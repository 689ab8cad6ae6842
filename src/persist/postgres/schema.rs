//! The tables, their version, and how they come to be.

use super::wire::{Fault, Line};

/// Each entry leads from the version of its index to the next; a later version of alertd adds one and changes none.
///
/// Times are milliseconds since the epoch. The head's numbers are those given last; `outbox` is how many rows that has.
/// The lease is one row: who decides and tells, its number (one more for each new holder), and until when, by the
/// database's clock.
const MIGRATIONS: &[&str] = &["
CREATE TABLE alertd_head (one boolean PRIMARY KEY DEFAULT true CHECK (one), seq bigint NOT NULL, position bigint NOT NULL, number bigint NOT NULL, outbox bigint NOT NULL);
INSERT INTO alertd_head (seq, position, number, outbox) VALUES (0, 0, 0, 0);
CREATE TABLE alertd_lease (one boolean PRIMARY KEY DEFAULT true CHECK (one), run text NOT NULL, name text NOT NULL, token bigint NOT NULL, until timestamptz NOT NULL);
INSERT INTO alertd_lease (run, name, token, until) VALUES ('', '', 0, 'epoch');
CREATE TABLE alertd_record (kind text NOT NULL, id text NOT NULL, value text NOT NULL, PRIMARY KEY (kind, id));
CREATE TABLE alertd_outbox (id text PRIMARY KEY, position bigint NOT NULL, handler text NOT NULL, group_key text NOT NULL, created_ms bigint NOT NULL, payload text NOT NULL, state text NOT NULL, attempts bigint NOT NULL, next_attempt_ms bigint NOT NULL, claimed_by text, maybe_sent boolean NOT NULL, last_error text, dead_ms bigint);
CREATE INDEX alertd_outbox_position ON alertd_outbox (position);
CREATE INDEX alertd_outbox_handler ON alertd_outbox (handler, state, position);
CREATE TABLE alertd_history (number bigint PRIMARY KEY, at_ms bigint NOT NULL, kind text NOT NULL, rule_uid text NOT NULL, rule text NOT NULL, fingerprint text, severity text, handler text, reason text, notice_id text, labels text NOT NULL, detail text);
CREATE INDEX alertd_event_at ON alertd_history (at_ms, number) WHERE kind <> 'evaluated';
CREATE INDEX alertd_event_rule_uid ON alertd_history (rule_uid, at_ms, number) WHERE kind <> 'evaluated';
CREATE INDEX alertd_event_rule ON alertd_history (rule, at_ms, number) WHERE kind <> 'evaluated';
CREATE INDEX alertd_event_fingerprint ON alertd_history (fingerprint, at_ms, number) WHERE kind <> 'evaluated';
CREATE INDEX alertd_evaluation_at ON alertd_history (at_ms, number) WHERE kind = 'evaluated';
CREATE INDEX alertd_evaluation_rule_uid ON alertd_history (rule_uid, at_ms, number) WHERE kind = 'evaluated';
CREATE INDEX alertd_evaluation_rule ON alertd_history (rule, at_ms, number) WHERE kind = 'evaluated';
"];

/// The latest version.
const KNOWN: i64 = MIGRATIONS.len() as i64;

/// Names the lock under which tables are made: two processes that start at once make them once.
const LOCK: i64 = 0x616c_6572_7464;

/// Whether the tables are there in the latest version; an error where they are of a later one.
pub(super) async fn is_current(client: &Line) -> Result<bool, Fault> {
    let exists = client.query_one("SELECT to_regclass('alertd_version') IS NOT NULL", &[]).await?;
    if !exists.get::<_, bool>(0) {
        return Ok(false);
    }
    match version(client).await? {
        found if found > KNOWN => Err(Fault::Newer { found, known: KNOWN }),
        found => Ok(found == KNOWN),
    }
}

/// Makes the tables, or brings them to the latest version, in one transaction. A role that may read and write, and not
/// create, is enough once they are there.
pub(super) async fn migrate(client: &Line) -> Result<(), Fault> {
    client.batch_execute("BEGIN").await?;
    client.query_one("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    client.batch_execute("CREATE TABLE IF NOT EXISTS alertd_version (version bigint NOT NULL)").await?;
    let from = version(client).await?;
    if from > KNOWN {
        client.batch_execute("ROLLBACK").await?;
        return Err(Fault::Newer { found: from, known: KNOWN });
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(from).unwrap_or(0)) {
        client.batch_execute(migration).await?;
    }
    client.batch_execute("DELETE FROM alertd_version").await?;
    client.execute("INSERT INTO alertd_version VALUES ($1)", &[&KNOWN]).await?;
    client.batch_execute("COMMIT").await?;
    Ok(())
}

/// The version of the tables; 0 where there are none yet.
async fn version(client: &Line) -> Result<i64, Fault> {
    let row = client.query_one("SELECT coalesce(max(version), 0) FROM alertd_version", &[]).await?;
    Ok(row.get(0))
}
