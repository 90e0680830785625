//! `restage schema`: the JSON Schema of pipeline.yaml.

use crate::args::Schema;
use crate::error::CliError;
use crate::exit::Exit;
use crate::find;
use crate::output::Output;
use crate::settings::Settings;
use restage_core::files::SCHEMA_FILE;
use restage_core::fs;

/// The line by which editors find the schema.
pub(crate) const MODELINE: &str = "# yaml-language-server: $schema=pipeline.schema.json";

pub(crate) fn schema(
    settings: &Settings,
    args: &Schema,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let schema = restage_pipeline::schema();
    let text = serde_json::to_string_pretty(&schema).map_err(CliError::bug)?;
    let text = format!("{text}\n");
    if !args.write {
        out.data(&text)?;
        return Ok(Exit::Ok);
    }
    let pipeline = find::pipeline(settings, args.file.as_deref())?;
    let path = pipeline.path.with_file_name(SCHEMA_FILE);
    if let Some(bytes) = fs::read_if_exists(&path)? {
        let there = serde_json::from_slice::<serde_json::Value>(&bytes);
        if !there.is_ok_and(|there| there["title"] == schema["title"]) {
            let message = format!(
                "`{}` is there, and is not a schema of restage",
                path.display()
            );
            return Err(CliError::usage(message).with_hint("rename it; nothing was written"));
        }
    }
    fs::write_atomic(&path, text.as_bytes())?;
    out.note(&format!("wrote {}\n", path.display()));
    let has_line = fs::read_if_exists(&pipeline.path)?
        .is_none_or(|bytes| String::from_utf8_lossy(&bytes).contains(MODELINE));
    if !has_line {
        let line = format!("write `{MODELINE}` as the first line of {}", pipeline.shown);
        out.hint(&line);
    }
    Ok(Exit::Ok)
}
