//! `anomaly:`: the settings of a detector.

use std::str::FromStr;
use std::time::Duration;

use super::reader::{Reader, View};
use crate::detect::config::TRIGGER_OF_MAX;
use crate::detect::{AnomalyConfig, Direction, Method, Season, Trigger, sigma_from_sensitivity};
use crate::diag::suggest;
use crate::model::{format_duration, parse_duration};
use crate::schedule::Zone;
use crate::yaml::Node;

/// The refractory period where it is not given, as a share of the window: a series that leaves its band once per window
/// tells nothing new the second time (of seven days, four: longer than a weekend).
const REFRACTORY_SHARE: (u32, u32) = (4, 7);

impl Reader<'_> {
    /// The detector of a rule.
    pub fn anomaly(&mut self, node: &Node, view: &View<'_>) -> Option<AnomalyConfig> {
        if let (Some((sigma, _)), Some((sensitivity, _))) = (node.entry("sigma"), node.entry("sensitivity")) {
            let later = if sigma.span.start > sensitivity.span.start { sigma } else { sensitivity };
            let found = self.error("A016", later.span.clone(), "`sigma` and `sensitivity` say the same");
            self.out.push(found.with_label("given twice").with_help("keep one of the two"));
            return None;
        }
        let zone = match node.get("timezone") {
            Some(zone) => Zone::from_name(&self.zone(zone)?)?,
            None => Zone::UTC,
        };
        let method = match node.get("method") {
            Some(name) => Method::from_name(name.text()?)?,
            None => Method::from_name("moving_average")?,
        };
        let usual = AnomalyConfig::for_method(method);
        let window = match node.get("window") {
            Some(text) => parse_duration(text.text()?).ok()?,
            None => usual.window,
        };
        if let (true, Some(zero)) = (window.is_zero(), node.get("window")) {
            let found = self.error("A015", zero.span.clone(), "`window` must be longer than nothing");
            self.out.push(found.with_label("expected a duration such as `6h`"));
            return None;
        }
        let direction = match node.get("direction").and_then(Node::text) {
            Some("above") => Direction::Above,
            Some("below") => Direction::Below,
            _ => Direction::Both,
        };
        let min_samples = match node.get("min_samples") {
            Some(number) => usize::try_from(number.integer()?).ok()?,
            None => usual.min_samples,
        };
        self.silence_warning(node, view, window, min_samples);
        let refractory = match node.get("refractory") {
            Some(text) => parse_duration(text.text()?).ok()?,
            None => window / REFRACTORY_SHARE.1 * REFRACTORY_SHARE.0,
        };
        Some(AnomalyConfig {
            method,
            window,
            sigma: sigma(node, direction, usual.sigma)?,
            direction,
            min_samples,
            min_deviation: number_or(node, "min_deviation", usual.min_deviation)?,
            min_relative_deviation: number_or(node, "min_relative_deviation", usual.min_relative_deviation)?,
            season: self.season(node)?,
            timezone: zone,
            learn_while_firing: node.get("learn_while_firing").map_or(Some(false), Node::boolean)?,
            trigger: self.trigger(node)?,
            refractory,
        })
    }

    /// `trigger: 3 of 5`.
    fn trigger(&mut self, node: &Node) -> Option<Trigger> {
        let Some(text) = node.get("trigger") else { return Some(Trigger::default()) };
        let parts = text.text()?.split_once(" of ").map(|(m, n)| (m.trim().parse::<u32>(), n.trim().parse::<u32>()));
        match parts {
            Some((Ok(points), Ok(of))) if points >= 1 && points <= of && of <= TRIGGER_OF_MAX => {
                Some(Trigger { points, of })
            }
            _ => {
                let found = self.error("A603", text.span.clone(), "not a trigger".to_owned());
                let help = format!("write how many of the last points must lie outside, of at most {TRIGGER_OF_MAX}");
                self.out.push(found.with_label("expected `3 of 5`").with_help(help));
                None
            }
        }
    }

    fn season(&mut self, node: &Node) -> Option<Season> {
        let season = match node.get("season") {
            Some(name) => Season::from_name(name.text()?)?,
            None => Season::None,
        };
        if let (Season::None, Some((key, _))) = (season, node.entry("timezone")) {
            let found = self.warning("A602", key.span.clone(), "`timezone` is that of a season, and there is none");
            let help = "give a `season`, or leave it out";
            self.out.push(found.with_label("has no effect here").with_help(help));
        }
        Some(season)
    }

    /// Checks the name of a time zone.
    pub fn zone(&mut self, node: &Node) -> Option<String> {
        let name = node.text()?;
        if chrono_tz::Tz::from_str(name).is_ok() {
            return Some(name.to_owned());
        }
        let found = self.unknown_zone(node, name);
        self.out.push(found);
        None
    }

    /// The finding for a time zone that does not exist.
    pub fn unknown_zone(&self, node: &Node, name: &str) -> crate::diag::Diagnostic {
        let shown: String = name.chars().take(60).collect();
        let label = match suggest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "expected a name such as `Europe/Berlin`".to_owned(),
        };
        let found = self.error("A410", node.span.clone(), format!("unknown time zone `{shown}`")).with_label(label);
        found.with_help("names are those of the IANA time zone database; `UTC` is one")
    }

    /// A window that never holds `min_samples` points keeps the rule silent for ever.
    fn silence_warning(&mut self, node: &Node, view: &View<'_>, window: Duration, min_samples: usize) {
        let every = view.duration("every").unwrap_or(self.options.default_every);
        if every.is_zero() || view.own("cron").is_some() {
            return;
        }
        let points = window.as_millis() / every.as_millis().max(1);
        if points >= min_samples as u128 {
            return;
        }
        let place = node.get("window").or_else(|| node.get("min_samples")).unwrap_or(node);
        let needed = every.saturating_mul(u32::try_from(min_samples).unwrap_or(u32::MAX));
        let message =
            format!("the window holds {points} points, but `min_samples` is {min_samples}: the rule stays silent");
        let found = self.warning("A601", place.span.clone(), message);
        self.out.push(
            found
                .with_label(format!("evaluated every {}", format_duration(every)))
                .with_help(format!("make the window at least {}, or `min_samples` smaller", format_duration(needed))),
        );
    }
}

fn number_or(node: &Node, key: &str, default: f64) -> Option<f64> {
    node.get(key).map_or(Some(default), Node::number)
}

/// `sigma`, or the one that `sensitivity` stands for: the quantile of the normal distribution beyond which one point in
/// so many lies, on one side or on both.
fn sigma(node: &Node, direction: Direction, usual: f64) -> Option<f64> {
    let Some(sensitivity) = node.get("sensitivity") else { return number_or(node, "sigma", usual) };
    // One point in two on one side is the mean itself; a band needs some width.
    Some(sigma_from_sensitivity(sensitivity.number()?, direction).max(0.1))
}
