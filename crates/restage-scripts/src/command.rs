//! What a shell command names: words that may be files, folders that it goes to, Python's modules and code.

/// What a command says, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Command {
    /// Words, and parts of words, that may name files it reads.
    pub(crate) names: Vec<String>,
    /// Where `cd` goes.
    pub(crate) folders: Vec<String>,
    /// Of `PYTHONPATH=..`.
    pub(crate) python_path: Vec<String>,
    /// After `-m`.
    pub(crate) modules: Vec<String>,
    /// After `python -c`.
    pub(crate) python: Vec<String>,
}

/// A word without its quotes, or an operator.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `;`, `|`, `&`, a bracket or a line break: another command begins.
    Break,
    /// `>`: what follows is written.
    Into,
    /// `<`.
    From,
}

pub(crate) fn read(text: &str) -> Command {
    let mut found = Command::default();
    let mut before: Option<String> = None;
    let mut python = false;
    let mut into = false;
    for token in tokens(text) {
        let word = match token {
            Token::Break => {
                (before, python, into) = (None, false, false);
                continue;
            }
            Token::Into => {
                into = true;
                continue;
            }
            Token::From => continue,
            Token::Word(word) => word,
        };
        let last = before.replace(word.clone());
        let last = last.as_deref().unwrap_or_default();
        if std::mem::take(&mut into) || (writes(last) && !word.starts_with('-')) {
            continue;
        }
        let program = word.rsplit('/').next().unwrap_or_default();
        if program.starts_with("python") || program == "pypy3" {
            python = true;
        }
        match last {
            "cd" | "pushd" => found.folders.push(word.clone()),
            "-m" if python || last_is_runner(&word) => found.modules.push(word.clone()),
            "-c" if python => {
                found.python.push(word);
                continue;
            }
            _ => {}
        }
        if let Some(folders) = word.strip_prefix("PYTHONPATH=") {
            let folders = folders.split(':').filter(|folder| !folder.is_empty());
            found.python_path.extend(folders.map(ToOwned::to_owned));
            continue;
        }
        if let Some((option, _)) = word.split_once('=')
            && writes(option)
        {
            continue;
        }
        let special = ['*', '?', '[', '{', '$', '\\', '`'];
        let parts = word.split(['=', ',', ' ', '\n', '\t', '\'', '"', '(', ')', ';']);
        let parts = [word.as_str()].into_iter().chain(parts);
        for part in parts.filter(|part| !part.is_empty() && !part.contains(special)) {
            if !found.names.iter().any(|name| name == part) {
                found.names.push(part.to_owned());
            }
        }
    }
    found
}

/// `torchrun -m pkg.train` and the like: what follows looks like a module.
fn last_is_runner(word: &str) -> bool {
    let part = |part: &str| {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && chars.all(|c| c.is_alphanumeric() || c == '_')
    };
    word.contains('.') && word.split('.').all(part)
}

/// Whether an option's value is what the program writes: `-o`, `--output-dir`, `tee`.
fn writes(option: &str) -> bool {
    if matches!(option, "-o" | "-O" | "tee" | "touch" | "mkdir" | "rm") {
        return true;
    }
    let Some(name) = option.strip_prefix("--") else {
        return false;
    };
    let name = name.to_ascii_lowercase();
    let words = [
        "out", "output", "outfile", "outdir", "save", "dest", "log", "logs", "logdir",
    ];
    name.split(['-', '_', '.'])
        .any(|part| words.contains(&part))
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let operator = match c {
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                while let Some(inner) = chars.next() {
                    match inner {
                        inner if inner == c => break,
                        '\\' if c == '"' => match chars.next() {
                            Some(escaped @ ('"' | '\\' | '$' | '`')) => word.push(escaped),
                            Some('\n') | None => {}
                            Some(other) => word.extend(['\\', other]),
                        },
                        inner => word.push(inner),
                    }
                }
                continue;
            }
            '\\' => {
                match chars.next() {
                    Some('\n') | None => {}
                    Some(next) => word.get_or_insert_default().push(next),
                }
                continue;
            }
            '#' if word.is_none() => {
                while chars.next_if(|c| *c != '\n').is_some() {}
                continue;
            }
            '>' => {
                // `2>` is no word.
                word = word.filter(|word| !word.chars().all(|c| c.is_ascii_digit()));
                while chars.next_if(|c| matches!(c, '>' | '&' | '|')).is_some() {}
                Some(Token::Into)
            }
            '&' if chars.peek() == Some(&'>') => None,
            '<' => Some(Token::From),
            ';' | '|' | '&' | '(' | ')' | '\n' => Some(Token::Break),
            c if c.is_whitespace() => None,
            c => {
                word.get_or_insert_default().push(c);
                continue;
            }
        };
        found.extend(word.take().map(Token::Word));
        found.extend(operator);
    }
    found.extend(word.map(Token::Word));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        read(text).names
    }

    #[test]
    fn words_that_are_read_are_named_and_those_that_are_written_are_not() {
        assert_eq!(
            names("python src/a.py --data 'my data.csv' --config=c.yaml > log.txt 2> err"),
            [
                "python",
                "src/a.py",
                "--data",
                "my data.csv",
                "my",
                "data.csv",
                "--config=c.yaml",
                "--config",
                "c.yaml"
            ]
        );
        assert_eq!(
            names("x --output m.json --out-dir=d -o y"),
            ["x", "--output", "-o"]
        );
        assert_eq!(names("a < b | tee c &> d"), ["a", "b", "tee"]);
        assert_eq!(names("cat *.csv $X/a \\\n  b # c"), ["cat", "b"]);
    }

    #[test]
    fn modules_code_and_folders_are_told() {
        let found =
            read("cd src && PYTHONPATH=lib:../x python3 -m pkg.train --m x; python -c 'import a'");
        assert_eq!(found.folders, ["src"]);
        assert_eq!(found.python_path, ["lib", "../x"]);
        assert_eq!(found.modules, ["pkg.train"]);
        assert_eq!(found.python, ["import a"]);
        assert_eq!(read("torchrun -m pkg.train").modules, ["pkg.train"]);
        assert!(read("grep -m 1 x").modules.is_empty());
    }
}
