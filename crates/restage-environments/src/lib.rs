//! The software that a stage runs in (docs/adr/0027): what a lock file installs on this platform, what
//! an interpreter says of itself, which commands install it, and whether they did. Nothing is run here.

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod conda;
mod error;
mod flake;
mod installed;
mod interpreter;
mod marker;
mod names;
mod pixi;
mod renv;
mod requirements;
mod resolved;
mod uv;

pub use conda::{CondaPackages, check_conda, conda_packages, conda_platform};
pub use error::EnvironmentError;
pub use flake::flake_inputs;
pub use installed::{Installed, installed};
pub use interpreter::{Interpreter, PythonRequest};
pub use pixi::{check_pypi, pixi_packages};
pub use renv::{check_library, r_library, renv_packages};
pub use requirements::requirements;
pub use resolved::Resolved;
pub use uv::{UvLock, UvWanted};
