//! Compiles every kernel with NVRTC, for each architecture; takes no GPU and no driver.
//! It must not know what the kernels compute.
//!
//! A line for each source and architecture, and what each convolution takes of a GPU. Fails on any
//! error, and where the sources' kernels are not those that the engine knows.
//! scripts/cuda-compile-check brings libnvrtc.

mod resources;

use std::collections::BTreeSet;
use std::process::ExitCode;

use cuda::driver::{compile, compiler_version, has_compiler};
use cuda::kernels::{HEADERS, KERNELS, SOURCES};

const ARCHITECTURES: [&str; 3] = ["sm_80", "sm_90", "sm_100"];

fn main() -> ExitCode {
    if !has_compiler() {
        eprintln!("error: libnvrtc was not found (is its folder in LD_LIBRARY_PATH?)");
        return ExitCode::FAILURE;
    }
    println!("nvrtc {}", compiler_version());
    let mut failed = 0;
    for architecture in ARCHITECTURES {
        let mut found = BTreeSet::new();
        for (name, source) in SOURCES {
            match compile(name, source, HEADERS, architecture) {
                Err(error) => {
                    failed += 1;
                    println!("FAIL {error}");
                }
                Ok(compiled) => {
                    let used = resources::read(&compiled.log);
                    let (count, bytes) = (used.len(), compiled.code.len());
                    println!("ok   {name} {architecture}: {count} kernels, cubin of {bytes} bytes");
                    for kernel in used.iter().filter(|k| k.name.starts_with("conv_")) {
                        println!("       {kernel}");
                    }
                    found.extend(used.into_iter().map(|kernel| kernel.name));
                }
            }
        }
        let known = KERNELS.iter().map(|name| (*name).to_owned()).collect();
        for name in found.symmetric_difference(&known) {
            failed += 1;
            println!("FAIL `{name}` is in the sources or in the engine's list, and not in both");
        }
    }
    println!("{} files, {failed} failures", SOURCES.len());
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
