//! Prints a digest of each of the paper's networks after some steps: the same on every machine.
//! It must not know what it is compared with.
//!
//! `cargo run --release -p nn --example bits [STEPS] [BATCH] [DIVISOR] [THREADS] [ISA]`; the
//! paper's widths are divided by DIVISOR.

#[path = "../tests/it/digest.rs"]
mod digest;

use digest::{Training, digest, variants};
use nn::native::{Isa, NativeOptions};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| arguments.get(at).map_or(Ok(default), |a| a.parse());
    let training = Training {
        steps: number(0, 20)? as u64,
        batch: number(1, 4)?,
        divisor: number(2, 1)?,
    };
    let isa = arguments
        .get(4)
        .map_or(Ok(Isa::detect()), |name| Isa::from_name(name))?;
    let threads = number(3, 2)?;
    println!("{} {threads}", isa.name());
    for (name, network) in variants(training.divisor) {
        let options = NativeOptions { threads, isa };
        println!("{name} {:016x}", digest(&network, options, training)?);
    }
    Ok(())
}
