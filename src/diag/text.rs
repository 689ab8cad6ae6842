//! For people at a terminal: the finding, its place, the line with a caret, and how to mend it.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

use super::{Diagnostic, Level, harmless};

/// How text is laid out.
#[derive(Clone, Copy, Debug)]
pub struct TextStyle {
    /// Whether to use ANSI colours.
    pub colour: bool,
    /// Columns of the terminal; longer source lines are cut around the caret. Zero: never cut.
    pub width: usize,
}

impl Default for TextStyle {
    fn default() -> Self {
        Self { colour: false, width: 120 }
    }
}

/// Columns a tab is shown as.
const TAB: usize = 4;
/// Longest run of carets, whatever is meant.
const CARETS_MAX: usize = 200;

/// Renders findings one below the other, each closed by an empty line.
pub fn render(diagnostics: &[Diagnostic], style: TextStyle) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        one(&mut out, diagnostic, style);
        out.push('\n');
    }
    out
}

fn paint(style: TextStyle, code: &str, text: &str) -> String {
    if style.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn one(out: &mut String, diagnostic: &Diagnostic, style: TextStyle) {
    let colour = match diagnostic.level {
        Level::Error => "1;31",
        Level::Warning => "1;33",
        Level::Note => "1;36",
    };
    let head = format!("{}[{}]", diagnostic.level.as_str(), diagnostic.code);
    let start = diagnostic.start();
    let _ = writeln!(out, "{}: {}", paint(style, colour, &head), harmless(&diagnostic.message));
    let place = format!("{}:{}:{}", harmless(&diagnostic.file.path), start.line, start.column);
    let _ = writeln!(out, "  {} {place}", paint(style, "1;34", "-->"));
    if !diagnostic.file.text.is_empty() {
        excerpt(out, diagnostic, style, colour);
    }
    let mends = if diagnostic.fix.is_some() { "`alertd check --fix` mends it" } else { "" };
    let help = match &diagnostic.help {
        Some(help) if mends.is_empty() => harmless(help),
        Some(help) => format!("{} ({mends})", harmless(help)),
        None => mends.to_owned(),
    };
    if !help.is_empty() {
        let _ = writeln!(out, "  {}: {help}", paint(style, "1;32", "help"));
    }
}

/// A line as it is shown: tabs widened, control characters harmless, with the column at which each part begins.
struct Shown {
    cells: Vec<(char, usize)>,
}

impl Shown {
    fn new(text: &str) -> Self {
        let mut cells = Vec::new();
        for c in text.chars() {
            if c == '\t' {
                cells.extend(std::iter::repeat_n((' ', 1), TAB));
            } else {
                cells.extend(harmless(c.encode_utf8(&mut [0; 4])).chars().map(|c| (c, c.width().unwrap_or(1))));
            }
        }
        Self { cells }
    }

    fn width(&self) -> usize {
        self.cells.iter().map(|(_, width)| width).sum()
    }
}

fn excerpt(out: &mut String, diagnostic: &Diagnostic, style: TextStyle, colour: &str) {
    let start = diagnostic.start();
    let line = diagnostic.file.line(start.line);
    let number = start.line.to_string();
    let bytes_before: usize = line.chars().take(start.column as usize - 1).map(char::len_utf8).sum();
    let (before, rest) = line.split_at(bytes_before);
    // Of a place of several lines, what is on the first is marked.
    let meant = diagnostic.span.len().min(rest.len());
    let meant = (0..=meant).rev().find(|i| rest.is_char_boundary(*i)).unwrap_or(0);
    let (marked, after) = rest.split_at(meant);
    let (before, marked, after) = (Shown::new(before), Shown::new(marked), Shown::new(after));
    let carets = marked.width().clamp(1, CARETS_MAX);

    let gutter = number.len() + 5;
    let room = if style.width == 0 { usize::MAX } else { style.width.saturating_sub(gutter).max(20) };
    let (cut_left, lead) = cut(&before, carets.min(room / 2), after.width(), room);
    let mut shown = String::new();
    if cut_left > 0 {
        shown.push('…');
    }
    let mut used = lead;
    shown.extend(before.cells[cut_left..].iter().map(|(c, _)| *c));
    for (c, width) in marked.cells.iter().chain(&after.cells) {
        if used + width >= room {
            shown.push('…');
            break;
        }
        used += width;
        shown.push(*c);
    }
    let _ = writeln!(out, "  {number} | {}", shown.trim_end());
    let marks = "^".repeat(carets.min(room.saturating_sub(lead).max(1)));
    let label = diagnostic.label.as_ref().map(|label| format!(" {}", harmless(label))).unwrap_or_default();
    let pad = " ".repeat(number.len() + 2);
    let marks = paint(style, colour, &format!("{marks}{label}"));
    let _ = writeln!(out, "{pad} | {}{marks}", " ".repeat(lead));
}

/// How many cells are left out before the caret, and how many columns then stand before it.
fn cut(before: &Shown, carets: usize, after: usize, room: usize) -> (usize, usize) {
    let width = before.width();
    if width.saturating_add(carets).saturating_add(after) < room {
        return (0, width);
    }
    let keep = room.saturating_sub(carets + 1) * 2 / 3;
    if width <= keep {
        return (0, width);
    }
    let mut kept = width;
    let mut skipped = 0;
    for (_, cell) in &before.cells {
        if kept < keep {
            break;
        }
        kept -= cell;
        skipped += 1;
    }
    (skipped, kept + 1)
}
