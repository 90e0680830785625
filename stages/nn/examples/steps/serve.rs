//! Answers `scripts/bench-train`: a command a line on standard input, JSON a line on standard output.
//! It must not know who else is measured, or when.
//!
//! | command | does | answer |
//! |---|---|---|
//! | (none) | builds the network | `trainable`, `moving`, `forward_flops`, `train_flops`, `isa` |
//! | `run N` | N training steps | `seconds` |
//! | `evaluate N` | N batches | `seconds` |
//! | `epoch N` | training steps over N images | `seconds` |
//! | `layers N` | N training steps, timed in parts | `seconds`, `layers` |

use crate::networks;
use crate::subject::{BATCH, Images, Subject};
use nn::engine::Engine;
use nn::native::NativeOptions;
use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

pub(crate) fn run(network: &str, options: NativeOptions) -> Result<(), Box<dyn Error>> {
    let networks = networks::networks()?;
    let config = networks
        .get(network)
        .ok_or_else(|| format!("no network `{network}` in variants.json"))?;
    let mut subject = Subject::new(config, options)?;
    let (plan, count) = (subject.engine.plan(), subject.engine.parameters());
    say(&json!({
        "trainable": count.trainable,
        "moving": count.moving,
        "forward_flops": networks::forward_flops(plan),
        "train_flops": networks::train_flops(plan),
        "isa": options.isa.name(),
    }))?;
    for line in std::io::stdin().lock().lines() {
        say(&answer(&line?, &mut subject)?)?;
    }
    Ok(())
}

fn say(answer: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}")?;
    out.flush()
}

fn answer(line: &str, subject: &mut Subject) -> Result<Value, Box<dyn Error>> {
    let (command, n) = line
        .split_once(' ')
        .ok_or_else(|| format!("`{line}` is not a command and a number"))?;
    let n: usize = n.parse()?;
    match command {
        "run" => Ok(json!({ "seconds": subject.train(n as u64)? })),
        "evaluate" => Ok(json!({ "seconds": evaluate(subject, n)? })),
        "epoch" => Ok(json!({ "seconds": subject.epoch(n)? })),
        "layers" => layers(subject, n as u64),
        _ => Err(format!("unknown command `{command}`").into()),
    }
}

fn evaluate(subject: &mut Subject, batches: usize) -> Result<f64, Box<dyn Error>> {
    let images = Images::new(batches * BATCH);
    let start = Instant::now();
    subject.engine.evaluate(images.batch(0, batches * BATCH))?;
    Ok(start.elapsed().as_secs_f64())
}

/// Each layer's passes; `flops` are a convolution's in all steps, null for other layers.
fn layers(subject: &mut Subject, steps: u64) -> Result<Value, Box<dyn Error>> {
    subject.engine.record_times(true);
    let seconds = subject.train(steps)?;
    subject.engine.record_times(false);
    let flops = networks::layer_flops(subject.engine.plan());
    let images = (steps * BATCH as u64) as f64;
    let times = subject.engine.times();
    let layers = times.iter().map(|time| {
        // Max pools bear their block's convolution's name.
        let counted = time.pass == "forward" || time.pass.ends_with(" gradient");
        let flops = flops.get(time.layer.as_str()).filter(|_| counted);
        json!({
            "layer": time.layer,
            "pass": time.pass,
            "seconds": time.seconds,
            "flops": flops.map(|flops| flops * images),
        })
    });
    Ok(json!({ "seconds": seconds, "layers": layers.collect::<Vec<_>>() }))
}
