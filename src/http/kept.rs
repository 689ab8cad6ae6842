//! The outbox, the history, and who is told, over HTTP.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use super::csv;
use super::error::ApiError;
use super::params::Params;
use super::records::{Chosen, HistoryPage, HistoryQuery, OutboxQuery};
use super::routes::{Shared, json_text};
use super::wire;
use crate::model::{Fingerprint, Severity, Timestamp};

/// Rows of a page where no `limit` is given.
const ROWS: usize = 100;
/// Most rows of a page.
pub const ROWS_MAX: usize = 1000;
/// Where the next page begins, in an answer that is no JSON.
const NEXT: HeaderName = HeaderName::from_static("x-alertd-next");

type Result<T = Response> = std::result::Result<T, ApiError>;

/// The routes of the outbox and the history.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/v1/outbox", get(outbox))
        .route("/api/v1/outbox/retry", post(retry))
        .route("/api/v1/outbox/drop", post(remove))
        .route("/api/v1/history", get(history))
        .route("/api/v1/why", get(why))
        .route("/api/v1/route", get(route))
        .route("/api/v1/rotations", get(rotations))
}

fn limit(params: &Params) -> Result<usize> {
    match params.limit()? {
        0 => Ok(ROWS),
        rows if rows > ROWS_MAX => Err(ApiError::bad(format!("parameter \"limit\" is above {ROWS_MAX}: {rows}"))),
        rows => Ok(rows),
    }
}

fn text(params: &Params, name: &str) -> Option<String> {
    params.get(name).map(str::to_owned)
}

async fn outbox(State(shared): State<Shared>, request: Request) -> Result {
    let params = shared.params(request).await?;
    let after = params.get("after").map(|text| {
        text.parse().map_err(|_| ApiError::bad(format!("parameter \"after\" is no place in the outbox: {text:?}")))
    });
    let query = OutboxQuery {
        handler: text(&params, "handler"),
        state: text(&params, "state"),
        limit: limit(&params)?,
        after: after.transpose()?,
    };
    let found = shared.look_up(move |api| api.outbox(&query)).await?;
    Ok(json_text(wire::success(found)))
}

fn required(params: &Params, name: &str) -> Result<String> {
    text(params, name)
        .filter(|text| !text.is_empty())
        .ok_or_else(|| ApiError::bad(format!("parameter \"{name}\" is missing")))
}

async fn why(State(shared): State<Shared>, request: Request) -> Result {
    let params = shared.params(request).await?;
    let now = shared.now();
    let (alert, at) = (required(&params, "alert")?, params.moment("time", now)?.unwrap_or(now));
    let story = shared.look_up(move |api| api.why(&alert, at)).await?;
    Ok(json_text(wire::success(story)))
}

async fn route(State(shared): State<Shared>, request: Request) -> Result {
    let params = shared.params(request).await?;
    let (labels, at) = (required(&params, "labels")?, params.moment("time", shared.now())?);
    let found = shared.look_up(move |api| api.route(&labels, at)).await?;
    Ok(json_text(wire::success(found)))
}

async fn rotations(State(shared): State<Shared>, request: Request) -> Result {
    let now = shared.now();
    let at = shared.params(request).await?.moment("time", now)?.unwrap_or(now);
    let found = shared.ask(move |api| api.rotations(at)).await?;
    Ok(json_text(wire::success(found)))
}

async fn retry(State(shared): State<Shared>, request: Request) -> Result {
    let chosen: Chosen = shared.json(request).await?;
    let done = shared.ask(move |api| api.retry_notices(&chosen)).await??;
    Ok(json_text(wire::success(done)))
}

async fn remove(State(shared): State<Shared>, request: Request) -> Result {
    let chosen: Chosen = shared.json(request).await?;
    let done = shared.ask(move |api| api.drop_notices(&chosen)).await??;
    Ok(json_text(wire::success(done)))
}

/// `error`: that or worse; `=error`: just that.
fn severity(text: &str) -> Result<(Severity, bool)> {
    let (name, worse) = text.strip_prefix('=').map_or((text, true), |name| (name, false));
    let known = Severity::from_name(name);
    let wrong =
        || ApiError::bad(format!("parameter \"severity\" is no severity: {text:?}; info, warning, error or critical"));
    known.map(|severity| (severity, worse)).ok_or_else(wrong)
}

fn history_query(params: &Params, now: Timestamp) -> Result<HistoryQuery> {
    let fingerprint = params.get("fingerprint").map(|text| {
        let wrong = |_| ApiError::bad(format!("parameter \"fingerprint\" is none: {text:?}"));
        u64::from_str_radix(text, 16).map(Fingerprint).map_err(wrong)
    });
    Ok(HistoryQuery {
        from: params.moment("from", now)?,
        to: params.moment("to", now)?,
        rule: text(params, "rule"),
        severity: params.get("severity").map(severity).transpose()?,
        handler: text(params, "handler"),
        kinds: params.all("kind").into_iter().filter(|kind| !kind.is_empty()).collect(),
        matchers: params.all("match[]"),
        fingerprint: fingerprint.transpose()?,
        limit: limit(params)?,
        cursor: text(params, "cursor"),
    })
}

/// Whether the answer is CSV: asked for by name, or by the `Accept` header alone.
fn wants_csv(params: &Params, accept: Option<&str>) -> Result<bool> {
    match params.get("format") {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        Some(other) => Err(ApiError::bad(format!("parameter \"format\" is neither json nor csv: {other:?}"))),
        None => Ok(accept.is_some_and(|accept| accept.split(',').any(|kind| kind.trim().starts_with("text/csv")))),
    }
}

async fn history(State(shared): State<Shared>, request: Request) -> Result {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let params = shared.params(request).await?;
    let query = history_query(&params, shared.now())?;
    let in_csv = wants_csv(&params, accept.as_deref())?;
    let page = shared.look_up(move |api| api.history(&query)).await?;
    Ok(if in_csv { csv_page(&page) } else { json_page(page) })
}

fn json_page(page: HistoryPage) -> Response {
    let HistoryPage { events, next, cut } = page;
    json_text(wire::success(json!({"events": events, "next": next, "cut": cut})))
}

fn csv_page(page: &HistoryPage) -> Response {
    let mut out = csv::heading();
    page.events.iter().for_each(|event| out.push_str(&csv::line(event)));
    let mut response = ([(header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present")], out).into_response();
    if let Some(next) = page.next.as_ref().and_then(|next| next.parse().ok()) {
        response.headers_mut().insert(NEXT, next);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> std::result::Result<HistoryQuery, String> {
        let params = Params::new(&format!("/x?{query}").parse().unwrap(), "").unwrap();
        history_query(&params, Timestamp::from_secs(10_000)).map_err(|error| error.message)
    }

    #[test]
    fn filters_of_the_history_are_read_and_wrong_ones_are_named() {
        let got =
            read("from=-1h&to=-30&severity=error&kind=sent&kind=dead&match[]=a%3Db&fingerprint=ff&limit=7").unwrap();
        assert_eq!((got.from, got.to), (Some(Timestamp::from_secs(6400)), Some(Timestamp::from_secs(9970))));
        assert_eq!((got.severity, got.limit), (Some((Severity::Error, true)), 7));
        assert_eq!((got.kinds, got.matchers), (vec!["sent".into(), "dead".into()], vec!["a=b".into()]));
        assert_eq!(got.fingerprint, Some(Fingerprint(255)));
        assert_eq!(read("severity==error").unwrap().severity, Some((Severity::Error, false)));
        assert_eq!(read("").unwrap().limit, ROWS);
        for (query, want) in [
            ("limit=1001", "parameter \"limit\" is above 1000: 1001"),
            ("severity=bad", "parameter \"severity\" is no severity: \"bad\"; info, warning, error or critical"),
            ("from=yesterday", "parameter \"from\" is neither a time nor an age such as -1h: \"yesterday\""),
            ("to=-x", "parameter \"to\" is neither a time nor an age such as -1h: \"-x\""),
            ("fingerprint=xyz", "parameter \"fingerprint\" is none: \"xyz\""),
        ] {
            assert_eq!(read(query).unwrap_err(), want);
        }
    }
}
