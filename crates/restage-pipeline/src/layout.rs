//! A command without the layout that its shell does not see: two texts that differ in nothing
//! else have the same key.
//!
//! Unsure is unchanged: in here-documents, backticks, `${..}`, `$'..'`, `case`, arithmetic, patterns
//! and regular expressions white space and parentheses may count in ways that are not followed here,
//! and a `#` right after a `)` is a comment after a subshell, but part of a word after `$(..)`.

use std::borrow::Cow;

/// What is open around the next character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Double,
    Single,
    /// `(` or `$(`.
    Paren,
}

/// What a character that is not quoted stands behind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// A blank or an operator: a new word begins.
    Gap,
    Word,
    /// `)`, which ends a subshell, but not the word that `$(..)` is part of.
    Paren,
}

/// Without white space at both ends, which no shell sees. What follows a backslash stays: an escaped
/// blank is a word, and a backslash without its line break is a command.
pub(crate) fn trimmed(text: &str) -> &str {
    let text = text.trim_start();
    let is_escaped = |text: &str| {
        let slashes = text.bytes().rev().take_while(|byte| *byte == b'\\');
        slashes.count() % 2 == 1
    };
    let lines = text.trim_end_matches(['\n', '\r']);
    match (is_escaped(lines), is_escaped(text.trim_end())) {
        (true, _) => text,
        (false, true) => lines,
        (false, false) => text.trim_end(),
    }
}

/// The same command for `sh` and `bash`, without comments, empty lines, indentation, line breaks
/// after a backslash and repeated blanks.
pub(crate) fn unlaid(text: &str) -> Cow<'_, str> {
    let text = trimmed(text);
    let unsure = [
        "<<", "`", "${", "$'", "\r", "esac", "=~", "((", "?(", "*(", "+(", "@(", "!(",
    ];
    if unsure.iter().any(|sign| text.contains(sign)) {
        return Cow::Borrowed(text);
    }
    let mut open: Vec<Open> = Vec::new();
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    // Blanks that are written only if something follows on the same line.
    let mut blank = false;
    let mut behind = Behind::Gap;
    while let Some(c) = chars.next() {
        let top = open.last().copied();
        match top {
            Some(Open::Single) => {
                plain.push(c);
                if c == '\'' {
                    open.pop();
                }
                continue;
            }
            Some(Open::Double) => {
                plain.push(c);
                match c {
                    '\\' => plain.extend(chars.next()),
                    '"' => drop(open.pop()),
                    '(' if plain.ends_with("$(") => open.push(Open::Paren),
                    _ => {}
                }
                continue;
            }
            Some(Open::Paren) | None => {}
        }
        match c {
            ' ' | '\t' => {
                blank = !(plain.is_empty() || plain.ends_with('\n'));
                behind = Behind::Gap;
            }
            '\n' => {
                blank = false;
                behind = Behind::Gap;
                if !plain.is_empty() && !plain.ends_with('\n') {
                    plain.push('\n');
                }
            }
            '#' if behind == Behind::Paren => return Cow::Borrowed(text),
            '#' if behind == Behind::Gap => while chars.next_if(|c| *c != '\n').is_some() {},
            '\\' if chars.peek() == Some(&'\n') => drop(chars.next()),
            _ => {
                if std::mem::take(&mut blank) {
                    plain.push(' ');
                }
                plain.push(c);
                behind = match c {
                    ';' | '&' | '|' | '(' => Behind::Gap,
                    ')' => Behind::Paren,
                    _ => Behind::Word,
                };
                match c {
                    '\\' => plain.extend(chars.next()),
                    '\'' => open.push(Open::Single),
                    '"' => open.push(Open::Double),
                    '(' => open.push(Open::Paren),
                    ')' => drop(open.pop()),
                    _ => {}
                }
            }
        }
    }
    while plain.ends_with('\n') {
        plain.pop();
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn layout_that_the_shell_does_not_see_is_left_out() {
        for (text, same) in [
            ("echo 1\n", "echo 1"),
            (
                "\n  echo   1 \t > a \n\n\n  echo 2  # why\n# end\n",
                "echo 1 > a\necho 2",
            ),
            ("cat \\\n   a \\\n   b", "cat a b"),
            ("ec\\\nho 1", "echo 1"),
            ("echo a#b $# #c", "echo a#b $#"),
            ("(a ;# c\n b)", "(a ;\nb)"),
        ] {
            assert_eq!(unlaid(text), same, "{text}");
        }
    }

    #[test]
    fn what_the_shell_may_see_stays() {
        for text in [
            "echo 'a  b' \"c  d\n e\"",
            "echo a\\  b",
            "cat <<E\n  a\n\n  b\nE",
            "echo `a  b`",
            "echo ${x/ #/}  y",
            "echo $'a\\'  b'",
            "echo a\\ ",
            "x=\"$(printf '%s  ' a)  b\"",
            "echo \\|#' a  b'",
            "printf %s $()#  a",
            "printf %s $()\\\n#  a",
            "x=\"$(case a in a) echo \"b  c\" ;; esac)\"",
            "[[ 'a  b' =~ (a  b) ]]",
            "shopt -s extglob\necho @(a  b)",
        ] {
            assert_eq!(unlaid(text), text, "{text}");
        }
        assert_eq!(trimmed(" echo a\\ \n"), "echo a\\ ");
        assert_eq!(trimmed("echo a\\\\ \n"), "echo a\\\\");
    }

    /// Whether it succeeded and what it said: failures of unsound texts have various codes.
    fn said(text: &str) -> (bool, Vec<u8>) {
        // What it redirects to goes with the folder.
        let folder = tempfile::tempdir().expect("a folder");
        let output = Command::new("bash")
            .args(["-c", text])
            .current_dir(folder.path())
            .output()
            .expect("bash");
        (output.status.success(), output.stdout)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn a_shell_does_the_same_without_layout(pieces in prop::collection::vec(
            prop::sample::select(vec![
                " ", "  ", "\t", "\n", "\\\n", "#", "a", "'", "\"", "\\", ";", "&&", "|", "(", ")",
                "$(", "printf %s ", "echo ", "x=1", "$x", "{", "}", "!", "case a in a)", ";;", "esac",
                "[[ a =~ (a ]]", "@(", "$((", "))", "<(", ">", "=(", "\"$(", ")\"",
            ]), 0..14)
        ) {
            // What is not sound is sound for neither; `cat` bounds what a stray pipe reads.
            let text = format!("echo start; {}", pieces.concat());
            let plain = unlaid(&text).into_owned();
            prop_assert_eq!(unlaid(&plain).into_owned(), plain.clone());
            prop_assert_eq!(said(&text), said(&plain), "{:?} -> {:?}", text, plain);
        }
    }
}
