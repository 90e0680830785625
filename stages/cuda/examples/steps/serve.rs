//! Answers the bench: a command a line on standard input, JSON a line on standard output.
//! It must not know who else is measured, or when.
//!
//! | command | does | answer |
//! |---|---|---|
//! | (none) | builds the network | `trainable`, `moving`, `forward_flops`, `train_flops`, `gpu`, `epoch_steps` |
//! | `run N` | N training steps: whole epochs | `seconds`, `loss` |
//!
//! A step is recorded once and then repeated, as in training; so that nothing but such steps is
//! timed, N is a multiple of `epoch_steps`.

use crate::networks;
use crate::subject::{self, Subject};
use nn::engine::Engine;
use serde_json::{Value, json};
use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

pub(crate) fn run(network: &str, batch: usize, precision: &str) -> Result<(), Box<dyn Error>> {
    let networks = networks::networks()?;
    let config = networks
        .get(network)
        .ok_or_else(|| format!("no network `{network}` in variants.json"))?;
    let mut subject = Subject::new(config, batch, subject::precision(precision)?)?;
    let (plan, count) = (subject.engine.plan(), subject.engine.parameters());
    say(&json!({
        "trainable": count.trainable,
        "moving": count.moving,
        "forward_flops": networks::forward_flops(plan),
        "train_flops": networks::train_flops(plan),
        "gpu": cuda::driver::name(subject::GPU)?,
        "epoch_steps": subject.epoch_steps(),
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
    let (steps, each): (usize, usize) = (n.parse()?, subject.epoch_steps());
    if command != "run" {
        return Err(format!("unknown command `{command}`").into());
    }
    if steps == 0 || !steps.is_multiple_of(each) {
        return Err(format!("{steps} steps are no whole epochs of {each}").into());
    }
    let start = Instant::now();
    let loss = subject.train(steps / each)?;
    Ok(json!({ "seconds": start.elapsed().as_secs_f64(), "loss": loss }))
}
