//! Mistakes that Go finds only when it renders, seen when the template is read.
//!
//! They are no errors of reading, because Prometheus loads such rules; a check of rules can still tell of them.

use std::sync::Arc;

use super::ast::{Command, Slot, Term};
use super::error::{Span, TemplateError};
use super::functions::Function;
use super::parser::Parser;
use super::suggest;

/// Failures kept for one template.
const FAILURES_MAX: usize = 20;

impl Parser<'_> {
    fn note_failure(&mut self, error: TemplateError) {
        if self.failures.len() < FAILURES_MAX {
            self.failures.push(error);
        }
    }

    /// Notes a function called with too few or too many arguments; `piped` says whether it gets one from a pipeline.
    pub(super) fn note_arguments(&mut self, command: &Command, piped: bool) {
        if let Term::Function(function) = command.head.term {
            self.note_count(function, command.args.len() + usize::from(piped), command.head.span);
        }
        for arg in &command.args {
            if let Term::Function(function) = arg.term {
                self.note_count(function, 0, arg.span);
            }
        }
    }

    fn note_count(&mut self, function: &Function, given: usize, span: Span) {
        let wanted = function.params.len();
        let message = match function.rest {
            None if given != wanted => {
                format!("`{}` takes {wanted} argument{}, not {given}", function.name, plural(wanted))
            }
            Some(_) if given < wanted => {
                format!("`{}` takes at least {wanted} argument{}, not {given}", function.name, plural(wanted))
            }
            _ => return,
        };
        let mut error = TemplateError::new(span, message).label("fails whenever it is rendered");
        let variable = format!("${}", function.name);
        if given == 0 && self.scope.variables.contains(&variable.as_str()) {
            error = error.help(format!("did you mean `{variable}`?"));
        }
        self.note_failure(error);
    }

    /// Notes a field that the data of the template does not have.
    pub(super) fn note_field(&mut self, slot: Slot, fields: &[Span], in_reach: bool) {
        let (true, 0, Some(first), known) = (in_reach, slot, fields.first(), self.dialect.fields) else { return };
        let name = self.text_of(*first);
        if known.is_empty() || known.contains(&name) {
            return;
        }
        let mut error = TemplateError::new(*first, format!("there is no field `{name}`"));
        error.label = Some("fails whenever it is rendered".to_owned());
        error.help = match suggest::nearest(name, known.iter().copied()) {
            Some(found) => Some(format!("did you mean `{found}`?")),
            None => Some(format!("the fields are {}; a label is `$labels.{name}`", known.join(", "))),
        };
        self.note_failure(error);
    }

    /// Notes named templates that nobody defines; to be called at the end.
    pub(super) fn note_undefined_templates(&mut self) {
        for (name, span) in std::mem::take(&mut self.invoked) {
            if self.definitions.contains_key(&name) {
                continue;
            }
            let mut error = TemplateError::new(span, format!("template {name:?} is not defined"));
            error.undefined = Some(Arc::clone(&name));
            let help = suggest::nearest(&name, self.definitions.keys().map(|k| &**k))
                .map(|found| format!("did you mean {found:?}?"))
                .unwrap_or_else(|| format!("define it: `{{{{ define {name:?} }}}}…{{{{ end }}}}`"));
            self.note_failure(error.label("fails whenever it is rendered").help(help));
        }
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
