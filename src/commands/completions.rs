//! `restage completions SHELL`: a completion script.

use clap::CommandFactory;

use crate::args::Cli;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

pub(crate) fn completions(shell: clap_complete::Shell, out: &mut Output) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "restage", &mut script);
    out.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
