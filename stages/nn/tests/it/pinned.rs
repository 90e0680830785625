//! Trained numbers, pinned: they are the same on every x86-64 and in every version.
//!
//! That all paths give the same bits does not show an error they share, as in Adam's coefficients.
#![cfg(target_arch = "x86_64")]

use crate::digest::{Training, digest, variants};
use nn::native::{Isa, NativeOptions};

/// Enough steps for a wrong coefficient to show; an eighth of the paper's widths.
const TRAINING: Training = Training {
    steps: 20,
    batch: 4,
    divisor: 8,
};

#[test]
fn twenty_steps_give_the_same_numbers_in_every_version() {
    let options = NativeOptions {
        threads: 2,
        isa: Isa::detect(),
    };
    let digests = variants(TRAINING.divisor).map(|(name, network)| {
        let digest = digest(&network, options, TRAINING).expect("finite");
        format!("{name} {digest:016x}")
    });
    // Whoever changes these changes every result: see "Bits" in CONTRIBUTING.md.
    let pinned = [
        "baseline_cnn 58355fd5a948b515",
        "mini_resnet 45b7d416aec59520",
        "resnet18 cc201516803cd4fc",
        "resnet18_noskip a7ea7e800fa9bb2d",
    ];
    assert_eq!(digests, pinned);
}
