//! What a stage and its runner agree on: parameters and environment in, outs and events out.
//! It knows nothing of pipelines, stores or networks; files and environment are all there is.
//!
//! A stage's `main` is one call:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! #[derive(serde::Deserialize)]
//! struct Params {
//!     seed: u64,
//! }
//!
//! fn main() -> ExitCode {
//!     contract::run("example", |stage| {
//!         let params: Params = stage.params()?;
//!         stage.message(&format!("seed {}", params.seed));
//!         Ok(())
//!     })
//! }
//! ```

mod environment;
mod error;
mod events;
pub mod files;
mod stage;
pub mod table;

pub use error::{StageError, WithHint};
pub use events::Progress;
pub use stage::Stage;

use std::process::ExitCode;

/// Reads the environment, runs `body`, and turns its outcome into an exit code.
///
/// An error is printed to stderr as `error: ...`, its causes below it, then `hint: ...`.
/// The code is 0 when done, 1 when the stage failed, 2 when the arguments, the parameters
/// or the environment are wrong. `name` is what the stage is called when it runs by hand,
/// without `RESTAGE_STAGE`.
pub fn run(name: &str, body: impl FnOnce(&Stage) -> Result<(), StageError>) -> ExitCode {
    let outcome = Stage::from_environment(name).and_then(|stage| body(&stage));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{}", error.report());
            ExitCode::from(error.exit_code())
        }
    }
}
