//! `restage export`: results for other tools.

mod destination;
mod gather;
mod ro_crate;
mod tensorboard;

use crate::args::Export;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::settings::Settings;

pub(crate) fn export(
    settings: &Settings,
    export: &Export,
    out: &mut Output,
) -> Result<Exit, CliError> {
    match export {
        Export::RoCrate(args) => ro_crate::ro_crate(settings, args, out),
        Export::Tensorboard(args) => tensorboard::tensorboard(settings, args, out),
    }
}
