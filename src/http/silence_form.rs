//! The form that makes and ends silences, for browsers without scripts: reads what was typed and makes of it what the
//! API takes.
//!
//! A change needs the token that stands in the form: a page of another site cannot read it, so it cannot send the form
//! for somebody, whatever headers his browser sends (FAULTS: a cross-site request for a silence that hides everything).

use ring::rand::{SecureRandom, SystemRandom};

use super::error::{ApiError, ErrorKind};
use super::params::Params;
use super::records::{Matcher, MatcherSet, PostedSilence, Recurring};
use crate::model::label_matcher::MATCHERS_MAX;
use crate::model::{LabelMatcher, MatchOp, Timestamp, parse_duration};

/// Bytes of a token.
const TOKEN_BYTES: usize = 16;

/// A token for the forms of this process; empty, which fits no form, where the system has no randomness.
pub(super) fn token() -> String {
    let mut bytes = [0; TOKEN_BYTES];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Err(_) => String::new(),
    }
}

/// Whether a form comes from a page of this process.
pub(super) fn check(token: &str, params: &Params) -> Result<(), ApiError> {
    let sent = params.get("token").unwrap_or_default();
    // Every byte is looked at, so that the time tells nothing.
    let differing = sent.bytes().zip(token.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    if token.is_empty() || sent.len() != token.len() || differing != 0 {
        return Err(ApiError::new(ErrorKind::Forbidden, "the form is older than this alertd: send it again"));
    }
    Ok(())
}

/// What was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// One set of matchers in each line.
    pub matchers: String,
    /// From when: empty for now.
    pub start: String,
    /// How long, or until when.
    pub until: String,
    /// A cron expression or a rule of RFC 5545.
    pub recurs: String,
    /// The local time at which the rule begins.
    pub dtstart: String,
    /// How long each window lasts.
    pub window: String,
    /// In whose local time.
    pub timezone: String,
    /// Who.
    pub author: String,
    /// Why.
    pub comment: String,
}

impl Form {
    /// The fields of a request.
    pub(super) fn read(params: &Params) -> Self {
        let of = |name: &str| params.get(name).unwrap_or_default().to_owned();
        Self {
            matchers: of("matchers"),
            start: of("start"),
            until: of("until"),
            recurs: of("recurs"),
            dtstart: of("dtstart"),
            window: of("window"),
            timezone: of("timezone"),
            author: of("author"),
            comment: of("comment"),
        }
    }

    /// The sets of matchers, one in each line that is not empty.
    pub(super) fn sets(&self) -> Result<Vec<Vec<LabelMatcher>>, ApiError> {
        let lines = self.matchers.lines().map(str::trim).filter(|line| !line.is_empty());
        let sets = all_sets(lines)?;
        if sets.is_empty() {
            return Err(ApiError::bad("say which alerts are meant, as in alertname=\"DiskFull\", host=~\"db.*\""));
        }
        Ok(sets)
    }

    /// The silence as the API takes it.
    pub(super) fn posted(&self, now: Timestamp) -> Result<PostedSilence, ApiError> {
        let sets = self.sets()?.iter().map(|set| MatcherSet { matchers: set.iter().map(matcher).collect() }).collect();
        let starts_at = match self.start.trim() {
            "" => now,
            text => time(text).ok_or_else(|| ApiError::bad(format!("{text:?} is no time to start at")))?,
        };
        let ends_at = match self.until.trim() {
            "" => return Err(ApiError::bad("say how long, as in 2h, or until when")),
            text => match (parse_duration(text), time(text)) {
                (Ok(span), _) => starts_at.plus(span),
                (_, Some(at)) => at,
                _ => return Err(ApiError::bad(format!("{text:?} is neither a duration such as 2h nor a time"))),
            },
        };
        Ok(PostedSilence {
            matcher_sets: Some(sets),
            starts_at,
            ends_at,
            recurrence: Some(self.recurring()?),
            created_by: self.author.trim().to_owned(),
            comment: self.comment.trim().to_owned(),
            ..PostedSilence::default()
        })
    }

    fn recurring(&self) -> Result<Option<Recurring>, ApiError> {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let Some(starts) = some(&self.recurs) else {
            // Without windows it would hide everything without a break.
            return match [&self.dtstart, &self.window, &self.timezone].into_iter().any(|text| some(text).is_some()) {
                true => Err(ApiError::bad("say when the windows begin, as in FREQ=WEEKLY;BYDAY=SA or 0 0 22 * * *")),
                false => Ok(None),
            };
        };
        let is_rule = starts.to_ascii_uppercase().contains("FREQ=");
        let (cron, rrule) = if is_rule { (None, Some(starts)) } else { (Some(starts), None) };
        let (dtstart, duration) = (some(&self.dtstart), self.window.trim().to_owned());
        Ok(Some(Recurring { cron, rrule, dtstart, duration, timezone: some(&self.timezone) }))
    }
}

/// Sets of matchers as typed, at most [`MATCHERS_MAX`] matchers together.
pub(super) fn all_sets<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<Vec<LabelMatcher>>, ApiError> {
    let (mut sets, mut count) = (Vec::new(), 0);
    for text in texts {
        let set = LabelMatcher::parse_all(text).map_err(|error| ApiError::bad(error.to_string()))?;
        count += set.len().max(1);
        if count > MATCHERS_MAX {
            return Err(ApiError::bad(format!("a silence has at most {MATCHERS_MAX} matchers")));
        }
        sets.push(set);
    }
    Ok(sets)
}

/// A time as people and browsers write it; without a zone it is UTC.
fn time(text: &str) -> Option<Timestamp> {
    let spaced = text.replacen(' ', "T", 1);
    [text.to_owned(), format!("{spaced}Z"), format!("{spaced}:00Z")].iter().find_map(|text| Timestamp::parse(text))
}

fn matcher(m: &LabelMatcher) -> Matcher {
    Matcher {
        name: m.name.clone(),
        value: m.value.clone(),
        is_regex: matches!(m.op, MatchOp::Matches | MatchOp::NotMatches),
        is_equal: matches!(m.op, MatchOp::Equal | MatchOp::Matches),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(form: &str) -> Params {
        Params::new(&"/silences".parse().unwrap(), form).unwrap()
    }

    #[test]
    fn a_form_is_taken_with_the_token_of_this_process_alone() {
        let token = token();
        assert_eq!(token.len(), 2 * TOKEN_BYTES);
        assert_ne!(token, super::token());
        assert_eq!(check(&token, &params(&format!("token={token}"))), Ok(()));
        for wrong in ["", "token=", "token=x", &format!("token={}", super::token()), &format!("token={token}0")] {
            assert_eq!(check(&token, &params(wrong)).unwrap_err().kind, ErrorKind::Forbidden, "{wrong}");
        }
        assert!(check("", &params("token=")).is_err(), "without randomness no form is taken");
    }

    #[test]
    fn what_was_typed_becomes_what_the_api_takes() {
        let now = Timestamp::from_secs(1_800_000_000);
        let posted = |form: &str| Form::read(&params(form)).posted(now).map_err(|error| error.message);
        let plain =
            posted("matchers=a%3Db%2C+c%3D~d%0D%0A%0D%0A%7Be%21%3D%22f%22%7D&until=2h&author=+me+&comment=x").unwrap();
        let sets = plain.matcher_sets.clone().unwrap();
        let lengths: Vec<usize> = sets.iter().map(|set| set.matchers.len()).collect();
        assert_eq!((lengths, plain.created_by.as_str()), (vec![2, 1], "me"));
        assert!(sets[0].matchers[1].is_regex && !sets[1].matchers[0].is_equal);
        assert_eq!((plain.starts_at, plain.ends_at.since(now).as_secs()), (now, 7200));
        assert_eq!(plain.recurrence, Some(None));
        let start = posted("matchers=a%3Db&start=2027-02-01T10:00&until=2027-02-01+12:00").unwrap();
        assert_eq!(start.starts_at, Timestamp::parse("2027-02-01T10:00:00Z").unwrap());
        assert_eq!(start.ends_at, Timestamp::parse("2027-02-01T12:00:00Z").unwrap());
        let rule = posted("matchers=a%3Db&until=90d&recurs=freq%3Ddaily&window=1h&timezone=Europe/Berlin").unwrap();
        let rule = rule.recurrence.unwrap().unwrap();
        assert_eq!(
            (rule.cron, rule.rrule.as_deref(), rule.timezone.as_deref()),
            (None, Some("freq=daily"), Some("Europe/Berlin"))
        );
        let cron =
            posted("matchers=a%3Db&until=90d&recurs=0+0+2+*+*+*&window=1h").unwrap().recurrence.unwrap().unwrap();
        assert_eq!((cron.cron.as_deref(), cron.rrule, cron.timezone), (Some("0 0 2 * * *"), None, None));
        for (form, why) in [
            ("until=2h", "say which alerts are meant"),
            ("matchers=a&until=2h", "`a` is no matcher"),
            ("matchers=a%3Db", "say how long"),
            (&format!("until=1h&matchers={}", "a%3D~b%0A".repeat(65)), "a silence has at most 64 matchers"),
            (&format!("until=1h&matchers={}", "a%3D~b,".repeat(65)), "`a=~b` is no matcher: more than 64"),
            ("matchers=a%3Db&until=soon", "\"soon\" is neither a duration such as 2h nor a time"),
            ("matchers=a%3Db&until=90d&window=2h", "say when the windows begin"),
            ("matchers=a%3Db&until=90d&dtstart=2027-02-01T10:00", "say when the windows begin"),
            ("matchers=a%3Db&until=90d&timezone=Europe/Berlin", "say when the windows begin"),
            ("matchers=a%3Db&until=1h&start=soon", "\"soon\" is no time to start at"),
        ] {
            assert!(posted(form).unwrap_err().starts_with(why), "{form}: {:?}", posted(form));
        }
    }
}
