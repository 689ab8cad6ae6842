//! What can be typed after `alertd ack`.

use std::time::Duration;

use clap::Args;

use super::args::{AskArgs, parse_step, parse_time};
use crate::model::labels::ALERT_NAME;
use crate::model::{Fingerprint, LabelMatcher, MatchOp, Timestamp};

/// Options of `ack`.
#[derive(Args, Debug)]
pub struct AckArgs {
    /// Alerts that fire: a name, a name with labels such as 'HighCPU{host="a"}', matchers such as '{team="db"}', or a fingerprint
    #[arg(value_name = "ALERT", required = true, value_parser = parse_named)]
    pub alerts: Vec<Named>,
    /// How long; without it until the alert is over or worse
    #[arg(long = "for", id = "span", value_name = "DURATION", value_parser = parse_step, conflicts_with_all = ["until", "withdraw"])]
    pub span: Option<Duration>,
    /// Until when: RFC 3339 or Unix seconds
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with = "withdraw")]
    pub until: Option<Timestamp>,
    /// What others should know
    #[arg(long, value_name = "TEXT", conflicts_with = "withdraw")]
    pub comment: Option<String>,
    /// Nobody looks after them any more: reminders go on
    #[arg(long)]
    pub withdraw: bool,
    /// Who looks after them
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    pub author: Option<String>,
    /// Where the daemon is, and the form of its answer.
    #[command(flatten)]
    pub ask: AskArgs,
}

/// An alert, or several, as somebody names them.
#[derive(Clone, Debug, PartialEq)]
pub enum Named {
    /// By fingerprint.
    Fingerprint(Fingerprint),
    /// By name and labels.
    Matchers(Vec<LabelMatcher>),
}

fn parse_named(text: &str) -> Result<Named, String> {
    let text = text.trim();
    if text.len() == 16
        && let Ok(number) = u64::from_str_radix(text, 16)
    {
        return Ok(Named::Fingerprint(Fingerprint(number)));
    }
    let (name, rest) = match text.split_once('{') {
        Some((name, _)) if !name.contains(['=', '!', '~']) => (name.trim(), &text[name.len()..]),
        None if !text.contains(['=', '!', '~']) => (text, ""),
        _ => ("", text),
    };
    let mut matchers = Vec::new();
    if !name.is_empty() {
        matchers.push(LabelMatcher::new(ALERT_NAME, MatchOp::Equal, name).map_err(|error| error.to_string())?);
    }
    if !rest.trim_matches(['{', '}', ' ']).is_empty() {
        matchers.extend(LabelMatcher::parse_all(rest).map_err(|error| error.to_string())?);
    }
    if matchers.is_empty() { Err("it names no alert".to_owned()) } else { Ok(Named::Matchers(matchers)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_named_by_its_name_labels_or_fingerprint() {
        for (typed, want) in [
            ("HighCPU", r#"alertname="HighCPU""#),
            (r#"HighCPU{host="a", job=~"x.*"}"#, r#"alertname="HighCPU" host="a" job=~"x.*""#),
            ("HighCPU{}", r#"alertname="HighCPU""#),
            (r#"{team="db"}"#, r#"team="db""#),
            ("team=db", r#"team="db""#),
            ("a=x,b!=y", r#"a="x" b!="y""#),
            ("00000000000000ff", "00000000000000ff"),
            ("00000000000000fg", r#"alertname="00000000000000fg""#),
            ("", "it names no alert"),
            ("{}", "it names no alert"),
        ] {
            let got = match parse_named(typed) {
                Ok(Named::Fingerprint(fingerprint)) => fingerprint.to_string(),
                Ok(Named::Matchers(all)) => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
                Err(error) => error,
            };
            assert_eq!(got, want, "{typed}");
        }
        assert!(parse_named("HighCPU{host}").is_err());
    }
}
