//! The settings of an anomaly rule, and the defaults that are shipped.
//!
//! Place in the flow: `rule` reads the `anomaly:` key into [`AnomalyConfig`], the detectors take it as an argument at
//! every step. The defaults were chosen on labelled series of two collections, where they hold over a broad range
//! (sigma 3 to 6, windows of 4 to 7 days), not at a sharp best point.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::time::millis;
use crate::schedule::Zone;

const DAY: Duration = Duration::from_secs(86_400);
/// Most points a trigger looks back on.
pub const TRIGGER_OF_MAX: u32 = 32;

/// How a band is made from the points before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Mean ± sigma · standard deviation of the window before the point.
    #[default]
    MovingAverage,
    /// Median ± sigma · 1.4826 · median absolute deviation of the window before the point.
    Robust,
    /// Exponentially weighted mean ± sigma · standard deviation; its points are on average as old as the window's.
    Ewma,
}

impl Method {
    /// The names of all methods, as rules write them.
    pub const NAMES: [&'static str; 3] = ["moving_average", "robust", "ewma"];

    /// The method of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::MovingAverage, Self::Robust, Self::Ewma].into_iter().find(|method| method.name() == name)
    }

    /// Its name, as rules write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MovingAverage => Self::NAMES[0],
            Self::Robust => Self::NAMES[1],
            Self::Ewma => Self::NAMES[2],
        }
    }

    /// Spreads from the centre to the edge of the band, where a rule gives none. A median absolute deviation leaves
    /// out the tails that a standard deviation holds, so the same distance takes more of them.
    pub const fn default_sigma(self) -> f64 {
        match self {
            Self::MovingAverage | Self::Ewma => 3.0,
            Self::Robust => 5.0,
        }
    }
}

/// Which deviations count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Above the band only.
    Above,
    /// Below the band only.
    Below,
    /// Both.
    #[default]
    Both,
}

impl Direction {
    /// The names of all directions, as rules write them.
    pub const NAMES: [&'static str; 3] = ["above", "below", "both"];

    /// The direction of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "above" => Some(Self::Above),
            "below" => Some(Self::Below),
            "both" => Some(Self::Both),
            _ => None,
        }
    }
}

/// What repeats in the series. A profile of it is learned, and the method judges the distance from that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Season {
    /// Nothing.
    #[default]
    None,
    /// Hours.
    Hourly,
    /// Days.
    Daily,
    /// Weeks.
    Weekly,
    /// Whichever of them explains the series clearly better than none; none until one does.
    Auto,
}

impl Season {
    /// How much history a profile can use: older points hardly weigh.
    pub const fn history(self) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Hourly => DAY,
            Self::Daily => Duration::from_secs(14 * 86_400),
            Self::Weekly | Self::Auto => Duration::from_secs(28 * 86_400),
        }
    }

    /// How long it takes until it comes again; of `auto` the longest.
    const fn length(self) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Hourly => Duration::from_secs(3600),
            Self::Daily => DAY,
            Self::Weekly | Self::Auto => Duration::from_secs(7 * 86_400),
        }
    }

    /// Its name, as rules write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => Self::NAMES[0],
            Self::Hourly => Self::NAMES[1],
            Self::Daily => Self::NAMES[2],
            Self::Weekly => Self::NAMES[3],
            Self::Auto => Self::NAMES[4],
        }
    }

    /// The names of all seasons, as rules write them.
    pub const NAMES: [&'static str; 5] = ["none", "hourly", "daily", "weekly", "auto"];

    /// The season of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::None, Self::Hourly, Self::Daily, Self::Weekly, Self::Auto].into_iter().find(|one| one.name() == name)
    }
}

/// How many of the last points must lie outside the band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// At least this many; 0 counts as 1.
    pub points: u32,
    /// Of this many, at most [`TRIGGER_OF_MAX`].
    pub of: u32,
}

impl Default for Trigger {
    fn default() -> Self {
        Self { points: 1, of: 1 }
    }
}

/// The settings of a detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnomalyConfig {
    /// How the band is made.
    pub method: Method,
    /// The window before the point, left-open; default 7d: shorter windows take the daily and weekly course of a
    /// series for anomalies.
    pub window: Duration,
    /// Spreads from the centre to the edge of the band; default 3, for `robust` 5.
    pub sigma: f64,
    /// Which deviations count; default both.
    pub direction: Direction,
    /// Silent until this many points are in the window; default 30.
    pub min_samples: usize,
    /// The edge of the band is at least this far from the centre; default 0.
    pub min_deviation: f64,
    /// The same as a share of the centre; default 0.01, so that a series which never moved does not page when it
    /// moves by less than a hundredth.
    pub min_relative_deviation: f64,
    /// What repeats; default none.
    pub season: Season,
    /// Time zone of a season: phases are those of the clock on the wall; default UTC.
    pub timezone: Zone,
    /// Whether a value outside the band is learned as it is. By default it is learned as the edge it went over: an
    /// incident then hardly widens the band it is measured by, and a level that stays is still taken as normal in
    /// less than a window.
    pub learn_while_firing: bool,
    /// How many of the last points must lie outside; default 1 of 1.
    pub trigger: Trigger,
    /// For this long after an anomaly, points that are no farther out than it stay silent, and begin the period
    /// again; default 4d, which is longer than a weekend: what goes over the band every working day alerts once. Zero
    /// turns it off.
    pub refractory: Duration,
}

impl AnomalyConfig {
    /// The default settings of a method.
    pub fn for_method(method: Method) -> Self {
        Self {
            method,
            window: 7 * DAY,
            sigma: method.default_sigma(),
            direction: Direction::Both,
            min_samples: 30,
            min_deviation: 0.0,
            min_relative_deviation: 0.01,
            season: Season::None,
            timezone: Zone::UTC,
            learn_while_firing: false,
            trigger: Trigger::default(),
            refractory: 4 * DAY,
        }
    }

    /// How long the detector of a series that has fallen silent is still of use: the window, or a whole season.
    pub fn memory(&self) -> Duration {
        self.window.max(self.season.length())
    }

    /// The window in milliseconds, at least one.
    pub(crate) fn window_ms(&self) -> i64 {
        millis(self.window).max(1)
    }
}

impl Default for AnomalyConfig {
    fn default() -> Self {
        Self::for_method(Method::default())
    }
}
