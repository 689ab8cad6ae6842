//! What a seed stands for: rules, routes and handlers as files, samples, and what goes wrong when.
//!
//! Each seed has some kinds of trouble only: where everything fails all the time, little else happens. To have something
//! new happen, add an [`Act`], draw it in [`acts`], and do it in `world.rs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::draw::Draw;

/// Seconds from one scrape and evaluation to the next.
pub const STEP: u64 = 15;

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// The wall clock is set by so many seconds.
    SetClock(i64),
    /// A silence is made: matchers, starts in, lasts (seconds).
    Silence(Vec<(String, String)>, u64, u64),
    /// A silence is ended, counted from the first.
    EndSilence(usize),
    /// Somebody looks after the alerts with this label, so long (seconds) or until they are over.
    Ack(String, String, Option<u64>),
    /// Nobody looks after them any more.
    Withdraw(String, String),
    /// Another program reports an alert with these labels again and again, for so many steps, and then its end; without
    /// the end it falls silent.
    Report(Vec<(String, String)>, usize, bool),
    /// Somebody removes what waits for a handler, or was given up.
    Drop(String),
    /// Somebody has what was given up for a handler tried again.
    Retry(String),
    /// A receiver behaves so from now on.
    Mood(String, Mood),
    /// The process dies after so many milliseconds and starts so many seconds later.
    Crash { after_ms: u64, down: u64 },
    /// It dies while it stores what a slot changed: nothing of that is stored.
    CrashBeforeCommit,
    /// It dies when that is stored and before anybody is told.
    CrashAfterCommit,
    /// It ends in order and starts at once.
    Restart,
    /// It ends, in order or not, and starts some seconds later on a machine whose clock is so many seconds behind. One that
    /// is ahead is the same as a longer time down.
    Move { in_order: bool, down: u64, behind: i64 },
    /// Other files are taken, counted from the first.
    Reload(usize),
    /// Nothing can be stored for so many steps.
    NoDisk(usize),
}

/// What a receiver does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Takes it.
    Takes,
    /// Takes it after a while.
    Slow,
    /// Is broken: 500.
    Fails,
    /// Asks for patience: 429.
    Throttles,
    /// Does not want it: 400.
    Refuses,
    /// Takes it, and its answer is lost.
    LosesAnswers,
    /// Never answers; whether it took it nobody knows.
    Hangs,
}

/// A route as the oracle reads it.
#[derive(Clone, Debug, Default)]
pub struct RouteFacts {
    pub matchers: Vec<(String, String)>,
    pub goes_on: bool,
    pub handlers: Vec<String>,
    pub wait: u64,
    pub interval: u64,
    pub repeat: u64,
    /// Who is told after so many seconds; none where those of the route above are in force.
    pub escalate: Option<Steps>,
    pub routes: Vec<RouteFacts>,
}

/// Steps of an escalation: after so many seconds, whom.
pub type Steps = Vec<(u64, String)>;

/// A handler as the oracle reads it.
#[derive(Clone, Debug)]
pub struct HandlerFacts {
    pub name: String,
    pub min_severity: &'static str,
    pub send_resolved: bool,
    pub fallback: Option<String>,
    pub on_mute: &'static str,
    pub extra: String,
}

/// A rule as the oracle reads it.
#[derive(Clone, Debug, Default)]
pub struct RuleFacts {
    pub cooldown: u64,
    pub notify: Vec<String>,
    /// Steps of its own, in the place of those of routes.
    pub escalate: Option<Steps>,
    pub text: String,
}

/// One set of files.
#[derive(Clone, Debug)]
pub struct Files {
    pub rules: BTreeMap<String, RuleFacts>,
    pub route: RouteFacts,
    pub handlers: Vec<HandlerFacts>,
}

/// A whole scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub sets: Vec<Files>,
    /// Samples by step: metric, labels, value.
    pub samples: Vec<Vec<(&'static str, String, f64)>>,
    pub acts: BTreeMap<usize, Vec<Act>>,
    /// Whether the state lies on a disk.
    pub on_disk: bool,
    /// Steps in which things happen.
    pub steps: usize,
}

impl Act {
    /// Whether a process ends.
    pub fn is_restart(&self) -> bool {
        let of_crash = matches!(self, Self::Crash { .. } | Self::CrashBeforeCommit | Self::CrashAfterCommit);
        of_crash || matches!(self, Self::Restart | Self::Move { .. })
    }

    /// Whether people say what they want to hear of: what that leads to is decided at once.
    pub fn is_said(&self) -> bool {
        let asks = matches!(self, Self::Silence(..) | Self::EndSilence(_) | Self::Ack(..) | Self::Withdraw(..));
        asks || matches!(self, Self::Reload(_) | Self::Retry(_))
    }
}

/// Which kinds of trouble there are.
#[derive(Clone, Copy, Debug)]
pub struct Troubles {
    pub clock: bool,
    pub silences: bool,
    /// People look after alerts.
    pub acks: bool,
    /// Other programs report alerts.
    pub reports: bool,
    /// People remove notices and have them tried again.
    pub hands: bool,
    pub receivers: bool,
    pub crashes: bool,
    /// Processes go on elsewhere.
    pub moves: bool,
    pub reloads: bool,
    pub disk: bool,
    pub gaps: bool,
}

impl Troubles {
    /// None but gaps in the samples.
    fn none(draw: &mut Draw) -> Self {
        Self {
            clock: false,
            silences: false,
            acks: false,
            reports: false,
            hands: false,
            receivers: false,
            crashes: false,
            moves: false,
            reloads: false,
            disk: false,
            gaps: draw.once_in(2),
        }
    }

    /// Those of a seed.
    fn draw(draw: &mut Draw) -> Self {
        let mut some = |n| draw.once_in(n);
        Self {
            clock: some(4),
            silences: some(2),
            acks: false,
            reports: false,
            hands: false,
            receivers: some(2),
            crashes: some(2),
            moves: false,
            reloads: some(3),
            disk: some(6),
            gaps: some(2),
        }
    }
}

/// Whether people look after alerts. By a draw of its own, so that other scenarios stay what they were.
fn acks(seed: u64) -> bool {
    Draw::new(seed ^ 0xac4).once_in(3)
}

/// What else there is in some scenarios: steps of an escalation, and handlers that hear of what is quiet.
fn add_extras(seed: u64, sets: &mut [Files]) {
    let (mut draw, mut steps) = (Draw::new(seed ^ 0xe5c), Draw::new(seed ^ 0x57e9));
    if draw.once_in(3) {
        for files in sets.iter_mut() {
            files.route.escalate_by(&mut steps);
            files.rules.values_mut().for_each(|rule| rule.escalate_by(&mut steps));
        }
    }
    if draw.once_in(3) {
        for handler in sets.iter_mut().flat_map(|files| &mut files.handlers) {
            let wanted = *draw.of(&["nothing", "resolve", "resolve", "ack"]);
            handler.on_mute = if wanted == "resolve" && !handler.send_resolved { "nothing" } else { wanted };
        }
    }
}

/// Some steps, if any: later ones after earlier ones.
fn steps(draw: &mut Draw) -> Option<Steps> {
    let after = |draw: &mut Draw| *draw.of(&[30, 60, 150]);
    let whom = |draw: &mut Draw| (*draw.of(&HANDLERS)).to_owned();
    match draw.below(5) {
        0 => Some(Vec::new()),
        1 | 2 => Some(vec![(after(draw), whom(draw))]),
        3 => Some(vec![(30, whom(draw)), (30 + after(draw), whom(draw))]),
        _ => None,
    }
}

/// As a value of YAML.
fn steps_yaml(steps: &Steps) -> String {
    let all: Vec<String> =
        steps.iter().map(|(after, whom)| format!("{{after: {after}s, handlers: [{whom}]}}")).collect();
    format!("[{}]", all.join(", "))
}

const HOSTS: [&str; 3] = ["a", "b", "c"];
const VALUES: [f64; 5] = [10.0, 25.0, 45.0, 65.0, 95.0];
const HANDLERS: [&str; 3] = ["chat", "mail", "page"];

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let mut others = Draw::new(seed ^ 0x07e5);
        let (reports, hands) = (others.once_in(4), others.once_in(4));
        let moves = Draw::new(seed ^ 0x30e).once_in(3);
        let troubles = Troubles { acks: acks(seed), reports, hands, moves, ..Troubles::draw(&mut draw) };
        Self::with(seed, troubles, &mut draw)
    }

    /// One in which processes end and others go on at once, and nothing else goes wrong.
    pub fn of_restarts(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let calm = Troubles::none(&mut draw);
        // What falls silent soon after a start may have been lost with the process: it is not taken for the same.
        let troubles = Troubles { crashes: true, silences: draw.once_in(2), acks: acks(seed), gaps: false, ..calm };
        let mut scenario = Self::with(seed, troubles, &mut draw);
        // What is not evaluated is not under watch: a process that ends between two slots has its `for` counted from the
        // last one. So it ends at a slot, and there is one at every step.
        for files in &mut scenario.sets {
            let text = "{name: tick, expr: vector(1) > 2, every: 15s}".to_owned();
            files.rules.insert("tick".to_owned(), RuleFacts { cooldown: 0, notify: Vec::new(), escalate: None, text });
        }
        let crashes = scenario.acts.values_mut().flatten().filter(|act| act.is_restart());
        crashes.for_each(|act| *act = Act::CrashAfterCommit);
        scenario
    }

    /// A short one whose clock is never set: what happened when is beyond doubt.
    pub fn brief(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let troubles = Troubles { clock: false, disk: false, acks: acks(seed), ..Troubles::draw(&mut draw) };
        let mut scenario = Self::with(seed, troubles, &mut draw);
        scenario.steps = 16 + seed as usize % 16;
        scenario.on_disk = false;
        scenario
    }

    /// One in which nothing goes wrong.
    pub fn calm(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let calm = Troubles::none(&mut draw);
        Self::with(seed, calm, &mut draw)
    }

    fn with(seed: u64, troubles: Troubles, draw: &mut Draw) -> Self {
        let steps = 60 + draw.below(120) as usize;
        let mut sets = vec![Files::draw(&mut draw.fork())];
        if troubles.reloads {
            for _ in 0..2 {
                let mut draw = draw.fork();
                let next = sets[0].changed(&mut draw);
                sets.push(next);
            }
        }
        add_extras(seed, &mut sets);
        let samples = samples(&mut draw.fork(), steps, troubles.gaps);
        let mut acts = acts(&mut draw.fork(), steps, troubles, sets.len());
        add_acts(&mut Draw::new(seed ^ 0xadd), steps, troubles, &mut acts);
        if troubles.moves {
            move_on(&mut Draw::new(seed ^ 0x30e5), &mut acts);
        }
        Self { seed, sets, samples, acts, on_disk: draw.once_in(24), steps }
    }
}

/// What each series does: it stays at a value for a while, then goes to another; with gaps it also falls silent or ends.
fn samples(draw: &mut Draw, steps: usize, gaps: bool) -> Vec<Vec<(&'static str, String, f64)>> {
    let mut out = vec![Vec::new(); steps];
    let mut add = |metric: &'static str, labels: String, draw: &mut Draw| {
        let mut value = Some(VALUES[0]);
        let restless = 2 + draw.below(12);
        for step in &mut out {
            if draw.once_in(restless) {
                let before = value;
                value = Some(*draw.of(&VALUES));
                if gaps && draw.once_in(6) {
                    value = None;
                    let mark = if draw.once_in(2) { alertd::model::STALE_NAN } else { alertd::model::SILENT_NAN };
                    if before.is_some() && draw.once_in(2) {
                        step.push((metric, labels.clone(), mark));
                    }
                }
            }
            if let Some(value) = value {
                step.push((metric, labels.clone(), value));
            }
        }
    };
    for metric in ["m0", "m1"] {
        for host in HOSTS {
            add(metric, format!("host={host}"), draw);
        }
    }
    for host in HOSTS {
        for (part, seldom) in [("x", false), ("y", true)] {
            let mut there = false;
            for step in &mut out {
                there = if seldom { there != draw.once_in(20) } else { true };
                if there {
                    step.push(("weight", format!("host={host},part={part}"), 1.0));
                }
            }
        }
    }
    out
}

/// What goes wrong.
fn acts(draw: &mut Draw, steps: usize, troubles: Troubles, sets: usize) -> BTreeMap<usize, Vec<Act>> {
    let mut out: BTreeMap<usize, Vec<Act>> = BTreeMap::new();
    let mut silences = 0;
    let mut no_disk_until = 0;
    let rate = 4 + draw.below(20);
    for step in 2..steps {
        let mut put = |act: Act| out.entry(step).or_default().push(act);
        if troubles.receivers && draw.once_in(rate) {
            let moods = [
                Mood::Takes,
                Mood::Takes,
                Mood::Slow,
                Mood::Fails,
                Mood::Throttles,
                Mood::Refuses,
                Mood::LosesAnswers,
                Mood::Hangs,
            ];
            put(Act::Mood((*draw.of(&HANDLERS)).to_owned(), *draw.of(&moods)));
        }
        if troubles.silences && draw.once_in(rate) {
            if silences > 0 && draw.once_in(3) {
                put(Act::EndSilence(draw.below(silences) as usize));
            } else {
                let by = [("host", HOSTS[draw.below(3) as usize]), ("team", "a"), ("severity", "critical")];
                let (name, value) = *draw.of(&by);
                let starts = if draw.once_in(3) { draw.below(120) } else { 0 };
                put(Act::Silence(vec![(name.into(), value.into())], starts, 20 + draw.below(600)));
                silences += 1;
            }
        }
        if troubles.acks && draw.once_in(rate) {
            let (name, value) = *draw.of(&[("host", "a"), ("host", "b"), ("team", "a"), ("severity", "critical")]);
            let lasts = draw.once_in(2).then(|| 20 + draw.below(400));
            let (name, value) = (name.to_owned(), value.to_owned());
            put(if draw.once_in(4) { Act::Withdraw(name, value) } else { Act::Ack(name, value, lasts) });
        }
        if troubles.clock && draw.once_in(rate * 2) {
            let by = [-3600, -300, -40, 37, 300, 3600, 86_400];
            put(Act::SetClock(*draw.of(&by)));
        }
        if troubles.reloads && draw.once_in(rate) {
            put(Act::Reload(draw.below(sets as u64) as usize));
        }
        if troubles.disk && draw.once_in(rate * 2) && no_disk_until <= step {
            let span = 1 + draw.below(6) as usize;
            // What was told while nothing could be stored is unknown after a crash: none comes then.
            no_disk_until = step + span + 2;
            put(Act::NoDisk(span));
        }
        if troubles.crashes && draw.once_in(rate) && no_disk_until <= step {
            let act = match draw.below(8) {
                0 => Act::CrashBeforeCommit,
                1 | 2 => Act::CrashAfterCommit,
                3 => Act::Restart,
                _ => {
                    let down = if draw.once_in(2) { 0 } else { draw.below(400) };
                    Act::Crash { after_ms: draw.below(14_900), down }
                }
            };
            // Whoever starts when the clock was just set takes that for time that passed.
            if !out.get(&step).is_some_and(|acts| acts.iter().any(|act| matches!(act, Act::SetClock(_)))) {
                out.entry(step).or_default().push(act);
            }
        }
    }
    out
}

/// Some of the processes that end go on elsewhere, where the clock is behind. By a draw of its own.
fn move_on(draw: &mut Draw, acts: &mut BTreeMap<usize, Vec<Act>>) {
    for act in acts.values_mut().flatten().filter(|act| act.is_restart()) {
        if draw.once_in(2) {
            let behind = *draw.of(&[40, 120, 120, 600]);
            *act = Act::Move { in_order: draw.once_in(2), down: draw.below(30), behind };
        }
    }
}

/// What others report, and what people do to notices. By a draw of its own.
fn add_acts(draw: &mut Draw, steps: usize, troubles: Troubles, out: &mut BTreeMap<usize, Vec<Act>>) {
    let rate = 6 + draw.below(20);
    for step in 2..steps {
        let mut put = |act: Act| out.entry(step).or_default().push(act);
        if troubles.reports && draw.once_in(rate) {
            let mut labels = vec![("alertname", "peer"), ("host", *draw.of(&HOSTS)), ("team", *draw.of(&["a", "b"]))];
            labels.extend([("severity", *draw.of(&["critical", "warning"]))].into_iter().filter(|_| draw.once_in(2)));
            let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            put(Act::Report(labels, 1 + draw.below(30) as usize, draw.once_in(2)));
        }
        if troubles.hands && draw.once_in(rate) {
            let whose = (*draw.of(&HANDLERS)).to_owned();
            put(if draw.once_in(3) { Act::Drop(whose) } else { Act::Retry(whose) });
        }
    }
}

impl Files {
    fn draw(draw: &mut Draw) -> Self {
        let count = 1 + draw.below(5);
        let rules = (0..count).map(|n| (format!("r{n}"), rule(&format!("r{n}"), draw))).collect();
        let handlers = HANDLERS.map(|name| handler(name, draw)).to_vec();
        Self { rules, route: route(draw, 0), handlers }
    }

    /// The same with something changed.
    fn changed(&self, draw: &mut Draw) -> Self {
        let mut next = self.clone();
        for _ in 0..1 + draw.below(3) {
            let name = format!("r{}", draw.below(5));
            match draw.below(5) {
                0 => drop(next.rules.remove(&name)),
                1 => drop(next.rules.insert(name.clone(), rule(&name, draw))),
                2 => next.route = route(draw, 0),
                3 => {
                    let at = draw.below(3) as usize;
                    next.handlers[at] = handler(HANDLERS[at], draw);
                }
                _ => {}
            }
        }
        if next.rules.is_empty() {
            next.rules.insert("r9".to_owned(), rule("r9", draw));
        }
        next
    }

    /// `rules.yaml`.
    pub fn rules_yaml(&self) -> String {
        self.rules.values().fold("rules:\n".to_owned(), |mut text, rule| {
            let _ = match &rule.escalate {
                None => writeln!(text, "  - {}", rule.text),
                Some(steps) => {
                    let rest = rule.text.strip_suffix('}').unwrap_or_default();
                    writeln!(text, "  - {rest}, escalate: {}}}", steps_yaml(steps))
                }
            };
            text
        })
    }

    /// `handlers.yaml`.
    pub fn handlers_yaml(&self) -> String {
        let mut text = "handlers:\n".to_owned();
        for h in &self.handlers {
            let fallback = h.fallback.as_ref().map(|f| format!(", fallback: {f}")).unwrap_or_default();
            let to = match h.on_mute {
                "ack" => "preset: pagerduty, routing_key: k, on_mute: ack".to_owned(),
                other => format!("url: \"http://127.0.0.1:1/\", on_mute: {other}"),
            };
            let _ = writeln!(
                text,
                "  - {{name: {}, type: webhook, {to}, min_severity: {}, send_resolved: {}{fallback}{}}}",
                h.name, h.min_severity, h.send_resolved, h.extra
            );
        }
        text.push_str("route:\n");
        self.route.write(&mut text, 2);
        text
    }
}

fn rule(name: &str, draw: &mut Draw) -> RuleFacts {
    let mut extra = String::new();
    let mut maybe = |draw: &mut Draw, n: u64, texts: &[&str]| {
        if draw.once_in(n) {
            let _ = write!(extra, ", {}", draw.of(texts));
        }
    };
    maybe(draw, 2, &["for: 15s", "for: 30s", "for: 1m"]);
    maybe(draw, 3, &["keep_firing_for: 30s", "keep_firing_for: 2m"]);
    maybe(draw, 2, &["labels: {team: a}", "labels: {team: b}"]);
    maybe(draw, 3, &["every: 30s", "every: 1m", "every: 20s"]);
    maybe(draw, 4, &["on_no_data: fire", "on_no_data: resolve", "on_no_data: keep"]);
    maybe(draw, 4, &["no_data_timeout: 2m", "no_data_timeout: 10m"]);
    maybe(draw, 4, &["on_error: fire", "on_error: resolve"]);
    let form = draw.below(6);
    if form != 1 {
        maybe(draw, 2, &["severity: error", "severity: critical", "severity: info"]);
    }
    if form == 0 {
        maybe(draw, 2, &["recover: \"< 30\""]);
    }
    let cooldown = if draw.once_in(2) { *draw.of(&[45, 120, 300]) } else { 0 };
    let notify: Vec<String> = if draw.once_in(5) { vec![(*draw.of(&HANDLERS)).to_owned()] } else { Vec::new() };
    let condition = match form {
        0 => "metric: m0, threshold: \"> 50\"",
        1 => "metric: m0, levels: {warning: \"> 30\", critical: \"> 80\"}",
        2 => "expr: m1 > 50",
        3 => "queries: {a: m0, b: m1}, when: a > 50 && b > 20, recover_when: a < 20, value: a",
        4 => "expr: m0 * on (host) group_left () weight > 50",
        _ => "metric: m1, reduce: max, over: 1m, threshold: \"> 50\"",
    };
    let mut text = format!("{{name: {name}, {condition}{extra}");
    // Not drawn: every seed stays what it was.
    match text.len() % 4 {
        0 => text.push_str(", flapping: {changes: 3, window: 5m, quiet: 1m}"),
        1 => text.push_str(", flapping: {changes: 4, window: 10m, quiet: 2m}"),
        _ => {}
    }
    if cooldown > 0 {
        let _ = write!(text, ", cooldown: {cooldown}s");
    }
    if !notify.is_empty() {
        let _ = write!(text, ", notify: [{}]", notify.join(", "));
    }
    text.push('}');
    RuleFacts { cooldown, notify, escalate: None, text }
}

impl RuleFacts {
    fn escalate_by(&mut self, draw: &mut Draw) {
        self.escalate = steps(draw).filter(|_| draw.once_in(3));
    }
}

fn handler(name: &str, draw: &mut Draw) -> HandlerFacts {
    let mut extra = String::new();
    if draw.once_in(4) {
        extra.push_str(", rate_limit: 20/m");
    }
    if draw.once_in(4) {
        extra.push_str(", give_up_after: 2m");
    }
    let others: Vec<&str> = HANDLERS.into_iter().filter(|other| *other != name).collect();
    HandlerFacts {
        name: name.to_owned(),
        min_severity: if draw.once_in(3) { "error" } else { "info" },
        send_resolved: !draw.once_in(5),
        fallback: draw.once_in(4).then(|| (*draw.of(&others)).to_owned()),
        on_mute: "nothing",
        extra,
    }
}

fn route(draw: &mut Draw, depth: u32) -> RouteFacts {
    let matchers = [("team", "a"), ("team", "b"), ("severity", "critical"), ("severity", "warning"), ("host", "a")];
    let handlers = |draw: &mut Draw| -> Vec<String> {
        let all: Vec<String> = HANDLERS.iter().map(|name| (*name).to_owned()).collect();
        let some: Vec<String> = all.into_iter().filter(|_| draw.once_in(2)).collect();
        some
    };
    let mut this = RouteFacts {
        handlers: handlers(draw),
        wait: *draw.of(&[0, 10, 30]),
        interval: *draw.of(&[0, 30, 120]),
        repeat: *draw.of(&[300, 900, 14_400]),
        goes_on: draw.once_in(2),
        ..RouteFacts::default()
    };
    if depth > 0 {
        let (name, value) = *draw.of(&matchers);
        this.matchers.push((name.to_owned(), value.to_owned()));
    } else if this.handlers.is_empty() {
        this.handlers.push("chat".to_owned());
    }
    if depth < 2 {
        let count = draw.below(3);
        this.routes = (0..count).map(|_| route(draw, depth + 1)).collect();
    }
    this
}

impl RouteFacts {
    fn escalate_by(&mut self, draw: &mut Draw) {
        self.escalate = steps(draw);
        self.routes.iter_mut().for_each(|below| below.escalate_by(draw));
    }

    fn write(&self, text: &mut String, indent: usize) {
        let pad = " ".repeat(indent);
        let by = match self.wait + self.interval {
            0..=10 => "[alertname, host]",
            11..=60 => "[alertname]",
            _ => "[]",
        };
        let _ = writeln!(text, "{pad}group_by: {by}");
        let _ = writeln!(text, "{pad}group_wait: {}s", self.wait);
        let _ = writeln!(text, "{pad}group_interval: {}s", self.interval);
        let _ = writeln!(text, "{pad}repeat_interval: {}s", self.repeat);
        if !self.handlers.is_empty() {
            let _ = writeln!(text, "{pad}handlers: [{}]", self.handlers.join(", "));
        }
        if let Some(steps) = &self.escalate {
            let _ = writeln!(text, "{pad}escalate: {}", steps_yaml(steps));
        }
        if !self.matchers.is_empty() {
            let all: Vec<String> = self.matchers.iter().map(|(n, v)| format!("'{n}=\"{v}\"'")).collect();
            let _ = writeln!(text, "{pad}matchers: [{}]", all.join(", "));
            let _ = writeln!(text, "{pad}continue: {}", self.goes_on);
        }
        if !self.routes.is_empty() {
            let _ = writeln!(text, "{pad}routes:");
            for below in &self.routes {
                let mut inner = String::new();
                below.write(&mut inner, indent + 4);
                inner.replace_range(indent + 2..indent + 3, "-");
                text.push_str(&inner);
            }
        }
    }
}
