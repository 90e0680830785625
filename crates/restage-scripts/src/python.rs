//! What Python code names: the modules that it imports, and literals that say where others are.
//!
//! A scanner and not a parser. It must also read what no one parser does: Python 2, a syntax that is newer than
//! the parser, notebooks. `import` and `from` can only begin a statement, so that it is enough to know where
//! statements begin, which strings, comments and brackets decide.

/// `import a.b`, `from ..a import b, c`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Import {
    /// Leading dots.
    pub(crate) level: usize,
    /// Without them.
    pub(crate) module: String,
    /// After `import` of a `from`.
    pub(crate) names: Vec<String>,
}

/// What code says, in its order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) imports: Vec<Import>,
    /// Literals that name scripts and settings: files that are not written.
    pub(crate) scripts: Vec<String>,
    /// Literals that are put into `sys.path`.
    pub(crate) search_path: Vec<String>,
    /// `config_path` of Hydra.
    pub(crate) config_folders: Vec<String>,
}

const SCRIPTS: [&str; 6] = [".py", ".sh", ".R", ".r", ".jl", ".ipynb"];
const SETTINGS: [&str; 5] = [".yaml", ".yml", ".toml", ".ini", ".cfg"];

pub(crate) fn read(text: &str) -> Code {
    let mut found = Code::default();
    let mut scanner = Scanner {
        rest: text,
        depth: 0,
        statement: String::new(),
    };
    while let Some(token) = scanner.next() {
        match token {
            Token::Statement(statement) => statement_of(&statement, &mut found.imports),
            Token::String { before, text } => literal(&before, text, &mut found),
        }
    }
    found
}

enum Token<'a> {
    /// Without strings and comments.
    Statement(String),
    /// A string, and what stands before it in its statement.
    String { before: String, text: &'a str },
}

struct Scanner<'a> {
    rest: &'a str,
    depth: usize,
    statement: String,
}

impl<'a> Scanner<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let Some(c) = self.rest.chars().next() else {
                let last = std::mem::take(&mut self.statement);
                return (!last.trim().is_empty()).then_some(Token::Statement(last));
            };
            match c {
                '#' => self.skip(self.rest.find('\n').unwrap_or(self.rest.len())),
                '"' | '\'' => {
                    let text = self.string(c);
                    let before = self.statement.clone();
                    self.statement.push('"');
                    return Some(Token::String { before, text });
                }
                '\\' => {
                    // A statement goes on in the next line.
                    let mut chars = self.rest[1..].chars();
                    let next = chars.next().map_or(0, char::len_utf8);
                    self.skip(1 + next);
                    self.statement.push(' ');
                }
                '\n' | ';' | ':' if self.depth == 0 => {
                    self.skip(1);
                    return Some(Token::Statement(std::mem::take(&mut self.statement)));
                }
                '\n' => {
                    self.skip(1);
                    self.statement.push(' ');
                    // A bracket that is never closed, or not one at all, must not hide what follows.
                    let line = self.rest.trim_start_matches([' ', '\t']);
                    if line.starts_with("import ")
                        || (line.starts_with("from ")
                            && line
                                .lines()
                                .next()
                                .is_some_and(|line| line.contains(" import")))
                    {
                        self.depth = 0;
                        return Some(Token::Statement(std::mem::take(&mut self.statement)));
                    }
                }
                c => {
                    match c {
                        '(' | '[' | '{' => self.depth += 1,
                        ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
                        _ => {}
                    }
                    self.skip(c.len_utf8());
                    self.statement.push(c);
                }
            }
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    /// A string's text as written; the scanner goes behind it.
    fn string(&mut self, quote: char) -> &'a str {
        let triple = [quote; 3].iter().collect::<String>();
        let end = match self.rest.starts_with(&triple) {
            true => triple,
            false => quote.to_string(),
        };
        let text = &self.rest[end.len()..];
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            if text[at..].starts_with(&end) {
                self.skip(end.len() + at + end.len());
                return &text[..at];
            }
            // Only a triple quote goes over a line's end.
            if c == '\n' && end.len() == 1 {
                break;
            }
            at += c.len_utf8();
            if c == '\\' {
                at += text[at..].chars().next().map_or(0, char::len_utf8);
            }
        }
        self.skip(end.len() + at);
        &text[..at]
    }
}

fn statement_of(statement: &str, imports: &mut Vec<Import>) {
    let words = statement.replace(['(', ')'], " ").replace(',', " , ");
    let mut words = words.split_whitespace();
    match words.next() {
        Some("import") => {
            let mut named = false;
            for word in words {
                match word {
                    "," => named = false,
                    _ if named => {}
                    module => {
                        named = true;
                        imports.push(Import {
                            module: module.to_owned(),
                            ..Import::default()
                        });
                    }
                }
            }
        }
        Some(first) if first == "from" || first.starts_with("from.") => {
            // `from.a import b` and `from . import b` are one.
            let rest = statement.trim_start().trim_start_matches("from");
            let Some((module, names)) = split_at_import(rest) else {
                return;
            };
            let module: String = module.split_whitespace().collect();
            let level = module.len() - module.trim_start_matches('.').len();
            let names = names.replace(['(', ')'], " ");
            let names = names.split(',');
            let names = names.filter_map(|name| name.split_whitespace().next());
            imports.push(Import {
                level,
                module: module[level..].to_owned(),
                names: names.map(ToOwned::to_owned).collect(),
            });
        }
        _ => {}
    }
}

/// What stands before and after the word `import`.
fn split_at_import(text: &str) -> Option<(&str, &str)> {
    let found = text.match_indices("import").find(|(at, word)| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let ends = |c: Option<char>| c.is_none_or(|c| !(c.is_alphanumeric() || c == '_'));
        ends(before) && ends(after)
    });
    found.map(|(at, word)| (&text[..at], &text[at + word.len()..]))
}

fn literal(before: &str, text: &str, found: &mut Code) {
    // Without a prefix such as `r`.
    let before = before.trim_end_matches(|c: char| "rRbBuUfF".contains(c));
    let before: String = before.split_whitespace().collect();
    if before.ends_with("import_module(") || before.ends_with("__import__(") {
        let level = text.len() - text.trim_start_matches('.').len();
        found.imports.push(Import {
            level,
            module: text[level..].to_owned(),
            names: Vec::new(),
        });
    } else if before.ends_with("sys.path.append(") || before.ends_with("sys.path.insert(0,") {
        found.search_path.push(text.to_owned());
    } else if before.ends_with("config_path=") {
        found.config_folders.push(text.to_owned());
    } else {
        let words = text.split_whitespace();
        let scripts = words.filter(|word| {
            let endings = SCRIPTS.iter().chain(&SETTINGS);
            endings.clone().any(|ending| word.ends_with(ending))
        });
        found.scripts.extend(scripts.map(ToOwned::to_owned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn imports(text: &str) -> Vec<String> {
        let shown = |import: &Import| {
            let dots = ".".repeat(import.level);
            let names = import.names.join("+");
            format!("{dots}{}:{names}", import.module)
        };
        read(text).imports.iter().map(shown).collect()
    }

    #[test]
    fn every_form_of_an_import_is_found() {
        for (text, expected) in [
            ("import a", "a:"),
            ("import a.b as c, d", "a.b: d:"),
            ("from a.b import c as d, e", "a.b:c+e"),
            ("from a import (\n  b,  # one\n  c,\n)", "a:b+c"),
            ("from . import a", ".:a"),
            ("from.a import b", ".a:b"),
            ("from ..a.b import *", "..a.b:*"),
            ("from ... a import b", "...a:b"),
            ("if x: import a", "a:"),
            ("try: import a\nexcept ImportError: import b", "a: b:"),
            ("x = 1; import a; import b", "a: b:"),
            ("import \\\n  a", "a:"),
            ("def f():\n\tfrom a import b\n\treturn b", "a:b"),
            ("print 'x'\nimport a", "a:"),
            ("f(x,\nimport a", "a:"),
            ("x = importlib.import_module('a.b')", "a.b:"),
            ("from importers import imported", "importers:imported"),
        ] {
            assert_eq!(imports(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn strings_comments_and_other_words_are_no_imports() {
        for text in [
            "'''\nimport a\n'''",
            "\"\"\"from a import b\"\"\"",
            "x = 'import a'",
            "# import a",
            "x = f(a, # import b\n c)",
            "yield from a",
            "raise X from a",
            "important = 1\nfromage = 2",
            "x = r'\\'\ny = 'import a'",
            "x = \"it's\"  # import a",
        ] {
            assert_eq!(imports(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn literals_say_where_scripts_and_modules_are() {
        let found = read(
            "sys.path.insert(0, \"lib\")\nsys.path.append(r'more')\n\
             subprocess.run(['python', 'tools/x.py'])\nos.system('bash run.sh a.csv')\n\
             @hydra.main(version_base=None, config_path=\"../conf\", config_name='c')\n",
        );
        assert_eq!(found.search_path, ["lib", "more"]);
        assert_eq!(found.scripts, ["tools/x.py", "run.sh"]);
        assert_eq!(found.config_folders, ["../conf"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_an_import_after_complete_lines_is_found(text in "(\\PC{0,6}|[\"'#\\\\(){}:;\n a-z=]{0,10}){0,4}") {
            read(&text);
            let quotes = ['"', '\'', '\\', '(', '[', '{'];
            prop_assume!(!text.contains(quotes));
            let after = format!("{text}\nimport last_one\n");
            prop_assert!(imports(&after).contains(&"last_one:".to_owned()), "{}", after);
        }
    }
}
