//! What became of stages that were handed over to workers, as far as nobody has been told yet.

use crate::error::CliError;
use crate::output::Output;
use restage_store::{Batch, Store, StoreError};
use restage_worker::{CameTo, Taken, take_in};

/// Takes results in, and tells of stages that have none. Those run here.
pub(crate) fn take_in_all(store: &Store, out: &mut Output) -> Result<(), CliError> {
    for batch in store.batches().open()? {
        let taken = batch.and_then(|batch| {
            let taken = take_in(store, &batch)?;
            // It is told once, when all is known.
            Ok(batch.is_closed()?.then_some((batch, taken)))
        });
        match taken {
            Ok(None) => {}
            Ok(Some((batch, taken))) => tell(&batch, taken, out),
            // What it was to make runs here.
            Err(error @ StoreError::Batch { .. }) => {
                out.warning(&error.to_string());
                if let Some(hint) = error.hint() {
                    out.note(&format!("hint: {hint}\n"));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn tell(batch: &Batch, taken: Vec<Taken>, out: &mut Output) {
    for task in taken {
        let why = match task.came_to {
            Some(CameTo::Failed { ending, .. }) => ending.to_string(),
            Some(CameTo::Refused(refusal)) => format!("was refused: {refusal}"),
            _ => continue,
        };
        let logs = batch.dir().display();
        let stage = task.stage;
        out.warning(&format!(
            "{stage} was handed over and {why}; its log is in {logs}"
        ));
    }
}
