//! `restage schema`: the JSON Schema of pipeline.yaml.

use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

pub(crate) fn schema(out: &mut Output) -> Result<Exit, CliError> {
    let text = serde_json::to_string_pretty(&restage_pipeline::schema()).map_err(CliError::bug)?;
    out.data(&format!("{text}\n"))?;
    Ok(Exit::Ok)
}
