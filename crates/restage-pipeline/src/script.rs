//! Which program reads a command, and how: `shell`, of the pipeline or of a stage (docs/adr/0023).

use super::diagnostic::Diagnostic;
use super::fields::{Kind, expected};
use super::layout;
use super::node::{Entry, Node, Value};
use super::shell::{self, Place};

/// What a command is read by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Shell {
    /// `bash`, which stops at the first line that fails, or whose pipe has a program that fails.
    #[default]
    Bash,
    /// `sh`, which stops at the first line that fails.
    Sh,
    /// These words, and then the command.
    Words(Vec<String>),
}

/// A command: texts for a shell, each in a process of its own, until one fails.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// What reads them.
    pub shell: Shell,
    /// Templates filled in and quoted, white space at both ends removed.
    pub texts: Vec<String>,
}

pub(crate) const SHELL: Kind = Kind::OneOf(&[
    Kind::Word(&["bash", "sh"]),
    Kind::Named("the words before a command", &Kind::Some(&Kind::Text)),
]);

impl Shell {
    /// The words before a text.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let words: &[&str] = match self {
            // Without the files that a user has for interactive shells.
            Self::Bash => &["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"],
            Self::Sh => &["/bin/sh", "-e", "-c"],
            Self::Words(words) => return words.clone(),
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// Whether it reads the language of `sh`.
    pub(crate) fn is_sh(&self) -> bool {
        match self {
            Self::Bash | Self::Sh => true,
            Self::Words(words) => {
                let program = words.first().map_or("", String::as_str);
                let name = program.rsplit('/').next().unwrap_or_default();
                ["bash", "sh", "dash", "ksh", "zsh", "busybox"].contains(&name)
            }
        }
    }
}

impl Script {
    /// The process that runs it: program and arguments.
    #[must_use]
    pub fn argv(&self) -> Vec<String> {
        let mut argv = self.shell.words();
        if let [text] = &self.texts[..] {
            argv.push(text.clone());
            return argv;
        }
        let words: Vec<String> = argv
            .iter()
            .filter_map(|word| shell::quote(word, Place::Bare))
            .collect();
        let each = format!("for text do {} \"$text\" || exit; done", words.join(" "));
        let driver = ["/bin/sh".to_owned(), "-c".to_owned(), each, "sh".to_owned()];
        driver.into_iter().chain(self.texts.clone()).collect()
    }

    /// The texts as they enter a key: without the layout that the shell does not see.
    #[must_use]
    pub fn for_key(&self) -> Vec<String> {
        let texts = self.texts.iter();
        match self.shell {
            // Other shells may read the same signs in another way.
            Shell::Bash | Shell::Sh => texts
                .map(|text| layout::unlaid(text).into_owned())
                .collect(),
            Shell::Words(_) => texts.cloned().collect(),
        }
    }
}

/// Reads the field; `None` was reported.
pub(crate) fn read(entry: &Entry, owner: &str, report: &mut Vec<Diagnostic>) -> Option<Shell> {
    let node = &entry.value;
    let word = |node: &Node| match &node.value {
        Value::Text(text) if !text.is_empty() && !text.contains(['\0']) => Some(text.clone()),
        _ => None,
    };
    let shell = match &node.value {
        Value::Text(text) if text == "bash" => Some(Shell::Bash),
        Value::Text(text) if text == "sh" => Some(Shell::Sh),
        Value::List(items) if !items.is_empty() => {
            let words: Option<Vec<String>> = items.iter().map(word).collect();
            words.map(Shell::Words)
        }
        _ => None,
    };
    if shell.is_none() {
        let error = expected(node, "shell", owner, "`bash`, `sh`, or a list of words");
        let hint = match word(node) {
            Some(text) if text.contains("python") => {
                format!("write the words before the command: `shell: [{text}, -c]`")
            }
            Some(text) if !text.contains([' ', '[', ',']) => {
                format!("write the words before the command: `shell: [{text}, -e, -c]`")
            }
            _ => "write the words before the command: `shell: [python3, -c]`".to_owned(),
        };
        report.push(error.hint(hint));
    }
    shell
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Action, Stage};
    use std::process::Command;

    fn run(shell: Shell, texts: &[&str]) -> (Option<i32>, String) {
        let script = Script {
            shell,
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        };
        let argv = script.argv();
        let output = Command::new(&argv[0])
            .args(&argv[1..])
            .output()
            .expect("it starts");
        let said = String::from_utf8(output.stdout).expect("text");
        (output.status.code(), said)
    }

    #[test]
    fn a_line_or_a_program_in_a_pipe_that_fails_is_the_end() {
        assert_eq!(
            run(Shell::Bash, &["false\necho on"]),
            (Some(1), String::new())
        );
        assert_eq!(
            run(Shell::Bash, &["(exit 3) | cat\necho on"]),
            (Some(3), String::new())
        );
        assert_eq!(
            run(Shell::Sh, &["(exit 4)\necho on"]),
            (Some(4), String::new())
        );
        assert_eq!(
            run(Shell::Sh, &["(exit 3) | cat\necho on"]),
            (Some(0), "on\n".into())
        );
        assert_eq!(
            run(Shell::Bash, &["false || true\necho on"]),
            (Some(0), "on\n".into())
        );
    }

    #[test]
    fn tools_are_read_by_sh_where_no_shell_reads_a_command() {
        let words = |words: &[&str]| Shell::Words(words.iter().map(|w| (*w).to_owned()).collect());
        let shell_of = |shell: Shell| {
            let texts = Vec::new();
            let action = Action::Command(Script { shell, texts });
            let stage = Stage {
                action,
                ..Stage::default()
            };
            stage.tool_shell()
        };
        for shell in [Shell::Bash, Shell::Sh, words(&["/usr/bin/zsh", "-c"])] {
            assert_eq!(shell_of(shell.clone()), shell);
        }
        assert_eq!(shell_of(words(&["python3", "-c"])), Shell::Sh);
        let program = Stage {
            action: Action::Program {
                package: "train".to_owned(),
                args: Vec::new(),
            },
            ..Stage::default()
        };
        assert_eq!(program.tool_shell(), Shell::Sh);
    }

    #[test]
    fn texts_run_one_after_another_each_on_its_own_until_one_fails() {
        let words = Shell::Words(["/bin/sh", "-c"].map(str::to_owned).to_vec());
        for shell in [Shell::Bash, Shell::Sh, words] {
            let said = run(
                shell.clone(),
                &["x=1; cd /; echo a", "echo \"b$x\"", "true"],
            );
            assert_eq!(said, (Some(0), "a\nb\n".to_owned()));
            // A failure before `&&` would not stop the lines of one text.
            let said = run(shell, &["echo a", "(exit 5) && echo b", "echo c"]);
            assert_eq!(said, (Some(5), "a\n".to_owned()));
        }
    }
}
