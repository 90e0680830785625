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
        /// `step 3 of 40`, `after step 40 of 40`, `validation` or `test`.
        place: String,
        /// First layer at which it was seen.
        layer: String,
        /// Such as `activation`, `loss`, `gradient` or `moving variance`.
        what: String,
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

/// When numbers are looked at: what an engine's error lacks.
#[derive(Debug, Clone)]
pub struct Moment {
    /// From 1.
    pub epoch: u64,
    /// As [`TrainError::Diverged`] has it.
    pub place: String,
    /// The learning rate at the time.
    pub learning_rate: f32,
}

impl Moment {
    /// A layer's numbers exploded.
    pub fn diverged(self, layer: String, what: impl Into<String>) -> TrainError {
        TrainError::Diverged {
            epoch: self.epoch,
            place: self.place,
            layer,
            what: what.into(),
            learning_rate: self.learning_rate,
        }
    }

    /// What an engine said.
    pub fn error(self, error: EngineError) -> TrainError {
        match error {
            EngineError::NonFinite { layer, what, .. } => self.diverged(layer, what),
            error => TrainError::Engine(error),
        }
    }
}

impl TrainError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Diverged { learning_rate, .. } => Some(format!(
                "training diverged at a learning rate of {learning_rate:e}: lower \
                 `train.optimizer.learning_rate`, to a tenth perhaps, and run again; no result \
                 was written, and training will start from epoch 1, for a checkpoint serves only \
                 the parameters that made it"
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
