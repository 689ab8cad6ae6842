//! What the table of keys cannot say about a webhook: presets and what they need, addresses, headers, templates, pairs of
//! keys, secrets that stand in a file.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::payload_check;
use super::preset::{NEEDS, Preset, Presets};
use super::secret::SecretText;
use super::web;
use super::webhook::{TlsConfig, WebhookConfig};
use crate::diag::{Diagnostic, SourceFile, suggest};
use crate::yaml::{Node, shape};

/// Words in a header's name by which its value is a secret.
const SECRET_HEADERS: &[&str] = &["authorization", "token", "api-key", "apikey", "secret", "password", "cookie"];

/// What is being checked.
struct Check<'a> {
    file: &'a Arc<SourceFile>,
    node: &'a Node,
    out: &'a mut Vec<Diagnostic>,
}

/// Checks a webhook, and finds its preset and reads its body.
pub(super) fn check(
    file: &Arc<SourceFile>,
    node: &Node,
    config: &mut WebhookConfig,
    presets: &Presets,
    out: &mut Vec<Diagnostic>,
) {
    let mut check = Check { file, node, out };
    let known = check.preset(config, presets);
    check.body(config);
    if let Some(preset) = config.recipe.clone() {
        check.needs(config, &preset);
        check.unused(config, &preset);
    }
    if known && config.url.is_none() && config.recipe.as_ref().is_none_or(|p| p.url.is_none()) {
        super::handlers::missing(file, node, "url", "${env:WEBHOOK_URL}", check.out);
    }
    if let (Some(url), Some(place)) = (&config.url, node.get("url")) {
        web::secret_address(file, place, url, "url", check.out);
    }
    if let (Some(url), Some(place)) = (&config.proxy_url, node.get("proxy_url")) {
        web::secret_address(file, place, url, "proxy_url", check.out);
    }
    check.headers();
    check.pairs();
    check.in_the_clear(config);
    if let Some(node) = node.get("tls_config") {
        tls(file, node, &config.tls_config, out);
    }
}

/// A `tls_config`: pairs of keys, and what gives the protection away.
pub(super) fn tls(file: &Arc<SourceFile>, node: &Node, config: &TlsConfig, out: &mut Vec<Diagnostic>) {
    let pair = [("cert_file", &config.cert_file, "key_file"), ("key_file", &config.key_file, "cert_file")];
    for (there, path, other) in pair {
        if let (Some((key, _)), Some(_), None) = (node.entry(there), path, node.entry(other)) {
            out.push(
                Diagnostic::error("A012", file, key.span.clone(), format!("`{other}` is missing"))
                    .with_label("a certificate and its key go together")
                    .with_help(format!("add `{other}`")),
            );
        }
    }
    if let (true, Some(place)) = (config.insecure_skip_verify, node.get("insecure_skip_verify")) {
        out.push(
            Diagnostic::warning("A513", file, place.span.clone(), "certificates are not verified".to_owned())
                .with_label("whoever is on the way can read and change messages")
                .with_help("name the authority in `ca_file` instead"),
        );
    }
}

impl Check<'_> {
    fn error(&mut self, code: &'static str, place: &Node, message: String, label: &str) -> &mut Diagnostic {
        self.out.push(Diagnostic::error(code, self.file, place.span.clone(), message).with_label(label));
        let last = self.out.len() - 1;
        &mut self.out[last]
    }

    /// Whether there is such a preset.
    fn preset(&mut self, config: &mut WebhookConfig, presets: &Presets) -> bool {
        if let Some(found) = presets.get(&config.preset) {
            config.recipe = found;
            return config.recipe.is_some();
        }
        if let Some(place) = self.node.get("preset") {
            let names = presets.names();
            let label = match suggest(&config.preset, names.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "expected the name of a preset".to_owned(),
            };
            let message = format!("there is no preset `{}`", config.preset.escape_debug());
            self.error("A512", place, message, &label).help = Some(format!(
                "one of {}, or a file `presets/NAME.yaml` beside the handler files",
                shape::listed(&names)
            ));
        }
        false
    }

    fn body(&mut self, config: &mut WebhookConfig) {
        let get = config.method.as_deref() == Some("GET");
        match self.node.entry("body") {
            Some((key, _)) if get => {
                self.error("A016", key, "a GET request has no body".to_owned(), "has no effect here").help =
                    Some("use `method: POST`, or leave `body` out".to_owned());
            }
            Some((_, place)) => {
                let json = config.content_type.contains("json");
                config.payload = payload_check::check(self.file, place, json, self.out).map(Arc::new);
            }
            None => {
                if let Some((key, _)) = self.node.entry("content_type") {
                    let message = "`content_type` is that of an own `body`".to_owned();
                    self.error("A016", key, message, "has no effect here");
                }
            }
        }
        if let Some(place) = self.node.get("content_type") {
            web::header_value(self.file, place, self.out);
        }
    }

    fn needs(&mut self, config: &WebhookConfig, preset: &Preset) {
        for need in preset.needs.iter().filter(|need| *need != "url") {
            if config.parameter(need).is_some() {
                continue;
            }
            match need.strip_prefix("params.") {
                None => super::handlers::missing(
                    self.file,
                    self.node,
                    need,
                    &format!("${{file:/run/secrets/{need}}}"),
                    self.out,
                ),
                Some(name) => {
                    let place = self.node.entry("params").map_or(shape::anchor(self.node), |(key, _)| key.span.clone());
                    let message = format!("the preset `{}` needs `{need}`", preset.name);
                    self.out.push(
                        Diagnostic::error("A012", self.file, place, message)
                            .with_help(format!("add `params: {{{name}: …}}`")),
                    );
                }
            }
        }
    }

    /// Keys and parameters that nothing reads.
    fn unused(&mut self, config: &WebhookConfig, preset: &Preset) {
        let mut reads: BTreeSet<String> = preset.reads();
        reads.extend(config.payload.iter().flat_map(|body| body.reads_fields()));
        let read = |key: &str| reads.contains(key) || (key.starts_with("params.") && reads.contains("params"));
        for key in NEEDS.iter().filter(|key| **key != "url") {
            if let Some((place, _)) = self.node.entry(key).filter(|_| !read(key)) {
                let message = format!("`{key}` has no meaning for the preset `{}`", preset.name);
                self.error("A016", place, message, "has no effect here");
            }
        }
        for (key, _) in self.node.get("params").and_then(Node::entries).unwrap_or_default() {
            let name = key.text().unwrap_or_default();
            if read(&format!("params.{name}")) {
                continue;
            }
            let known: Vec<&str> = reads.iter().filter_map(|r| r.strip_prefix("params.")).collect();
            let label = match suggest(name, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "has no effect here".to_owned(),
            };
            let message = format!("the preset `{}` reads no `params.{name}`", preset.name);
            let help = (!known.is_empty()).then(|| format!("it reads {}", shape::listed(&known)));
            self.error("A016", key, message, &label).help = help;
        }
    }

    fn headers(&mut self) {
        for (key, value) in self.node.get("headers").and_then(Node::entries).unwrap_or_default() {
            web::header_name(self.file, key, self.out);
            web::header_value(self.file, value, self.out);
        }
    }

    /// Keys that say the same, and keys that exclude each other.
    fn pairs(&mut self) {
        let node = self.node;
        let header = node
            .get("headers")
            .and_then(Node::entries)
            .unwrap_or_default()
            .iter()
            .find(|(key, _)| key.text().is_some_and(|name| name.eq_ignore_ascii_case("authorization")));
        let (basic, other) = (node.entry("basic_auth"), node.entry("authorization"));
        let told: Vec<&Node> =
            [basic, other].into_iter().flatten().map(|(key, _)| key).chain(header.map(|(key, _)| key)).collect();
        if let (Some(last), true) = (told.iter().max_by_key(|key| key.span.start), told.len() > 1) {
            let message = "`basic_auth`, `authorization` and a header `Authorization` say the same".to_owned();
            self.error("A016", last, message, "keep one of them");
        }
        let name = node.get("tls_config").and_then(|tls| tls.entry("server_name"));
        if let (Some((key, _)), Some(_)) = (name, node.entry("proxy_url")) {
            let message = "`server_name` cannot be combined with `proxy_url`".to_owned();
            self.error("A016", key, message, "a proxy is asked for the host by this name").help =
                Some("use the name of the certificate in `url`, or leave the proxy out".to_owned());
        }
    }

    /// Secrets that are written out.
    fn in_the_clear(&mut self, config: &WebhookConfig) {
        let node = self.node;
        let mut told = |place: Option<&Node>, text: Option<&SecretText>, what: &str| {
            let Some(place) = place else { return };
            if text.is_some_and(|text| text.references().next().is_none()) {
                self.out.push(
                    Diagnostic::warning("A510", self.file, place.span.clone(), format!("{what} stands in the file"))
                        .with_label("whoever reads the file has it")
                        .with_help("write `${env:NAME}` or `${file:PATH}`"),
                );
            }
        };
        let within = |key: &str, inner: &str| node.get(key).and_then(|n| n.get(inner));
        for key in ["routing_key", "api_key", "bot_token"] {
            told(node.get(key), config.parameter(key), &format!("`{key}`"));
        }
        for key in config.recipe.iter().flat_map(|preset| &preset.secrets) {
            match key.strip_prefix("params.") {
                Some(name) => told(within("params", name), config.parameter(key), &format!("the secret `{key}`")),
                None if key == "url" => told(node.get("url"), config.url.as_ref(), "`url`, which holds a secret,"),
                None => {}
            }
        }
        told(node.get("hmac_secret"), config.hmac_secret.as_ref(), "`hmac_secret`");
        let password = config.basic_auth.as_ref().map(|auth| &auth.password);
        told(within("basic_auth", "password"), password, "the password");
        let credentials = config.authorization.as_ref().map(|auth| &auth.credentials);
        told(within("authorization", "credentials"), credentials, "the credential");
        for (name, text) in &config.headers {
            if SECRET_HEADERS.iter().any(|word| name.to_ascii_lowercase().contains(word)) {
                told(within("headers", name), Some(text), &format!("the header `{name}`"));
            }
        }
    }
}
