//! A command without the layout that its shell does not see: two texts that differ in nothing
//! else have the same key.
//!
//! Unsure is unchanged. Followed are words, operators, quotes, `$name`, `$(..)` outside quotes and
//! subshells; a text with anything else, or with a command that can see or change how the text is
//! read, stays as it is (docs/adr/0023).

use std::borrow::Cow;

/// What a character that is not quoted stands behind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// A blank or an operator: a new word begins.
    Gap,
    Word,
    /// `$`, with `(` to follow.
    Dollar,
    /// `<` or `>`.
    Redirect,
    /// `)`, which ends a subshell, but not the word that `$(..)` is part of: whether a `#` right
    /// after it begins a comment is not followed here.
    Paren,
}

/// Words by which a command sees its own text or line numbers, or has the rest read in another way.
const UNSURE_WORDS: [&str; 15] = [
    "LINENO", "alias", "caller", "declare", "enable", "esac", "eval", "fc", "history", "let",
    "set", "shopt", "source", "trap", "typeset",
];

/// Without white space at both ends, which no shell sees; other blanks of Unicode are words. What follows
/// a backslash stays: an escaped blank is a word, and a backslash without its line break is a command.
pub(crate) fn trimmed(text: &str) -> &str {
    let blank = [' ', '\t', '\n', '\r'];
    let text = text.trim_start_matches(blank);
    let is_escaped = |text: &str| {
        let slashes = text.bytes().rev().take_while(|byte| *byte == b'\\');
        slashes.count() % 2 == 1
    };
    let lines = text.trim_end_matches(['\n', '\r']);
    match (is_escaped(lines), is_escaped(text.trim_end_matches(blank))) {
        (true, _) => text,
        (false, true) => lines,
        (false, false) => text.trim_end_matches(blank),
    }
}

/// The same command for `sh` and `bash`, without comments, empty lines, indentation, line breaks
/// after a backslash and repeated blanks.
pub(crate) fn unlaid(text: &str) -> Cow<'_, str> {
    let text = trimmed(text);
    // A comment's backslash joins no lines, any other does.
    if sees_layout(text) || sees_layout(&text.replace("\\\n", "")) {
        return Cow::Borrowed(text);
    }
    without_layout(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Whether it has words that make its layout count. So do line numbers in the shell's own messages,
/// where these may be kept in a file.
fn sees_layout(text: &str) -> bool {
    let is_sign = |word: &str| UNSURE_WORDS.contains(&word) || word.starts_with("BASH_");
    let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-./".contains(c)));
    let rest = text.replace("2>/dev/null", "").replace(">&2", "");
    let keeps_messages = ["2>", "&>", ">&", "|&"]
        .iter()
        .any(|sign| rest.contains(sign));
    let sources = text
        .split(['\n', ';', '&', '|', '(', '{'])
        .any(|part| part.trim_start().starts_with(". "));
    keeps_messages || sources || text.contains("/proc/") || words.any(is_sign)
}

/// After the line breaks that a backslash takes away, which the shell does before it reads on.
fn joined(mut text: &str) -> &str {
    while let Some(rest) = text.strip_prefix("\\\n") {
        text = rest;
    }
    text
}

/// `None` where something is not followed here.
fn without_layout(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    // Blanks that are written only if something follows on the same line.
    let mut blank = false;
    let mut behind = Behind::Gap;
    let mut depth = 0_usize;
    loop {
        rest = joined(rest);
        let Some(c) = rest.chars().next() else { break };
        if c == '#' && behind == Behind::Gap {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        if let ' ' | '\t' | '\n' = c {
            behind = Behind::Gap;
            let is_start = plain.is_empty() || plain.ends_with('\n');
            if c == '\n' && !is_start {
                plain.push('\n');
            }
            blank = c != '\n' && !is_start;
            continue;
        }
        if std::mem::take(&mut blank) {
            plain.push(' ');
        }
        plain.push(c);
        let next = || joined(rest).chars().next();
        // How much of what follows belongs to it.
        let mut taken = 0;
        behind = match c {
            ';' | '&' | '|' => Behind::Gap,
            '<' if next() == Some('<') => return None,
            '<' | '>' => Behind::Redirect,
            '(' if behind == Behind::Word || next() == Some('(') => return None,
            '(' => {
                depth += 1;
                Behind::Gap
            }
            ')' => {
                depth = depth.checked_sub(1)?;
                Behind::Paren
            }
            '$' => {
                rest = joined(rest);
                match rest.chars().next()? {
                    '(' => Behind::Dollar,
                    c if c.is_ascii_alphanumeric() || "_?$#@*!-".contains(c) => {
                        taken = 1;
                        Behind::Word
                    }
                    _ => return None,
                }
            }
            '\\' => {
                taken = rest.chars().next()?.len_utf8();
                Behind::Word
            }
            '\'' => {
                taken = rest.find('\'')? + 1;
                Behind::Word
            }
            '"' => {
                taken = double_quoted(rest)?;
                Behind::Word
            }
            // Not a subscript, and not `[[`, which has rules of its own.
            '[' if behind == Behind::Gap && next() != Some('[') => Behind::Word,
            '#' if behind == Behind::Word => Behind::Word,
            c if c.is_ascii_alphanumeric() || !c.is_ascii() => Behind::Word,
            c if "_-./,:=+%^@~]{}!*?".contains(c) => Behind::Word,
            _ => return None,
        };
        plain.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    while plain.ends_with('\n') {
        plain.pop();
    }
    (depth == 0).then_some(plain)
}

/// How long a text in double quotes is, from behind the first to behind the last. `None` where it
/// has more than variables in it, or does not end.
fn double_quoted(text: &str) -> Option<usize> {
    let mut rest = text;
    loop {
        rest = joined(rest);
        let c = rest.chars().next()?;
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => return Some(text.len() - rest.len()),
            '\\' => rest = &rest[rest.chars().next()?.len_utf8()..],
            '`' => return None,
            '$' => {
                rest = joined(rest);
                // bash looks for the end of `"$$(a)"` as if `$(a)` were in it.
                let opens = joined(rest.strip_prefix('$').unwrap_or(rest));
                if opens.starts_with(['(', '{', '[']) {
                    return None;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::{Command, Stdio};

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
            (
                "x=$(a   b) # c\n[ -e  \"$x$\" ]",
                "x=$(a b)\n[ -e \"$x$\" ]",
            ),
            ("echo $$  $#  \"a  \\$$\"", "echo $$ $# \"a  \\$$\""),
            (
                "a 2>/dev/null  || echo b  >&2",
                "a 2>/dev/null || echo b >&2",
            ),
            ("cat  \\\n <(a\n\n b)", "cat <(a\nb)"),
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
            "echo \"$$(  a)\"  b",
            "echo \"$(# it's\nprintf 'a  b')\"",
            "true\n# a\necho $LINENO",
            "true\n# a\necho $BASH_LINENO",
            "trap 'echo failed' ERR  # a",
            "m[a  b]=1",
            "m=([a  b]=1)",
            "[[ a  = b ]]",
            "cat <\\\n<E\na  b\nE",
            "echo $\\\n'a\\'  b'",
            "x=\"$\\\n(echo  a)\"",
            "es\\\nac  a",
            "# a\\\nset -v",
            "set -v\n# a",
            "# a\n. ./lines.sh",
            "# a\ntype no 2> errors || true",
            "# a\ntype no &> errors || true",
            "# a\ntype no |& cat",
            "# a\ntype no >& errors || true",
            "# a\ncat /proc/self/cmdline",
            "echo $[1  + 2]",
            "f()  { a; }",
            "echo a  )",
            "(echo  a",
            "echo  'a",
            "echo >#  a",
            "echo a  \\",
        ] {
            assert_eq!(unlaid(text), text, "{text}");
        }
        assert_eq!(trimmed(" echo a\\ \n"), "echo a\\ ");
        assert_eq!(trimmed("echo a\\\\ \n"), "echo a\\\\");
        assert_eq!(trimmed("echo a\u{a0}\n"), "echo a\u{a0}");
    }

    /// Whether it succeeded and what it said, with its pid replaced: failures of unsound texts have
    /// various codes.
    fn said(text: &str) -> (bool, String) {
        // What it redirects to goes with the folder.
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("bash");
        command.args(["-c", text]).current_dir(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.stderr(Stdio::null()).spawn().expect("bash");
        let pid = child.id().to_string();
        let output = child.wait_with_output().expect("bash ends");
        let said = String::from_utf8_lossy(&output.stdout).replace(&pid, "PID");
        (output.status.success(), said)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn a_shell_does_the_same_without_layout(pieces in prop::collection::vec(
            prop::sample::select(vec![
                " ", "  ", "\t", "\n", "\\\n", "#", "a", "'", "\"", "\\", ";", "&&", "|", "(", ")",
                "$(", "printf %s ", "echo ", "x=1", "$x", "{", "}", "!", "case a in a)", ";;", "esac",
                "[[ a =~ (a ]]", "@(", "$((", "))", "<(", ">", "=(", "\"$(", ")\"",
                "$", "$$", "\\$", "$'", "[", "]", "m[", "<", "<<", "`", "${x:-", "&", "$LINENO", "2>&1 ",
                "no-such-program ", "set -v", "\u{a0}",
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
