//! Why training failed, and what to do about it.
//! It must not know where errors are shown.

use contract::StageError;
use contract::files::FileError;
use nn::engine::EngineError;

/// Training could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A number became infinite or undefined.
    #[error("epoch {epoch}, {place}: `{layer}` gave a non-finite {what}")]
    Diverged {
        /// From 1.
        epoch: u64,
        /// `step 3 of 40` or `validation`.
        place: String,
        /// First layer at which it was seen.
        layer: String,
        /// `activation`, `loss` or `gradient`.
        what: &'static str,
        /// The learning rate at the time.
        learning_rate: f32,
    },
    /// The engine refused its input.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A checkpoint could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl TrainError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Diverged { learning_rate, .. } => Some(format!(
                "training diverged at a learning rate of {learning_rate:e}; \
                 try a lower `train.optimizer.learning_rate`"
            )),
            Self::Engine(_) | Self::File(_) => None,
        }
    }

    /// The error as the stage reports it.
    pub fn into_stage_error(self) -> StageError {
        let hint = self.hint();
        let error = StageError::from(self);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}
