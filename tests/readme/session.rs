//! Runs the pages of the guide as a reader would: files are written, edits made, commands typed
//! into one shell, and what they print is compared with the page.
//!
//! - A block after a line that ends in `` `NAME`: `` is that file. As `diff`, it edits the file.
//! - In a `console` block, lines after `$ ` are typed. `...` stands for any lines of the answer.
//! - Times, sizes, dates and digests may differ.
//!
//! `UPDATE=1 cargo test --test readme guide` writes the answers that differ; read them afterwards.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::{RESTAGE, can_trace, isolated, root, succeeds};

/// Between two answers in the shell's output.
const MARK: &str = "=#=#=";

/// The home folder and the machine's name, as the pages have them.
const HOME: &str = "/home/ada";
const HOST: &str = "laptop";

/// A command of a page and the lines that are shown after it.
struct Typed {
    command: String,
    answer: Vec<String>,
    /// The line of the page that follows the command, from 0.
    at: usize,
}

/// A page as what is done one after another.
struct Session {
    script: String,
    typed: Vec<Typed>,
}

/// The name of the file that a line introduces: `` Save this as `a.py`: ``
pub(crate) fn introduced(line: &str) -> Option<&str> {
    let name = line.strip_suffix("`:")?.rsplit('`').next()?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "./_-".contains(letter);
    (!name.is_empty() && name.contains('.') && name.chars().all(plain)).then_some(name)
}

/// What an edit makes of a text; between its parts stands `@@`.
fn edited(place: &str, text: &str, edit: &[&str]) -> String {
    let parts = edit.split(|line| *line == "@@");
    parts.fold(text.to_owned(), |text, part| replaced(place, &text, part))
}

/// Lines with ` ` and `-`, which stand there once, are replaced by those with ` ` and `+`.
fn replaced(place: &str, text: &str, edit: &[&str]) -> String {
    let side = |other: char| -> String {
        let lines = edit.iter().filter(|line| !line.starts_with(other));
        lines.fold(String::new(), |text, line| {
            text + line.get(1..).unwrap_or_default() + "\n"
        })
    };
    let (old, new) = (side('+'), side('-'));
    assert_eq!(
        text.matches(&old).count(),
        1,
        "{place}: these lines are not there once:\n{old}in\n{text}"
    );
    text.replacen(&old, &new, 1)
}

/// Reads a page. Files go to `side`, and the shell copies them to where it is.
fn read(page: &str, text: &str, side: &Path) -> Session {
    let mut script = String::from("exec 2>&1\n");
    let mut typed: Vec<Typed> = Vec::new();
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let lines: Vec<&str> = text.lines().collect();
    let mut number = 0;
    let mut before = "";
    while number < lines.len() {
        let Some(language) = lines[number].strip_prefix("```") else {
            if !lines[number].is_empty() {
                before = lines[number];
            }
            number += 1;
            continue;
        };
        let start = number + 1;
        let length = lines[start..].iter().position(|line| *line == "```");
        let end = start + length.unwrap_or_else(|| panic!("{page}:{start}: no end"));
        let block = &lines[start..end];
        let place = format!("{page}:{}", start + 1);
        if language == "console" {
            for (offset, line) in block.iter().enumerate() {
                if let Some(command) = line.strip_prefix("$ ") {
                    let shell = format!("{command}\nrc=$?; echo; echo '{MARK}' $rc; (exit $rc)\n");
                    script.push_str(&shell);
                    typed.push(Typed {
                        command: command.to_owned(),
                        answer: Vec::new(),
                        at: start + offset + 1,
                    });
                } else {
                    let last = typed.last_mut();
                    let last = last.unwrap_or_else(|| panic!("{place}: no command"));
                    last.answer.push((*line).to_owned());
                }
            }
        } else if let Some(name) = introduced(before) {
            let content = if language == "diff" {
                let old = files.get(name);
                let old = old.unwrap_or_else(|| panic!("{place}: there is no {name} yet"));
                edited(&place, old, block)
            } else {
                block.join("\n") + "\n"
            };
            let kept = side.join(start.to_string());
            fs::write(&kept, &content).expect("a file to write");
            let folder = Path::new(name).parent().expect("a folder").display();
            writeln!(
                script,
                "mkdir -p './{folder}' && cp '{}' '{name}'",
                kept.display()
            )
            .expect("a string takes all");
            files.insert(name.to_owned(), content);
        }
        number = end + 1;
        before = "";
    }
    Session { script, typed }
}

/// A line without what differs from run to run.
fn normal(line: &str) -> String {
    // How a stage was kept apart is the machine's matter.
    let apart = [", in namespaces", ", without isolation"];
    let end = apart.iter().find_map(|text| line.find(text));
    let line = &line[..end.unwrap_or(line.len())];
    let trimmed = |word: &str| {
        word.trim_matches(['(', ')', ',', ':', ';', '.', '`'])
            .to_owned()
    };
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let bare = trimmed(word);
        let unit = words.get(at + 1).map(|next| trimmed(next));
        let measured = unit.is_some_and(|unit| {
            ["s", "ms", "min", "B", "kB", "MB", "GB", "KiB", "MiB", "GiB"].contains(&unit.as_str())
        });
        let date = |text: &str| {
            text.len() >= 5
                && text.is_char_boundary(4)
                && text[..4].chars().all(|letter| letter.is_ascii_digit())
                && text[4..].starts_with('-')
        };
        let clock = |text: &str| {
            text.len() == 5
                && text
                    .chars()
                    .all(|letter| letter.is_ascii_digit() || letter == ':')
        };
        if bare.len() >= 12 && bare.chars().all(|letter| letter.is_ascii_hexdigit()) {
            found.push(word.replace(&bare, "DIGEST"));
        } else if date(&bare) || clock(&bare) {
            found.push("TIME".to_owned());
        } else if measured && bare.parse::<f64>().is_ok() {
            found.push(word.replace(&bare, "NUMBER"));
        } else {
            found.push((*word).to_owned());
        }
    }
    found.join(" ")
}

/// Whether the lines are those that the page shows, where `...` stands for any.
fn matches(shown: &[String], real: &[String]) -> bool {
    match shown.split_first() {
        None => real.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=real.len()).any(|skipped| matches(rest, &real[skipped..]))
        }
        Some((first, rest)) => real
            .split_first()
            .is_some_and(|(line, others)| normal(first) == normal(line) && matches(rest, others)),
    }
}

/// Whether a page can be run here.
fn lacks(text: &str) -> Option<&'static str> {
    if text.contains("\n$ restage reproduce --audit") && !can_trace() {
        return Some("a kernel that can trace");
    }
    ["python3", "git", "bash"].into_iter().find(|program| {
        let there = isolated(program, Path::new("/")).arg("--version").output();
        text.contains(program) && !there.is_ok_and(|output| output.status.success())
    })
}

/// Runs a page and compares what is printed. With `UPDATE`, writes what differs.
pub(crate) fn run(page: &str) {
    let path = root().join(page);
    let text = fs::read_to_string(&path).expect("a document");
    if let Some(program) = lacks(&text) {
        println!("skipped: {page} needs {program}");
        return;
    }
    let side = TempDir::new().expect("a temporary folder");
    let home = TempDir::new().expect("a temporary folder");
    let session = read(page, &text, side.path());
    let bin = Path::new(RESTAGE).parent().expect("a folder").display();
    let search = std::env::var("PATH").unwrap_or_default();
    let output = isolated("bash", home.path())
        .args(["--noprofile", "--norc", "-c", &session.script])
        .env("PATH", format!("{bin}:{search}"))
        .env("GIT_CONFIG_COUNT", "3")
        .envs([
            ("GIT_CONFIG_KEY_0", "user.name"),
            ("GIT_CONFIG_VALUE_0", "Ada"),
        ])
        .envs([
            ("GIT_CONFIG_KEY_1", "user.email"),
            ("GIT_CONFIG_VALUE_1", "ada@localhost"),
        ])
        .envs([
            ("GIT_CONFIG_KEY_2", "init.defaultBranch"),
            ("GIT_CONFIG_VALUE_2", "main"),
        ])
        .output()
        .expect("bash starts");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let printed = String::from_utf8_lossy(&output.stdout)
        .replace(&home.path().display().to_string(), HOME)
        .replace(&format!("on {}", host.trim()), &format!("on {HOST}"));
    let answers: Vec<&str> = printed.split(&format!("\n{MARK} ")).collect();
    if answers.len() != session.typed.len() + 1 {
        succeeds(page, "its commands", &output);
    }
    let (mut wrong, mut bad) = (String::new(), String::new());
    let mut page_lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (number, typed) in session.typed.iter().enumerate().rev() {
        // Before an answer stands the status of the command before.
        let real = answers[number];
        let real = if number == 0 {
            real
        } else {
            real.split_once('\n').map_or("", |(_, rest)| rest)
        };
        let code = answers[number + 1].lines().next().unwrap_or_default();
        // Said where the machine makes no namespaces.
        let lines = real.lines().map(str::trim_end);
        let real: Vec<String> = lines
            .filter(|line| !line.starts_with("warning: isolation: "))
            .map(str::to_owned)
            .collect();
        let real = match real.split_last() {
            Some((last, rest)) if last.is_empty() => rest.to_vec(),
            _ => real,
        };
        let place = format!("{page}:{}", typed.at);
        if !matches(&typed.answer, &real) {
            let answer = real.join("\n");
            write!(wrong, "{place}: $ {}\n{answer}\n\n", typed.command)
                .expect("a string takes all");
            page_lines.splice(
                typed.at..typed.at + typed.answer.len(),
                real.iter().cloned(),
            );
        }
        let asked = session.typed.get(number + 1);
        let expected = asked.is_some_and(|next| next.command.starts_with("echo $?"));
        let told = ["error", "failed", "stale", "different"]
            .iter()
            .any(|word| real.iter().any(|line| line.contains(word)));
        if !(code == "0" || expected || told) {
            let answer = real.join("\n");
            writeln!(
                bad,
                "{place}: `{}` ended with {code}\n{answer}",
                typed.command
            )
            .expect("a string takes all");
        }
    }
    if std::env::var_os("UPDATE").is_some() && !wrong.is_empty() {
        fs::write(&path, page_lines.join("\n") + "\n").expect("a file to write");
        return;
    }
    assert!(bad.is_empty(), "failed without a word:\n{bad}\n{wrong}");
    assert!(wrong.is_empty(), "not what is printed:\n{wrong}");
}
