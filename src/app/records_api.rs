//! What the HTTP API asks of the daemon about silences, the outbox and the history.

use std::sync::Arc;

use serde_json::{Value, json};

use super::daemon::Daemon;
use super::measure;
use super::rotations;
use super::route_trace::{self, Asked};
use super::silences_api::{self, matchers};
use super::waiting::{Meant, WaitingError, shown};
use super::why::{self, Question};
use crate::http::{
    ApiError, Chosen, ErrorKind, HistoryPage, HistoryQuery, OutboxQuery, PostedSilence, Preview, Records, SilenceQuery,
    SilenceView, Standing,
};
use crate::model::{Alert, LabelMatcher, Timestamp};
use crate::persist::{self, Cursor, HistoryKind, HistoryRow, LabelMatch, OutboxState, SeverityFilter};

impl Records for Daemon {
    fn silences(&self, query: &SilenceQuery) -> Result<Vec<SilenceView>, ApiError> {
        silences_api::list(&self.hub, query)
    }

    fn silence(&self, id: &str) -> Result<SilenceView, ApiError> {
        silences_api::one(&self.hub, id)
    }

    fn put_silence(&self, posted: PostedSilence) -> Result<String, ApiError> {
        silences_api::put(&self.hub, posted)
    }

    fn try_silence(&self, posted: PostedSilence) -> Result<SilenceView, ApiError> {
        silences_api::attempt(&self.hub, posted)
    }

    fn expire_silence(&self, id: &str) -> Result<(), ApiError> {
        silences_api::end(&self.hub, id)
    }

    fn preview(&self, sets: &[Vec<LabelMatcher>]) -> Result<Preview, ApiError> {
        silences_api::foresee(&self.hub, sets)
    }

    fn hidden(&self, alerts: &[&Alert]) -> Vec<Vec<String>> {
        silences_api::hidden(&self.hub, alerts)
    }

    fn outbox(&self, query: &OutboxQuery) -> Result<Value, ApiError> {
        let asked = persist::OutboxQuery {
            handler: query.handler.clone(),
            state: query.state.as_deref().map(outbox_state).transpose()?,
            // One more tells whether there is another page.
            limit: query.limit.saturating_add(1),
            after: query.after,
        };
        let mut rows = self.hub.rows(&asked).map_err(stuck)?;
        let more = rows.len() > query.limit;
        rows.truncate(query.limit);
        let next = rows.last().filter(|_| more).map(|row| row.stored.position);
        let now = self.hub.clock.now();
        let notices: Vec<Value> = rows.iter().map(|row| shown(row, self.hub.keeper.run(), now)).collect();
        Ok(json!({"notices": notices, "next": next, "not_stored": self.hub.keeper.unsaved()}))
    }

    fn retry_notices(&self, chosen: &Chosen) -> Result<Value, ApiError> {
        let meant = match meant(chosen)? {
            Meant::Of(_, OutboxState::Pending) => return Err(ApiError::bad("what is pending is tried again anyway")),
            meant => meant,
        };
        Ok(json!({"retried": self.hub.retry(&meant).map_err(stuck)?}))
    }

    fn drop_notices(&self, chosen: &Chosen) -> Result<Value, ApiError> {
        let done = self.hub.drop_notices(&meant(chosen)?).map_err(stuck)?;
        Ok(json!({"dropped": done.dropped, "under_way": done.under_way}))
    }

    fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, ApiError> {
        let asked = history_query(query)?;
        let page = self.hub.keeper.persist().history(&asked);
        let page = page.map_err(|error| ApiError::new(ErrorKind::Unavailable, error.to_string()))?;
        Ok(HistoryPage {
            events: page.rows.iter().map(event).collect(),
            next: page.next.map(|at| format!("{}.{}", at.at.0, at.number)),
            cut: page.cut,
        })
    }

    fn why(&self, alert: &str, at: Timestamp) -> Result<Value, ApiError> {
        let question = Question::parse(alert, at).map_err(|error| ApiError::bad(error.to_string()))?;
        let live = self.hub.evaluations(&question.rule);
        self.hub.outbox.flush();
        let story = why::tell(&self.hub.keeper, live, &question);
        story.map(|story| json!(story)).map_err(|error| ApiError::new(ErrorKind::Unavailable, error.to_string()))
    }

    fn route(&self, labels: &str, at: Option<Timestamp>) -> Result<Value, ApiError> {
        let core = self.hub.core();
        let now = self.hub.clock.at_slot(at.unwrap_or_else(|| self.hub.clock.now()));
        let rules = Arc::clone(core.engine.rules());
        let (routes, silences, router) = (&core.routes, &core.silences, &core.router);
        let asked = Asked { routes, silences, router, rules: &rules, now };
        let traced = route_trace::trace(labels, &asked).map_err(|error| ApiError::bad(error.to_string()))?;
        // Messages are written without the core: nobody waits for them.
        drop(core);
        Ok(traced.shown(&self.previews.load()))
    }

    fn rotations(&self, at: Timestamp) -> Value {
        rotations::list(&self.hub.core().routes.rotations, at)
    }

    fn standing(&self) -> Standing {
        let replica = self.seat.as_ref().map(|seat| seat.words());
        Standing { replica, ..measure::standing(&self.hub) }
    }
}

fn stuck(error: WaitingError) -> ApiError {
    let kind = match &error {
        WaitingError::Chosen | WaitingError::Many(_) => ErrorKind::BadData,
        WaitingError::Store(_) => ErrorKind::Unavailable,
    };
    ApiError::new(kind, error.to_string())
}

fn outbox_state(text: &str) -> Result<OutboxState, ApiError> {
    let wrong = || ApiError::bad(format!("a notice is pending or dead, not {text:?}"));
    OutboxState::from_name(text).ok_or_else(wrong)
}

fn meant(chosen: &Chosen) -> Result<Meant, ApiError> {
    match (&chosen.handler, &chosen.state) {
        (Some(handler), state) if chosen.ids.is_empty() => {
            Ok(Meant::Of(handler.clone(), outbox_state(state.as_deref().unwrap_or("dead"))?))
        }
        (None, None) if !chosen.ids.is_empty() => Ok(Meant::Ids(chosen.ids.clone())),
        _ => Err(stuck(WaitingError::Chosen)),
    }
}

fn history_query(query: &HistoryQuery) -> Result<persist::HistoryQuery, ApiError> {
    let kind = |name: &String| {
        let names: Vec<&str> = HistoryKind::ALL.iter().map(|kind| kind.as_str()).collect();
        let wrong = || ApiError::bad(format!("there is no kind {name:?}; there are {}", names.join(", ")));
        HistoryKind::from_name(name).ok_or_else(wrong)
    };
    let cursor = |text: &str| {
        let parts = text.split_once('.');
        let place = parts.and_then(|(at, n)| Some(Cursor { at: Timestamp(at.parse().ok()?), number: n.parse().ok()? }));
        place.ok_or_else(|| ApiError::bad(format!("parameter \"cursor\" is none that an answer gave: {text:?}")))
    };
    let label_match =
        |matcher: &LabelMatcher| LabelMatch::of(matcher).map_err(|error| ApiError::bad(error.to_string()));
    Ok(persist::HistoryQuery {
        from: query.from,
        to: query.to,
        rule: query.rule.clone(),
        severity: query.severity.map(|(severity, worse)| match worse {
            true => SeverityFilter::AtLeast(severity),
            false => SeverityFilter::Is(severity),
        }),
        matchers: matchers(&query.matchers)?.iter().map(label_match).collect::<Result<_, _>>()?,
        handler: query.handler.clone(),
        kinds: query.kinds.iter().map(kind).collect::<Result<_, _>>()?,
        fingerprint: query.fingerprint,
        limit: query.limit,
        before: query.cursor.as_deref().map(cursor).transpose()?,
        after: None,
    })
}

/// A row of the history as it is shown.
fn event(row: &HistoryRow) -> Value {
    let event = &row.event;
    // Written by this program; what does not read back is shown as it is.
    let detail = event.detail.as_deref().map(|text| serde_json::from_str(text).unwrap_or_else(|_| json!(text)));
    json!({
        "time": event.at, "kind": event.kind.as_str(), "rule": event.rule, "rule_uid": event.rule_uid,
        "fingerprint": event.fingerprint, "severity": event.severity, "handler": event.handler,
        "reason": event.reason, "notice": event.notice_id, "labels": event.labels, "detail": detail,
    })
}
