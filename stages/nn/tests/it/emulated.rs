//! The same bits on a CPU without AVX, which an emulator plays.
//! It must not know how they come about.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use crate::digest::{Training, digest, variants};
use nn::native::{Isa, NativeOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

const EMULATOR: &str = "qemu-x86_64";
/// Intel's last before AVX. Programs that use what it lacks are killed.
const CPU: &str = "Nehalem";
/// An emulated multiply-add takes a hundred times a real one's time: an eighth of the paper's
/// widths, and few steps.
const SMALL: Training = Training {
    steps: 8,
    batch: 2,
    divisor: 8,
};
const THREADS: usize = 2;

/// The example `bits`, which `cargo test` builds beside the tests.
fn example() -> PathBuf {
    let test = std::env::current_exe().expect("this test's own path");
    let profile = test
        .parent()
        .and_then(Path::parent)
        .expect("target/PROFILE/deps");
    profile.join("examples/bits")
}

/// What the example prints, as `command` runs it.
fn printed(command: &mut Command) -> String {
    let Training {
        steps,
        batch,
        divisor,
    } = SMALL;
    let arguments = [steps as usize, batch, divisor, THREADS].map(|number| number.to_string());
    let output = command.args(arguments).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{said}",
        output.status
    );
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn eight_steps_at_an_eighth_of_the_papers_widths_give_the_same_bits_without_avx() {
    match Command::new(EMULATOR).arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Not by `println`: of a test that passes it would not be shown.
            let text = b"skipped: qemu-x86_64 is not installed (apt-get install qemu-user)\n";
            std::io::stderr().write_all(text).expect("standard error");
            return;
        }
        version => assert!(version.is_ok_and(|output| output.status.success())),
    }
    let isa = Isa::detect();
    let options = NativeOptions {
        threads: THREADS,
        isa,
    };
    let digests: String = variants(SMALL.divisor)
        .iter()
        .map(|(name, network)| {
            let digest = digest(network, options, SMALL).expect("finite");
            format!("{name} {digest:016x}\n")
        })
        .collect();
    let example = example();
    assert_eq!(
        printed(&mut Command::new(&example)),
        format!("{} {THREADS}\n{digests}", isa.name()),
        "`{}` is not built from this code: cargo build -p nn --example bits",
        example.display()
    );
    assert_eq!(
        printed(Command::new(EMULATOR).args(["-cpu", CPU]).arg(&example)),
        format!("plain {THREADS}\n{digests}")
    );
}
