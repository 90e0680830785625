//! Values inside CEL expressions, written so that they mean themselves.

/// Follows an expression's text, to know what surrounds the next value.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    place: Place,
    /// The word before this, which may turn out to be a string's prefix.
    word: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Code,
    Comment,
    /// Inside a string.
    Text {
        quote: char,
        /// Ends with three quotes.
        triple: bool,
        /// Backslashes are ordinary.
        raw: bool,
        /// After a backslash.
        escaped: bool,
    },
}

impl Scanner {
    /// Text of the expression itself.
    pub(crate) fn literal(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let taken = self.step(c, rest);
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    /// Takes one character, or the quotes that open or close a string; their length in bytes.
    fn step(&mut self, c: char, rest: &str) -> usize {
        let three = |quote: char| rest.chars().take_while(|c| *c == quote).count() >= 3;
        match self.place {
            Place::Code if c == '"' || c == '\'' => {
                let prefix = self.word.to_ascii_lowercase();
                let triple = three(c);
                self.place = Place::Text {
                    quote: c,
                    triple,
                    raw: ["r", "br", "rb"].contains(&prefix.as_str()),
                    escaped: false,
                };
                self.word.clear();
                return if triple { 3 } else { 1 };
            }
            Place::Code if rest.starts_with("//") => self.place = Place::Comment,
            Place::Code if c.is_alphanumeric() || c == '_' => self.word.push(c),
            Place::Code => self.word.clear(),
            Place::Comment if c == '\n' || c == '\r' => self.place = Place::Code,
            Place::Comment => {}
            Place::Text {
                quote,
                triple,
                raw,
                escaped,
            } => {
                if !escaped && c == quote && (!triple || three(quote)) {
                    self.place = Place::Code;
                    return if triple { 3 } else { 1 };
                }
                self.place = Place::Text {
                    quote,
                    triple,
                    raw,
                    escaped: !raw && !escaped && c == '\\',
                };
            }
        }
        c.len_utf8()
    }

    /// A value as it is written here; `None` if nothing that is written here would mean it.
    /// `is_text`: in code it becomes a string, other values stand as they are.
    pub(crate) fn value(&mut self, value: &str, is_text: bool) -> Option<String> {
        self.word.clear();
        let special = |c: char| c.is_control() || "\"'\\".contains(c);
        match self.place {
            Place::Code if is_text => Some(format!("\"{}\"", escape(value))),
            // `1 -${x}` is neither a comment nor a decrement.
            Place::Code if value.starts_with('-') => Some(format!("({value})")),
            Place::Code => Some(value.to_owned()),
            Place::Text {
                raw: false,
                escaped: false,
                ..
            } => Some(escape(value)),
            _ => (!value.contains(special)).then(|| value.to_owned()),
        }
    }
}

/// Inside quotes of either kind, one or three.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '"' | '\'' | '\\' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped += &format!("\\u{:04x}", u32::from(c)),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use cel::{Context, Program, Value};
    use proptest::prelude::*;

    /// What an expression gives whose `@` is replaced by the value.
    fn given(expression: &str, value: &str, is_text: bool) -> Option<Value> {
        let mut scanner = Scanner::default();
        let mut text = String::new();
        for (n, literal) in expression.split('@').enumerate() {
            if n > 0 {
                text += &scanner.value(value, is_text)?;
            }
            scanner.literal(literal);
            text += literal;
        }
        let program = Program::compile(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        Some(program.execute(&Context::default()).unwrap())
    }

    fn text(expression: &str, value: &str) -> Option<String> {
        match given(expression, value, true)? {
            Value::String(text) => Some(text.to_string()),
            other => panic!("{expression} with {value:?} gives {other:?}"),
        }
    }

    const PLACES: [&str; 8] = [
        "@",
        "\"@\"",
        "'@'",
        "\"\"\"@\"\"\"",
        "'''@'''",
        "\"\\\"\" == '' ? '' : '@'",
        "r'\\' == '' ? '' : '@' // it's",
        "// don't\n'@'",
    ];

    #[test]
    fn values_mean_themselves_wherever_they_stand() {
        let value = "a \"b\" 'c' \\d\n\t// e\u{7f}";
        for expression in PLACES {
            assert_eq!(
                text(expression, value).as_deref(),
                Some(value),
                "{expression}"
            );
        }
        for number in ["1", "-1"] {
            let expected = Value::Int(3 - number.parse::<i64>().unwrap());
            assert_eq!(given("3 -@", number, false), Some(expected));
        }
        assert_eq!(given("!@", "true", false), Some(Value::Bool(false)));
    }

    #[test]
    fn values_are_refused_where_nothing_means_them() {
        for expression in ["r'@'", "R\"\"\"@\"\"\"", "'\\@'", "'a' // @"] {
            for value in ["it's", "\"", "\\", "a\nb"] {
                assert_eq!(text(expression, value), None, "{expression}");
            }
        }
        assert_eq!(text("r'@'", "a b").as_deref(), Some("a b"));
    }

    proptest! {
        #[test]
        fn any_value_means_itself(value in "[^\u{0}]{0,12}|[\"'\\\\\n@a]{0,6}", n in 0..PLACES.len()) {
            prop_assert_eq!(text(PLACES[n], &value), Some(value));
        }
    }
}
