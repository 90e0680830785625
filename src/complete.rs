//! Completion on the command line: names of stages, claims, profiles and parameters.
//!
//! The shell's script calls restage with the words so far; it answers with the candidates and does nothing
//! else. Where the pipeline can't be read there are none: this is no place for an error.

use std::ffi::OsStr;

use clap::{CommandFactory, Parser};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::args::{Cli, Command};
use crate::session::Loaded;
use crate::settings::Settings;

/// Asks for candidates, if it is set to the name of a shell.
pub(crate) const VARIABLE: &str = "_RESTAGE_COMPLETE";

/// Options whose values say which pipeline is meant.
const WHERE: [&str; 6] = ["-C", "--directory", "--file", "-p", "--profile", "--store"];

/// Answers a shell, if one asks, and ends the program then.
pub(crate) fn answer() {
    CompleteEnv::with_factory(|| with_names(Cli::command()))
        .var(VARIABLE)
        .bin("restage")
        .completer("restage")
        .complete();
}

/// The command line with what can stand in its places, by the names of its arguments. `args` knows nothing
/// of pipelines.
fn with_names(command: clap::Command) -> clap::Command {
    let commands = command
        .get_subcommands()
        .map(|one| one.get_name().to_owned());
    let commands: Vec<String> = commands.collect();
    let arguments = command.get_arguments().map(|one| one.get_id().to_string());
    let arguments: Vec<String> = arguments.collect();
    let command = commands.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, with_names)
    });
    arguments.into_iter().fold(command, |command, name| {
        let names = match name.as_str() {
            "targets" | "stages" | "stage" => targets(),
            "ids" => claims(),
            "profile" => profiles(),
            "overrides" => params(),
            _ => return command,
        };
        command.mut_arg(name, |argument| argument.add(names))
    })
}

/// Stages, variants, groups; outs once a path is begun.
fn targets() -> ArgValueCompleter {
    candidates(|loaded, begun| {
        let mut names: Vec<(String, Option<String>)> = Vec::new();
        let stages = loaded.pipeline().stages.iter();
        for stage in stages.clone() {
            // Instances only once their group is there: there may be thousands.
            let of_group = match begun.contains('@') || begun == stage.group {
                true => vec![stage.variant(), stage.name.as_str()],
                false => Vec::new(),
            };
            for name in [stage.group.as_str()].into_iter().chain(of_group) {
                names.push((name.to_owned(), stage.desc.clone()));
            }
        }
        if begun.contains('/') {
            let outs = stages.flat_map(|stage| &stage.outs);
            names.extend(outs.map(|out| (out.path.to_string(), None)));
        }
        names
    })
}

/// Claims.
fn claims() -> ArgValueCompleter {
    candidates(|loaded, _| {
        let claims = loaded.pipeline().claims.iter();
        claims
            .map(|claim| (claim.id.clone(), Some(claim.says.clone())))
            .collect()
    })
}

/// Profiles.
fn profiles() -> ArgValueCompleter {
    candidates(|loaded, _| {
        let profiles = loaded.pipeline().profiles.iter();
        profiles.map(|name| (name.clone(), None)).collect()
    })
}

/// Parameters, each with `=` after it and its value as help.
fn params() -> ArgValueCompleter {
    candidates(|loaded, _| {
        let mut names = Vec::new();
        leaves("", &loaded.pipeline().params, &mut names);
        names
    })
}

fn leaves(path: &str, value: &serde_json::Value, into: &mut Vec<(String, Option<String>)>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                let path = match path {
                    "" => key.clone(),
                    path => format!("{path}.{key}"),
                };
                leaves(&path, value, into);
            }
        }
        value => into.push((format!("{path}="), Some(value.to_string()))),
    }
}

type Names = fn(&Loaded, &str) -> Vec<(String, Option<String>)>;

/// The names that begin with what is written, each once.
fn candidates(names: Names) -> ArgValueCompleter {
    ArgValueCompleter::new(move |begun: &OsStr| {
        let begun = begun.to_str().unwrap_or_default();
        let mut found: Vec<(String, Option<String>)> = match loaded() {
            Some(loaded) => names(&loaded, begun),
            None => Vec::new(),
        };
        found.retain(|(name, _)| name.starts_with(begun));
        let mut seen = std::collections::HashSet::new();
        found.retain(|(name, _)| seen.insert(name.clone()));
        let candidate = |(name, help): (String, Option<String>)| {
            CompletionCandidate::new(name).help(help.map(Into::into))
        };
        found.into_iter().map(candidate).collect::<Vec<_>>()
    })
}

/// The pipeline that the words so far mean; without its profile if that is being written.
fn loaded() -> Option<Loaded> {
    let words: Vec<String> = std::env::args()
        .skip_while(|word| word != "--")
        .skip(2)
        .collect();
    let mut line = vec!["restage".to_owned(), "status".to_owned()];
    for pair in words.windows(2) {
        if WHERE.contains(&pair[0].as_str()) && !pair[1].is_empty() {
            line.extend([pair[0].clone(), pair[1].clone()]);
        }
    }
    let of = |line: &[String]| {
        let cli = Cli::try_parse_from(line).ok()?;
        let settings = Settings::resolve(&cli);
        settings.has_noted_pipeline.set(true);
        let Command::Status(args) = &cli.command else {
            return None;
        };
        Loaded::open(&settings, &args.pipeline).ok()
    };
    of(&line).or_else(|| {
        let at = line
            .iter()
            .position(|word| word == "-p" || word == "--profile")?;
        line.drain(at..at + 2);
        of(&line)
    })
}
