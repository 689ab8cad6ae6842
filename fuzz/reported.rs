//! Alerts as other programs report them: whatever is reported, in whatever order, fires and ends in turns, and is gone in
//! the end.

use std::collections::BTreeSet;
use std::time::Duration;

use alertd::app::alerting_api::report;
use alertd::http::PostedAlert;
use alertd::model::{Timestamp, TransitionKind};
use alertd::received::{ALERTS_MAX, Received};

use super::{MINUTE_MS, T0_MS};

/// Bodies of `POST /api/v2/alerts`, one a line, a minute apart.
pub fn posted_alerts(data: &[u8]) {
    let mut received = Received::default();
    let mut fires = BTreeSet::new();
    let mut now = Timestamp(T0_MS);
    for body in data.split(|byte| *byte == b'\n') {
        now = Timestamp(now.0 + MINUTE_MS);
        let Ok(posted) = serde_json::from_slice::<Vec<PostedAlert>>(body) else { continue };
        let all = posted.len();
        let taken = received.take(posted.into_iter().map(report).collect(), Duration::from_secs(300), now);
        assert_eq!(taken.firing + taken.resolved + taken.refused.len(), all, "each is counted once");
        for transition in taken.transitions {
            let fingerprint = transition.alert.fingerprint;
            let turns = match transition.kind {
                TransitionKind::Fired => fires.insert(fingerprint),
                _ => fires.remove(&fingerprint),
            };
            assert!(turns, "{transition:?}");
        }
        assert_eq!(received.firing().count(), fires.len());
        let stored: Vec<String> = received.iter().map(|(_, a)| serde_json::to_string(a).expect("texts")).collect();
        for text in &stored {
            assert_eq!(
                serde_json::to_string(&serde_json::from_str::<alertd::received::ReceivedAlert>(text).expect("its own"))
                    .expect("texts"),
                *text
            );
        }
        assert!(stored.len() <= ALERTS_MAX);
    }
    received.expire(Timestamp(i64::MAX));
    received.expire(Timestamp(i64::MAX));
    assert_eq!(received.size(), (0, 0));
}
