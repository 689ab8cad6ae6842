//! Cuts a template into text and the tokens of its actions, as Go's text/template/parse does.
//!
//! The lexer holds nothing but a position, so the parser can look ahead by copying it. It knows nothing of grammar.

use super::error::{Span, TemplateError};

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const COMMENT_END: &str = "*/";

/// What a token is; its text is the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `}}` with its trim marker.
    Right,
    Space,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    Pipe,
    Open,
    Close,
    Dot,
    /// `.name`
    Field,
    /// `$name`
    Variable,
    /// A keyword, function name, `true`, `false` or `nil`.
    Word,
    Number,
    Char,
    Str,
    RawStr,
    Comma,
    /// Any other printable character; the parser refuses it where it stands.
    Other,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Span,
}

/// A piece of text, and what follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) text: Span,
    /// Where the action that follows opens (`{{`), or `None` at the end of the template.
    pub(super) action: Option<Span>,
}

#[derive(Clone, Copy)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    pos: usize,
    /// Start of the action being read, for errors about its missing end.
    opened: Span,
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_name(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, pos: 0, opened: Span::default() }
    }

    pub(super) fn here(&self) -> Span {
        Span::new(self.pos, self.pos)
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.pos..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_while(&mut self, keep: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.pos += rest.find(|c| !keep(c)).unwrap_or(rest.len());
    }

    /// Names are nearly always ASCII, which is read byte by byte.
    fn skip_name(&mut self) {
        let plain = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        self.pos += self.rest().as_bytes().iter().take_while(|b| plain(b)).count();
        if self.rest().as_bytes().first().is_some_and(|b| !b.is_ascii()) {
            self.skip_while(is_name);
        }
    }

    /// Whether what comes next, white space aside, starts with a `$`: a variable.
    pub(super) fn at_variable(&self) -> bool {
        self.rest().bytes().find(|b| !b.is_ascii_whitespace()) == Some(b'$')
    }

    /// Whether a name just read goes on with a field or ends its action, so that it cannot be one being declared.
    pub(super) fn at_field_or_end(&self) -> bool {
        matches!(self.rest().as_bytes().first(), Some(b'.' | b'|' | b')' | b'}'))
    }

    /// Reads text up to the next action; comments yield a piece of their own without an action.
    pub(super) fn piece(&mut self) -> Result<Option<Piece>, TemplateError> {
        let start = self.pos;
        let rest = self.rest();
        if rest.is_empty() {
            return Ok(None);
        }
        let Some(length) = rest.find(LEFT) else {
            self.pos = self.text.len();
            return Ok(Some(Piece { text: Span::new(start, self.pos), action: None }));
        };
        let open = start + length;
        let mut end = open;
        self.pos = open + LEFT.len();
        let mut after = self.rest().chars();
        if after.next() == Some('-') && after.next().is_some_and(is_space) {
            end = start + rest.get(..length).unwrap_or("").trim_end_matches(is_space).len();
            self.pos += 2;
        }
        let text = Span::new(start, end);
        self.opened = Span::new(open, open + LEFT.len());
        // Only straight after the delimiter (and trim marker) is it a comment.
        if self.rest().starts_with("/*") {
            self.comment()?;
            return Ok(Some(Piece { text, action: None }));
        }
        Ok(Some(Piece { text, action: Some(self.opened) }))
    }

    fn comment(&mut self) -> Result<(), TemplateError> {
        let Some(length) = self.rest().find(COMMENT_END) else {
            return Err(TemplateError::new(self.opened.to(Span::new(self.pos, self.pos + 2)), "unclosed comment")
                .label("the comment opens here")
                .help("end it with `*/}}`"));
        };
        self.pos += length + COMMENT_END.len();
        match self.right_delimiter() {
            Some(_) => Ok(()),
            None => Err(TemplateError::new(self.here(), "comment ends before closing delimiter")
                .label("expected `}}`")
                .help("a comment must be alone in its action: `{{/* … */}}`")),
        }
    }

    /// Takes `}}` or ` -}}` (with the white space after it) if it stands here.
    fn right_delimiter(&mut self) -> Option<Span> {
        let start = self.pos;
        let rest = self.rest().as_bytes();
        if rest.starts_with(RIGHT.as_bytes()) {
            self.pos += RIGHT.len();
            return Some(Span::new(start, self.pos));
        }
        if let [b' ' | b'\t' | b'\r' | b'\n', b'-', b'}', b'}', ..] = rest {
            self.pos += 2 + RIGHT.len();
            let span = Span::new(start, self.pos);
            self.skip_while(is_space);
            return Some(span);
        }
        None
    }

    /// The next token of an action.
    pub(super) fn token(&mut self) -> Result<Token, TemplateError> {
        if let Some(span) = self.right_delimiter() {
            return Ok(Token { kind: Kind::Right, span });
        }
        let start = self.pos;
        let Some(first) = self.peek() else { return Err(self.unclosed()) };
        self.pos += first.len_utf8();
        let kind = match first {
            _ if is_space(first) => {
                self.spaces();
                Kind::Space
            }
            '=' => Kind::Assign,
            ':' if self.peek() == Some('=') => {
                self.pos += 1;
                Kind::Declare
            }
            ':' => return Err(TemplateError::new(self.from(start), "expected `:=`").label("a lone colon")),
            '|' => Kind::Pipe,
            '(' => Kind::Open,
            ')' => Kind::Close,
            ',' => Kind::Comma,
            '"' => return self.quoted(start, '"', Kind::Str),
            '\'' => return self.quoted(start, '\'', Kind::Char),
            '`' => return self.raw(start),
            '$' => return self.name(start, Kind::Variable),
            '.' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                let kind = if self.at_terminator() { Kind::Dot } else { Kind::Field };
                return self.name(start, kind);
            }
            '.' | '+' | '-' | '0'..='9' => return self.number(start),
            _ if is_name(first) => return self.name(start, Kind::Word),
            ' '..='~' => Kind::Other,
            _ => {
                let code = first as u32;
                return Err(TemplateError::new(
                    self.from(start),
                    format!("unrecognized character in action: U+{code:04X}"),
                )
                .label("not allowed outside quotes")
                .help("replace it by its plain ASCII form (editors and chat tools put in special spaces and quotes)"));
            }
        };
        Ok(Token { kind, span: self.from(start) })
    }

    /// White space, but not the one that belongs to ` -}}`.
    fn spaces(&mut self) {
        let run = self.rest().bytes().take_while(|b| is_space(char::from(*b))).count();
        self.pos += run;
        // The first of the run was no trim marker, so there is one more to give back.
        if self.rest().starts_with("-}}") && run > 0 {
            self.pos -= 1;
        }
    }

    fn from(&self, start: usize) -> Span {
        Span::new(start, self.pos)
    }

    fn unclosed(&self) -> TemplateError {
        TemplateError::new(self.opened, "unclosed action").label("opened here").help("close it with `}}`")
    }

    fn name(&mut self, start: usize, kind: Kind) -> Result<Token, TemplateError> {
        self.skip_name();
        if self.at_terminator() {
            return Ok(Token { kind, span: self.from(start) });
        }
        let bad = self.peek().unwrap_or_default();
        let bad_span = Span::new(self.pos, self.pos + bad.len_utf8());
        let error =
            TemplateError::new(bad_span, format!("bad character {bad:?} after {:?}", self.from(start).of(self.text)));
        Err(match (kind, bad) {
            (Kind::Variable, '=') => error.help("put a space before `=`"),
            (Kind::Field | Kind::Variable, '-') => {
                error.label("not part of a name").help("use `index` for such a name: `{{ index $labels \"a-b\" }}`")
            }
            (_, '[') => error.help("use `index` to look something up: `{{ index $labels \"name\" }}`"),
            _ => error.label("not part of a name"),
        })
    }

    /// Whether what stands here may follow a name.
    fn at_terminator(&self) -> bool {
        match self.peek() {
            None => true,
            Some(c) if is_space(c) => true,
            Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.rest().starts_with(RIGHT),
        }
    }

    fn quoted(&mut self, start: usize, quote: char, kind: Kind) -> Result<Token, TemplateError> {
        let mut escaped = false;
        for (offset, c) in self.rest().char_indices() {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                _ if c == quote => {
                    self.pos += offset + 1;
                    return Ok(Token { kind, span: self.from(start) });
                }
                _ => {}
            }
        }
        let what = if kind == Kind::Str { "unterminated quoted string" } else { "unterminated character constant" };
        let error = TemplateError::new(Span::new(start, start + 1), what).label("opened here");
        Err(match kind {
            Kind::Str => error.help("close the quote, or use backquotes for text of several lines"),
            _ => error.help("strings stand in double quotes"),
        })
    }

    fn raw(&mut self, start: usize) -> Result<Token, TemplateError> {
        let Some(length) = self.rest().find('`') else {
            let span = Span::new(start, start + 1);
            return Err(TemplateError::new(span, "unterminated raw quoted string").label("opened here"));
        };
        self.pos += length + 1;
        Ok(Token { kind: Kind::RawStr, span: self.from(start) })
    }

    /// A number as far as its characters go; whether it is one is decided when it is read.
    fn number(&mut self, start: usize) -> Result<Token, TemplateError> {
        self.pos = start;
        self.skip_if("+-");
        let mut digits = "0123456789_";
        let mut exponents = "eE";
        if self.skip_if("0") {
            if self.skip_if("xX") {
                (digits, exponents) = ("0123456789abcdefABCDEF_", "pP");
            } else if self.skip_if("oO") {
                (digits, exponents) = ("01234567_", "");
            } else if self.skip_if("bB") {
                (digits, exponents) = ("01_", "");
            }
        }
        self.skip_while(|c| digits.contains(c));
        if self.skip_if(".") {
            self.skip_while(|c| digits.contains(c));
        }
        if self.skip_if(exponents) {
            self.skip_if("+-");
            self.skip_while(|c| c.is_ascii_digit() || c == '_');
        }
        if self.peek().is_some_and(|c| is_name(c) || c == '+' || c == '-') {
            self.skip_while(|c| is_name(c) || c == '+' || c == '-');
            let span = self.from(start);
            return Err(TemplateError::new(span, format!("bad number syntax: {:?}", span.of(self.text)))
                .help("there are no operators in templates: let the query do the arithmetic"));
        }
        Ok(Token { kind: Kind::Number, span: self.from(start) })
    }

    fn skip_if(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|c| set.contains(c));
        self.pos += usize::from(found);
        found
    }
}
