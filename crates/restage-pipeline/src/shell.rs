//! Quoting of values for `sh`, by the place in the command where they are put.
//!
//! A value of harmless characters is put as it is. Others are quoted to stay one word and to
//! mean themselves: outside quotes, inside `".."` and inside `'..'`. Where no quoting is right
//! for every shell (backticks, here-documents, comments), such a value is refused.

/// Follows a command's literal text and knows what surrounds the next value.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    open: Vec<Open>,
    /// A backslash was the last character.
    escaped: bool,
    comment: bool,
    heredoc: bool,
    last: Option<char>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Double,
    Single,
    /// `(` or `$(`: unquoted again.
    Paren,
    Backtick,
}

/// What surrounds a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// No quotes.
    Bare,
    /// Inside `".."`.
    Double,
    /// Inside `'..'`.
    Single,
    /// Where quoting cannot be relied on.
    Unsure,
}

impl Scanner {
    /// Takes the next literal text.
    pub(crate) fn literal(&mut self, text: &str) {
        for c in text.chars() {
            let plain = !self.escaped;
            self.step(c);
            // What a backslash made ordinary opens nothing.
            self.last = Some(if plain { c } else { 'x' });
        }
    }

    /// Notes that a value was put here.
    pub(crate) fn value(&mut self) {
        self.escaped = false;
        self.last = Some('x');
    }

    fn step(&mut self, c: char) {
        if self.comment {
            self.comment = c != '\n';
            return;
        }
        if std::mem::take(&mut self.escaped) {
            return;
        }
        let top = self.open.last().copied();
        match (top, c) {
            (Some(Open::Single), '\'') => drop(self.open.pop()),
            (Some(Open::Single), _) => {}
            (_, '\\') => self.escaped = true,
            (Some(Open::Double), '"') => drop(self.open.pop()),
            (_, '"') => self.open.push(Open::Double),
            (Some(Open::Backtick), '`') => drop(self.open.pop()),
            (_, '`') => self.open.push(Open::Backtick),
            (Some(Open::Double), '(') if self.last == Some('$') => self.open.push(Open::Paren),
            (Some(Open::Double), _) => {}
            (_, '\'') => self.open.push(Open::Single),
            (_, '(') => self.open.push(Open::Paren),
            (Some(Open::Paren), ')') => drop(self.open.pop()),
            (_, '#') => self.comment = self.last.is_none_or(|last| " \t\n;&|()".contains(last)),
            (_, '<') if self.last == Some('<') => self.heredoc = true,
            _ => {}
        }
    }

    /// What surrounds the next value.
    pub(crate) fn place(&self) -> Place {
        let unsure =
            self.comment || self.escaped || self.heredoc || self.open.contains(&Open::Backtick);
        match self.open.last() {
            _ if unsure => Place::Unsure,
            Some(Open::Double) => Place::Double,
            Some(Open::Single) => Place::Single,
            _ => Place::Bare,
        }
    }
}

/// The value as it is written at a place so that `sh` reads it as itself; `None` if it cannot be.
pub fn quote(value: &str, place: Place) -> Option<String> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if value.contains('\0') {
        return None;
    }
    if !value.is_empty() && value.chars().all(harmless) {
        return Some(value.to_owned());
    }
    match place {
        Place::Bare => Some(format!("'{}'", value.replace('\'', r"'\''"))),
        Place::Single => Some(value.replace('\'', r"'\''")),
        Place::Double => {
            let mut quoted = String::with_capacity(value.len() + 8);
            for c in value.chars() {
                if matches!(c, '$' | '`' | '"' | '\\') {
                    quoted.push('\\');
                }
                quoted.push(c);
            }
            Some(quoted)
        }
        Place::Unsure => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    /// What `sh` prints for a command whose `@` is replaced by the value.
    fn shell(command: &str, value: &str) -> Option<String> {
        let mut scanner = Scanner::default();
        let mut line = String::new();
        for (n, literal) in command.split('@').enumerate() {
            if n > 0 {
                line.push_str(&quote(value, scanner.place())?);
                scanner.value();
            }
            scanner.literal(literal);
            line.push_str(literal);
        }
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        assert!(
            output.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Some(String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn values_mean_themselves_wherever_they_stand() {
        let value = r#"a 'b' "c" $HOME `id` \ * ; #d"#;
        for command in [
            "printf %s @",
            "printf %s \"@\"",
            "printf %s '@'",
            "printf %s \"$(printf %s @)\"",
            "printf %s \"$(printf %s \"@\")\"",
            "(printf %s @) # that's it",
            "# don't\nprintf %s @",
            "printf %s \"\\$(\" >/dev/null; printf %s @",
            "printf %s it\\'s >/dev/null; printf %s @",
        ] {
            assert_eq!(shell(command, value).as_deref(), Some(value), "{command}");
        }
    }

    #[test]
    fn values_are_refused_where_no_quoting_is_safe() {
        for command in ["echo `echo @`", "cat <<E\n@\nE", "true # @", "echo \\@"] {
            assert_eq!(shell(command, "a b"), None, "{command}");
            assert!(shell(command, "a-b").is_some(), "{command}");
        }
        assert_eq!(quote("a\0", Place::Bare), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn quoting_survives_a_real_shell(value in "[^\0\r]{0,12}", n in 0usize..4) {
            let command = ["printf %s @", "printf %s \"@\"", "printf %s '@'", "x=@; printf %s \"$x\""][n];
            prop_assert_eq!(shell(command, &value), Some(value));
        }
    }
}
