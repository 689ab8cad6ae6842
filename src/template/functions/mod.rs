//! The functions templates may call, in literal tables.
//!
//! A dialect is a list of such tables: Go's own functions and, for alerts, Prometheus's. Another set of functions is
//! another table. Tables are sorted by name, so that a name is found by bisection.

mod alert;
mod builtin;
mod compare;
mod escape;
mod humanize;
mod notification;
mod text;

use super::host::Host;
use super::value::Value;

/// What a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything.
    Any,
    /// Text.
    Str,
    /// A query's answer.
    Vector,
    /// One series of a query's answer.
    Sample,
    /// A list of texts.
    Strings,
    /// An instant.
    Time,
}

impl Kind {
    /// Its name in Go.
    pub(super) const fn type_name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Str => "string",
            Self::Vector => "template.queryResult",
            Self::Sample => "*template.sample",
            Self::Strings => "[]string",
            Self::Time => "time.Time",
        }
    }
}

/// How a function is carried out. The error of a plain one is put after `error calling NAME: `.
#[derive(Clone, Copy)]
pub(super) enum Body {
    Plain(fn(&mut Host<'_>, &[Value]) -> Result<Value, String>),
    /// Evaluates its arguments only as far as needed.
    And,
    /// The same.
    Or,
    /// Renders a named template into a text.
    Template,
}

/// A function: its parameters, and the kind of any further ones.
#[derive(Clone, Copy)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) params: &'static [Kind],
    pub(super) rest: Option<Kind>,
    pub(super) body: Body,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn plain(
    name: &'static str,
    params: &'static [Kind],
    call: fn(&mut Host<'_>, &[Value]) -> Result<Value, String>,
) -> Function {
    Function { name, params, rest: None, body: Body::Plain(call) }
}

const fn variadic(
    name: &'static str,
    params: &'static [Kind],
    call: fn(&mut Host<'_>, &[Value]) -> Result<Value, String>,
) -> Function {
    Function { name, params, rest: Some(Kind::Any), body: Body::Plain(call) }
}

const ANY: Kind = Kind::Any;
const STR: Kind = Kind::Str;

/// The functions of text/template.
pub(super) static GO: &[Function] = &[
    Function { name: "and", params: &[ANY], rest: Some(ANY), body: Body::And },
    variadic("call", &[ANY], builtin::call),
    variadic("eq", &[ANY], compare::eq),
    plain("ge", &[ANY, ANY], compare::ge),
    plain("gt", &[ANY, ANY], compare::gt),
    variadic("html", &[], escape::html),
    variadic("index", &[ANY], builtin::index),
    variadic("js", &[], escape::js),
    plain("le", &[ANY, ANY], compare::le),
    plain("len", &[ANY], builtin::len),
    plain("lt", &[ANY, ANY], compare::lt),
    plain("ne", &[ANY, ANY], compare::ne),
    plain("not", &[ANY], builtin::not),
    Function { name: "or", params: &[ANY], rest: Some(ANY), body: Body::Or },
    variadic("print", &[], builtin::print),
    variadic("printf", &[STR], builtin::printf),
    variadic("println", &[], builtin::println),
    variadic("slice", &[ANY], builtin::slice),
    variadic("urlquery", &[], escape::urlquery),
];

/// The functions Prometheus adds (prometheus/prometheus:template/template.go).
pub(super) static PROMETHEUS: &[Function] = &[
    variadic("args", &[], alert::args),
    plain("externalURL", &[], alert::external_url),
    plain("first", &[Kind::Vector], alert::first),
    plain("graphLink", &[STR], alert::graph_link),
    plain("humanize", &[ANY], humanize::humanize),
    plain("humanize1024", &[ANY], humanize::humanize1024),
    plain("humanizeDuration", &[ANY], humanize::humanize_duration),
    plain("humanizePercentage", &[ANY], humanize::humanize_percentage),
    plain("humanizeTimestamp", &[ANY], humanize::humanize_timestamp),
    plain("label", &[STR, Kind::Sample], alert::label),
    plain("match", &[STR, STR], text::matches),
    plain("now", &[], alert::now),
    plain("parseDuration", &[STR], text::parse_duration),
    plain("pathPrefix", &[], alert::path_prefix),
    plain("query", &[STR], alert::query),
    plain("reReplaceAll", &[STR, STR, STR], text::re_replace_all),
    plain("safeHtml", &[STR], text::safe_html),
    plain("sortByLabel", &[STR, Kind::Vector], alert::sort_by_label),
    plain("stripDomain", &[STR], text::strip_domain),
    plain("stripPort", &[STR], text::strip_port),
    plain("strvalue", &[Kind::Sample], alert::strvalue),
    plain("tableLink", &[STR], alert::table_link),
    plain("title", &[STR], text::title),
    Function { name: "tmpl", params: &[STR, ANY], rest: None, body: Body::Template },
    plain("toDuration", &[ANY], humanize::to_duration),
    plain("toLower", &[STR], text::to_lower),
    plain("toTime", &[ANY], humanize::to_time),
    plain("toUpper", &[STR], text::to_upper),
    plain("urlQueryEscape", &[STR], escape::url_query_escape),
    plain("value", &[Kind::Sample], alert::value),
];

/// The functions of Alertmanager (prometheus/alertmanager:template/template.go).
pub(super) static ALERTMANAGER: &[Function] = &[
    plain("date", &[STR, Kind::Time], notification::date),
    plain("humanizeDuration", &[ANY], humanize::humanize_duration),
    plain("join", &[STR, Kind::Strings], notification::join),
    plain("match", &[STR, STR], text::matches),
    plain("reReplaceAll", &[STR, STR, STR], text::re_replace_all),
    plain("safeHtml", &[STR], notification::safe_html),
    plain("safeUrl", &[STR], notification::safe_url),
    plain("since", &[Kind::Time], notification::since),
    Function { rest: Some(STR), ..plain("stringSlice", &[], notification::string_slice) },
    plain("title", &[STR], notification::title),
    plain("toJson", &[ANY], notification::to_json),
    plain("toLower", &[STR], text::to_lower),
    plain("toUpper", &[STR], text::to_upper),
    plain("trimSpace", &[STR], notification::trim_space),
    plain("tz", &[STR, Kind::Time], notification::tz),
    plain("urlUnescape", &[STR], notification::url_unescape),
];

/// The text of an argument whose parameter is [`Kind::Str`]; the evaluator has checked it.
fn str_arg(args: &[Value], index: usize) -> &str {
    match args.get(index) {
        Some(Value::Str(text)) => text,
        _ => "",
    }
}

/// Any argument.
fn any_arg(args: &[Value], index: usize) -> &Value {
    args.get(index).unwrap_or(&Value::Nil)
}
