//! docs/reference/commands.md: every command, argument, default and exit code, from clap's definitions.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use super::Cli;

/// What 3 and 1 mean, by command, where it is more than "a stage failed".
const CODES: [(&str, &str); 11] = [
    (
        "reproduce",
        "1: a stage failed, or could not run because another one did. 4: also, with `--remote-required`, a remote can't be reached.",
    ),
    ("status", "3: with `--check`, something is stale."),
    ("compare", "3: a table differs."),
    (
        "claims",
        "3: a verdict is worse than the committed one. 2: also a claim that the results can't answer.",
    ),
    ("trace", "3: no run recorded these bytes."),
    (
        "verify",
        "1: a rerun failed. 3: an output differs from the recorded one.",
    ),
    ("export ro-crate", "3: a stage is not up to date."),
    (
        "fsck",
        "3: something was damaged, whether or not it was repaired.",
    ),
    ("push", "4: also if not everything could be put there."),
    ("remote check", "3: a file is damaged or missing."),
    (
        "init",
        "3: with `--from`, an imported stage does not do what it did.",
    ),
];

const HEAD: &str = "\
<!-- Generated from the command line's definition. To renew it: UPDATE=1 cargo test -p restage --bin restage commands_page -->
# Commands

`restage COMMAND --help` prints the same. A *target* is a stage (`train@small+1`), a group of stages (`train`,
`train@small`) or the path of an out.

";

const EXITS: &str = "\
## Exit codes

| code | means |
|---|---|
| 0 | success |
| 1 | a stage failed |
| 2 | the pipeline or the command line is invalid |
| 3 | stale or different: the answer of a command that checks |
| 4 | an error of the machine: disk, memory, processes |
| 70 | a bug in restage |
| 130 | interrupted |

What 1, 3 and 4 mean for a command is said there, if more than this. They are an interface: scripts may rely on them.

";

/// A doc comment as sentences: clap takes the last period away.
fn text(help: &str) -> String {
    let help = help.trim();
    match help.ends_with(['.', '!', '?', ':']) {
        true => help.to_owned(),
        false => format!("{help}."),
    }
}

/// A text that goes on within a sentence.
fn lower(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// `-p`, `--profile NAME`
fn spelling(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let value = match arg.get_action().takes_values() {
        true => names.iter().map(|name| format!(" {name}")).collect(),
        false => String::new(),
    };
    if arg.is_positional() {
        let name = value.trim().to_owned();
        let many = arg
            .get_num_args()
            .is_some_and(|number| number.max_values() > 1);
        return format!("`{name}{}`", if many { ".." } else { "" });
    }
    let short = arg.get_short().map(|short| format!("`-{short}`, "));
    let long = arg.get_long().expect("a long name");
    format!("{}`--{long}{value}`", short.unwrap_or_default())
}

fn argument(page: &mut String, arg: &Arg) {
    let help = arg.get_long_help().or(arg.get_help()).expect("a help text");
    let help = text(&help.to_string()).replace("\n\n", "\n\n  ");
    write!(page, "- {}: {help}", spelling(arg)).expect("a string takes all");
    let values: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|_| arg.get_action().takes_values())
        .map(|value| match value.get_help() {
            Some(help)
                if !help
                    .to_string()
                    .trim_end_matches('.')
                    .eq_ignore_ascii_case(value.get_name()) =>
            {
                format!("`{}` ({})", value.get_name(), lower(&help.to_string()))
            }
            _ => format!("`{}`", value.get_name()),
        })
        .collect();
    if !values.is_empty() {
        write!(page, " One of {}.", values.join(", ")).expect("a string takes all");
    }
    let defaults = arg.get_default_values();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        let default = defaults[0].to_string_lossy();
        write!(page, " Default: `{default}`.").expect("a string takes all");
    }
    page.push('\n');
}

/// Whether an argument is explained once for all commands.
fn is_shared(arg: &Arg) -> bool {
    arg.is_global_set()
        || arg.get_help_heading() == Some(super::pipeline::HEADING)
        || ["help", "version"].contains(&arg.get_id().as_str())
}

fn command(page: &mut String, path: &str, command: &Command) {
    writeln!(page, "## `restage {path}`\n").expect("a string takes all");
    let aliases: Vec<String> = command
        .get_visible_aliases()
        .map(|alias| format!("`{alias}`"))
        .collect();
    let about = command.get_long_about().or(command.get_about());
    let about = text(&about.expect("a help text").to_string());
    writeln!(page, "{about}\n").expect("a string takes all");
    if !aliases.is_empty() {
        writeln!(page, "Also called {}.\n", aliases.join(" and ")).expect("a string takes all");
    }
    let mut shared = Vec::new();
    for arg in command.get_arguments() {
        if arg.get_help_heading() == Some(super::pipeline::HEADING) {
            shared.push(format!("`--{}`", arg.get_long().expect("a long name")));
        }
        if !is_shared(arg) {
            argument(page, arg);
        }
    }
    if !shared.is_empty() {
        writeln!(
            page,
            "- and {}: [which pipeline](#which-pipeline)",
            shared.join(", ")
        )
        .expect("a string takes all");
    }
    if !page.ends_with("\n\n") {
        page.push('\n');
    }
    if let Some(after) = command.get_after_long_help().or(command.get_after_help()) {
        writeln!(page, "```text\n{}\n```\n", after.to_string().trim()).expect("a string takes all");
    }
    if let Some((_, codes)) = CODES.iter().find(|(name, _)| *name == path) {
        writeln!(page, "Exit codes: {codes}\n").expect("a string takes all");
    }
}

/// Each command with its path, those with commands of their own too.
fn commands(of: &Command, above: &str) -> Vec<(String, Command)> {
    let mut found = Vec::new();
    for inner in of.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        if inner.get_name() == "help" {
            continue;
        }
        let path = format!("{above}{}", inner.get_name());
        found.push((path.clone(), inner.clone()));
        found.extend(commands(inner, &format!("{path} ")));
    }
    found
}

/// The page.
fn page() -> String {
    let mut cli = Cli::command();
    cli.build();
    let all = commands(&cli, "");
    let mut page = HEAD.to_owned();
    for (path, found) in &all {
        let about = found.get_about().expect("a help text").to_string();
        let anchor = format!("restage-{}", path.replace(' ', "-"));
        writeln!(
            page,
            "- [`restage {path}`](#{anchor}): {}",
            about.trim_end_matches('.')
        )
        .expect("a string takes all");
    }
    page.push_str("\n## For every command\n\n");
    for arg in cli.get_arguments().filter(|arg| arg.is_global_set()) {
        argument(&mut page, arg);
    }
    page.push_str("- `-h`, `--help`: Print the help; `-h` prints a short one.\n");
    page.push_str("- `-V`, `--version`: Print the version.\n");
    page.push_str("\n## Which pipeline\n\nMost commands take these.\n\n");
    let status = cli.find_subcommand("status").expect("a command");
    for arg in status.get_arguments() {
        if arg.get_help_heading() == Some(super::pipeline::HEADING) {
            argument(&mut page, arg);
        }
    }
    page.push('\n');
    page.push_str(EXITS);
    for (path, found) in &all {
        command(&mut page, path, found);
    }
    page.trim_end().to_owned() + "\n"
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_commands_page_says_what_the_command_line_takes() {
    let file = root().join("docs/reference/commands.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, page()).expect("a file to write");
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == page(),
        "docs/reference/commands.md is stale; renew it: UPDATE=1 cargo test -p restage --bin restage commands_page"
    );
}

#[test]
fn every_code_on_the_commands_page_belongs_to_a_command() {
    let all = commands(&Cli::command(), "");
    for (name, _) in CODES {
        assert!(all.iter().any(|(path, _)| path == name), "{name}");
    }
}

#[test]
fn every_command_and_flag_has_a_help_text_that_is_a_sentence() {
    let mut cli = Cli::command();
    cli.build();
    for (path, command) in commands(&cli, "") {
        let about = command.get_about().map(ToString::to_string);
        assert!(about.is_some_and(|text| text.contains(' ')), "{path}");
        for arg in command.get_arguments() {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(' '), "{path}: {} says `{help}`", arg.get_id());
        }
    }
}

/// The documents that people wrote: README and all of docs but generated pages and decisions.
fn written() -> String {
    let mut texts = vec![fs::read_to_string(root().join("README.md")).expect("a document")];
    for folder in ["docs", "docs/guide", "docs/ci"] {
        for entry in fs::read_dir(root().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "md") {
                texts.push(fs::read_to_string(path).expect("a document"));
            }
        }
    }
    texts.concat()
}

#[test]
fn every_command_and_flag_is_explained_in_a_document_that_somebody_wrote() {
    let written = written();
    let mut cli = Cli::command();
    cli.build();
    let mut missing = Vec::new();
    for (path, command) in commands(&cli, "") {
        if !written.contains(&format!("restage {path}")) {
            missing.push(format!("restage {path}"));
        }
        for arg in command.get_arguments() {
            let Some(long) = arg.get_long() else { continue };
            let named = |flag: &str| {
                let mut found = written.match_indices(flag);
                found.any(|(at, _)| {
                    let next = written[at + flag.len()..].chars().next();
                    !next.is_some_and(|next| next.is_alphanumeric() || next == '-')
                })
            };
            // A letter means the same everywhere.
            let short = arg.get_short().is_some_and(|short| {
                let mut words = written.split('`').flat_map(str::split_whitespace);
                words.any(|word| word == format!("-{short}"))
            });
            if arg.is_global_set() && path != "status" {
                continue;
            }
            if !named(&format!("--{long}")) && !short && !["help", "version"].contains(&long) {
                missing.push(format!("restage {path} --{long}"));
            }
        }
    }
    assert!(missing.is_empty(), "no document explains {missing:#?}");
}
