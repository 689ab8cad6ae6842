//! What the HTTP API asks of the daemon about silences.

use super::hub::Hub;
use super::silencing::{SilencingError, Wanted};
use super::{preview, silencing};
use crate::http::{
    ApiError, ErrorKind, Matcher, MatcherSet, PostedSilence, Preview, Recurring, SilenceQuery, SilenceStatus,
    SilenceView, SilenceWindow,
};
use crate::model::{Alert, LabelMatcher, Labels, MatchOp, MatcherError, Timestamp};
use crate::route::silence::{MATCHERS_MAX, SilenceState};
use crate::route::{Silence, SilenceError};
use crate::schedule::RecurrenceText;

/// Silences that are asked for, those in force first.
pub(super) fn list(hub: &Hub, query: &SilenceQuery) -> Result<Vec<SilenceView>, ApiError> {
    let filter = matchers(&query.filter)?;
    let now = hub.clock.now();
    let wanted = |silence: &Silence| {
        let of_state = match silence.state(now) {
            SilenceState::Active => query.active,
            SilenceState::Pending => query.pending,
            SilenceState::Expired => query.expired,
        };
        // As in Alertmanager: a filter looks at what the silence's matchers say, not at what they would fit.
        let says = |set: &Vec<LabelMatcher>| {
            let labels = Labels::from_pairs(set.iter().map(|m| (m.name.as_str(), m.value.as_str())));
            filter.iter().all(|matcher| matcher.matches(&labels))
        };
        of_state
            && silence.sets.iter().any(says)
            && (query.creators.is_empty() || query.creators.contains(&silence.created_by))
    };
    let mut found: Vec<_> = hub.core().silences.iter().filter(|s| wanted(s)).cloned().collect();
    // In force: the first to end first. Yet to begin: the first to begin. Over: the last to have ended.
    found.sort_by_cached_key(|silence| match silence.state(now) {
        SilenceState::Active => (0, silence.ends_at.0),
        SilenceState::Pending => (1, silence.window(now).map_or(i64::MAX, |window| window.starts_at.0)),
        SilenceState::Expired => (2, silence.ends_at.0.saturating_neg()),
    });
    let mut views: Vec<SilenceView> = found.iter().map(|silence| view(silence, now)).collect();
    if query.hiding {
        let alerts = preview::leaving(hub);
        let comparable = preview::COMPARISONS_MAX / alerts.len().max(1);
        for (silence, view) in found.iter().zip(&mut views).take(comparable) {
            view.hides = Some(match silence.state(now) {
                SilenceState::Active => alerts.iter().filter(|(_, labels)| silence.covers(labels)).count(),
                _ => 0,
            });
        }
    }
    Ok(views)
}

/// One silence.
pub(super) fn one(hub: &Hub, id: &str) -> Result<SilenceView, ApiError> {
    let found = hub.core().silences.get(id).cloned();
    let found = found.ok_or_else(|| refused(SilencingError::Unknown(id.to_owned())))?;
    Ok(view(&found, hub.clock.now()))
}

/// Makes or changes one; its id.
pub(super) fn put(hub: &Hub, posted: PostedSilence) -> Result<String, ApiError> {
    wanted(posted).and_then(|wanted| hub.silence(wanted)).map_err(refused)
}

/// The silence that would be made.
pub(super) fn attempt(hub: &Hub, posted: PostedSilence) -> Result<SilenceView, ApiError> {
    let silence = wanted(posted).and_then(|wanted| hub.try_silence(wanted)).map_err(refused)?;
    Ok(view(&silence, hub.clock.now()))
}

/// Ends one.
pub(super) fn end(hub: &Hub, id: &str) -> Result<(), ApiError> {
    hub.end_silence(id).map_err(refused)
}

/// What one with these sets would hide, and would have hidden.
pub(super) fn foresee(hub: &Hub, sets: &[Vec<LabelMatcher>]) -> Result<Preview, ApiError> {
    preview::preview(hub, sets).map_err(|error| ApiError::new(ErrorKind::Unavailable, error.to_string()))
}

/// For each of the alerts the silences that hide it now.
pub(super) fn hidden(hub: &Hub, alerts: &[&Alert]) -> Vec<Vec<String>> {
    let now = hub.clock.now();
    let (silences, labels) = {
        let core = hub.core();
        let leaving = |alert: &&Alert| core.routes.leaving(alert);
        (core.silences.clone(), alerts.iter().map(leaving).collect::<Vec<Labels>>())
    };
    let by = |labels: &Labels| silences.all_covering(labels, now).map(|silence| silence.id.clone()).collect();
    labels.iter().map(by).collect()
}

fn wanted(posted: PostedSilence) -> Result<Wanted, SilencingError> {
    let matcher = |m: &Matcher| {
        let op = match (m.is_equal, m.is_regex) {
            (true, false) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Matches,
            (false, true) => MatchOp::NotMatches,
        };
        LabelMatcher::new(&m.name, op, &m.value)
    };
    // Counted before a pattern is compiled.
    let count = posted.matchers.len() + posted.matcher_sets.iter().flatten().map(|s| s.matchers.len()).sum::<usize>();
    if count > 2 * MATCHERS_MAX {
        let limit = format!("a silence has at most {MATCHERS_MAX} matchers");
        return Err(SilenceError::Limit(limit).into());
    }
    let set = |matchers: &Vec<Matcher>| matchers.iter().map(matcher).collect::<Result<Vec<_>, MatcherError>>();
    let first = set(&posted.matchers)?;
    let sets = match &posted.matcher_sets {
        Some(sets) => sets.iter().map(|s| set(&s.matchers)).collect::<Result<Vec<_>, _>>()?,
        None => vec![first.clone()],
    };
    if !first.is_empty() && sets.first() != Some(&first) {
        return Err(SilencingError::Sets);
    }
    let text = |r: Recurring| RecurrenceText {
        cron: r.cron,
        rrule: r.rrule,
        dtstart: r.dtstart,
        duration: r.duration,
        timezone: r.timezone,
    };
    Ok(Wanted {
        id: posted.id.filter(|id| !id.is_empty()),
        sets,
        all_sets: posted.matcher_sets.is_some(),
        starts_at: posted.starts_at,
        ends_at: posted.ends_at,
        recurrence: posted.recurrence.map(|recurrence| recurrence.map(text)),
        annotations: posted.annotations,
        created_by: posted.created_by,
        comment: posted.comment,
    })
}

/// Why not, as HTTP says it.
pub(super) fn refused(error: SilencingError) -> ApiError {
    let kind = match &error {
        SilencingError::Unknown(_) => ErrorKind::NotFound,
        SilencingError::Wrong(_) | SilencingError::Matcher(_) | SilencingError::Sets => ErrorKind::BadData,
        SilencingError::NotStored(_) => ErrorKind::Unavailable,
    };
    ApiError::new(kind, error.to_string())
}

/// Matchers as people type them.
pub(super) fn matchers(texts: &[String]) -> Result<Vec<LabelMatcher>, ApiError> {
    texts.iter().map(|text| LabelMatcher::parse(text).map_err(|error| refused(error.into()))).collect()
}

fn view(silence: &Silence, now: Timestamp) -> SilenceView {
    let matcher = |m: &LabelMatcher| Matcher {
        name: m.name.clone(),
        value: m.value.clone(),
        is_regex: matches!(m.op, MatchOp::Matches | MatchOp::NotMatches),
        is_equal: matches!(m.op, MatchOp::Equal | MatchOp::Matches),
    };
    let set = |set: &Vec<LabelMatcher>| set.iter().map(matcher).collect::<Vec<_>>();
    let window = silence.recurrence.is_some().then(|| silence.window(now)).flatten();
    SilenceView {
        id: silence.id.clone(),
        status: SilenceStatus { state: silence.state(now).as_str() },
        updated_at: silence.updated_at,
        comment: silence.comment.clone(),
        created_by: silence.created_by.clone(),
        ends_at: silence.ends_at,
        matchers: silence.sets.first().map(set).unwrap_or_default(),
        starts_at: silence.starts_at,
        annotations: silence.annotations.clone(),
        matcher_sets: match silence.sets.as_slice() {
            [_] => Vec::new(),
            sets => sets.iter().map(|s| MatcherSet { matchers: set(s) }).collect(),
        },
        recurrence: silence.recurrence.as_ref().map(|windows| {
            let RecurrenceText { cron, rrule, dtstart, duration, timezone } = windows.text().clone();
            Recurring { cron, rrule, dtstart, duration, timezone }
        }),
        window: window.map(|window| SilenceWindow { starts_at: window.starts_at, ends_at: window.ends_at }),
        held: silence.held,
        hides: None,
        shown: silencing::sets_text(&silence.sets),
    }
}
