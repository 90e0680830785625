//! The `train` stage's program where dfdx computes on a GPU: it starts only where CUDA is.
//! It must not know anything: the crate does.

use std::process::ExitCode;

fn main() -> ExitCode {
    train::command::main()
}
