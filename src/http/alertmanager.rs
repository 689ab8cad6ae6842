//! Silences and alerts in the shapes of the Alertmanager API v2, for `amtool`, Grafana, karma and Prometheus.
//!
//! Errors are JSON strings, as there. A change must come as JSON: what a form of another site can send is refused even
//! before the guard's other checks would matter.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::alerting::{AlertQuery, PostedAlert};
use super::api::Api;
use super::error::{ApiError, ErrorKind};
use super::params::Params;
use super::records::{PostedSilence, SilenceQuery};
use super::routes::{Shared, from_json, json_text};
use super::silence_form::all_sets;
use super::{body, lists, wire};
use crate::model::{LabelMatcher, MatcherError};

/// An error as a JSON string.
pub(super) struct Plain(ApiError);

impl From<ApiError> for Plain {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Plain {
    fn into_response(self) -> Response {
        let text = Value::from(self.0.message).to_string();
        self.0.kind.marked((self.0.kind.status(), json_text(text)).into_response())
    }
}

type Result<T = Response> = std::result::Result<T, Plain>;

/// The routes under `/api/v2/`.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/v2/status", get(status))
        .route("/api/v2/receivers", get(receivers))
        .route("/api/v2/alerts", get(alerts).post(post_alerts))
        .route("/api/v2/alerts/groups", get(groups))
        .route("/api/v2/silences", get(silences).post(put_silence))
        .route("/api/v2/silence/{id}", get(silence).delete(expire_silence))
        .route("/api/v1/silences/preview", get(preview))
}

/// There is no cluster.
async fn status(State(shared): State<Shared>) -> Result {
    let (started, routing) = shared.ask(|api| (api.status()["started"].clone(), api.routing())).await?;
    let status = json!({
        "cluster": {"status": "disabled", "peers": []},
        "config": {"original": routing},
        "uptime": started,
        "versionInfo": wire::build_info(),
    });
    Ok(json_text(status.to_string()))
}

/// What is asked of alerts. None is ever unprocessed, so that flag changes nothing.
fn alert_query(params: &Params) -> std::result::Result<AlertQuery, ApiError> {
    params.flag("unprocessed", true)?;
    Ok(AlertQuery {
        filter: [params.all("filter"), params.all("filter[]")].concat(),
        receiver: params.get("receiver").filter(|text| !text.is_empty()).map(str::to_owned),
        receiver_matchers: [params.all("receiver_matchers"), params.all("receiver_matchers[]")].concat(),
        active: params.flag("active", true)?,
        silenced: params.flag("silenced", true)?,
        inhibited: params.flag("inhibited", true)?,
        muted: params.flag("muted", true)?,
    })
}

async fn alerts(State(shared): State<Shared>, request: Request) -> Result {
    let query = alert_query(&shared.params(request).await?)?;
    let found = shared.look_up(move |api| api.firing(&query)).await?;
    Ok(lists::plain(found, wire::append))
}

async fn groups(State(shared): State<Shared>, request: Request) -> Result {
    let query = alert_query(&shared.params(request).await?)?;
    let found = shared.look_up(move |api| api.alert_groups(&query)).await?;
    Ok(lists::plain(found, wire::append))
}

async fn receivers(State(shared): State<Shared>, request: Request) -> Result {
    let params = shared.params(request).await?;
    let matchers = [params.all("receiver_matchers"), params.all("receiver_matchers[]")].concat();
    let found = shared.ask(move |api| api.receivers(&matchers)).await??;
    Ok(json_text(json!(found).to_string()))
}

/// Alerts of another program. What is right is taken even where something else is wrong, as in Alertmanager.
async fn post_alerts(State(shared): State<Shared>, request: Request) -> Result {
    let held = shared.json_bytes(request, body::ALERTS_BYTES_MAX).await?;
    // Read where a bounded number is at work; until all is done the body counts as memory in use.
    let take = move |api: &dyn Api| api.post_alerts(from_json::<Vec<PostedAlert>>(&held.bytes)?);
    shared.ask(take).await??;
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "application/json")]).into_response())
}

fn query(params: &Params) -> std::result::Result<SilenceQuery, ApiError> {
    Ok(SilenceQuery {
        filter: [params.all("filter"), params.all("filter[]")].concat(),
        active: params.flag("active", true)?,
        pending: params.flag("pending", true)?,
        expired: params.flag("expired", true)?,
        creators: params.all("creator"),
        hiding: params.flag("hiding", false)?,
    })
}

async fn silences(State(shared): State<Shared>, request: Request) -> Result {
    let query = query(&shared.params(request).await?)?;
    let found = shared.ask(move |api| api.silences(&query)).await??;
    Ok(json_text(json!(found).to_string()))
}

async fn silence(State(shared): State<Shared>, Path(id): Path<String>) -> Result {
    let found = shared.ask(move |api| api.silence(&id)).await??;
    Ok(json_text(json!(found).to_string()))
}

async fn put_silence(State(shared): State<Shared>, request: Request) -> Result {
    let posted: PostedSilence = shared.json(request).await?;
    let id = shared.ask(move |api| api.put_silence(posted)).await??;
    Ok(json_text(json!({"silenceID": id}).to_string()))
}

async fn expire_silence(State(shared): State<Shared>, Path(id): Path<String>) -> Result {
    shared.ask(move |api| api.expire_silence(&id)).await??;
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "application/json")]).into_response())
}

/// What a silence would hide and would have hidden; in the shape of our own API. Each `filter[]` is one matcher of the
/// same set, each `set[]` a whole set.
async fn preview(State(shared): State<Shared>, request: Request) -> std::result::Result<Response, ApiError> {
    let params = shared.params(request).await?;
    let bad = |error: MatcherError| ApiError::bad(error.to_string());
    let one = [params.all("filter"), params.all("filter[]")].concat();
    let one: Vec<LabelMatcher> =
        one.iter().map(|text| LabelMatcher::parse(text).map_err(bad)).collect::<std::result::Result<_, _>>()?;
    let mut sets = all_sets(params.all("set[]").iter().map(String::as_str))?;
    if !one.is_empty() {
        sets.insert(0, one);
    }
    if sets.is_empty() || sets.iter().any(Vec::is_empty) {
        return Err(ApiError::new(ErrorKind::BadData, "parameter \"filter[]\" is missing"));
    }
    let preview = shared.look_up(move |api| api.preview(&sets)).await?;
    Ok(json_text(wire::success(wire::preview(&preview))))
}
