//! What became of stages that were handed over to workers, as far as nobody has been told yet.

use crate::error::CliError;
use crate::output::Output;
use restage_store::Store;
use restage_worker::{CameTo, take_in};

/// Takes results in, and tells of stages that have none. Those run here.
pub(crate) fn take_in_all(store: &Store, out: &mut Output) -> Result<(), CliError> {
    for batch in store.batches().open()? {
        let taken = take_in(store, &batch)?;
        // It is told once, when all is known.
        if !batch.is_closed()? {
            continue;
        }
        for task in taken {
            let why = match task.came_to {
                Some(CameTo::Failed { ending, .. }) => ending.to_string(),
                Some(CameTo::Refused(refusal)) => format!("was refused: {refusal}"),
                _ => continue,
            };
            let logs = batch.dir().display();
            out.note(&format!(
                "warning: {} was handed over and {why}; its log is in {logs}\n",
                task.stage
            ));
        }
    }
    Ok(())
}
