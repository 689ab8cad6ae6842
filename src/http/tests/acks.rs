//! Acknowledgements over HTTP: what is asked of the app, and the page behind a link.

use super::*;
use crate::http::{Acks, LinkView, PostedAck, WithdrawnAck};
use crate::model::Alert;

impl Acks for Fake {
    fn acknowledge(&self, posted: PostedAck) -> Result<Vec<Alert>, ApiError> {
        if posted.by.is_empty() {
            return Err(ApiError::bad("nobody"));
        }
        Ok(self.groups()[0].rules[0].alerts.clone())
    }

    fn withdraw_ack(&self, _: WithdrawnAck) -> Result<Vec<Alert>, ApiError> {
        Err(ApiError::new(ErrorKind::NotFound, "no alert"))
    }

    fn ack_link(&self, token: &str) -> LinkView {
        match token {
            "used" => LinkView::Used,
            "old" => LinkView::Expired,
            "over" => LinkView::Over,
            "good" => LinkView::Open(Box::new(self.groups()[0].rules[0].alerts[0].clone())),
            _ => LinkView::Unknown,
        }
    }

    fn follow_ack_link(&self, token: &str, by: String, _: String) -> Result<LinkView, ApiError> {
        match self.ack_link(token) {
            LinkView::Open(_) if by.is_empty() => Err(ApiError::bad("nobody <said> so")),
            LinkView::Open(alert) => Ok(LinkView::Done(alert)),
            led => Ok(led),
        }
    }
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test]
async fn acknowledgements_come_as_json_and_name_alerts_and_people() {
    let server = start().await;
    let post = async |path: &str, headers: &str, body: &str| {
        let answer = server.send("POST", path, headers, body.as_bytes()).await;
        (answer.status, answer.body)
    };
    let (status, text) = post("/api/v1/acks", JSON, r#"{"matchers": ["a=b"], "by": "me", "for": "1h"}"#).await;
    assert!(status == 200 && text.contains(r#""acknowledged":[{"#), "{status} {text}");
    for (body, want) in [
        (r#"{"matchers": ["a=b"], "by": ""}"#, "nobody"),
        (r#"{"matchers": ["a=b"], "by": "me", "for": "1"}"#, "cannot read the body"),
        (r#"{"matchers": ["a=b"]}"#, "missing field `by`"),
        (r#"{"by": "me", "fingerprint": "zz"}"#, "cannot read the body"),
        (r#"{"by": "me", "untl": 1}"#, "unknown field `untl`"),
    ] {
        let (status, text) = post("/api/v1/acks", JSON, body).await;
        assert!(status == 400 && text.contains(want), "{body}: {status} {text}");
    }
    assert_eq!(post("/api/v1/acks", FORM, "by=me").await.0, 415, "no form of another site");
    let (status, text) = post("/api/v1/acks/withdraw", JSON, r#"{"fingerprint": "00000000000000ff"}"#).await;
    assert!(status == 404 && text.contains("no alert"), "{status} {text}");
}

#[tokio::test]
async fn the_page_of_a_link_shows_where_it_leads_and_changes_nothing_until_its_form_is_sent() {
    let server = start().await;
    for (path, status, shows) in [
        ("/ack/good", 200, "<form method=\"post\">"),
        ("/ack/used", 410, "This link was used"),
        ("/ack/old", 410, "This link is too old"),
        ("/ack/over", 410, "This alert is over"),
        ("/ack/x", 404, "This is no link of this server"),
    ] {
        let answer = server.get(path).await;
        assert!(answer.status == status && answer.body.contains(shows), "{path}: {} {}", answer.status, answer.body);
        assert!(!answer.body.contains("<script"), "{path}");
    }
    let done = server.send("POST", "/ack/good", FORM, b"by=me").await;
    assert!(done.status == 200 && done.body.contains("<h2>Acknowledged</h2>"), "{}", done.body);
    let nobody = server.send("POST", "/ack/good", FORM, b"by=").await;
    assert_eq!(nobody.status, 400);
    assert!(nobody.body.contains("nobody &lt;said&gt; so") && nobody.body.contains("<form"), "{}", nobody.body);
    assert_eq!(server.send("POST", "/ack/used", FORM, b"by=me").await.status, 410);
}
