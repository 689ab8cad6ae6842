//! Presets of webhooks: how a message for one kind of receiver is made, as data. A preset is a YAML file; those that come
//! with the program lie in `src/notify/webhook/presets`, a user's own in a folder `presets` beside the handler files.
//!
//! Place in the flow: read with the handler files; `notify::webhook` renders and sends by it. Nothing here sends.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;

use super::payload_check;
use crate::diag::{Diagnostic, Level, SourceFile};
use crate::template::payload::Payload;
use crate::yaml::{self, Node, shape};

pub use super::preset_keys::PRESET;

/// Keys of a handler that a preset may need, apart from `params`.
pub const NEEDS: &[&str] = &["url", "routing_key", "api_key", "bot_token", "chat_id"];

/// The presets that come with the program.
const BUILT_IN: &[(&str, &str)] = &[
    ("alertmanager", include_str!("../notify/webhook/presets/alertmanager.yaml")),
    ("discord", include_str!("../notify/webhook/presets/discord.yaml")),
    ("generic", include_str!("../notify/webhook/presets/generic.yaml")),
    ("googlechat", include_str!("../notify/webhook/presets/googlechat.yaml")),
    ("mattermost", include_str!("../notify/webhook/presets/mattermost.yaml")),
    ("ntfy", include_str!("../notify/webhook/presets/ntfy.yaml")),
    ("opsgenie", include_str!("../notify/webhook/presets/opsgenie.yaml")),
    ("pagerduty", include_str!("../notify/webhook/presets/pagerduty.yaml")),
    ("pushover", include_str!("../notify/webhook/presets/pushover.yaml")),
    ("slack", include_str!("../notify/webhook/presets/slack.yaml")),
    ("teams", include_str!("../notify/webhook/presets/teams.yaml")),
    ("telegram", include_str!("../notify/webhook/presets/telegram.yaml")),
    ("webex", include_str!("../notify/webhook/presets/webex.yaml")),
];

/// How messages for one kind of receiver are made and judged.
#[derive(Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name: that of its file.
    pub name: String,
    /// Where it goes if the handler names no `url`.
    pub url: Option<String>,
    /// Method of the request.
    pub method: String,
    /// Content type of the body.
    pub content_type: String,
    /// Headers, as templates.
    pub headers: BTreeMap<String, Payload>,
    /// Keys that the handler must have: some of [`NEEDS`], and `params.NAME`.
    pub needs: Vec<String>,
    /// Those of them that are secrets.
    pub secrets: Vec<String>,
    /// Whether the receiver opens and closes incidents: what fired and resolved unseen is then opened and closed.
    pub incidents: bool,
    /// What an answer must be to count as success.
    pub success: Success,
    /// Further statuses after which it is tried again.
    pub retry: Vec<u16>,
    /// Where in a JSON answer the seconds to wait stand, such as `parameters.retry_after`.
    pub retry_after: Option<String>,
    /// What the receiver takes at most.
    pub limits: PresetLimits,
    /// What is sent.
    pub request: Recipe,
    /// What is sent instead when a group is resolved.
    pub resolved: Option<Recipe>,
    /// What is sent when a group is acknowledged; a receiver without it knows no such thing.
    pub acknowledged: Option<Recipe>,
}

/// Path, method and body of a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Joined to the URL.
    pub path: Option<Payload>,
    /// The body.
    pub body: Payload,
}

/// What an answer must be to count as success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Success {
    /// Statuses; empty: every 2xx.
    pub status: Vec<u16>,
    /// The whole body, without blanks around it.
    pub body: Option<String>,
    /// Fields of a JSON body with the text of their values.
    pub json: BTreeMap<String, String>,
    /// Whether one of `body` and `json` is enough.
    #[serde(skip)]
    pub any: bool,
}

/// What a receiver takes at most; 0: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PresetLimits {
    /// Bytes of a body.
    pub bytes: usize,
    /// Alerts that are written out.
    pub alerts: usize,
}

/// The file as it is written.
#[derive(Deserialize)]
struct Written {
    url: Option<String>,
    #[serde(default = "post")]
    method: String,
    #[serde(default = "json")]
    content_type: String,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    incidents: bool,
    #[serde(default)]
    success: Success,
    #[serde(default)]
    retry: Vec<u16>,
    retry_after: Option<String>,
    #[serde(default)]
    limits: PresetLimits,
}

fn post() -> String {
    "POST".to_owned()
}

fn json() -> String {
    "application/json".to_owned()
}

impl Preset {
    /// The names its templates read, with the fields of `params`: `params.channel`.
    pub fn reads(&self) -> BTreeSet<String> {
        let recipes = [Some(&self.request), self.resolved.as_ref(), self.acknowledged.as_ref()];
        let of = |recipe: &Recipe| {
            recipe.body.reads_fields().into_iter().chain(recipe.path.iter().flat_map(Payload::reads_fields)).collect()
        };
        let mut all: BTreeSet<String> =
            recipes.into_iter().flatten().flat_map(|r| -> BTreeSet<String> { of(r) }).collect();
        all.extend(self.headers.values().flat_map(Payload::reads_fields));
        all
    }

    /// Reads a preset's file; `None` where it has an error.
    pub fn read(file: &Arc<SourceFile>, out: &mut Vec<Diagnostic>) -> Option<Self> {
        let before = out.len();
        let failed = |out: &[Diagnostic]| out[before..].iter().any(|d| d.level == Level::Error);
        let Some(root) = yaml::parse(file, out)?.root else {
            out.push(
                Diagnostic::error("A508", file, 0..0, "the file is empty".to_owned()).with_label("expected `body:`"),
            );
            return None;
        };
        shape::check_root(file, &root, &PRESET, out);
        needs(file, &root, out);
        address(file, &root, out);
        if failed(out) {
            return None;
        }
        let written: Written = match serde_yaml::from_value(shape::to_value(&root, &PRESET)) {
            Ok(written) => written,
            Err(error) => {
                // The shape has been checked, so this is a value the shape lets pass and the struct does not.
                let message = format!("the preset cannot be read: {error}");
                out.push(Diagnostic::error("A011", file, root.span.clone(), message));
                return None;
            }
        };
        let json = written.content_type.contains("json");
        let mut headers = BTreeMap::new();
        for (key, value) in root.get("headers").and_then(Node::entries).unwrap_or_default() {
            super::web::header_name(file, key, out);
            if let (Some(name), Some(template)) = (key.text(), payload_check::check(file, value, false, out)) {
                headers.insert(name.to_owned(), template);
            }
        }
        let request = recipe(file, &root, json, out);
        let resolved = root.get("resolved").map(|node| recipe(file, node, json, out));
        let acknowledged = root.get("acknowledged").map(|node| recipe(file, node, json, out));
        if failed(out) {
            return None;
        }
        Some(Self {
            name: name_of(&file.path).to_owned(),
            url: written.url,
            method: written.method,
            content_type: written.content_type,
            headers,
            needs: written.needs,
            secrets: written.secrets,
            incidents: written.incidents,
            success: written.success,
            retry: written.retry,
            retry_after: written.retry_after,
            limits: written.limits,
            request: request?,
            resolved: resolved.flatten(),
            acknowledged: acknowledged.flatten(),
        })
    }
}

fn recipe(file: &Arc<SourceFile>, node: &Node, json: bool, out: &mut Vec<Diagnostic>) -> Option<Recipe> {
    let path = node.get("path").map(|path| payload_check::check(file, path, false, out));
    // Both are looked at, so that one error does not hide the other.
    let body = payload_check::check(file, node.get("body")?, json, out)?;
    match path {
        Some(path) => Some(Recipe { path: Some(path?), body }),
        None => Some(Recipe { path: None, body }),
    }
}

/// What is needed must be a key that a handler has.
fn needs(file: &Arc<SourceFile>, root: &Node, out: &mut Vec<Diagnostic>) {
    for key in ["needs", "secrets"] {
        for node in root.get(key).and_then(Node::items).unwrap_or_default() {
            let text = node.text().unwrap_or_default();
            if NEEDS.contains(&text) || text.strip_prefix("params.").is_some_and(|name| !name.is_empty()) {
                continue;
            }
            let label = match crate::diag::suggest(text, NEEDS.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "no key of a handler".to_owned(),
            };
            out.push(
                Diagnostic::error("A013", file, node.span.clone(), format!("a preset cannot need `{text}`"))
                    .with_label(label)
                    .with_help(format!("one of {}, or `params.NAME`", shape::listed(NEEDS))),
            );
        }
    }
}

fn address(file: &Arc<SourceFile>, root: &Node, out: &mut Vec<Diagnostic>) {
    if let Some(node) = root.get("url") {
        super::web::web_address(file, node, node.text().unwrap_or_default(), "url", out);
    }
}

/// A preset's name is its file's, without folder and ending.
fn name_of(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml")).unwrap_or(name)
}

/// Whether a file among the handler files is a preset: it lies in a folder of that name.
pub fn is_preset(path: &str) -> bool {
    path.rsplit(['/', '\\']).nth(1) == Some("presets")
}

/// A user's presets, and those that come with the program.
#[derive(Debug, Default)]
pub struct Presets {
    user: BTreeMap<String, UserPreset>,
}

#[derive(Debug)]
struct UserPreset {
    place: String,
    /// `None` where its file has an error.
    preset: Option<Arc<Preset>>,
}

impl Presets {
    /// Reads a user's presets.
    pub fn read(files: &[&Arc<SourceFile>], out: &mut Vec<Diagnostic>) -> Self {
        let mut user: BTreeMap<String, UserPreset> = BTreeMap::new();
        for file in files {
            let name = name_of(&file.path).to_owned();
            if let Some(first) = user.get(&name) {
                let message = format!("two presets have the name `{name}`");
                out.push(
                    Diagnostic::error("A503", file, first_line(file), message)
                        .with_label(format!("first in {}", first.place))
                        .with_help("rename one of them"),
                );
                continue;
            }
            let preset = Preset::read(file, out).map(Arc::new);
            user.insert(name, UserPreset { place: file.path.to_string(), preset });
        }
        Self { user }
    }

    /// The preset of that name; `Some(None)` where there is one and its file has an error.
    pub fn get(&self, name: &str) -> Option<Option<Arc<Preset>>> {
        if let Some(user) = self.user.get(name) {
            return Some(user.preset.clone());
        }
        built_in(name).map(Some)
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<&str> {
        let all: BTreeSet<&str> =
            BUILT_IN.iter().map(|(name, _)| *name).chain(self.user.keys().map(String::as_str)).collect();
        all.into_iter().collect()
    }
}

/// The preset of that name that comes with the program.
pub fn built_in(name: &str) -> Option<Arc<Preset>> {
    read_built_in(name).map(Arc::new)
}

/// The same, to be changed.
pub(super) fn read_built_in(name: &str) -> Option<Preset> {
    let (name, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
    let file = SourceFile::new(format!("presets/{name}.yaml"), *text);
    // They are read by a test, without a finding.
    Preset::read(&file, &mut Vec::new())
}

/// Names of the presets that come with the program.
pub fn built_in_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

fn first_line(file: &SourceFile) -> Range<usize> {
    0..file.text.lines().next().map_or(0, str::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{TextStyle, text};

    #[test]
    fn every_preset_that_comes_with_the_program_is_read_without_a_finding() {
        for (name, source) in BUILT_IN {
            let mut out = Vec::new();
            let preset = Preset::read(&SourceFile::new(format!("presets/{name}.yaml"), *source), &mut out);
            assert!(out.is_empty(), "{}", text(&out, TextStyle::default()));
            let preset = preset.expect("a preset");
            assert_eq!(preset.name, *name);
            for need in &preset.secrets {
                assert!(preset.needs.contains(need), "{name}: {need} is secret and not needed");
            }
            let reads = preset.reads();
            for need in preset.needs.iter().filter(|n| *n != "url") {
                assert!(reads.contains(need), "{name} needs {need} and reads {reads:?}");
            }
            assert!(preset.url.is_some() || preset.needs.iter().any(|n| n == "url"), "{name} goes nowhere");
        }
    }

    #[test]
    fn a_users_preset_comes_before_the_one_of_the_program_and_twice_is_an_error() {
        let own = SourceFile::new("handlers/presets/slack.yaml", "needs: [url]\nbody: '{\"mine\": true}'\n");
        let again = SourceFile::new("more/presets/slack.yaml", "needs: [url]\nbody: '{}'\n");
        let mut out = Vec::new();
        let presets = Presets::read(&[&own, &again], &mut out);
        assert_eq!(out.iter().map(|d| d.code).collect::<Vec<_>>(), ["A503"]);
        let slack = presets.get("slack").flatten().expect("a preset");
        assert!(slack.request.body.source().contains("mine"));
        assert!(presets.get("generic").flatten().is_some() && presets.get("nothing").is_none());
        assert!(is_preset("handlers/presets/a.yaml") && !is_preset("handlers/a.yaml") && !is_preset("presets.yaml"));
    }
}
