//! The page at `/silences`: those that are there, with who, why and until when, and the form that makes and ends them.
//! Works without scripts. What one would hide is shown before it is made.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::error::ApiError;
use super::html::Html;
use super::params::Params;
use super::records::{Preview, SilenceQuery, SilenceView};
use super::routes::Shared;
use super::silence_form::{Form, check};
use crate::model::labels::ALERT_NAME;
use crate::model::{Alert, AlertState, LabelMatcher, MatchOp, Timestamp};
use crate::notify::human::span;

/// Most silences written out.
pub const SILENCES_SHOWN_MAX: usize = 500;
/// Most silences that are over written out.
const OVER_SHOWN_MAX: usize = 20;
/// Most alerts of a preview written out.
const ALERTS_SHOWN_MAX: usize = 50;
/// Usual lengths of time.
const SPANS: [&str; 6] = ["30m", "2h", "8h", "1d", "3d", "7d"];

/// The routes of the page.
pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/silences", get(page).post(act))
}

/// What was done, or why not.
enum Told {
    Nothing,
    /// What would be made, and what it would hide.
    Foreseen(Box<SilenceView>, Box<Preview>),
    Refused(ApiError),
}

async fn page(State(shared): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let params = shared.params(request).await?;
    let form = Form::read(&params);
    // A link from an alert comes with its labels; what a silence for them would hide is shown at once.
    let foreseen = Form { until: "2h".into(), author: "-".into(), comment: "-".into(), ..form.clone() };
    let told = match form.matchers.is_empty() {
        true => Told::Nothing,
        false => foresee(&shared, foreseen, true).await,
    };
    show(&shared, form, told).await
}

/// Previews, makes or ends a silence. What was made or ended is seen on the page that comes then, so that loading it
/// again does nothing twice.
async fn act(State(shared): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let params = shared.params(request).await?;
    let form = Form::read(&params);
    if let Err(refused) = check(&shared.form_token, &params) {
        return show(&shared, form, Told::Refused(refused)).await;
    }
    let done = match params.get("do") {
        Some("end") => end(&shared, &params).await,
        Some("make") => make(&shared, &form).await,
        _ => {
            let told = foresee(&shared, form.clone(), false).await;
            return show(&shared, form, told).await;
        }
    };
    match done {
        Ok(()) => Ok((StatusCode::SEE_OTHER, [(header::LOCATION, "silences")]).into_response()),
        Err(refused) => show(&shared, form, Told::Refused(refused)).await,
    }
}

async fn make(shared: &Shared, form: &Form) -> Result<(), ApiError> {
    let posted = form.posted(shared.now())?;
    shared.ask(move |api| api.put_silence(posted)).await?.map(drop)
}

async fn end(shared: &Shared, params: &Params) -> Result<(), ApiError> {
    let id = params.required("id")?.to_owned();
    shared.ask(move |api| api.expire_silence(&id)).await?
}

/// What the silence of the form would be and hide; of a form that is yet to be filled in, what its matchers fit, whatever
/// else is asked of a silence.
async fn foresee(shared: &Shared, form: Form, unfinished: bool) -> Told {
    let now = shared.now();
    let asked = form.sets().and_then(|sets| Ok((sets, form.posted(now)?)));
    let (sets, posted) = match asked {
        Ok(asked) => asked,
        Err(refused) => return Told::Refused(refused),
    };
    let found = shared.look_up(move |api| Ok((api.try_silence(posted), api.preview(&sets)?))).await;
    match found {
        Ok((Ok(view), preview)) => Told::Foreseen(Box::new(view), Box::new(preview)),
        Ok((Err(_), preview)) if unfinished => Told::Foreseen(Box::new(nothing(now)), Box::new(preview)),
        Ok((Err(refused), _)) | Err(refused) => Told::Refused(refused),
    }
}

/// A silence of which nothing is known.
fn nothing(now: Timestamp) -> SilenceView {
    SilenceView::empty(now)
}

async fn show(shared: &Shared, form: Form, told: Told) -> Result<Response, ApiError> {
    let query = SilenceQuery { hiding: true, ..SilenceQuery::default() };
    let found = shared.ask(move |api| api.silences(&query)).await??;
    let status = match &told {
        Told::Refused(refused) => refused.kind.status(),
        _ => StatusCode::OK,
    };
    let html = render(&found, (&form, &told), &shared.form_token, shared.now());
    Ok((status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response())
}

fn render(found: &[SilenceView], (form, told): (&Form, &Told), token: &str, now: Timestamp) -> String {
    let mut html = Html::page(false);
    html.raw("Silences · alertd</title></head><body><header><h1>Silences</h1><p><a href=\"./\">alerts and rules</a>");
    html.raw("; as of ").time(now).raw("</p></header><main>");
    match told {
        Told::Nothing => {}
        Told::Refused(refused) => {
            html.raw("<section class=\"banner\" role=\"alert\"><strong>Nothing was changed.</strong> ");
            html.text(&refused.message).raw("</section>");
        }
        Told::Foreseen(view, preview) => foreseen(&mut html, view, preview, now),
    }
    html.raw("<section><h2>In force and to come</h2>");
    let (over, open): (Vec<&SilenceView>, Vec<&SilenceView>) = found.iter().partition(|s| s.status.state == "expired");
    if open.is_empty() {
        html.raw("<p>There is none.</p>");
    } else {
        table(&mut html, open.iter().take(SILENCES_SHOWN_MAX).copied(), Action::End(token), now);
    }
    if open.len() > SILENCES_SHOWN_MAX {
        html.raw("<p>and ").count(open.len() - SILENCES_SHOWN_MAX).raw(" more</p>");
    }
    html.raw("</section>");
    form_section(&mut html, form, token);
    if !over.is_empty() {
        html.raw("<section><h2>Over</h2>");
        table(&mut html, over.iter().take(OVER_SHOWN_MAX).copied(), Action::Again, now);
        html.raw("</section>");
    }
    html.raw("</main></body></html>\n");
    html.0
}

/// What a silence would hide now and would have hidden.
fn foreseen(html: &mut Html, view: &SilenceView, preview: &Preview, now: Timestamp) {
    let (alerts, past) = (&preview.alerts, &preview.past);
    let firing = alerts.iter().filter(|alert| alert.state == AlertState::Firing).count();
    html.raw("<section class=\"foreseen\" role=\"status\"><h2>What it would hide</h2>");
    if let Some(window) = &view.window {
        html.raw("<p>First in force from ").time(window.starts_at).raw(" to ").time(window.ends_at);
        if window.starts_at > now {
            html.raw(", in ").text(&span(window.starts_at.since(now)));
        }
        html.raw(".</p>");
    }
    html.raw("<p><strong>Now:</strong> ");
    match alerts.len() {
        0 => html.raw("nothing that fires or is pending. Is a label misspelt?</p>"),
        pending => html.many(firing, "alert").raw(" firing, ").count(pending - firing).raw(" pending.</p><ul>"),
    };
    for alert in alerts.iter().take(ALERTS_SHOWN_MAX) {
        html.raw("<li>").text(alert.state.as_str()).raw(" ").text(alert.labels.get(ALERT_NAME).unwrap_or(&alert.rule));
        for (name, value) in alert.labels.iter().filter(|(name, _)| *name != ALERT_NAME) {
            html.raw(" <code>").text(name).raw("=").text(value).raw("</code>");
        }
        html.raw("</li>");
    }
    if alerts.len() > ALERTS_SHOWN_MAX {
        html.raw("<li>and ").count(alerts.len() - ALERTS_SHOWN_MAX).raw(" more</li>");
    }
    html.raw(if alerts.is_empty() { "<p><strong>" } else { "</ul><p><strong>" });
    match past.complete {
        true => html.raw("In the last 7 days:"),
        false => html.raw("Since ").time(past.from).raw(" (there is more history than is looked at):"),
    };
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    html.raw("</strong> ").many(number(past.alerts), "alert").raw(" fired ").many(number(past.episodes), "time");
    html.raw(", ").many(number(past.notices), "message").raw(" about that went out.</p>");
    if !past.rules.is_empty() {
        html.raw("<ul>");
        for rule in &past.rules {
            html.raw("<li>").text(&rule.name).raw(" ").many(number(rule.episodes), "time").raw("</li>");
        }
        html.raw("</ul>");
    }
    html.raw("</section>");
}

/// What can be done with the silences of a table.
#[derive(Clone, Copy)]
pub(super) enum Action<'a> {
    /// They can be ended, with this token.
    End(&'a str),
    /// The form can be filled in as they are.
    Again,
    /// Nothing.
    None,
}

/// A row for each silence.
pub(super) fn table<'a>(
    html: &mut Html,
    silences: impl Iterator<Item = &'a SilenceView>,
    action: Action<'_>,
    now: Timestamp,
) {
    html.raw("<table class=\"silences\"><thead><tr><th>Alerts</th><th>State</th><th>When</th><th>Why</th>");
    html.raw("<th>Hides</th><th></th></tr></thead><tbody>");
    for silence in silences {
        html.raw("<tr id=\"s-").text(&silence.id).raw("\" class=\"").text(silence.status.state).raw("\"><td>");
        for (n, shown) in silence.shown.iter().enumerate() {
            if n > 0 && !silence.matcher_sets.is_empty() {
                html.raw(" or ");
            }
            html.raw("<code>").text(shown).raw("</code> ");
        }
        html.raw("</td><td>").text(silence.status.state).raw("</td><td>");
        when(html, silence, now);
        html.raw("</td><td>").text(&silence.comment).raw("<br><small>by ").text(&silence.created_by).raw("</small>");
        for (name, text) in &silence.annotations {
            html.raw("<br><small>").text(name).raw(": ").text(text).raw("</small>");
        }
        html.raw("</td><td>");
        if let Some(hides) = silence.hides {
            html.many(hides, "alert").raw(" now<br>");
        }
        html.raw("<small>held back ")
            .many(usize::try_from(silence.held).unwrap_or(usize::MAX), "time")
            .raw("</small></td><td>");
        match action {
            Action::End(token) => end_button(html, &silence.id, token),
            Action::None => {}
            Action::Again => {
                html.raw("<a href=\"silences?matchers=").parameter(&lines(silence)).raw("\">again</a>");
            }
        }
        html.raw("</td></tr>");
    }
    html.raw("</tbody></table>");
}

/// When it is in force.
fn when(html: &mut Html, silence: &SilenceView, now: Timestamp) {
    let until = |html: &mut Html, at: Timestamp| {
        html.raw("until ").time(at);
        if at > now {
            html.raw(", for ").text(&span(at.since(now))).raw(" more");
        }
    };
    let begins = silence.window.map_or(silence.starts_at, |window| window.starts_at);
    if begins > now {
        html.raw("from ").time(begins).raw(", in ").text(&span(begins.since(now))).raw("<br>");
    }
    match silence.window {
        Some(window) if begins <= now => until(html, window.ends_at),
        Some(window) => {
            html.raw("until ").time(window.ends_at);
        }
        None if begins > now => {
            html.raw("until ").time(silence.ends_at);
        }
        None => until(html, silence.ends_at),
    }
    let Some(windows) = &silence.recurrence else { return };
    html.raw("<br><small>comes again: ").text(windows.cron.as_deref().or(windows.rrule.as_deref()).unwrap_or_default());
    html.raw(" for ").text(&windows.duration).raw(" in ").text(windows.timezone.as_deref().unwrap_or("UTC"));
    html.raw(", to ").time(silence.ends_at).raw("</small>");
}

fn end_button(html: &mut Html, id: &str, token: &str) {
    html.raw("<form method=\"post\" action=\"silences\"><input type=\"hidden\" name=\"token\" value=\"").typed(token);
    html.raw("\"><input type=\"hidden\" name=\"id\" value=\"").typed(id);
    html.raw("\"><button name=\"do\" value=\"end\">End</button></form>");
}

/// The matchers of a silence as they are typed into the form: one set in each line.
fn lines(silence: &SilenceView) -> String {
    let several = !silence.matcher_sets.is_empty();
    silence.shown.join(if several { "\n" } else { ", " })
}

/// The matchers of an alert as they are typed into the form.
pub(super) fn matchers_of(alert: &Alert) -> String {
    let own = alert.labels.iter().filter(|(name, _)| *name != "severity");
    let equal = own.filter_map(|(name, value)| LabelMatcher::new(name, MatchOp::Equal, value).ok());
    equal.map(|matcher| matcher.to_string()).collect::<Vec<_>>().join(", ")
}

fn form_section(html: &mut Html, form: &Form, token: &str) {
    html.raw("<section><h2 id=\"new\">New silence</h2><form method=\"post\" action=\"silences\" class=\"silence\">");
    html.raw("<input type=\"hidden\" name=\"token\" value=\"").typed(token).raw("\">");
    html.raw("<label for=\"matchers\">Alerts</label><textarea id=\"matchers\" name=\"matchers\" rows=\"3\" required ");
    html.raw("placeholder=\"alertname=&quot;DiskFull&quot;, host=~&quot;db.*&quot;\">").typed(&form.matchers);
    html.raw("</textarea><p class=\"hint\">All matchers of a line must fit; a further line is another set.</p>");
    let mut field = |label: &'static str, name: &'static str, value: &str, rest: &'static str| {
        html.raw("<label for=\"").raw(name).raw("\">").raw(label).raw("</label><input id=\"").raw(name);
        html.raw("\" name=\"").raw(name).raw("\" value=\"").typed(value).raw("\" ").raw(rest).raw(">");
    };
    field("How long, or until", "until", &form.until, "list=\"spans\" required placeholder=\"2h\"");
    field("Start", "start", &form.start, "placeholder=\"now; or 2027-01-30 22:00 in UTC\"");
    field("Why", "comment", &form.comment, "required placeholder=\"disks are being replaced, OPS-12\"");
    field("Who", "author", &form.author, "required autocomplete=\"username\"");
    let closed = [&form.recurs, &form.dtstart, &form.window, &form.timezone].iter().all(|typed| typed.is_empty());
    let open = if closed { "<details><summary>" } else { "<details open><summary>" };
    html.raw(open).raw("In windows that come again</summary>");
    let mut field = |label: &'static str, name: &'static str, value: &str, rest: &'static str| {
        html.raw("<label for=\"").raw(name).raw("\">").raw(label).raw("</label><input id=\"").raw(name);
        html.raw("\" name=\"").raw(name).raw("\" value=\"").typed(value).raw("\" ").raw(rest).raw(">");
    };
    field(
        "Windows begin",
        "recurs",
        &form.recurs,
        "placeholder=\"0 0 22 * * Sat; or FREQ=MONTHLY;BYDAY=2TU;BYHOUR=22\"",
    );
    field("Each lasts", "window", &form.window, "placeholder=\"2h\"");
    field("Time zone", "timezone", &form.timezone, "placeholder=\"UTC; or Europe/Berlin\"");
    field("First, local time", "dtstart", &form.dtstart, "placeholder=\"of a rule: 2027-01-30T22:00\"");
    html.raw("</details><datalist id=\"spans\">");
    for span in SPANS {
        html.raw("<option value=\"").raw(span).raw("\"></option>");
    }
    html.raw("</datalist><p><button name=\"do\" value=\"preview\">Show what it would hide</button> ");
    html.raw("<button name=\"do\" value=\"make\">Make the silence</button></p></form></section>");
}
