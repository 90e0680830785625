//! One file, or folder, for each command: it runs what its arguments ask for and prints the answer.

mod adopt;
mod claims;
mod clean;
mod compare;
mod completions;
mod dag;
mod data;
mod export;
mod fsck;
mod gc;
mod hand_over;
mod init;
mod logs;
mod merge_lock;
mod pull;
mod push;
mod remote;
mod report;
mod reproduce;
mod schema;
mod status;
mod trace;
mod verify;
mod why;
mod worker;

use crate::args::Command;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::settings::Settings;

/// Runs a command.
pub(crate) fn run(
    command: &Command,
    settings: &Settings,
    out: &mut Output,
) -> Result<Exit, CliError> {
    match command {
        Command::Reproduce(args) => reproduce::reproduce(settings, args, out),
        Command::Status(args) => status::status(settings, args, out),
        Command::Why(args) => why::why(settings, args, out),
        Command::Push(args) => push::push(settings, args, out),
        Command::Pull(args) => pull::pull(settings, args, out),
        Command::Remote(args) => remote::remote(settings, args, out),
        Command::Adopt(args) => adopt::adopt(settings, args, out),
        Command::Clean(args) => clean::clean(settings, args, out),
        Command::Data(args) => data::data(settings, args, out),
        Command::Dag(args) => dag::dag(settings, args, out),
        Command::Verify(args) => verify::verify(settings, args, out),
        Command::Compare(args) => compare::compare(settings, args, out),
        Command::Claims(args) => claims::claims(settings, args, out),
        Command::Export(args) => export::export(settings, args, out),
        Command::Report(args) => report::report(settings, args, out),
        Command::Trace(args) => trace::trace(settings, args, out),
        Command::Logs(args) => logs::logs(settings, args, out),
        Command::Gc(args) => gc::gc(settings, args, out),
        Command::Fsck(args) => fsck::fsck(settings, args, out),
        Command::Init(args) => init::init(settings, args, out),
        Command::MergeLock(args) => merge_lock::merge_lock(settings, args, out),
        Command::Schema(args) => schema::schema(settings, args, out),
        Command::HandOver(args) => hand_over::hand_over(settings, args, out),
        Command::Worker(args) => worker::worker(settings, args, out),
        Command::Completions { shell } => completions::completions(*shell, out),
    }
}
