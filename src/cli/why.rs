//! `alertd why`: the story of an alert at an instant, from its value to the answers of receivers.

use std::io::Write;

use serde_json::Value;

use super::args::{ClientFormat, exit};
use super::ask::{failed, get, list, misused, text, time_parameter};
use super::why_args::WhyArgs;
use crate::app::lock;
use crate::app::why::{Question, keeper_at, tell};
use crate::clock::{Clock as _, SystemClock};
use crate::diag::harmless;

/// Runs the command: 1 where nothing is known of such an alert.
pub fn run(args: &WhyArgs, out: &mut dyn Write) -> std::io::Result<u8> {
    let at = args.at.unwrap_or_else(|| SystemClock::new().now());
    let question = match Question::parse(&args.alert, at) {
        Ok(question) => question,
        Err(error) => return misused(&error.to_string()),
    };
    let story = match &args.data_dir {
        Some(dir) => match from_disk(dir, &question) {
            Ok(story) => story,
            Err(message) => return misused(&message),
        },
        None => {
            let query = [("alert", args.alert.clone()), ("time", time_parameter(at))];
            match get(&args.server.server, "/api/v1/why", &query) {
                Ok(story) => story,
                Err(error) => return failed(&error),
            }
        }
    };
    match args.output {
        ClientFormat::Json => writeln!(out, "{story}")?,
        ClientFormat::Text => write_text(&story, out)?,
    }
    let known = !list(&story, "alerts").is_empty() || !list(&story, "evaluations").is_empty();
    Ok(if known { exit::CLEAN } else { exit::FINDINGS })
}

/// The story of a data directory that no daemon holds.
fn from_disk(dir: &std::path::Path, question: &Question) -> Result<Value, String> {
    if !dir.join("state.db").is_file() {
        return Err(format!("{} is no data directory: it has no state.db", dir.display()));
    }
    let _held =
        lock::hold(dir).map_err(|error| format!("{error}\nhelp: ask the daemon that uses it, without --data-dir"))?;
    let keeper = keeper_at(dir, SystemClock::new().now()).map_err(|error| error.to_string())?;
    let story = tell(&keeper, Vec::new(), question).map_err(|error| error.to_string())?;
    serde_json::to_value(story).map_err(|error| error.to_string())
}

fn write_text(story: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let at = text(story, "at");
    let alerts = list(story, "alerts");
    for alert in &alerts {
        writeln!(out, "{} at {at}: {}", harmless(&name(alert)), harmless(text(alert, "answer")))?;
        for handler in list(alert, "handlers") {
            writeln!(out, "  {}: {}", harmless(text(&handler, "handler")), harmless(text(&handler, "words")))?;
        }
        writeln!(out)?;
        steps(&list(alert, "steps"), out)?;
        writeln!(out)?;
    }
    if let Some(more) = story.get("more_alerts").and_then(Value::as_u64).filter(|more| *more > 0) {
        writeln!(out, "{more} more alerts fit; name more labels")?;
    }
    if alerts.is_empty() {
        writeln!(out, "{} at {at}: {}", harmless(text(story, "rule")), harmless(text(story, "answer")))?;
    }
    let evaluations = list(story, "evaluations");
    // Where there is no alert, the answer tells the last of them.
    if !alerts.is_empty() && !evaluations.is_empty() {
        writeln!(out, "Evaluations of {}:", harmless(text(story, "rule")))?;
        steps(&evaluations, out)?;
    }
    if story.get("cut").and_then(Value::as_bool).unwrap_or_default() {
        writeln!(
            out,
            "There are more rows in the history than were looked at: what happened earlier, or what came of it later, may be missing."
        )?;
    }
    Ok(())
}

fn name(alert: &Value) -> String {
    let labels = alert.get("labels").and_then(Value::as_object).cloned().unwrap_or_default();
    let shown = labels.iter().filter(|(name, _)| *name != "alertname");
    let shown: Vec<String> = shown.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{}{{{}}}", labels.get("alertname").and_then(Value::as_str).unwrap_or_default(), shown.join(","))
}

fn steps(steps: &[Value], out: &mut dyn Write) -> std::io::Result<()> {
    steps.iter().try_for_each(|step| writeln!(out, "  {}  {}", text(step, "at"), harmless(text(step, "words"))))
}
