//! Quoting of values for `sh`, by the place in the command where they are put.
//!
//! A value of harmless characters is put as it is. Others are quoted to stay one word and to
//! mean themselves: outside quotes, inside `".."` and inside `'..'`. Where no quoting is right
//! for every shell (backticks, here-documents, comments, `$'..'`, `${..}`, arithmetic, subscripts),
//! or where what surrounds the value is not followed here, such a value is refused.

/// Follows a command's text and knows what surrounds the next value.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    open: Vec<Open>,
    /// A backslash was the last character.
    escaped: bool,
    comment: bool,
    /// Something was not followed: nothing is known of the rest.
    lost: bool,
    /// The last character; `x` for one that a backslash made ordinary, [`PID`] for the second of
    /// `$$`. A line break after a backslash, and that backslash, are not there.
    last: Option<char>,
    /// The word outside quotes that is being read.
    word: String,
}

/// `$$` is a variable. Yet bash looks for the end of `"$$(a)"` as if `$(a)` were in it.
const PID: char = '\0';

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Double,
    Single,
    /// `(` or `$(`: unquoted again.
    Paren,
    Backtick,
    /// `((` or `$((`.
    Arithmetic,
    /// A `)` has ended what is within `((`: without another one it was not arithmetic.
    Ending,
    /// `${`.
    Brace,
    /// `[` where a word begins: a command, or else a bracket.
    Test,
    /// A subscript or a pattern.
    Bracket,
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
    /// Takes the next text: what is in the file, or a value as it was written.
    pub(crate) fn text(&mut self, text: &str) {
        for c in text.chars() {
            self.step(c);
        }
    }

    fn step(&mut self, c: char) {
        if self.comment {
            self.comment = c != '\n';
            self.last = Some(c);
            return;
        }
        if std::mem::take(&mut self.escaped) {
            if c != '\n' {
                self.last = Some('x');
                self.word.push('x');
            }
            return;
        }
        if c == '\\' && self.open.last() != Some(&Open::Single) {
            self.escaped = true;
            self.lost |= self.is_plain_span();
            return;
        }
        let last = self.last;
        self.last = Some(match (last, c) {
            (Some('$'), '$') => PID,
            _ => c,
        });
        let is_single = self.open.last() == Some(&Open::Single);
        self.lost |= last == Some(PID) && "({[".contains(c) && !is_single;
        match self.open.last().copied() {
            Some(Open::Single) => {
                if c == '\'' {
                    self.open.pop();
                }
            }
            Some(Open::Double) => match (last, c) {
                (_, '"') => drop(self.open.pop()),
                (_, '`') => self.open.push(Open::Backtick),
                (Some('$'), '(') => {
                    self.word.clear();
                    self.open.push(Open::Paren);
                }
                (Some('$'), '{') => self.open.push(Open::Brace),
                (Some('$'), '[') => self.lost = true,
                _ => {}
            },
            Some(Open::Brace) => match (last, c) {
                (_, '}') => drop(self.open.pop()),
                (Some('$'), '{') => self.open.push(Open::Brace),
                // A command in braces.
                (Some('{'), ' ' | '\t' | '\n' | '|') => self.lost = true,
                _ => self.lost |= "'\"`(){<>".contains(c),
            },
            Some(Open::Bracket) => match (last, c) {
                (_, ']') => drop(self.open.pop()),
                (Some('$'), '{') => self.open.push(Open::Brace),
                _ => self.lost |= " \t\n;&|<>'\"`(){}[".contains(c),
            },
            Some(Open::Test) => {
                self.open.pop();
                if !" \t\n[".contains(c) {
                    self.open.push(Open::Bracket);
                    self.last = last;
                    self.step(c);
                }
            }
            Some(Open::Ending) => {
                self.open.truncate(self.open.len().saturating_sub(2));
                self.lost |= c != ')';
            }
            Some(Open::Paren | Open::Arithmetic | Open::Backtick) | None => self.bare(last, c),
        }
    }

    /// A character outside quotes.
    fn bare(&mut self, last: Option<char>, c: char) {
        const GAPS: &str = " \t\n;&|()<>";
        let is_gap = last.is_none_or(|last| GAPS.contains(last));
        if GAPS.contains(c) {
            // Its patterns end with a `)` that closes nothing.
            self.lost |= self.word == "case" && !self.open.is_empty();
            self.word.clear();
        } else {
            self.word.push(c);
        }
        match (last, c) {
            (Some('$'), '\'' | '[') | (Some('<'), '<') => self.lost = true,
            // After `$(..)` it is part of a word, after a subshell it begins a comment.
            (Some(')' | '<' | '>'), '#') => self.lost = true,
            (_, '#') => self.comment = is_gap,
            (_, '"') => self.open.push(Open::Double),
            (_, '\'') => self.open.push(Open::Single),
            (Some('$'), '{') => self.open.push(Open::Brace),
            (Some('('), '(') => self.open.push(Open::Arithmetic),
            (_, '(') => self.open.push(Open::Paren),
            (_, '[') if is_gap => self.open.push(Open::Test),
            (_, '[') => self.open.push(Open::Bracket),
            (_, ')') => match self.open.last_mut() {
                Some(Open::Paren) => drop(self.open.pop()),
                Some(arithmetic @ Open::Arithmetic) => *arithmetic = Open::Ending,
                _ => {}
            },
            (_, '`') if self.open.last() == Some(&Open::Backtick) => drop(self.open.pop()),
            (_, '`') => self.open.push(Open::Backtick),
            _ => {}
        }
    }

    /// Whether only plain characters are followed here.
    fn is_plain_span(&self) -> bool {
        matches!(self.open.last(), Some(Open::Brace | Open::Bracket))
    }

    /// What surrounds the next value.
    pub(crate) fn place(&self) -> Place {
        let is_unsure = |open: &Open| {
            let unsure = [
                Open::Backtick,
                Open::Arithmetic,
                Open::Ending,
                Open::Brace,
                Open::Test,
                Open::Bracket,
            ];
            unsure.contains(open)
        };
        let is_quoted = self.open.last() == Some(&Open::Single);
        let unsure = self.comment || self.escaped || self.lost || self.open.iter().any(is_unsure);
        match self.open.last() {
            _ if unsure || matches!(self.last, Some('$' | PID)) && !is_quoted => Place::Unsure,
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
    use std::process::{Command, Stdio};

    /// A command whose `@` is replaced by the value.
    fn filled(command: &str, value: &str) -> Option<String> {
        let mut scanner = Scanner::default();
        let mut line = String::new();
        for (n, literal) in command.split('@').enumerate() {
            if n > 0 {
                let quoted = quote(value, scanner.place())?;
                scanner.text(&quoted);
                line.push_str(&quoted);
            }
            scanner.text(literal);
            line.push_str(literal);
        }
        Some(line)
    }

    /// What `sh` prints for such a command.
    fn shell(command: &str, value: &str) -> Option<String> {
        let line = filled(command, value)?;
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
            "case a in a) printf %s @;; esac",
            "x=\"$HOME/${HOME}${x:-${x-y}}\"; printf %s @",
            "x=$((1 + (2))); printf %s \"$(printf %s @)\"",
            "[ -n @ ] && ([ -n \"@\" ]; printf %s @)",
            "x=\"$$\"; printf %s @",
            "ls /[a-b]* >/dev/null 2>&1; printf %s \\\n @",
            "cases() { printf %s @; }; x=$(cases a); cases",
        ] {
            assert_eq!(shell(command, value).as_deref(), Some(value), "{command}");
        }
    }

    #[test]
    fn values_are_refused_where_no_quoting_is_safe() {
        for command in [
            "echo `echo @`",
            "cat <<E\n@\nE",
            "cat <\\\n<E\n@\nE",
            "true # @",
            "echo \\@",
            "printf %s $'it\\'s @'",
            "printf %s $\\\n'@'",
            "printf %s $\\\n@",
            "printf %s \"$\\\n@\"",
            "printf %s \"$(case a in a) echo @;; esac)\"",
            "printf %s \"${v:-@}\"",
            "printf %s \"$$(@)\"",
            "printf %s ${v:-\"}\"} @",
            "echo $((@))",
            "echo $(()@))",
            "echo $((1)@",
            "echo $((1) ) @",
            "echo $[@]",
            "printf %s a[@]",
            "printf %s a['b'] @",
            "x=([@]=1)",
            "x=(a [@]=1)",
            "echo $()#@",
        ] {
            assert_eq!(shell(command, "a b"), None, "{command}");
            assert!(filled(command, "a-b").is_some(), "{command}");
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

        /// Whatever surrounds a value, known or not: none of it is read as a command.
        #[test]
        fn no_part_of_a_value_runs(
            pieces in prop::collection::vec(prop::sample::select(vec![
                " ", "\n", "\\\n", "#", "a", "'", "\"", "\\", ";", "|", "(", ")", "$(", "$((", "))", "$$(",
                "printf %s ", "echo ", "x=", "$x", "{", "}", "case a in a) ", ";;", "esac", "[", "]", "[[ ",
                "]]", "=(", "\"$(", ")\"", "${x:-", "$'", "$", "`", "<<E\n", "E\n", "<", "m[", "@", "@",
            ]), 0..14),
            value in prop::sample::select(vec![
                ";echo R\"\"AN;", "$(echo R\"\"AN)", "`echo R\"\"AN`", "';echo R\"\"AN;'", "\"$(echo R\"\"AN)",
                "a}$(echo R\"\"AN)", ");echo R\"\"AN", "a[$(echo R\"\"AN >&2)]", "\necho R\"\"AN\n", "\\';echo R\"\"AN;",
                "\\\";echo R\"\"AN;", "(echo R\"\"AN)",
            ]),
        ) {
            if let Some(line) = filled(&pieces.concat(), value) {
                for shell in ["bash", "sh"] {
                    let output = Command::new(shell).args(["-c", &line]).stdin(Stdio::null()).output().unwrap();
                    let said = [output.stdout, output.stderr].concat();
                    prop_assert!(!String::from_utf8_lossy(&said).contains("RAN"), "{}", line);
                }
            }
        }
    }
}
