//! `restage worker`: runs a job of a batch, where there is a store and no workspace (docs/adr/0037).

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::args::Worker as Args;
use crate::error::CliError;
use crate::exit::Exit;
use crate::interrupts;
use crate::output::Output;
use crate::session::launcher;
use crate::settings::Settings;
use restage_core::fs;
use restage_exec::LocalExecutor;
use restage_store::{Batch, Store, Terms, Token};
use restage_worker::{Tally, WorkError, Worker};

/// Variables that name a folder on the machine's own disk.
const FOLDERS: [&str; 2] = ["SLURM_TMPDIR", "TMPDIR"];

pub(crate) fn worker(settings: &Settings, args: &Args, out: &mut Output) -> Result<Exit, CliError> {
    let dir = fs::canonicalize(&settings.path(&args.batch))?;
    let batch = Batch::open(&dir)?;
    let Some(store) = batch.store() else {
        return Err(CliError::usage("a batch lies in its store".to_owned()));
    };
    let own = Own::make(settings, args)?;
    let store = Store::open_to_work(&own.0, store)?;
    let mut executor = LocalExecutor::new();
    let interrupt = interrupts::watch(&executor)?;
    let launcher = launcher();
    let interrupted = || interrupt.load(Ordering::Relaxed);
    let told = RefCell::new(Output::new(settings.err_style));
    let mut worker = Worker {
        store: &store,
        host: &settings.env,
        executor: &mut executor,
        launcher: launcher.as_deref(),
        interrupted: &interrupted,
        tell: &|line| told.borrow_mut().note(&format!("{line}\n")),
        terms: Terms::looking_every(Duration::from_secs(args.look)),
    };
    let tally = worker.run(&batch, args.job).map_err(error)?;
    let Tally { done, failed, left } = tally;
    if settings.json {
        let line =
            serde_json::json!({"event": "summary", "done": done, "failed": failed, "left": left});
        out.data(&format!("{line}\n"))?;
    } else {
        out.note(&format!("{done} done, {failed} failed, {left} left\n"));
    }
    Ok(match tally {
        Tally { left: 1.., .. } if interrupted() => Exit::Interrupted,
        Tally { left: 1.., .. } => Exit::Machine,
        Tally { failed: 1.., .. } => Exit::StageFailed,
        _ => Exit::Ok,
    })
}

fn error(error: WorkError) -> CliError {
    match error {
        WorkError::Store(error) => error.into(),
        WorkError::Fs(error) => error.into(),
        error @ WorkError::NoJob { .. } => CliError::usage(error.to_string()),
        error => CliError::machine(error),
    }
}

/// A worker's own folder, removed at its end.
struct Own(PathBuf);

impl Own {
    fn make(settings: &Settings, args: &Args) -> Result<Self, CliError> {
        let named = FOLDERS
            .iter()
            .filter_map(|name| settings.env.get(name))
            .find(|folder| !folder.is_empty());
        let above = match (&args.work, named) {
            (Some(folder), _) => settings.path(folder),
            (None, Some(folder)) => PathBuf::from(folder),
            (None, None) => Path::new("/tmp").to_owned(),
        };
        fs::create_dir_all(&above)?;
        let own = fs::canonicalize(&above)?.join(format!("restage-worker-{}", Token::new()));
        fs::create_dir(&own)?;
        let own = Self(own);
        // Others may list the folder that it is in.
        fs::set_mode(&own.0, 0o700)?;
        Ok(own)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // What can't be removed is the machine's own.
        let _ = fs::remove_all(&self.0);
    }
}
