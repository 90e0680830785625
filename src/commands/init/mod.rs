//! `restage init`: a small working pipeline in an empty folder, or one imported from DVC. Never
//! overwrites a file.

mod files;
mod import;
mod page;
mod results;

use std::path::Path;

use crate::args::Init;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::settings::Settings;
use restage_core::files::LOCAL_FILE;
use restage_core::files::SCHEMA_FILE;
use restage_core::fs;

/// Keeps git from what is for one machine alone. What else the file says stays.
fn ignore_local_file(folder: &Path, out: &mut Output) -> Result<(), CliError> {
    let path = folder.join(".gitignore");
    let line = format!("/{LOCAL_FILE}");
    let mut text = match fs::read_if_exists(&path)? {
        None => String::new(),
        // Not ours to judge.
        Some(bytes) => match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => return Ok(()),
        },
    };
    if text
        .lines()
        .any(|there| there.trim() == line || there.trim() == LOCAL_FILE)
    {
        return Ok(());
    }
    let (verb, gap) = match text.is_empty() {
        true => ("wrote", ""),
        false if text.ends_with('\n') => ("added a line to", ""),
        false => ("added a line to", "\n"),
    };
    text += &format!("{gap}{line}\n");
    fs::write_atomic(&path, text.as_bytes())?;
    out.note(&format!("{verb} {}\n", path.display()));
    Ok(())
}

pub(crate) fn init(settings: &Settings, args: &Init, out: &mut Output) -> Result<Exit, CliError> {
    if let Some(from) = &args.from {
        return import::import(settings, from, args.folder.as_deref(), out);
    }
    let folder = args.folder.as_deref().unwrap_or(Path::new("."));
    let place = |name: &str| settings.path(&folder.join(name));
    let files = restage_pipeline::init_files();
    for (name, _) in &files {
        let path = place(name);
        if fs::exists(&path)? {
            return Err(CliError::usage(format!(
                "`{}` already exists; nothing was written",
                path.display()
            ))
            .with_hint("name another folder: `restage init DIR`"));
        }
    }
    let schema =
        serde_json::to_string_pretty(&restage_pipeline::schema()).map_err(CliError::bug)?;
    let schema = (SCHEMA_FILE, format!("{schema}\n"));
    let schema = (!fs::exists(&place(SCHEMA_FILE))?).then_some(&schema);
    let files = files.map(|(name, text)| (name, text.to_owned()));
    for (name, text) in files.iter().chain(schema) {
        let path = place(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write_atomic(&path, text.as_bytes())?;
        out.note(&format!("wrote {}\n", path.display()));
    }
    let folder = settings.path(folder);
    ignore_local_file(&folder, out)?;
    let go_there = match folder.as_os_str() == "." {
        true => String::new(),
        false => format!("  cd {}\n", folder.display()),
    };
    out.note(&format!(
        "\nnext:\n{go_there}  restage reproduce   run it (a second time, nothing runs)\n  \
         restage status      show what is up to date\n  \
         restage why STAGE   explain why it would run, or what it was made from\n"
    ));
    Ok(Exit::Ok)
}
