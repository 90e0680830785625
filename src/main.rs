//! The command line: verbs, settings, renderers, exit codes.
//!
//! Everything that is printed is printed here.

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod args;
mod committed;
mod error;
mod exit;
mod expected;
mod format;
mod found;
mod interrupts;
mod output;
mod render;
mod settings;
mod upkeep;
mod verbs;

use std::ffi::OsString;

use clap::Parser;

use restage_core::fault;
use restage_exec::HELPER_ARGUMENT;

use args::{Cli, Verb};
use error::CliError;
use exit::Exit;
use output::Output;
use restage_core::style::Style;
use settings::Settings;

/// Turns this process into a traced job: how `reproduce --audit` starts its stages.
fn become_traced(argv: &[OsString]) -> Exit {
    if let Some(error) = restage_tracer::enter(argv) {
        let error = CliError::new(error, Exit::Machine);
        Output.note(&error.render(Style { colour: false }));
    }
    Exit::Machine
}

/// Parses the command line, runs the verb, prints its error, and says how the process ends.
fn run() -> Exit {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == HELPER_ARGUMENT)
    {
        return become_traced(&arguments.collect::<Vec<_>>());
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
    let mut out = Output;
    if let Some(plan) = settings.env.text("RESTAGE_FAULTS")
        && let Err(error) = fault::install(&plan)
    {
        out.note(&CliError::usage(error.to_string()).render(settings.err_style));
        return Exit::Usage;
    }
    let result = match &cli.verb {
        Verb::Reproduce(args) => verbs::reproduce::reproduce(&settings, args, &mut out),
        Verb::Status(args) => verbs::status::status(&settings, args, &mut out),
        Verb::Why(args) => verbs::why::why(&settings, args, &mut out),
        Verb::Dag(args) => verbs::dag::dag(&settings, args, &mut out),
        Verb::Verify(args) => verbs::verify::verify(&settings, args, &mut out),
        Verb::Compare(args) => verbs::compare::compare(&settings, args, &mut out),
        Verb::Claims(args) => verbs::claims::claims(&settings, args, &mut out),
        Verb::Export(export) => verbs::export::export(&settings, export, &mut out),
        Verb::Report(args) => verbs::report::report(&settings, args, &mut out),
        Verb::Trace(args) => verbs::trace::trace(&settings, args, &mut out),
        Verb::Logs(args) => verbs::logs::logs(&settings, args, &mut out),
        Verb::Gc(args) => verbs::gc::gc(&settings, args, &mut out),
        Verb::Fsck(args) => verbs::fsck::fsck(&settings, args, &mut out),
        Verb::Init(args) => verbs::init::init(&settings, args, &mut out),
        Verb::MergeLock(args) => verbs::merge_lock::merge_lock(&settings, args, &mut out),
        Verb::Schema => verbs::schema::schema(&mut out),
        Verb::Completions { shell } => verbs::completions::completions(*shell, &mut out),
    };
    result.unwrap_or_else(|error| {
        out.note(&error.render(settings.err_style));
        error.exit()
    })
}

fn main() -> std::process::ExitCode {
    run().into()
}
