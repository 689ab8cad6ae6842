//! Arguments of `why`, `route` and `rotations`.

use std::path::PathBuf;

use clap::Args;

use super::args::{BesideArgs, ClientFormat, ServerArg, parse_time};
use crate::clock::{Clock as _, SystemClock, local_zone};
use crate::model::Timestamp;

/// A time, or a time of day: the last one that was.
pub(super) fn parse_moment(text: &str) -> Result<Timestamp, String> {
    time_of_day(text, SystemClock::new().now()).map_or_else(|| parse_time(text), Ok)
}

fn time_of_day(text: &str, now: Timestamp) -> Option<Timestamp> {
    let time = ["%H:%M:%S", "%H:%M"].iter().find_map(|form| chrono::NaiveTime::parse_from_str(text, form).ok())?;
    let zone = local_zone();
    let today = now.to_utc()?.with_timezone(&zone).date_naive();
    let at = |date: chrono::NaiveDate| {
        let moment = date.and_time(time).and_local_timezone(zone).earliest()?;
        Some(Timestamp(moment.timestamp_millis()))
    };
    at(today).filter(|at| *at <= now).or_else(|| at(today.pred_opt()?))
}

/// Options of `why`.
#[derive(Args, Debug)]
pub struct WhyArgs {
    /// The alert: its rule and, where there are several, its labels: 'HighCPU{host="a"}'
    #[arg(value_name = "ALERT")]
    pub alert: String,
    /// The instant: RFC 3339, Unix seconds, or a time of day (03:12), the last one that was [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub at: Option<Timestamp>,
    /// Read this data directory, which no daemon uses now, instead of asking a daemon
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Where the daemon is.
    #[command(flatten)]
    pub server: ServerArg,
    /// text or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: ClientFormat,
}

/// Options of `route`.
#[derive(Args, Debug)]
pub struct RouteArgs {
    /// The labels of an alert: '{severity="critical"}'; alertname names its rule
    #[arg(value_name = "LABELS")]
    pub labels: String,
    /// Rule files or folders [default: the configuration's rule_files, else rules/]
    #[arg(value_name = "RULES")]
    pub rules: Vec<PathBuf>,
    /// The instant whose time intervals hold: RFC 3339, Unix seconds or a time of day [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub at: Option<Timestamp>,
    /// The files beside the rules.
    #[command(flatten)]
    pub beside: BesideArgs,
    /// Ask this daemon, which knows of silences too, instead of reading files, whichever --config and --handlers name
    #[arg(long, value_name = "URL", conflicts_with = "rules")]
    pub server: Option<String>,
    /// text or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: ClientFormat,
}

/// Options of `rotations`.
#[derive(Args, Debug)]
pub struct RotationsArgs {
    /// The instant: RFC 3339, Unix seconds or a time of day [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub at: Option<Timestamp>,
    /// The files beside the rules.
    #[command(flatten)]
    pub beside: BesideArgs,
    /// Ask this daemon instead of reading files, whichever --config and --handlers name
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// text or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: ClientFormat,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_last_one_that_was() {
        let now = Timestamp::parse("2026-01-31T12:00:00Z").unwrap();
        let at = |text: &str| time_of_day(text, now).map(|at| at.since(Timestamp(0)).as_secs() as i64 - now.0 / 1000);
        let before = at("03:12").unwrap();
        assert!((-86_400..=0).contains(&before), "{before}");
        assert_eq!(at("03:12:30").unwrap(), before + 30);
        assert_eq!(at("25:00"), None);
        assert_eq!(at("1700000000"), None);
    }
}
