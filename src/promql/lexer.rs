//! Text → tokens with byte spans.
//!
//! First stage of the parser; knows no grammar except that a colon separates inside `[…]` and belongs to names
//! elsewhere. Never allocates more than one token per byte of a text whose length the parser has limited.

use std::ops::Range;

use super::error::{BAD_NUMBER, ParseError, SYNTAX, UNCLOSED};
use crate::model::parse_duration;

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Names and keywords; told apart by the parser.
    Identifier,
    Number(f64),
    /// Seconds.
    Duration(f64),
    Text(String),
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    Assign,
    EqualEqual,
    NotEqual,
    EqualRegex,
    NotRegex,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    TrimUpper,
    TrimLower,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    At,
    End,
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub kind: Kind,
    pub span: Range<usize>,
}

/// Tokens up to the end or the first error after which nothing can be made out.
#[derive(Debug, Default)]
pub(crate) struct Lexed {
    pub tokens: Vec<Token>,
    pub errors: Vec<ParseError>,
    /// Whether the last error ended the reading.
    pub fatal: bool,
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    dotted: bool,
    brackets: usize,
    braces: usize,
    out: Lexed,
}

/// Cuts a text into tokens; the last is always [`Kind::End`] unless the reading ended early.
pub(crate) fn lex(text: &str, dotted_names: bool) -> Lexed {
    let mut lexer = Lexer { text, at: 0, dotted: dotted_names, brackets: 0, braces: 0, out: Lexed::default() };
    while !lexer.out.fatal && lexer.step() {}
    if !lexer.out.fatal {
        lexer.push(Kind::End, text.len());
    }
    lexer.out
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn push(&mut self, kind: Kind, start: usize) {
        let span = start..self.at;
        self.out.tokens.push(Token { kind, span });
    }

    fn fail(&mut self, error: ParseError) {
        self.out.errors.push(error);
        self.out.fatal = true;
    }

    /// Reads one token; false at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest().chars().next() else { return false };
        let start = self.at;
        match first {
            c if c.is_whitespace() => self.at += c.len_utf8(),
            '#' => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
            '"' | '\'' => self.quoted(first),
            '`' => self.raw(),
            '0'..='9' => self.number(),
            '.' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number(),
            c if c.is_ascii_alphabetic() || c == '_' || (c == ':' && self.brackets == 0 && self.braces == 0) => {
                self.at += self.name_len();
                self.push(Kind::Identifier, start);
            }
            _ => self.symbol(first),
        }
        true
    }

    fn name_len(&self) -> usize {
        let bytes = self.rest().as_bytes();
        let colons = self.brackets == 0 && self.braces == 0;
        let dots = self.dotted && colons;
        let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (colons && b == b':');
        let head = |b: &u8| b.is_ascii_alphabetic() || *b == b'_';
        let mut len = 0;
        while let Some(&b) = bytes.get(len) {
            if inside(b) || (dots && b == b'.' && bytes.get(len + 1).is_some_and(head)) {
                len += 1;
            } else {
                break;
            }
        }
        len
    }

    /// The name with dots that the dot here is part of.
    fn dotted_name(&self) -> Option<&str> {
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.');
        let (before, after) = (self.text.get(..self.at)?, self.rest());
        let start = before.rfind(|c| !inside(c)).map_or(0, |at| at + 1);
        let end = self.at + after.find(|c| !inside(c)).unwrap_or(after.len());
        let name = self.text.get(start..end)?;
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !name.ends_with('.');
        is_name.then_some(name)
    }

    fn symbol(&mut self, first: char) {
        const SYMBOLS: [(&str, Kind); 26] = [
            ("==", Kind::EqualEqual),
            ("=~", Kind::EqualRegex),
            ("!=", Kind::NotEqual),
            ("!~", Kind::NotRegex),
            ("<=", Kind::LessEqual),
            (">=", Kind::GreaterEqual),
            ("</", Kind::TrimUpper),
            (">/", Kind::TrimLower),
            ("=", Kind::Assign),
            ("<", Kind::Less),
            (">", Kind::Greater),
            ("+", Kind::Add),
            ("-", Kind::Sub),
            ("*", Kind::Mul),
            ("/", Kind::Div),
            ("%", Kind::Mod),
            ("^", Kind::Pow),
            ("@", Kind::At),
            (",", Kind::Comma),
            (":", Kind::Colon),
            ("(", Kind::LeftParen),
            (")", Kind::RightParen),
            ("{", Kind::LeftBrace),
            ("}", Kind::RightBrace),
            ("[", Kind::LeftBracket),
            ("]", Kind::RightBracket),
        ];
        let start = self.at;
        let found = SYMBOLS.iter().find(|(text, _)| self.rest().starts_with(text));
        let Some((text, kind)) = found else {
            let len = if self.rest().starts_with("&&") || self.rest().starts_with("||") { 2 } else { first.len_utf8() };
            let span = start..start + len;
            let error = ParseError::new(SYNTAX, span, format!("unexpected character {first:?}"));
            let error = match first {
                '&' => error.help("write `and` to keep series found on both sides"),
                '|' => error.help("write `or` to join two vectors"),
                '!' => error.help("write `!=` or `!~`, or `unless` to take series away"),
                ';' => error.help("an expression has no end mark: remove `;`"),
                '“' | '”' | '‘' | '’' => error.help("use straight quotes: `\"`"),
                '.' => match self.dotted_name() {
                    Some(name) => error.help(format!("a name with dots stands in quotes: `{{\"{name}\"}}`")),
                    None => error,
                },
                '$' => error.help("variables of dashboards do not exist here: write the value"),
                _ => error,
            };
            return self.fail(error);
        };
        match kind {
            Kind::LeftBracket => self.brackets += 1,
            Kind::RightBracket => self.brackets = self.brackets.saturating_sub(1),
            Kind::LeftBrace => self.braces += 1,
            Kind::RightBrace => self.braces = self.braces.saturating_sub(1),
            _ => {}
        }
        self.at += text.len();
        self.push(kind.clone(), start);
    }

    fn number(&mut self) {
        let start = self.at;
        let word = self.word_len();
        let text = self.rest()[..word].to_owned();
        self.at += word;
        let kind = if looks_like_duration(&text) {
            parse_duration(&text).map(|d| Kind::Duration(d.as_secs_f64())).map_err(|e| e.to_string())
        } else {
            parse_number(&text).map(Kind::Number).ok_or_else(|| format!("not a number: {text:?}"))
        };
        let kind = kind.unwrap_or_else(|message| {
            let error = ParseError::new(BAD_NUMBER, start..self.at, message);
            let help = "write a number such as `0.5`, `1e9` or `0x1f`, or a duration such as `30s`, `5m` or `1h30m`";
            self.out.errors.push(error.help(help));
            // Stands in for what was meant; sound everywhere, so that nothing else is said about it.
            Kind::Number(1.0)
        });
        self.push(kind, start);
    }

    /// Length of the run that a number written here would cover, an exponent's sign included.
    fn word_len(&self) -> usize {
        let bytes = self.rest().as_bytes();
        let hex = bytes.len() > 1 && bytes[0] == b'0' && matches!(bytes[1], b'x' | b'X');
        let mut len = 0;
        while let Some(&b) = bytes.get(len) {
            let sign = matches!(b, b'+' | b'-')
                && !hex
                && len > 0
                && matches!(bytes[len - 1], b'e' | b'E')
                && bytes.get(len + 1).is_some_and(u8::is_ascii_digit)
                && bytes[..len - 1].iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'_'));
            if b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_') || sign {
                len += 1;
            } else {
                break;
            }
        }
        len
    }

    fn raw(&mut self) {
        let start = self.at;
        match self.rest()[1..].find('`') {
            Some(len) => {
                let text = self.rest()[1..=len].to_owned();
                self.at += len + 2;
                self.push(Kind::Text(text), start);
            }
            None => self.unclosed('`', start),
        }
    }

    fn unclosed(&mut self, quote: char, start: usize) {
        let error = ParseError::new(UNCLOSED, start..start + 1, "unclosed string");
        self.fail(error.label("opened here").help(format!("close it with `{quote}`")));
    }

    fn quoted(&mut self, quote: char) {
        let start = self.at;
        let mut bytes = Vec::new();
        let mut chars = self.rest()[1..].char_indices();
        let end = loop {
            match chars.next() {
                None | Some((_, '\n')) => return self.unclosed(quote, start),
                Some((i, c)) if c == quote => break start + 1 + i + 1,
                Some((i, '\\')) => match unescape(chars.as_str(), quote, &mut bytes) {
                    Some(used) => {
                        for _ in 0..used {
                            chars.next();
                        }
                    }
                    None => {
                        let span = start + 1 + i..start + 1 + i + 1;
                        let error = ParseError::new(SYNTAX, span, "unknown escape sequence in string");
                        let help = "double the backslash (`\\\\`), or put the string in backquotes";
                        return self.fail(error.help(help));
                    }
                },
                Some((_, c)) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        };
        self.at = end;
        match String::from_utf8(bytes) {
            Ok(text) => self.push(Kind::Text(text), start),
            Err(_) => {
                let written = self.text.get(start..end).unwrap_or("");
                let message = match self.names_label() {
                    true => format!("invalid label name {written}"),
                    false => "string is not valid UTF-8".to_owned(),
                };
                self.fail(ParseError::new(SYNTAX, start..end, message));
            }
        }
    }

    /// Whether the string that stands here is the label of `count_values`.
    fn names_label(&self) -> bool {
        let mut before = self.out.tokens.iter().rev();
        let opens = before.next().is_some_and(|t| t.kind == Kind::LeftParen);
        let mut words = before.filter_map(|t| self.text.get(t.span.clone()));
        opens
            && words.next().is_some_and(|first| {
                first == ")" && words.any(|w| w == "count_values") || first.eq_ignore_ascii_case("count_values")
            })
    }
}

/// Appends what an escape stands for; gives how many characters after the backslash it used. As in Go.
fn unescape(rest: &str, quote: char, out: &mut Vec<u8>) -> Option<usize> {
    let first = rest.chars().next()?;
    let digits = |from: usize, len: usize, radix: u32| {
        let text = rest.get(from..from + len)?;
        text.bytes().all(|b| char::from(b).is_digit(radix)).then(|| u32::from_str_radix(text, radix).ok())?
    };
    let byte = match first {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        c if c == quote => c as u8,
        'x' => {
            out.push(u8::try_from(digits(1, 2, 16)?).ok()?);
            return Some(3);
        }
        '0'..='7' => {
            out.push(u8::try_from(digits(0, 3, 8)?).ok()?);
            return Some(3);
        }
        'u' | 'U' => {
            let len = if first == 'u' { 4 } else { 8 };
            let c = char::from_u32(digits(1, len, 16)?)?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(1 + len);
        }
        _ => return None,
    };
    out.push(byte);
    Some(1)
}

/// Digits followed by a unit's letter.
fn looks_like_duration(text: &str) -> bool {
    let after = text.trim_start_matches(|c: char| c.is_ascii_digit());
    after.len() < text.len() && after.starts_with(['y', 'w', 'd', 'h', 'm', 's'])
}

/// Decimal, exponent, hexadecimal and octal numbers, `_` between digits.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    if text.ends_with('_') || text.contains("__") {
        return None;
    }
    let lower = plain.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().map(|n| n as f64);
    }
    if plain.len() > 1 && plain.starts_with('0') && plain.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        return i64::from_str_radix(&plain, 8).ok().map(|n| n as f64);
    }
    if plain.is_empty() || !plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    plain.parse().ok()
}
