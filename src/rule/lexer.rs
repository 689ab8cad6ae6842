//! Tokens of an expression with their places.
//!
//! `evalexpr` compiles and evaluates the expressions, but its errors carry no place. This cuts a text exactly as
//! `evalexpr` does, and checks the order of operands and operators, so that an error can point at a token.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A string.
    String,
    /// A variable.
    Variable,
    /// A name with an opening parenthesis behind it.
    Function,
    /// An operator between two operands.
    Binary,
    /// `!`, which stands before an operand.
    Not,
    /// `=`, `+=` and the like, or `;`.
    Assignment,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// A sign that is nothing by itself, such as a single `&`.
    Stray,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Bytes of the text.
    pub span: Range<usize>,
}

/// A place where the text is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What was expected there.
    pub label: String,
    /// How to mend it.
    pub help: Option<String>,
}

fn fault(span: Range<usize>, message: impl Into<String>, label: &str) -> Fault {
    Fault { span, message: message.into(), label: label.to_owned(), help: None }
}

const OPERATORS: [(&str, TokenKind); 28] = [
    ("==", TokenKind::Binary),
    ("!=", TokenKind::Binary),
    (">=", TokenKind::Binary),
    ("<=", TokenKind::Binary),
    ("&&=", TokenKind::Assignment),
    ("||=", TokenKind::Assignment),
    ("&&", TokenKind::Binary),
    ("||", TokenKind::Binary),
    ("+=", TokenKind::Assignment),
    ("-=", TokenKind::Assignment),
    ("*=", TokenKind::Assignment),
    ("/=", TokenKind::Assignment),
    ("%=", TokenKind::Assignment),
    ("^=", TokenKind::Assignment),
    ("+", TokenKind::Binary),
    ("-", TokenKind::Binary),
    ("*", TokenKind::Binary),
    ("/", TokenKind::Binary),
    ("%", TokenKind::Binary),
    ("^", TokenKind::Binary),
    (">", TokenKind::Binary),
    ("<", TokenKind::Binary),
    ("!", TokenKind::Not),
    ("=", TokenKind::Assignment),
    (";", TokenKind::Assignment),
    ("(", TokenKind::Open),
    (")", TokenKind::Close),
    (",", TokenKind::Comma),
];

fn is_word(c: char) -> bool {
    !c.is_whitespace() && !"+-*/%^(),;=!><&|\"".contains(c)
}

/// Cuts a text into tokens.
pub fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, length) = if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        } else if rest.starts_with("//") || rest.starts_with("/*") {
            return Err(fault(at..at + 2, "comments have no place in an expression", "remove the comment"));
        } else if c == '"' {
            (TokenKind::String, string(rest, at)?)
        } else if let Some((sign, kind)) = OPERATORS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            (*kind, sign.len())
        } else if c == '&' || c == '|' {
            (TokenKind::Stray, 1)
        } else {
            word(rest)
        };
        out.push(Token { kind, span: at..at + length });
        at += length;
    }
    Ok(out)
}

fn string(text: &str, at: usize) -> Result<usize, Fault> {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok(i + 1),
            _ => {}
        }
    }
    Err(fault(at..at + 1, "the string is not closed", "expected a closing `\"`"))
}

fn word(text: &str) -> (TokenKind, usize) {
    let mut length = text.find(|c| !is_word(c)).unwrap_or(text.len());
    // `1e-3` is one number, though a sign stands in it.
    if text[..length].ends_with(['e', 'E']) && text[length..].starts_with(['+', '-']) {
        let digits = text[length + 1..].bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && text[..length + 1 + digits].parse::<f64>().is_ok() {
            length += 1 + digits;
        }
    }
    let word = &text[..length];
    let hex = word.strip_prefix("0x").is_some_and(|h| i64::from_str_radix(h, 16).is_ok());
    let kind = match word {
        "true" | "false" => TokenKind::Boolean,
        _ if hex || word.parse::<f64>().is_ok() => TokenKind::Number,
        _ if text[length..].trim_start().starts_with('(') => TokenKind::Function,
        _ => TokenKind::Variable,
    };
    (kind, length)
}

/// Checks that operands and operators alternate and that parentheses match.
pub fn check_order(text: &str, tokens: &[Token]) -> Result<(), Fault> {
    let mut open: Vec<(Range<usize>, bool)> = Vec::new();
    let mut want_operand = true;
    let mut previous: Option<&Token> = None;
    for token in tokens {
        let shown = &text[token.span.clone()];
        let after_open = previous.is_some_and(|p| p.kind == TokenKind::Open);
        match token.kind {
            TokenKind::Stray => {
                let label = format!("did you mean `{shown}{shown}`?");
                return Err(fault(token.span.clone(), format!("`{shown}` is no operator"), &label));
            }
            TokenKind::Assignment => return Err(assignment(token, shown)),
            TokenKind::Number | TokenKind::Boolean | TokenKind::String | TokenKind::Variable | TokenKind::Function
                if !want_operand =>
            {
                return Err(two_operands(token, shown));
            }
            TokenKind::Open if !want_operand && previous.is_none_or(|p| p.kind != TokenKind::Function) => {
                return Err(fault(token.span.clone(), "an operator is missing", "expected an operator before `(`"));
            }
            TokenKind::Number | TokenKind::Boolean | TokenKind::String | TokenKind::Variable | TokenKind::Function => {
                want_operand = false;
            }
            TokenKind::Open => {
                open.push((token.span.clone(), previous.is_some_and(|p| p.kind == TokenKind::Function)));
                want_operand = true;
            }
            TokenKind::Binary if want_operand && shown != "-" => {
                return Err(fault(
                    token.span.clone(),
                    format!("`{shown}` has nothing on its left"),
                    "expected a value",
                ));
            }
            TokenKind::Not if !want_operand => {
                return Err(fault(token.span.clone(), "`!` stands behind a value", "expected an operator"));
            }
            TokenKind::Binary | TokenKind::Not => want_operand = true,
            TokenKind::Comma if want_operand || !open.last().is_some_and(|(_, call)| *call) => {
                return Err(fault(
                    token.span.clone(),
                    "the comma separates nothing",
                    "only arguments are separated by commas",
                ));
            }
            TokenKind::Comma => want_operand = true,
            TokenKind::Close => {
                let empty_call = after_open && open.last().is_some_and(|(_, call)| *call);
                if open.pop().is_none() {
                    return Err(fault(token.span.clone(), "`)` closes nothing", "no `(` before it"));
                }
                if want_operand && !empty_call {
                    return Err(fault(token.span.clone(), "a value is missing before `)`", "expected a value"));
                }
                want_operand = false;
            }
        }
        previous = Some(token);
    }
    if let Some((span, _)) = open.pop() {
        return Err(fault(span, "`(` is not closed", "no `)` for it"));
    }
    if want_operand {
        let end = tokens.last().map_or(0, |t| t.span.end);
        return Err(fault(end..end, "the expression ends too early", "expected a value"));
    }
    Ok(())
}

fn assignment(token: &Token, shown: &str) -> Fault {
    match shown {
        "=" => fault(token.span.clone(), "`=` assigns, which an expression may not do", "did you mean `==`?"),
        ";" => fault(token.span.clone(), "an expression is one statement", "expected the end"),
        other => fault(
            token.span.clone(),
            format!("`{other}` assigns, which an expression may not do"),
            "expected an operator",
        ),
    }
}

fn two_operands(token: &Token, shown: &str) -> Fault {
    let meant = match shown {
        "and" | "AND" => Some("&&"),
        "or" | "OR" => Some("||"),
        "unless" => Some("&& !"),
        _ => None,
    };
    match meant {
        Some(meant) => {
            fault(token.span.clone(), format!("`{shown}` is no operator here"), &format!("did you mean `{meant}`?"))
        }
        None => fault(token.span.clone(), "an operator is missing", &format!("expected an operator before `{shown}`")),
    }
}
