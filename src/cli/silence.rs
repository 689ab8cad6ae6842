//! `alertd silence add|list|expire|preview`.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};

use super::args::{ClientFormat, exit};
use super::ask::{Call, call_v2, failed, get, list, misused, path_part, text};
use super::record_args::{
    SetArgs, SilenceAddArgs, SilenceCommand, SilenceExpireArgs, SilenceListArgs, SilencePreviewArgs,
};
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
        SilenceCommand::Preview(args) => preview(args, out),
    }
}

fn matcher(m: &LabelMatcher) -> Value {
    json!({
        "name": m.name, "value": m.value, "isRegex": matches!(m.op, MatchOp::Matches | MatchOp::NotMatches),
        "isEqual": matches!(m.op, MatchOp::Equal | MatchOp::Matches),
    })
}

fn set(matchers: &[LabelMatcher]) -> Value {
    json!({"matchers": matchers.iter().map(matcher).collect::<Vec<_>>()})
}

/// What is asked about the alerts that a silence covers.
fn asked(sets: &SetArgs) -> Vec<(&'static str, String)> {
    let first = sets.matchers.iter().map(|m| ("filter[]", m.to_string()));
    let text = |set: &Vec<LabelMatcher>| set.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    first.chain(sets.or.iter().map(|set| ("set[]", text(set)))).collect()
}

/// The silence as it is posted.
fn wanted(args: &SilenceAddArgs, author: &str) -> Value {
    let start = args.start.unwrap_or_else(|| SystemClock::new().now());
    let end = args.end.or_else(|| args.span.map(|span| start.plus(span))).unwrap_or(start);
    let matchers: Vec<Value> = args.sets.matchers.iter().map(matcher).collect();
    let mut silence = json!({
        "matchers": matchers, "startsAt": start, "endsAt": end, "createdBy": author, "comment": args.comment,
    });
    if !args.sets.or.is_empty() {
        let sets = std::iter::once(&args.sets.matchers).chain(&args.sets.or);
        silence["matcherSets"] = sets.map(|matchers| set(matchers)).collect();
    }
    if let Some(window) = &args.window {
        let mut windows = json!({"duration": window});
        for (key, text) in
            [("cron", &args.cron), ("rrule", &args.rrule), ("dtstart", &args.dtstart), ("timezone", &args.timezone)]
        {
            if let Some(text) = text {
                windows[key] = text.as_str().into();
            }
        }
        silence["recurrence"] = windows;
    }
    if !args.annotations.is_empty() {
        silence["annotations"] = json!(args.annotations.iter().cloned().collect::<BTreeMap<_, _>>());
    }
    silence
}

fn add(args: &SilenceAddArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let Some(author) = args.author.as_ref().filter(|author| !author.is_empty()) else {
        return misused("say who you are with --author NAME");
    };
    let server = &args.ask.server.server;
    let made = match call_v2(server, "/api/v2/silences", &Call::Post(&wanted(args, author))) {
        Ok(made) => made,
        Err(error) => return failed(&error),
    };
    let id = text(&made, "silenceID");
    // The silence is made, and its id is what counts.
    let told = get(server, "/api/v1/silences/preview", &asked(&args.sets)).and_then(|covered| {
        Ok((covered, call_v2(server, &format!("/api/v2/silence/{}", path_part(id)), &Call::Get(&[]))?))
    });
    let (covered, view) = match told {
        Ok(told) => told,
        Err(error) => {
            writeln!(out, "{id}")?;
            return failed(&error);
        }
    };
    match args.ask.output {
        ClientFormat::Text => writeln!(out, "{id}")?,
        ClientFormat::Json => writeln!(out, "{}", json!({"silenceID": id, "covers": covered}))?,
    }
    out.flush()?;
    let mut err = std::io::stderr().lock();
    writeln!(err, "{}", coverage(&covered))?;
    if let Some(window) = view.get("window") {
        let (from, to) = (text(window, "startsAt"), text(window, "endsAt"));
        let active = view.get("status").is_some_and(|status| text(status, "state") == "active");
        writeln!(err, "{} {from} to {to}", if active { "in force now, from" } else { "in force next from" })?;
    }
    Ok(exit::CLEAN)
}

fn preview(args: &SilencePreviewArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let found = match get(&args.ask.server.server, "/api/v1/silences/preview", &asked(&args.sets)) {
        Ok(found) => found,
        Err(error) => return failed(&error),
    };
    if args.ask.output == ClientFormat::Json {
        writeln!(out, "{found}")?;
        return Ok(exit::CLEAN);
    }
    writeln!(out, "now: {}", coverage(&found))?;
    let past = found.get("past").cloned().unwrap_or_default();
    let count = |key: &str| past.get(key).and_then(Value::as_u64).unwrap_or(0);
    let many = |n: u64, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    let since = match past.get("complete").and_then(Value::as_bool) {
        Some(true) => "in the last 7 days".to_owned(),
        _ => format!("since {}, there is too much history to look back for 7 days", text(&past, "from")),
    };
    let (alerts, episodes) = (many(count("alerts"), "alert"), many(count("episodes"), "time"));
    let notices = many(count("notices"), "message");
    writeln!(
        out,
        "{since}: {alerts} fired {episodes}, {notices} about that {} sent",
        if count("notices") == 1 { "was" } else { "were" }
    )?;
    for rule in list(&past, "rules") {
        let times = rule.get("episodes").and_then(Value::as_u64).unwrap_or(0);
        writeln!(out, "  {} {}", crate::diag::harmless(text(&rule, "name")), many(times, "time"))?;
    }
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
    query.push(("hiding", "true".to_owned()));
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
    let recurs = found.iter().any(|silence| silence.get("recurrence").is_some());
    let heads = ["ID", "STATE", "FROM", "TO", "HIDES", "HELD", "BY", "COMMENT", "MATCHERS", "WINDOWS"];
    let mut table = Table::new(&heads[..if recurs { 10 } else { 9 }]);
    for silence in &found {
        let state = silence.get("status").map(|status| text(status, "state")).unwrap_or_default();
        let of = |key: &str| text(silence, key).to_owned();
        let number = |key: &str| silence.get(key).and_then(Value::as_u64).map(|n| n.to_string()).unwrap_or_default();
        // Of one that comes again the window of now, or the next.
        let times = silence.get("window").unwrap_or(silence);
        let (from, to) = (text(times, "startsAt").to_owned(), text(times, "endsAt").to_owned());
        let (hides, held) = (number("hides"), number("held"));
        let mut row =
            vec![of("id"), state.to_owned(), from, to, hides, held, of("createdBy"), of("comment"), covers(silence)];
        row.extend(recurs.then(|| windows(silence)));
        table.row(row);
    }
    table.write(out)?;
    Ok(exit::CLEAN)
}

/// What a silence covers: its matchers, or its sets.
fn covers(silence: &Value) -> String {
    let set = |of: &Value| list(of, "matchers").iter().map(shown).collect::<Vec<_>>();
    match list(silence, "matcherSets").as_slice() {
        [] => set(silence).join(" "),
        sets => sets.iter().map(|s| format!("{{{}}}", set(s).join(", "))).collect::<Vec<_>>().join(" or "),
    }
}

/// When a silence comes again.
fn windows(silence: &Value) -> String {
    let Some(windows) = silence.get("recurrence") else { return String::new() };
    let starts = [text(windows, "cron"), text(windows, "rrule")].concat();
    let zone = Some(text(windows, "timezone")).filter(|zone| !zone.is_empty()).unwrap_or("UTC");
    format!("{starts} for {} in {zone} until {}", text(windows, "duration"), text(silence, "endsAt"))
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
