//! Where the output stands within a script: code, a string, a comment or a regular expression (html/template:
//! transition.go, js.go). Values are written by it, so a quote in a comment must not pass for the begin of a string.

/// What a value is written into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Code,
    /// By the quote that ends it.
    String(char),
    Regexp {
        /// Within brackets, where a slash ends nothing.
        in_class: bool,
    },
    /// To the end of the line.
    LineComment,
    BlockComment,
}

/// Words before which a slash begins a regular expression, though it divides what other words name.
const BEFORE_REGEXPS: &[&str] = &[
    "break",
    "case",
    "continue",
    "delete",
    "do",
    "else",
    "finally",
    "in",
    "instanceof",
    "return",
    "throw",
    "try",
    "typeof",
    "void",
];

/// A script as far as it has been read.
#[derive(Debug)]
pub(super) struct Script {
    pub part: Part,
    /// Of each template literal around: the braces that are open in its `${`.
    literals: Vec<usize>,
    /// The last word of the code, if nothing but blanks came after it.
    word: String,
    /// The last signs of the code, the latest last, without blanks.
    signs: (char, char),
    after_blank: bool,
}

impl Script {
    pub(super) fn new() -> Self {
        let (literals, word) = (Vec::new(), String::new());
        Self { part: Part::Code, literals, word, signs: (';', ';'), after_blank: true }
    }

    /// A value stands here.
    pub(super) fn value(&mut self) {
        if self.part == Part::Code {
            self.sign(')');
        }
    }

    /// Goes through a piece of the script.
    pub(super) fn follow(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let used = match (self.part, c) {
                (Part::Code, _) => self.code(c, rest),
                (Part::LineComment, '\n' | '\r' | '\u{2028}' | '\u{2029}') => self.enter(Part::Code, 1),
                (Part::BlockComment, '*') if rest.starts_with("*/") => self.enter(Part::Code, 2),
                (Part::LineComment | Part::BlockComment, _) => 1,
                (Part::String(_) | Part::Regexp { .. }, '\\') => 2,
                (Part::String('`'), '$') if rest.starts_with("${") => {
                    self.literals.push(0);
                    self.sign('{');
                    self.enter(Part::Code, 2)
                }
                (Part::String(open), c) if c == open => self.enter(Part::Code, 1),
                (Part::String(_), _) => 1,
                (Part::Regexp { .. }, '[') => self.enter(Part::Regexp { in_class: true }, 1),
                (Part::Regexp { .. }, ']') => self.enter(Part::Regexp { in_class: false }, 1),
                (Part::Regexp { in_class: false }, '/') => self.enter(Part::Code, 1),
                (Part::Regexp { .. }, _) => 1,
            };
            rest = rest.char_indices().nth(used).and_then(|(at, _)| rest.get(at..)).unwrap_or("");
        }
    }

    /// Gives the characters that were used.
    fn code(&mut self, c: char, rest: &str) -> usize {
        // Those of HTML are comments of one line.
        if rest.starts_with("//") || rest.starts_with("<!--") || rest.starts_with("-->") {
            return self.enter(Part::LineComment, 2);
        }
        if rest.starts_with("/*") {
            return self.enter(Part::BlockComment, 2);
        }
        if c == '/' && self.expects_regexp() {
            self.sign(')');
            return self.enter(Part::Regexp { in_class: false }, 1);
        }
        match (c, self.literals.last_mut()) {
            ('"' | '\'' | '`', _) => {
                self.sign(')');
                return self.enter(Part::String(c), 1);
            }
            ('}', Some(0)) => {
                self.literals.pop();
                self.sign(')');
                return self.enter(Part::String('`'), 1);
            }
            ('{', Some(open)) => *open += 1,
            ('}', Some(open)) => *open -= 1,
            _ => {}
        }
        if c.is_whitespace() {
            self.after_blank = true;
        } else if c.is_alphanumeric() || matches!(c, '_' | '$') {
            if self.after_blank {
                self.word.clear();
            }
            self.word.push(c);
            self.after_blank = false;
        } else {
            self.sign(c);
        }
        1
    }

    fn enter(&mut self, part: Part, used: usize) -> usize {
        self.part = part;
        used
    }

    fn sign(&mut self, c: char) {
        self.word.clear();
        self.signs = (self.signs.1, c);
        self.after_blank = false;
    }

    /// Whether a slash begins a regular expression here; else it divides.
    fn expects_regexp(&self) -> bool {
        if !self.word.is_empty() {
            return BEFORE_REGEXPS.contains(&self.word.as_str());
        }
        !matches!(self.signs, (_, ')' | ']' | '.') | ('+', '+') | ('-', '-'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_value_is_written_into_is_what_a_browser_takes_it_for() {
        let quoted = Part::String('\'');
        let regexp = Part::Regexp { in_class: false };
        for (script, want) in [
            ("f(", Part::Code),
            ("f('", quoted),
            (r"f('\'", quoted),
            (r"f('\\'", Part::Code),
            ("// it's\nf(", Part::Code),
            ("// it's", Part::LineComment),
            ("/* it's", Part::BlockComment),
            ("/* it's **/ f(", Part::Code),
            ("<!-- it's\u{2028}f(", Part::Code),
            ("--> it's", Part::LineComment),
            ("a /= 'x", quoted),
            ("s.replace(/'/g, ", Part::Code),
            ("s.replace(/[/']/g, ", Part::Code),
            ("s.replace(/a", regexp),
            (r"return /\/'/.test(", Part::Code),
            ("returned / 2 + '", quoted),
            ("a++ / 2 + '", quoted),
            ("a + /'/.exec(", Part::Code),
            ("a[1] / b / '", quoted),
            ("1. / 2 / '", quoted),
            ("`it's ", Part::String('`')),
            ("`${ f('", quoted),
            ("`${ {a: 1}['a'] } it's ", Part::String('`')),
            ("`${ `${ b }` }` + ", Part::Code),
        ] {
            let mut at = Script::new();
            at.follow(script);
            assert_eq!(at.part, want, "{script}");
            // In whichever pieces it comes.
            let (cut, mut pieces) = (script.len() / 2, Script::new());
            if script.is_char_boundary(cut) && !script[..cut].ends_with(['/', '*', '<', '-', '!', '\\', '$']) {
                script.split_at(cut).0.split_inclusive(' ').for_each(|piece| pieces.follow(piece));
                pieces.follow(&script[cut..]);
                assert_eq!(pieces.part, want, "{script}");
            }
        }
        let mut divided = Script::new();
        divided.follow("a = ");
        divided.value();
        divided.follow(" / 2 + '");
        assert_eq!(divided.part, quoted);
    }
}
