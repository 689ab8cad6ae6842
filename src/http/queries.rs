//! The query API of Prometheus: paths, parameters and answers as there, so that Grafana, promtool and other clients of
//! Prometheus work unchanged.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::error::ApiError;
use super::params::unescaped_name;
use super::routes::{Shared, json_text};
use super::wire;
use super::{federate, lists};

type Result<T = Response> = std::result::Result<T, ApiError>;

/// The routes of the query API.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/v1/query", get(query).post(query))
        .route("/api/v1/query_range", get(query_range).post(query_range))
        .route("/api/v1/query_exemplars", get(exemplars).post(exemplars))
        .route("/api/v1/format_query", get(format_query).post(format_query))
        .route("/api/v1/series", get(series).post(series))
        .route("/api/v1/labels", get(labels).post(labels))
        .route("/api/v1/label/{name}/values", get(label_values))
        .route("/api/v1/metadata", get(metadata))
        .route("/api/v1/status/buildinfo", get(async || json_text(wire::success(wire::build_info()))))
        .route(
            "/api/v1/status/runtimeinfo",
            get(async |State(shared): State<Shared>| about(shared, "runtimeinfo").await),
        )
        .route("/api/v1/status/flags", get(async |State(shared): State<Shared>| about(shared, "flags").await))
        .route("/api/v1/status/config", get(async |State(shared): State<Shared>| about(shared, "config").await))
        .route("/federate", get(federate_page))
}

async fn query(State(shared): State<Shared>, request: Request) -> Result {
    let query = shared.params(request).await?.instant(shared.api().now())?;
    let limit = query.timeout;
    let text = shared.evaluate(limit, move |api| api.query(&query).map(|answer| wire::answer(&answer))).await?;
    Ok(json_text(text))
}

async fn query_range(State(shared): State<Shared>, request: Request) -> Result {
    let query = shared.params(request).await?.range()?;
    let limit = query.timeout;
    let text = shared.evaluate(limit, move |api| api.query_range(&query).map(|answer| wire::answer(&answer))).await?;
    Ok(json_text(text))
}

/// There are none: a client that asks for them beside a query is to get its query's answer.
async fn exemplars(State(shared): State<Shared>, request: Request) -> Result {
    let params = shared.params(request).await?;
    params.required("query")?;
    Ok(json_text(wire::success(json!([]))))
}

async fn format_query(State(shared): State<Shared>, request: Request) -> Result {
    let query = shared.params(request).await?.required("query")?.to_owned();
    let text = shared.look_up(move |api| api.format_query(&query)).await?;
    Ok(json_text(wire::success(text)))
}

async fn series(State(shared): State<Shared>, request: Request) -> Result {
    let query = shared.params(request).await?.series()?;
    if query.selectors.is_empty() {
        return Err(ApiError::bad("no match[] parameter provided"));
    }
    let limit = query.limit;
    let series = shared.look_up(move |api| api.series(&query)).await?;
    Ok(lists::list(series, limit, wire::label_set))
}

async fn labels(State(shared): State<Shared>, request: Request) -> Result {
    let query = shared.params(request).await?.series()?;
    let limit = query.limit;
    let names = shared.look_up(move |api| api.label_names(&query)).await?;
    Ok(lists::list(names, limit, |out, name| wire::text(out, name)))
}

async fn label_values(State(shared): State<Shared>, Path(name): Path<String>, request: Request) -> Result {
    let query = shared.params(request).await?.series()?;
    let (limit, name) = (query.limit, unescaped_name(&name));
    let values = shared.look_up(move |api| api.label_values(&name, &query)).await?;
    Ok(lists::list(values, limit, |out, value| wire::text(out, value)))
}

async fn metadata(State(shared): State<Shared>, request: Request) -> Result {
    let params = shared.params(request).await?;
    let (limit, per_metric) = (params.count("limit")?, params.count("limit_per_metric")?);
    let text = shared.ask(move |api| {
        // There is one description of a metric, so that any limit per metric but 0 is kept.
        let most = if per_metric == Some(0) { Some(0) } else { limit };
        wire::success(wire::metadata(&api.metadata(), params.get("metric"), most))
    });
    Ok(json_text(text.await?))
}

async fn about(shared: Shared, what: &'static str) -> Result {
    let value = shared.ask(move |api| api.about(what)).await?;
    Ok(json_text(wire::success(value.unwrap_or(Value::Null))))
}

async fn federate_page(State(shared): State<Shared>, headers: HeaderMap, request: Request) -> Result {
    let selectors = shared.params(request).await?.all("match[]");
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let names = federate::Names::accepted(accept);
    let text = shared.look_up(move |api| Ok(federate::page(&api.federate(&selectors)?, names))).await?;
    Ok(([(header::CONTENT_TYPE, names.content_type())], text).into_response())
}
