//! The `train` stage's program.
//! It must not know anything: the crate does.

use std::process::ExitCode;

fn main() -> ExitCode {
    train::command::main()
}
