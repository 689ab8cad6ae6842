//! What the readers of receivers share: the file, what `global` says, the templates, and how keys become texts, secrets
//! and flags.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::wording::{Longest, Part, Text};
use crate::config::secret::SecretText;
use crate::diag::{Diagnostic, SourceFile};
use crate::model::parse_duration;
use crate::template::{Manner, TemplateSet};
use crate::yaml::{Node, shape};

pub(super) struct Context<'a> {
    pub(super) file: &'a Arc<SourceFile>,
    pub(super) global: Option<&'a Node>,
    pub(super) templates: TemplateSet,
    pub(super) files: Arc<[String]>,
    pub(super) out: &'a mut Vec<Diagnostic>,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        file: &'a Arc<SourceFile>,
        root: &'a Node,
        (templates, files): (TemplateSet, Arc<[String]>),
        out: &'a mut Vec<Diagnostic>,
    ) -> Self {
        Self { file, global: root.get("global"), templates, files, out }
    }

    pub(super) fn error(&mut self, code: &'static str, place: &Node, message: String, label: &str) {
        self.out.push(Diagnostic::error(code, self.file, place.span.clone(), message).with_label(label));
    }

    /// A key that must be there.
    pub(super) fn missing(&mut self, node: &Node, key: &str, help: &str) {
        let found = Diagnostic::error("A012", self.file, shape::anchor(node), format!("`{key}` is missing"));
        self.out.push(found.with_help(help.to_owned()));
    }

    /// Says what will be different.
    pub(super) fn differs(&mut self, place: &Node, message: String, what: &str) {
        let found = Diagnostic::warning("A561", self.file, place.span.clone(), message);
        self.out.push(found.with_label(what.to_owned()));
    }

    /// Keys that have no equal and stand here; an empty text counts as none.
    pub(super) fn without_equal(&mut self, node: &Node, keys: &[(&str, &str)]) {
        for (name, what) in keys {
            if let Some((key, _)) = node.entry(name).filter(|(_, value)| value.text() != Some("")) {
                self.differs(key, format!("`{name}` of Alertmanager has no equal"), what);
            }
        }
    }

    /// Two keys of which at most one may stand.
    pub(super) fn one_of_both(&mut self, node: &Node, one: &str, other: &str) {
        let set = |key: &str| node.entry(key).filter(|(_, value)| value.text().is_none_or(|t| !t.is_empty()));
        if let (Some(_), Some((key, _))) = (set(one), set(other)) {
            let message = format!("`{one}` and `{other}` exclude each other");
            self.error("A016", key, message, "keep one of them");
        }
    }

    /// Wherever below something can be read from `KEY_file`, at most one of `KEY` and `KEY_file` may stand.
    pub(super) fn one_or_its_file(&mut self, node: &Node) {
        for (key, value) in node.entries().unwrap_or_default() {
            let name = key.text().unwrap_or_default();
            if let Some(own) = name.strip_suffix("_file") {
                self.one_of_both(node, own, name);
            }
            let is_free = super::FREE_MAPS.contains(&name) || super::FREE_TREES.iter().any(|(_, tree)| *tree == name);
            if !is_free {
                self.one_or_its_file(value);
            }
        }
        node.items().unwrap_or_default().iter().for_each(|item| self.one_or_its_file(item));
    }

    /// A text that stands as it is; an empty one counts as none.
    pub(super) fn literal(node: &Node, key: &str) -> Option<String> {
        node.get(key).and_then(Node::text).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    pub(super) fn flag(node: &Node, key: &str) -> Option<bool> {
        node.get(key).and_then(Node::boolean)
    }

    /// A length of time that is longer than nothing: for Alertmanager nothing is no limit.
    pub(super) fn duration(node: &Node, key: &str) -> Option<Duration> {
        node.get(key)?.text().and_then(|text| parse_duration(text).ok()).filter(|d| !d.is_zero())
    }

    /// A secret that stands under a key, or in the file that `KEY_file` names.
    pub(super) fn secret(node: &Node, key: &str) -> Option<SecretText> {
        Self::secret_at(node, key, str::to_owned)
    }

    /// The same in `http_config`, whose files are meant from the folder of this one.
    pub(super) fn secret_beside(&self, node: &Node, key: &str) -> Option<SecretText> {
        Self::secret_at(node, key, |path| self.beside(path))
    }

    fn secret_at(node: &Node, key: &str, place: impl Fn(&str) -> String) -> Option<SecretText> {
        let from_file = || Self::literal(node, &format!("{key}_file")).map(|path| SecretText::of_file(&place(&path)));
        Self::literal(node, key).map(|text| SecretText::literal(&text)).or_else(from_file)
    }

    /// What stands under a key or in its file, else what `global` has under its own name.
    pub(super) fn secret_or_global(&self, node: &Node, key: &str, global: &str) -> Option<SecretText> {
        Self::secret(node, key).or_else(|| Self::secret(self.global?, global))
    }

    /// A literal, else that of `global`.
    pub(super) fn literal_or_global(&self, node: &Node, key: &str, global: &str) -> Option<String> {
        Self::literal(node, key).or_else(|| Self::literal(self.global?, global))
    }

    /// A path of `http_config`, which is meant from the folder of the file.
    pub(super) fn beside(&self, path: &str) -> String {
        let folder = Path::new(&*self.file.path).parent().map(PathBuf::from).unwrap_or_default();
        folder.join(path).to_string_lossy().into_owned()
    }

    /// A template that stands under a key, or its default. One that cannot be read costs what it would tell.
    pub(super) fn text(&mut self, node: &Node, key: &str, default: &str) -> Text {
        match node.get(key) {
            Some(value) => self.template(value),
            None => self.fixed(default),
        }
    }

    /// The same for a text that tells what happened.
    pub(super) fn telling(&mut self, node: &Node, key: &str, default: &str) -> Text {
        self.text(node, key, default).telling()
    }

    /// The same as a part that is left out where it is empty.
    pub(super) fn optional(&mut self, node: &Node, key: &str, default: &str) -> Part {
        Part::from(self.text(node, key, default)).optional()
    }

    /// A value as a template.
    pub(super) fn template(&mut self, value: &Node) -> Text {
        let source = value.text().unwrap_or_default();
        match self.templates.template(source) {
            Ok(template) => {
                for error in template.failures() {
                    let place = value.locate(&self.file.text, error.span.clone());
                    let mut found = Diagnostic::warning("A563", self.file, place, error.message.clone());
                    (found.label, found.help) = (error.label.clone(), error.help.clone());
                    self.out.push(found);
                }
                text(template)
            }
            Err(errors) => {
                for error in errors {
                    let place = value.locate(&self.file.text, error.span.clone());
                    let mut found = Diagnostic::warning("A563", self.file, place, error.message.clone());
                    found.label = error.label.clone().or_else(|| Some("a plain text is sent instead".to_owned()));
                    found.help = error.help.clone();
                    self.out.push(found);
                }
                self.fixed(UNREADABLE)
            }
        }
    }

    /// A template of alertd's own.
    pub(super) fn fixed(&self, source: &str) -> Text {
        text(self.templates.template(source).unwrap_or_else(|_| crate::template::Template::literal(source)))
    }
}

/// Fails whenever it is rendered, as the text would for Alertmanager that stands in its place.
const UNREADABLE: &str = r#"{{ template "a template that cannot be read" . }}"#;

fn text(template: crate::template::Template) -> Text {
    Text { template, manner: Manner::Text, longest: Longest::Any, one_of: &[], if_blank: None, tells: false }
}
