//! The reference pages of the manual, written from the same tables that the readers use.

use std::fmt::Write as _;

use super::shape::{Kind, Shape, listed};

/// A page with one table per shape, beginning with `root` and going on with those it refers to.
pub fn page(title: &str, intro: &str, root: &'static Shape) -> String {
    page_of(title, intro, &[root])
}

/// A page about files of several shapes.
pub fn page_of(title: &str, intro: &str, roots: &[&'static Shape]) -> String {
    let mut out =
        format!("# {title}\n\n<!-- Written from the key tables; `UPDATE=1 cargo test` rewrites it. -->\n\n{intro}\n");
    let mut order: Vec<&'static Shape> = roots.to_vec();
    let mut next = 0;
    while let Some(shape) = order.get(next).copied() {
        next += 1;
        section(&mut out, shape);
        for key in shape.keys {
            inner_shapes(&key.kind, &mut order);
        }
    }
    out
}

fn section(out: &mut String, shape: &Shape) {
    let _ = write!(out, "\n## {}\n\n{}\n\n", heading(shape.name), shape.doc);
    out.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
    for key in shape.keys {
        let default = match (key.required, key.default) {
            (true, _) => "required".to_owned(),
            (false, "") => String::new(),
            (false, text) => format!("`{}`", cell(text)),
        };
        let example =
            if key.example.is_empty() { String::new() } else { format!(" Example: `{}`.", cell(key.example)) };
        let _ = writeln!(out, "| `{}` | {} | {default} | {}{example} |", key.name, value(&key.kind), cell(key.doc));
    }
}

fn heading(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn value(kind: &Kind) -> String {
    match kind {
        Kind::OneOf(words) => cell(&listed(words)),
        Kind::Object(shape) => format!("[{0}](#{1})", shape.name, shape.name.replace(' ', "-")),
        Kind::Partial(shape) => format!("keys of a [{0}](#{1})", shape.name, shape.name.replace(' ', "-")),
        Kind::List(inner) => format!("list of: {}", value(inner)),
        Kind::Map(inner) => format!("mapping of a name to: {}", value(inner)),
        Kind::MapOf(words, inner) => format!("mapping of {} to: {}", cell(&listed(words)), value(inner)),
        Kind::Either(kinds) => kinds.iter().map(value).collect::<Vec<_>>().join(", or "),
        Kind::Unsupported(_) => "not supported".to_owned(),
        other => other.expected(),
    }
}

fn inner_shapes(kind: &Kind, order: &mut Vec<&'static Shape>) {
    match kind {
        Kind::Object(shape) | Kind::Partial(shape) if !order.iter().any(|known| known.name == shape.name) => {
            order.push(shape);
        }
        Kind::List(inner) | Kind::Map(inner) | Kind::MapOf(_, inner) => inner_shapes(inner, order),
        Kind::Either(kinds) => kinds.iter().for_each(|kind| inner_shapes(kind, order)),
        _ => {}
    }
}
