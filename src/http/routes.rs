//! Every path and what it does: reads the request, asks the [`Api`] where blocking is allowed, writes the answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::Semaphore;

use super::acks;
use super::api::{Api, ImportFormat, Imported};
use super::body::{self, Budget, Held};
use super::error::{ApiError, ErrorKind};
use super::gate;
use super::guard::{Guard, guard};
use super::params::{Params, QUERY_TIMEOUT_MAX, RuleFilter};
use super::records::SilenceQuery;
use super::{alertmanager, kept, openapi, page, queries, remote_write, silence_form, silence_page, wire};
use crate::model::{Labels, Timestamp};

/// Most queries at work at once; more wait.
pub const QUERIES_MAX: usize = 16;
/// Most other questions to the app (imports, rules, metrics) at once: slow queries do not keep them waiting.
pub const QUESTIONS_MAX: usize = 16;
/// Longest time from the head of a request to the head of its answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(40);
const _: () =
    assert!(REQUEST_TIMEOUT.as_secs() > QUERY_TIMEOUT_MAX.as_secs(), "a query must be able to time out itself");

/// What every route has at hand.
#[derive(Clone)]
pub(super) struct Shared {
    api: Arc<dyn Api>,
    queries: Arc<Semaphore>,
    questions: Arc<Semaphore>,
    pub(super) writes: Arc<Semaphore>,
    pub(super) writes_waiting: Arc<Semaphore>,
    pub(super) budget: Budget,
    /// Stands in every form of the page.
    pub(super) form_token: Arc<str>,
}

type Result<T = Response> = std::result::Result<T, ApiError>;

/// All routes behind the guard. `extra` routes (other protocols) stand behind the same guard and timeout.
pub fn router(api: Arc<dyn Api>, checks: Guard, extra: Router) -> Router {
    let gate = Arc::clone(&api);
    let shared = Shared {
        budget: Budget::new(api.bodies_bytes_max()),
        api,
        queries: Arc::new(Semaphore::new(QUERIES_MAX)),
        questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
        writes: Arc::new(Semaphore::new(remote_write::WRITES_MAX)),
        writes_waiting: Arc::new(Semaphore::new(remote_write::WRITES_WAITING_MAX)),
        form_token: silence_form::token().into(),
    };
    Router::new()
        .route("/", get(front_page))
        .route("/graph", get(graph))
        .route("/assets/style.css", get(style))
        .route("/-/healthy", get(async || "alertd is healthy.\n"))
        .route("/-/ready", get(ready))
        .route("/-/active", get(active))
        .route("/-/reload", post(reload).put(reload))
        .route("/metrics", get(metrics))
        .route("/api/openapi.json", get(async || json_text(openapi::document().to_string())))
        .route("/api/v1/import", post(import_json_lines))
        .route("/api/v1/import/prometheus", post(import_prometheus))
        .route("/api/v1/heartbeat", get(beats))
        .route("/api/v1/heartbeat/{name}", post(beat).put(beat).delete(forget_beat))
        .route("/api/v1/rules", get(rules))
        .route("/api/v1/alerts", get(alerts))
        .route("/api/v1/status", get(status))
        .merge(acks::routes())
        .merge(queries::routes())
        .merge(alertmanager::routes())
        .merge(kept::routes())
        .merge(silence_page::routes())
        .merge(remote_write::routes())
        .with_state(shared)
        .merge(extra)
        .fallback(async |request: Request| {
            ApiError::new(ErrorKind::NotFound, format!("nothing at {}", request.uri().path()))
        })
        .method_not_allowed_fallback(async |request: Request| {
            let message = format!("{} is not for {}", request.method(), request.uri().path());
            ApiError::new(ErrorKind::Method, message)
        })
        .layer(from_fn(deadline))
        .layer(from_fn_with_state(Arc::clone(&gate), gate::wait))
        .layer(from_fn_with_state(Arc::clone(&gate), gate::shed))
        .layer(from_fn_with_state(checks, guard))
        .layer(from_fn_with_state(gate, gate::count))
}

async fn deadline(request: Request, next: Next) -> Response {
    let late = |_| ApiError::new(ErrorKind::Timeout, format!("no answer within {}s", REQUEST_TIMEOUT.as_secs()));
    tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await.map_err(late).into_response()
}

pub(super) fn json_text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

impl Shared {
    /// Asks the app something quick on a thread that may block.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Api) -> T + Send + 'static,
    ) -> Result<T> {
        self.ask_within(&self.questions, question).await
    }

    /// Asks the app for a query's answer; one that takes longer than `limit` goes on to its end unheard.
    pub(super) async fn evaluate<T: Send + 'static>(
        &self,
        limit: Duration,
        question: impl FnOnce(&dyn Api) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let late = |_| ApiError::new(ErrorKind::Timeout, "query timed out in expression evaluation");
        tokio::time::timeout(limit, self.look_up(question)).await.map_err(late)?
    }

    /// Asks the app something that reads samples.
    pub(super) async fn look_up<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Api) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.ask_within(&self.queries, question).await?
    }

    /// A question whose client has gone goes on to its end and keeps its place, so that the number of questions at work
    /// stays bounded.
    pub(super) async fn ask_within<T: Send + 'static>(
        &self,
        places: &Arc<Semaphore>,
        question: impl FnOnce(&dyn Api) -> T + Send + 'static,
    ) -> Result<T> {
        let gone = |_| ApiError::new(ErrorKind::Unavailable, "the server is shutting down");
        let place = Arc::clone(places).acquire_owned().await.map_err(gone)?;
        let api = Arc::clone(&self.api);
        let asked = tokio::task::spawn_blocking(move || {
            let answer = question(&*api);
            drop(place);
            answer
        });
        asked.await.map_err(|error| {
            tracing::error!(%error, "A request failed inside.");
            ApiError::new(ErrorKind::Internal, "the request failed inside; see the log")
        })
    }

    /// Parameters of a GET, or of a POST with a form.
    pub(super) async fn params(&self, request: Request) -> Result<Params> {
        let (head, body) = request.into_parts();
        let held = body::read(&head.headers, body, body::FORM_BYTES_MAX, &self.budget).await?;
        if !held.bytes.is_empty() && media_type(&head.headers) != "application/x-www-form-urlencoded" {
            let message = "the body must be application/x-www-form-urlencoded";
            return Err(ApiError::new(ErrorKind::MediaType, message));
        }
        let form = std::str::from_utf8(&held.bytes).map_err(|_| ApiError::bad("the body is not UTF-8"))?;
        Params::new(&head.uri, form)
    }

    /// The JSON body of a change.
    pub(super) async fn json<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let held = self.json_bytes(request, body::JSON_BYTES_MAX).await?;
        from_json(&held.bytes)
    }

    /// A body of JSON, of at most so many bytes, unread.
    pub(super) async fn json_bytes(&self, request: Request, bytes_max: usize) -> Result<Held> {
        let (head, body) = request.into_parts();
        if media_type(&head.headers) != "application/json" {
            return Err(ApiError::new(ErrorKind::MediaType, "the body must be application/json"));
        }
        body::read(&head.headers, body, bytes_max, &self.budget).await
    }

    /// The app, for what does not block.
    pub(super) fn api(&self) -> &dyn Api {
        &*self.api
    }

    /// The wall clock.
    pub(super) fn now(&self) -> Timestamp {
        self.api.now()
    }

    async fn import(&self, format: ImportFormat, request: Request) -> Result {
        let (head, body) = request.into_parts();
        let held = body::read(&head.headers, body, body::IMPORT_BYTES_MAX, &self.budget).await?;
        let encoding = match head.headers.get(header::CONTENT_ENCODING) {
            None => None,
            Some(value) => Some(value.to_str().map_err(|_| ApiError::bad("bad Content-Encoding"))?.to_owned()),
        };
        let budget = self.budget.clone();
        let imported = self
            .ask(move |api| {
                let unpacked = body::unpack(encoding.as_deref(), held, &budget)?;
                api.import(format, &unpacked.bytes)
            })
            .await??;
        Ok(imported_response(&imported))
    }
}

/// The value of a body.
pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| ApiError::bad(format!("cannot read the body: {error}")))
}

/// 200 where everything was taken, 400 where something was refused, 429 where only room was missing; all say how much.
fn imported_response(imported: &Imported) -> Response {
    let data = json!({"samples": imported.samples, "rejected": imported.rejected, "errors": imported.errors});
    if imported.rejected == 0 {
        return json_text(wire::success(data));
    }
    let first = imported.errors.first().map_or("refused", String::as_str);
    let message = format!("{} of {} refused: {first}", imported.rejected, imported.samples + imported.rejected);
    let kind = if imported.again { ErrorKind::TooMany } else { ErrorKind::BadData };
    let body = json!({"status": "error", "errorType": kind.word(), "error": message, "data": data});
    kind.marked((kind.status(), json_text(body.to_string())).into_response())
}

pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

async fn front_page(State(shared): State<Shared>) -> Result {
    let html = shared.ask(|api| {
        let in_force = SilenceQuery { pending: false, expired: false, hiding: true, ..SilenceQuery::default() };
        let (silences, groups, received) = (api.silences(&in_force)?, api.groups(), api.received());
        let alerts = api.hidden(&page::written_out(&groups, &received));
        let hidden = page::Hidden { silences, alerts, mutings: api.mutings() };
        let about = (&api.ready(), &api.standing(), &hidden);
        Ok::<_, ApiError>(page::render(&groups, &received, about, api.now()))
    });
    let html = html.await??;
    Ok(([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response())
}

/// Where the template functions `graphLink` and `tableLink` lead: the result of the expression now. There is no graph.
async fn graph(RawQuery(query): RawQuery) -> Redirect {
    let pairs = url::form_urlencoded::parse(query.as_deref().unwrap_or_default().as_bytes());
    match pairs.into_iter().find(|(name, _)| name == "g0.expr") {
        Some((_, expr)) => {
            let query: String = url::form_urlencoded::byte_serialize(expr.as_bytes()).collect();
            Redirect::temporary(&format!("api/v1/query?query={query}"))
        }
        None => Redirect::temporary("./"),
    }
}

async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")];
    (headers, page::STYLE).into_response()
}

async fn ready(State(shared): State<Shared>) -> Response {
    // It looks at what a commit may hold for as long as the disk or the database takes.
    let readiness = tokio::task::spawn_blocking(move || shared.api.ready()).await.unwrap_or_default();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({"ready": readiness.ready, "reasons": readiness.reasons});
    (status, json_text(body.to_string())).into_response()
}

/// Whether this is the process that decides and tells, for whoever sends people to it.
async fn active(State(shared): State<Shared>) -> Response {
    match shared.api.waits() {
        None => "alertd is active.\n".into_response(),
        Some(why) => {
            ErrorKind::Unavailable.marked((StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response())
        }
    }
}

async fn reload(State(shared): State<Shared>) -> Result {
    shared.ask(|api| api.reload()).await??;
    Ok(json_text(wire::success(json!({}))))
}

async fn metrics(State(shared): State<Shared>, headers: HeaderMap) -> Result {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let (content_type, text) = shared.ask(move |api| api.metrics(accept.as_deref())).await?;
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}

async fn import_json_lines(State(shared): State<Shared>, request: Request) -> Result {
    shared.import(ImportFormat::JsonLines, request).await
}

async fn import_prometheus(State(shared): State<Shared>, request: Request) -> Result {
    let open_metrics = media_type(request.headers()) == "application/openmetrics-text";
    shared.import(ImportFormat::Prometheus { open_metrics }, request).await
}

async fn beat(State(shared): State<Shared>, Path(name): Path<String>) -> Result {
    let at = shared.ask(move |api| api.beat(&name)).await??;
    Ok(json_text(wire::success(json!({"at": at}))))
}

async fn beats(State(shared): State<Shared>) -> Result {
    let beats = shared.ask(|api| api.beats()).await?;
    let one = |(name, at): &(String, crate::model::Timestamp)| json!({"name": name, "at": at});
    Ok(json_text(wire::success(beats.iter().map(one).collect::<Vec<_>>())))
}

async fn forget_beat(State(shared): State<Shared>, Path(name): Path<String>) -> Result {
    shared.ask(move |api| api.forget_beat(&name)).await??;
    Ok(json_text(wire::success(json!({}))))
}

async fn rules(State(shared): State<Shared>, request: Request) -> Result {
    let params = shared.params(request).await?;
    let filter = RuleFilter::new(&params)?;
    let text = shared.ask(move |api| {
        let groups = api.groups();
        let fits = if filter.selectors.is_empty() {
            None
        } else {
            let labels: Vec<Labels> = groups.iter().flat_map(|g| &g.rules).map(|rule| rule.labels.clone()).collect();
            Some(api.matches(&filter.selectors, &labels)?)
        };
        wire::rules(&groups, &filter, fits.as_deref()).map(wire::success)
    });
    Ok(json_text(text.await??))
}

async fn alerts(State(shared): State<Shared>) -> Result {
    let text = shared.ask(|api| wire::success(wire::alerts(&api.groups(), &api.received(), &api.mutings())));
    Ok(json_text(text.await?))
}

async fn status(State(shared): State<Shared>) -> Result {
    Ok(json_text(shared.ask(|api| wire::success(api.status())).await?))
}
