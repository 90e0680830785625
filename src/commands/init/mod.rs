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
use restage_core::fs;

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
    for (name, text) in &files {
        let path = place(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write_atomic(&path, text.as_bytes())?;
        out.note(&format!("wrote {}\n", path.display()));
    }
    let folder = settings.path(folder);
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
