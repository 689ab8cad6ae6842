//! What the HTTP API asks of the daemon about who looks after which alert.

use super::acking::{AckError, Led, Which, Who};
use super::daemon::Daemon;
use crate::http::{Acks, ApiError, ErrorKind, LinkView, PostedAck, WithdrawnAck};
use crate::model::label_matcher::MATCHERS_MAX;
use crate::model::{Alert, LabelMatcher};

impl Acks for Daemon {
    fn acknowledge(&self, posted: PostedAck) -> Result<Vec<Alert>, ApiError> {
        let which = which(posted.fingerprint, &posted.matchers)?;
        let until = match (posted.until, posted.span) {
            (Some(_), Some(_)) => return Err(ApiError::bad("give \"until\" or \"for\", not both")),
            (until, None) => until,
            (None, Some(span)) => Some(self.hub.clock.now().plus(span)),
        };
        let who = Who { by: posted.by, comment: posted.comment, until };
        self.hub.acknowledge(&which, &who).map_err(refused)
    }

    fn withdraw_ack(&self, posted: WithdrawnAck) -> Result<Vec<Alert>, ApiError> {
        self.hub.withdraw(&which(posted.fingerprint, &posted.matchers)?, &posted.by).map_err(refused)
    }

    fn ack_link(&self, token: &str) -> LinkView {
        view(self.hub.look_up_link(token))
    }

    fn follow_ack_link(&self, token: &str, by: String, comment: String) -> Result<LinkView, ApiError> {
        let followed = self.hub.follow_link(token, &Who { by, comment, until: None }).map_err(refused)?;
        Ok(match followed {
            Ok(alert) => LinkView::Done(Box::new(alert)),
            Err(led) => view(led),
        })
    }
}

fn which(fingerprint: Option<crate::model::Fingerprint>, matchers: &[String]) -> Result<Which, ApiError> {
    match (fingerprint, matchers) {
        (Some(fingerprint), []) => Ok(Which::Fingerprint(fingerprint)),
        (None, [_, ..]) => {
            let mut all = Vec::new();
            for text in matchers {
                all.extend(LabelMatcher::parse_all(text).map_err(|error| ApiError::bad(error.to_string()))?);
                if all.len() > MATCHERS_MAX {
                    return Err(ApiError::bad(format!("at most {MATCHERS_MAX} matchers are taken")));
                }
            }
            Ok(Which::Matchers(all))
        }
        _ => Err(ApiError::bad("give \"fingerprint\" or \"matchers\"")),
    }
}

fn view(led: Led) -> LinkView {
    match led {
        Led::To(alert) => LinkView::Open(alert),
        Led::Taken(alert, ack) => LinkView::Taken(alert, ack),
        Led::Over => LinkView::Over,
        Led::Used => LinkView::Used,
        Led::Expired => LinkView::Expired,
        Led::Unknown => LinkView::Unknown,
    }
}

fn refused(error: AckError) -> ApiError {
    let kind = match &error {
        AckError::NoAlert(_) => ErrorKind::NotFound,
        AckError::NotStored(_) => ErrorKind::Unavailable,
        _ => ErrorKind::BadData,
    };
    ApiError::new(kind, error.to_string())
}
