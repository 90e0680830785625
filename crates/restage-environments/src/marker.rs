//! Conditions of a dependency (environment markers of PEP 508): do they hold for an interpreter?
//!
//! A condition that is not understood neither holds nor fails; whoever asks must count it both ways. So
//! this needs no more of the grammar and of PEP 440 than lock files contain.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// What conditions are about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// `python_full_version`, `sys_platform` and so on.
    pub(crate) variables: &'a BTreeMap<String, String>,
    /// Values of `extra` that are asked for.
    pub(crate) extras: &'a BTreeSet<String>,
}

/// Whether a condition holds; `None` if that is not known.
pub(crate) fn holds(marker: &str, context: Context<'_>) -> Option<bool> {
    let mut parser = Parser {
        tokens: tokens(marker)?,
        at: 0,
        depth: 0,
        context,
    };
    let value = parser.any()?;
    (parser.at == parser.tokens.len())
        .then_some(value)
        .flatten()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Text(String),
    /// A variable, `and`, `or`, `in`, `not`, or an operator.
    Word(String),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, len) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '\'' | '"' => {
                let end = rest[1..].find(first)?;
                (Token::Text(rest[1..=end].to_owned()), end + 2)
            }
            c if is_operator(c) => {
                let end = rest.find(|c| !is_operator(c)).unwrap_or(rest.len());
                (Token::Word(rest[..end].to_owned()), end)
            }
            c if is_word(c) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                (Token::Word(rest[..end].to_owned()), end)
            }
            _ => return None,
        };
        tokens.push(token);
        rest = rest[len..].trim_start();
    }
    Some(tokens)
}

fn is_operator(c: char) -> bool {
    "<>=!~".contains(c)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

/// Brackets within each other; no tool writes more than a few.
const DEPTH: usize = 100;

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    /// Brackets that are open.
    depth: usize,
    context: Context<'a>,
}

/// The outer `None`: this is no condition. The inner one: it is not known whether it holds.
type Answer = Option<Option<bool>>;

impl Parser<'_> {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn takes(&mut self, word: &str) -> bool {
        let there = self.tokens.get(self.at) == Some(&Token::Word(word.to_owned()));
        self.at += usize::from(there);
        there
    }

    fn any(&mut self) -> Answer {
        let mut value = self.all()?;
        while self.takes("or") {
            let other = self.all()?;
            value = match (value, other) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
        }
        Some(value)
    }

    fn all(&mut self) -> Answer {
        let mut value = self.one()?;
        while self.takes("and") {
            let other = self.one()?;
            value = match (value, other) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
        }
        Some(value)
    }

    fn one(&mut self) -> Answer {
        if self.tokens.get(self.at) == Some(&Token::Open) {
            self.at += 1;
            self.depth += 1;
            if self.depth > DEPTH {
                return None;
            }
            let value = self.any()?;
            self.depth -= 1;
            return (self.next()? == Token::Close).then_some(value);
        }
        let left = self.next()?;
        let operator = match self.next()? {
            Token::Word(word) if word == "not" => {
                if !self.takes("in") {
                    return None;
                }
                "not in".to_owned()
            }
            Token::Word(word) => word,
            _ => return None,
        };
        let right = self.next()?;
        Some(match (left, right) {
            (Token::Word(name), Token::Text(value)) => self.compare(&name, &operator, &value),
            (Token::Text(value), Token::Word(name)) => {
                let turned = turned(&operator)?;
                self.compare(&name, turned, &value)
            }
            _ => return None,
        })
    }

    fn compare(&self, name: &str, operator: &str, value: &str) -> Option<bool> {
        if name == "extra" {
            let given = self.context.extras.contains(value);
            return match operator {
                "==" => Some(given),
                "!=" => Some(!given),
                _ => None,
            };
        }
        // They say which kernel runs, which nothing else here depends on.
        if matches!(name, "platform_release" | "platform_version") {
            return None;
        }
        let ours = self.context.variables.get(name)?;
        if name.ends_with("version") {
            return compare_versions(ours, operator, value);
        }
        match operator {
            "==" | "===" => Some(ours == value),
            "!=" => Some(ours != value),
            "in" => Some(value.contains(ours.as_str())),
            "not in" => Some(!value.contains(ours.as_str())),
            // The variable is on the right: `'linux' in sys_platform`.
            "has" => Some(ours.contains(value)),
            "has not" => Some(!ours.contains(value)),
            _ => None,
        }
    }
}

/// The operator that says the same with its sides exchanged.
fn turned(operator: &str) -> Option<&str> {
    Some(match operator {
        "<" => ">",
        ">" => "<",
        "<=" => ">=",
        ">=" => "<=",
        "in" => "has",
        "not in" => "has not",
        "==" | "!=" | "===" => operator,
        _ => return None,
    })
}

/// The numbers that a version begins with, and whether something follows them (`rc1`, `+`).
fn release(version: &str) -> Option<(Vec<u64>, bool)> {
    let end = version
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(version.len());
    let numbers = version[..end].trim_end_matches('.').split('.');
    let numbers: Option<Vec<u64>> = numbers.map(|number| number.parse().ok()).collect();
    Some((numbers?, end < version.len()))
}

/// Compares as many numbers as the longer one has; missing ones are 0.
fn by_numbers(a: &[u64], b: &[u64]) -> Ordering {
    let longest = a.len().max(b.len());
    let number = |list: &[u64], i: usize| list.get(i).copied().unwrap_or(0);
    let differs = (0..longest).map(|i| number(a, i).cmp(&number(b, i)));
    differs
        .into_iter()
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn compare_versions(ours: &str, operator: &str, theirs: &str) -> Option<bool> {
    let (ours, more) = release(ours)?;
    if let Some(start) = theirs.strip_suffix(".*") {
        let (start, odd) = release(start)?;
        let mut padded = ours;
        padded.resize(padded.len().max(start.len()), 0);
        let same = padded.starts_with(&start);
        return match operator {
            _ if odd => None,
            "==" => Some(same),
            "!=" => Some(!same),
            _ => None,
        };
    }
    let (theirs, odd) = release(theirs)?;
    let order = by_numbers(&ours, &theirs);
    // Which of `3.13.0` and `3.13.0rc1` is less takes all of PEP 440.
    if order.is_eq() && (more || odd) {
        return None;
    }
    match operator {
        "==" | "===" => Some(order.is_eq()),
        "!=" => Some(order.is_ne()),
        "<" => Some(order.is_lt()),
        "<=" => Some(order.is_le()),
        ">" => Some(order.is_gt()),
        ">=" => Some(order.is_ge()),
        "~=" => {
            let prefix = theirs.len().checked_sub(1).filter(|len| *len > 0)?;
            let mut padded = ours;
            padded.resize(padded.len().max(prefix), 0);
            Some(order.is_ge() && padded[..prefix] == theirs[..prefix])
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn variables() -> BTreeMap<String, String> {
        let pairs = [
            ("python_version", "3.11"),
            ("python_full_version", "3.11.7"),
            ("sys_platform", "linux"),
            ("platform_machine", "x86_64"),
            ("implementation_name", "cpython"),
            ("platform_release", "6.1.0"),
        ];
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn asked(marker: &str) -> Option<bool> {
        let (variables, extras) = (variables(), BTreeSet::from(["extra-4-demo-gpu".to_owned()]));
        let context = Context {
            variables: &variables,
            extras: &extras,
        };
        holds(marker, context)
    }

    #[test]
    fn conditions_of_lock_files_are_decided() {
        for marker in [
            "sys_platform == 'linux'",
            "python_full_version >= '3.11'",
            "python_full_version < '3.12' and sys_platform != \"win32\"",
            "sys_platform == 'win32' or (platform_machine == 'x86_64' and python_version >= '3.9')",
            "python_version == '3.11.*' and python_version != '3.1.*'",
            "python_full_version ~= '3.11.2'",
            "python_version ~= '3.9'",
            "'3.12' > python_version",
            "platform_machine in 'x86_64 AMD64'",
            "'lin' in sys_platform and sys_platform not in 'win32'",
            "extra == 'extra-4-demo-gpu' and extra != 'extra-4-demo-cpu'",
            "platform_release == '5' or sys_platform == 'linux'",
        ] {
            assert_eq!(asked(marker), Some(true), "{marker}");
        }
        for marker in [
            "sys_platform == 'darwin'",
            "python_full_version < '3.11'",
            "python_full_version ~= '3.10.2'",
            "python_full_version ~= '3.11.8'",
            "python_version >= '3.20'",
            "extra == 'extra-4-demo-cpu'",
            "platform_release == '5' and sys_platform == 'win32'",
        ] {
            assert_eq!(asked(marker), Some(false), "{marker}");
        }
    }

    #[test]
    fn what_is_not_understood_neither_holds_nor_fails() {
        for marker in [
            "platform_release >= '5'",
            "os_flavour == 'x'",
            "python_full_version >= '3.11.7rc1'",
            "sys_platform < 'm'",
            "sys_platform = 'linux'",
            "sys_platform == 'linux' xor os_name == 'nt'",
            "(sys_platform == 'linux'",
            "sys_platform == 'linux",
            "sys_platform",
            "",
            "python_version in '3.9 3.11'",
        ] {
            assert_eq!(asked(marker), None, "{marker}");
        }
    }

    #[test]
    fn brackets_within_each_other_are_followed_for_a_while() {
        let nested = |depth: usize| {
            let (open, close) = ("(".repeat(depth), ")".repeat(depth));
            format!("{open}sys_platform == 'linux'{close} and {open}sys_platform == 'linux'{close}")
        };
        assert_eq!(asked(&nested(100)), Some(true));
        assert_eq!(asked(&nested(101)), None);
        assert_eq!(asked(&"(".repeat(1_000_000)), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in r"[a-z_ ()'<>=!~.0-9é]{0,40}") {
            let _ = asked(&text);
        }
    }
}
