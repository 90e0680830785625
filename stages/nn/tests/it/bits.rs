//! The same bits on every instruction set and any number of threads.
//! It must not know how they come about.

use crate::common::{Images, engine, isas, small_networks};
use crate::digest::{Training, digest, variants};
use nn::config::NetworkConfig;
use nn::engine::{Engine, State};
use nn::native::{Isa, NativeOptions};

/// The state and statistics after some steps, one batch being shorter than the others.
fn run(
    network: &NetworkConfig,
    threads: usize,
    isa: Isa,
    steps: u64,
    batch: usize,
) -> (State, String) {
    let data = Images::new(batch, 5);
    let mut engine = engine(network, threads, isa);
    let mut said = String::new();
    for step in 0..steps {
        let to = if step == 1 { batch.div_ceil(2) } else { batch };
        let stats = engine
            .train_step(data.part(0, to), step, 1e-3)
            .expect("finite");
        said += &format!("{:016x} {} ", stats.loss_sum.to_bits(), stats.correct);
    }
    let evaluation = engine.evaluate(data.batch()).expect("fitting batch");
    said += &format!(
        "{:08x?} {:?}",
        evaluation
            .probabilities
            .iter()
            .map(|p| p.to_bits())
            .collect::<Vec<_>>(),
        evaluation.predicted
    );
    let norms = engine.gradient_norms(data.batch()).expect("finite");
    said += &format!(
        "{:016x?}",
        norms.iter().map(|n| n.l2.to_bits()).collect::<Vec<_>>()
    );
    (engine.state(), said)
}

fn bits(state: &State) -> Vec<u32> {
    state
        .tensors
        .iter()
        .flat_map(|t| t.values.iter().map(|v| v.to_bits()))
        .collect()
}

#[test]
fn five_steps_give_the_same_bits_on_every_instruction_set_and_thread_count() {
    for (name, network) in small_networks() {
        let (state, said) = run(&network, 1, Isa::detect(), 5, 3);
        for isa in isas() {
            for threads in [1, 2, 3] {
                let (other, other_said) = run(&network, threads, isa, 5, 3);
                assert_eq!(
                    other_said,
                    said,
                    "{name}, {}, {threads} threads",
                    isa.name()
                );
                assert!(
                    bits(&other) == bits(&state),
                    "{name}, {}, {threads} threads: weights differ",
                    isa.name()
                );
            }
        }
    }
}

/// What each path trains at the paper's widths: plain Rust sets the pace.
const FULL: Training = Training {
    steps: 20,
    batch: 2,
    divisor: 1,
};

#[test]
fn twenty_steps_at_the_papers_widths_give_the_same_bits_on_every_path() {
    let counts: &[(Isa, &[usize])] = &[
        (Isa::Avx512, &[1, 2, 3]),
        (Isa::Avx2, &[1, 2]),
        (Isa::Plain, &[2]),
    ];
    let available = isas();
    let paths: Vec<NativeOptions> = counts
        .iter()
        .filter(|(isa, _)| available.contains(isa))
        .flat_map(|&(isa, counts)| {
            counts
                .iter()
                .map(move |&threads| NativeOptions { threads, isa })
        })
        .collect();
    for (name, network) in variants(FULL.divisor) {
        let digests: Vec<u64> = paths
            .iter()
            .map(|&path| digest(&network, path, FULL).expect("finite"))
            .collect();
        assert!(
            digests.iter().all(|&digest| digest == digests[0]),
            "{name}: {:016x?}",
            paths.iter().zip(&digests).collect::<Vec<_>>()
        );
    }
}

#[test]
fn different_seeds_give_different_weights_and_masks() {
    let network = crate::common::plain(&[4, 4], 0.5);
    let mut first = crate::common::engine_seeded(&network, 1, Isa::detect(), 1);
    let mut second = crate::common::engine_seeded(&network, 1, Isa::detect(), 2);
    assert_ne!(first.state(), second.state());
    second
        .import_state(&first.state())
        .expect("the same network");
    let data = Images::new(8, 1);
    let losses = [&mut first, &mut second].map(|e| {
        e.train_step(data.batch(), 0, 1e-3)
            .expect("finite")
            .loss_sum
    });
    assert_ne!(losses[0], losses[1], "the seed draws the dropout masks");
    let again = crate::common::engine_seeded(&network, 1, Isa::detect(), 1).train_step(
        data.batch(),
        0,
        1e-3,
    );
    assert_eq!(again.expect("finite").loss_sum, losses[0]);
}
