//! Trains the paper's networks on GPU 0 for `scripts/bench-train-gpu`.
//! It must not know the pipeline, nor who else is measured.
//!
//! `gpu_steps serve NETWORK BATCH PRECISION` answers the bench's commands. What a GPU's matrix units
//! can do at most is measured by PyTorch's matrix product, not here.

#[expect(dead_code, reason = "the CPU's worker tells of each layer")]
#[path = "../../../nn/examples/steps/networks.rs"]
mod networks;
mod serve;
mod subject;

use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gpu_steps: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", network, batch, precision] => serve::run(network, batch.parse()?, precision),
        _ => Err("expected `serve NETWORK BATCH PRECISION`".into()),
    }
}
