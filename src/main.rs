//! The command line: commands, settings, renderers, exit codes.
//!
//! Everything that is printed is printed here.

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod args;
mod baseline;
mod commands;
mod complete;
mod error;
mod exit;
mod fetching;
mod find;
mod format;
mod handed_over;
mod interrupts;
mod judge;
mod left_over;
mod maintenance;
mod not_from_here;
mod output;
mod remotes;
mod render;
mod session;
mod settings;
mod style;
mod terminal_text;

use std::ffi::OsString;
use std::process::Command;

use clap::Parser;

use restage_core::fault;
use restage_engine::FETCH_ARGUMENT;
use restage_exec::{HELPER_ARGUMENT, LAUNCHER_ARGUMENT};

use args::Cli;
use error::CliError;
use exit::Exit;
use output::Output;
use settings::Settings;
use style::Style;

/// Turns this process into a traced job: how `reproduce --audit` starts its stages.
fn become_traced(program: &OsString, arguments: &[OsString]) -> Exit {
    let mut command = Command::new(program);
    if let Some(error) = restage_tracer::enter(command.args(arguments)) {
        Output::new(Style { colour: false }).error(&CliError::machine(error));
    }
    Exit::Machine
}

/// Parses the command line, runs the command, prints its error, and returns the exit code.
fn run() -> Exit {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [first, program, rest @ ..] = &arguments[..]
        && first == HELPER_ARGUMENT
    {
        return become_traced(program, rest);
    }
    if let [first, rest @ ..] = &arguments[..]
        && first == FETCH_ARGUMENT
    {
        return fetching::fetch(rest);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come here too; clap knows which stream each belongs to.
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
            let _ = error.print();
            return exit;
        }
    };
    let settings = Settings::resolve(&cli);
    let mut out = Output::new(settings.err_style);
    if let Some(plan) = settings.env.text("RESTAGE_FAULTS")
        && let Err(error) = fault::install(&plan)
    {
        out.error(&CliError::usage(error.to_string()));
        return Exit::Usage;
    }
    commands::run(&cli.command, &settings, &mut out).unwrap_or_else(|error| {
        out.error(&error);
        error.exit()
    })
}

fn main() -> std::process::ExitCode {
    // Before anything else: each stage passes here, and it must have one thread.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == LAUNCHER_ARGUMENT)
    {
        return restage_exec::launch();
    }
    complete::answer();
    run().into()
}
