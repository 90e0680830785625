//! Prints training and evaluation speed of the paper's networks on this machine.
//! It must not know the pipeline, nor who else is measured.
//!
//! - `cargo run --release -p nn --example steps [THREADS] [ISA] [NETWORK]` prints a table;
//! - `steps peak THREADS ISA` prints the machine's FMA peak as JSON;
//! - `steps serve NETWORK THREADS ISA` answers the commands of `scripts/bench-train`.

mod networks;
mod peak;
mod serve;
mod subject;

use nn::engine::Engine;
use nn::native::{Isa, NativeOptions};
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;
use subject::{BATCH, Subject};

/// The best of so many steps: others may use the machine.
const STEPS: u64 = 8;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("steps: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["peak", threads, isa] => peak::print(options(Some(threads), Some(isa))?),
        ["serve", network, threads, isa] => serve::run(network, options(Some(threads), Some(isa))?),
        _ => {
            let mut rest = arguments.into_iter();
            let options = options(rest.next(), rest.next())?;
            table(options, rest.next().unwrap_or_default())
        }
    }
}

/// Two threads and the best instruction set unless told otherwise.
fn options(threads: Option<&str>, isa: Option<&str>) -> Result<NativeOptions, Box<dyn Error>> {
    let isa = match isa {
        None | Some("best") => Isa::detect(),
        Some(name) => Isa::from_name(name)?,
    };
    let threads = threads.map_or(Ok(2), str::parse)?;
    Ok(NativeOptions { threads, isa })
}

/// One line a network whose name begins with `only`.
fn table(options: NativeOptions, only: &str) -> Result<(), Box<dyn Error>> {
    println!(
        "{} threads, {}, batches of {BATCH}, best of {STEPS}",
        options.threads,
        options.isa.name()
    );
    println!(
        "{:<26} {:>10} {:>10} {:>10} {:>12}",
        "network", "ms/step", "images/s", "GFLOP/s", "eval images/s"
    );
    for (name, network) in networks::networks()? {
        if name.starts_with(only) {
            measure(&name, &mut Subject::new(&network, options)?)?;
        }
    }
    Ok(())
}

fn measure(name: &str, subject: &mut Subject) -> Result<(), Box<dyn Error>> {
    let (mut train, mut evaluate) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..STEPS {
        train = train.min(subject.train(1)?);
        let start = Instant::now();
        subject.engine.evaluate(subject.images.batch(0, BATCH))?;
        evaluate = evaluate.min(start.elapsed().as_secs_f64());
    }
    let images = BATCH as f64;
    println!(
        "{name:<26} {:>10.1} {:>10.0} {:>10.1} {:>12.0}",
        train * 1e3,
        images / train,
        networks::train_flops(subject.engine.plan()) * images / train * 1e-9,
        images / evaluate
    );
    Ok(())
}
