//! Who looks after which alert: as JSON for programs, and as a page for whoever follows the link of a message.
//!
//! Looking at the page changes nothing, so that programs which open links in messages acknowledge nothing; its form does,
//! without scripts. The link itself is what proves that somebody may.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;

use super::error::{ApiError, ErrorKind};
use super::html::Html;
use super::routes::{Shared, json_text};
use super::wire;
use crate::model::labels::ALERT_NAME;
use crate::model::{Ack, Alert, Fingerprint, Timestamp, parse_duration};

/// Who looks after alerts, seen from HTTP. All methods may block.
pub trait Acks: Send + Sync + 'static {
    /// Somebody looks after alerts; which. It is on the disk when this returns.
    fn acknowledge(&self, posted: PostedAck) -> Result<Vec<Alert>, ApiError>;

    /// Nobody looks after alerts any more; which.
    fn withdraw_ack(&self, posted: WithdrawnAck) -> Result<Vec<Alert>, ApiError>;

    /// Where the link of a message leads; changes nothing.
    fn ack_link(&self, token: &str) -> LinkView;

    /// Takes what somebody says by a link.
    fn follow_ack_link(&self, token: &str, by: String, comment: String) -> Result<LinkView, ApiError>;
}

/// `POST /api/v1/acks`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostedAck {
    /// The alert.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
    /// Or all that these matchers fit.
    #[serde(default)]
    pub matchers: Vec<String>,
    /// Who looks after them.
    pub by: String,
    /// What they say.
    #[serde(default)]
    pub comment: String,
    /// Until then, if not until they are over.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Or for so long.
    #[serde(default, rename = "for", deserialize_with = "span")]
    pub span: Option<Duration>,
}

/// `POST /api/v1/acks/withdraw`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawnAck {
    /// The alert.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
    /// Or all that these matchers fit.
    #[serde(default)]
    pub matchers: Vec<String>,
    /// Who says so.
    #[serde(default)]
    pub by: String,
}

fn span<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| parse_duration(&text).map_err(serde::de::Error::custom)).transpose()
}

/// What the link of a message leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkView {
    /// An alert that fires.
    Open(Box<Alert>),
    /// One that somebody looks after already.
    Taken(Box<Alert>, Ack),
    /// It was taken just now.
    Done(Box<Alert>),
    /// The alert is over, or there is none of it.
    Over,
    /// The link was used before.
    Used,
    /// The link's time is over.
    Expired,
    /// No link of this installation.
    Unknown,
}

impl LinkView {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Open(_) | Self::Taken(..) | Self::Done(_) => StatusCode::OK,
            Self::Over | Self::Used | Self::Expired => StatusCode::GONE,
            Self::Unknown => StatusCode::NOT_FOUND,
        }
    }
}

/// The routes.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/v1/acks", post(acknowledge))
        .route("/api/v1/acks/withdraw", post(withdraw))
        .route("/ack/{token}", get(look).post(follow))
}

async fn acknowledge(State(shared): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let posted: PostedAck = shared.json(request).await?;
    let alerts = shared.ask(move |api| api.acknowledge(posted)).await??;
    Ok(json_text(wire::success(json!({"acknowledged": wire::bare_alerts(&alerts)}))))
}

async fn withdraw(State(shared): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let posted: WithdrawnAck = shared.json(request).await?;
    let alerts = shared.ask(move |api| api.withdraw_ack(posted)).await??;
    Ok(json_text(wire::success(json!({"withdrawn": wire::bare_alerts(&alerts)}))))
}

async fn look(State(shared): State<Shared>, Path(token): Path<String>) -> Result<Response, ApiError> {
    let led = shared.ask(move |api| api.ack_link(&token)).await?;
    Ok(page(&led, None))
}

async fn follow(
    State(shared): State<Shared>,
    Path(token): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let params = shared.params(request).await?;
    let field = |name: &str| params.all(name).first().cloned().unwrap_or_default();
    let (by, comment) = (field("by"), field("comment"));
    let again = token.clone();
    let answer = shared.ask(move |api| api.follow_ack_link(&token, by, comment)).await?;
    match answer {
        Ok(led) => Ok(page(&led, None)),
        // What was typed is wrong: the form is shown again.
        Err(error) if error.kind == ErrorKind::BadData => {
            let led = shared.ask(move |api| api.ack_link(&again)).await?;
            let mut response = page(&led, Some(&error.message));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            Ok(response)
        }
        Err(error) => Err(error),
    }
}

fn page(led: &LinkView, wrong: Option<&str>) -> Response {
    let mut html = Html(String::with_capacity(4 * 1024));
    html.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">")
        .raw("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">")
        .raw("<meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\">")
        .raw("<title>alertd: acknowledge</title><link rel=\"stylesheet\" href=\"../assets/style.css\"></head><body>")
        .raw("<header><h1>alertd</h1></header><main><section>");
    match led {
        LinkView::Open(alert) => {
            html.raw("<h2>Acknowledge this alert?</h2>");
            card(&mut html, alert);
            html.raw(
                "<p>It is not told again until it is over or worse. That you look after it stands on the page of all ",
            )
            .raw("alerts and in its history.</p>");
            if let Some(wrong) = wrong {
                html.raw("<p class=\"error\">").text(wrong).raw("</p>");
            }
            html.raw("<form method=\"post\"><p><label>Your name <input name=\"by\" required maxlength=\"200\" ")
                .raw("autocomplete=\"name\"></label></p><p><label>Comment <input name=\"comment\" maxlength=\"500\">")
                .raw("</label></p><p><button>Acknowledge</button></p></form>");
        }
        LinkView::Done(alert) => {
            html.raw("<h2>Acknowledged</h2>");
            card(&mut html, alert);
            html.raw("<p>It is not told again until it is over or worse.</p>");
        }
        LinkView::Taken(alert, ack) => {
            html.raw("<h2>Somebody looks after it already</h2>");
            card(&mut html, alert);
            html.raw("<p>acknowledged by ")
                .text(&ack.words())
                .raw(" at <time>")
                .text(&ack.at.to_string())
                .raw("</time></p>");
        }
        LinkView::Over => {
            html.raw("<h2>This alert is over</h2><p>It resolved, or began anew after this message.</p>");
        }
        LinkView::Used => {
            html.raw(
                "<h2>This link was used</h2><p>The link of a message acknowledges once, and at most some hundred ",
            )
            .raw("links of one alert can be used.</p>");
        }
        LinkView::Expired => {
            html.raw("<h2>This link is too old</h2><p>Use one of a newer message, or the command line.</p>");
        }
        LinkView::Unknown => {
            html.raw("<h2>This is no link of this server</h2><p>Was it cut off on the way?</p>");
        }
    }
    html.raw("<p><a href=\"../\">all alerts</a></p></section></main></body></html>\n");
    (led.status(), [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html.0).into_response()
}

fn card(html: &mut Html, alert: &Alert) {
    html.raw("<article class=\"alert firing ")
        .text(alert.severity.as_str())
        .raw("\"><h3><span class=\"state\">firing ");
    html.text(alert.severity.as_str()).raw("</span> ").text(alert.labels.get(ALERT_NAME).unwrap_or(&alert.rule));
    html.raw("</h3><p>since <time>").text(&alert.active_at.to_string()).raw("</time></p><p class=\"labels\">");
    for (name, value) in alert.labels.iter().filter(|(n, _)| !matches!(*n, ALERT_NAME | "severity")) {
        html.raw("<code>").text(name).raw("=").text(value).raw("</code> ");
    }
    html.raw("</p></article>");
}
