//! `alertd silence add|list|expire`.

use std::io::Write;

use serde_json::{Value, json};

use super::args::{ClientFormat, exit};
use super::ask::{Call, call_v2, failed, get, list, misused, path_part, text};
use super::record_args::{SilenceAddArgs, SilenceCommand, SilenceExpireArgs, SilenceListArgs};
use super::table::Table;
use crate::clock::{Clock, SystemClock};
use crate::model::{LabelMatcher, MatchOp};

/// Most covered alerts that are named.
const NAMED_MAX: usize = 10;

/// Runs the command.
pub fn run(command: &SilenceCommand, out: &mut dyn Write) -> std::io::Result<u8> {
    match command {
        SilenceCommand::Add(args) => add(args, out),
        SilenceCommand::List(args) => list_all(args, out),
        SilenceCommand::Expire(args) => expire(args, out),
    }
}

fn add(args: &SilenceAddArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let Some(author) = args.author.as_ref().filter(|author| !author.is_empty()) else {
        return misused("say who you are with --author NAME");
    };
    let start = args.start.unwrap_or_else(|| SystemClock::new().now());
    let end = args.end.or_else(|| args.span.map(|span| start.plus(span))).unwrap_or(start);
    let matcher = |m: &LabelMatcher| {
        json!({
            "name": m.name, "value": m.value, "isRegex": matches!(m.op, MatchOp::Matches | MatchOp::NotMatches),
            "isEqual": matches!(m.op, MatchOp::Equal | MatchOp::Matches),
        })
    };
    let matchers: Vec<Value> = args.matchers.iter().map(matcher).collect();
    let silence = json!({
        "matchers": matchers, "startsAt": start, "endsAt": end, "createdBy": author, "comment": args.comment,
    });
    let server = &args.ask.server.server;
    let made = match call_v2(server, "/api/v2/silences", &Call::Post(&silence)) {
        Ok(made) => made,
        Err(error) => return failed(&error),
    };
    let filter: Vec<(&str, String)> = args.matchers.iter().map(|m| ("filter[]", m.to_string())).collect();
    let covered = match get(server, "/api/v1/silences/preview", &filter) {
        Ok(covered) => covered,
        Err(error) => {
            // The silence is made, and its id is what counts.
            writeln!(out, "{}", text(&made, "silenceID"))?;
            return failed(&error);
        }
    };
    match args.ask.output {
        ClientFormat::Text => writeln!(out, "{}", text(&made, "silenceID"))?,
        ClientFormat::Json => writeln!(out, "{}", json!({"silenceID": text(&made, "silenceID"), "covers": covered}))?,
    }
    out.flush()?;
    writeln!(std::io::stderr().lock(), "{}", coverage(&covered))?;
    Ok(exit::CLEAN)
}

/// What a silence covers, in one line.
fn coverage(covered: &Value) -> String {
    let count = |key: &str| covered.get(key).and_then(Value::as_u64).unwrap_or(0);
    let (firing, pending) = (count("firing"), count("pending"));
    let total = firing + pending;
    if total == 0 {
        return "warning: it covers no alert that is pending or fires now; is a label misspelt?".to_owned();
    }
    let alerts = list(covered, "alerts");
    let mut names: Vec<String> = alerts.iter().take(NAMED_MAX).map(name).collect();
    if total > names.len() as u64 {
        names.push(format!("and {} more", total - names.len() as u64));
    }
    let counted = match (firing, pending) {
        (firing, 0) => format!("{firing} firing"),
        (0, pending) => format!("{pending} pending"),
        (firing, pending) => format!("{firing} firing and {pending} pending"),
    };
    let noun = if total == 1 { "alert" } else { "alerts" };
    crate::diag::harmless(&format!("covers {counted} {noun}: {}", names.join(", ")))
}

/// An alert by its name and labels.
pub(super) fn name(alert: &Value) -> String {
    let labels = alert.get("labels").and_then(Value::as_object).cloned().unwrap_or_default();
    let shown = labels.iter().filter(|(name, _)| *name != "alertname" && *name != "severity");
    let shown: Vec<String> = shown.map(|(n, v)| format!("{n}={:?}", v.as_str().unwrap_or_default())).collect();
    let name = labels.get("alertname").and_then(Value::as_str).unwrap_or_default();
    if shown.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", shown.join(",")) }
}

fn list_all(args: &SilenceListArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let mut query: Vec<(&str, String)> = args.matchers.iter().map(|m| ("filter", m.to_string())).collect();
    for (state, shown) in [("active", !args.expired), ("pending", !args.expired), ("expired", args.expired)] {
        query.push((state, shown.to_string()));
    }
    let found = match call_v2(&args.ask.server.server, "/api/v2/silences", &Call::Get(&query)) {
        Ok(found) => found,
        Err(error) => return failed(&error),
    };
    if args.ask.output == ClientFormat::Json {
        writeln!(out, "{}", json!({ "silences": found }))?;
        return Ok(exit::CLEAN);
    }
    let found = found.as_array().cloned().unwrap_or_default();
    if found.is_empty() {
        let which = if args.matchers.is_empty() { "no silence" } else { "no silence with these matchers" };
        writeln!(out, "{which} is {}", if args.expired { "over" } else { "in force or to come" })?;
        return Ok(exit::CLEAN);
    }
    let mut table = Table::new(&["ID", "STATE", "FROM", "TO", "BY", "COMMENT", "MATCHERS"]);
    for silence in &found {
        let state = silence.get("status").map(|status| text(status, "state")).unwrap_or_default();
        let matchers: Vec<String> = list(silence, "matchers").iter().map(shown).collect();
        let of = |key: &str| text(silence, key).to_owned();
        let (from, to) = (of("startsAt"), of("endsAt"));
        table.row([of("id"), state.to_owned(), from, to, of("createdBy"), of("comment"), matchers.join(" ")]);
    }
    table.write(out)?;
    Ok(exit::CLEAN)
}

/// A matcher as it is typed.
fn shown(matcher: &Value) -> String {
    let is = |key: &str| matcher.get(key).and_then(Value::as_bool).unwrap_or_default();
    let op = match (is("isEqual"), is("isRegex")) {
        (true, false) => "=",
        (false, false) => "!=",
        (true, true) => "=~",
        (false, true) => "!~",
    };
    format!("{}{op}{:?}", text(matcher, "name"), text(matcher, "value"))
}

fn expire(args: &SilenceExpireArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let (mut code, mut expired) = (exit::CLEAN, Vec::new());
    for id in &args.ids {
        let path = format!("/api/v2/silence/{}", path_part(id));
        match call_v2(&args.ask.server.server, &path, &Call::Delete) {
            Ok(_) => expired.push(id),
            Err(error) => code = code.max(failed(&error)?),
        }
    }
    match args.ask.output {
        ClientFormat::Text => expired.iter().try_for_each(|id| writeln!(out, "expired {id}"))?,
        ClientFormat::Json => writeln!(out, "{}", json!({ "expired": expired }))?,
    }
    Ok(code)
}
