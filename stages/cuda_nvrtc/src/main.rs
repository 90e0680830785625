//! Compiles every CUDA kernel with NVRTC, for each architecture; takes no GPU and no driver.
//! It must not know what the kernels compute, or how the engine launches them.
//!
//! `cuda_nvrtc [FOLDER]`: a line for each file and architecture, and the resources of each
//! convolution kernel. Fails on any error. scripts/cuda-compile-check brings libnvrtc.

mod program;
mod resources;

use program::{Program, Source};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const ARCHITECTURES: [&str; 3] = ["sm_80", "sm_90", "sm_100"];

fn main() -> ExitCode {
    let folder = std::env::args_os().nth(1).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../cuda/kernels"),
        PathBuf::from,
    );
    let (major, minor) = match program::version() {
        Ok(version) => version,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("nvrtc {major}.{minor}");
    let sources = read(&folder, "cu").and_then(|cu| Ok((cu, read(&folder, "cuh")?)));
    let (kernels, headers) = match sources {
        Ok(sources) => sources,
        Err(error) => {
            eprintln!("error: cannot read {}: {error}", folder.display());
            return ExitCode::FAILURE;
        }
    };
    if kernels.is_empty() {
        eprintln!("error: no .cu file in {}", folder.display());
        return ExitCode::FAILURE;
    }
    let mut failed = 0;
    for kernel in &kernels {
        for architecture in ARCHITECTURES {
            failed += usize::from(!check(kernel, &headers, architecture));
        }
    }
    println!("{} files, {failed} failures", kernels.len());
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints how a file fares.
fn check(kernel: &Source, headers: &[Source], architecture: &str) -> bool {
    let name = &kernel.name;
    match Program::compile(kernel, headers, architecture) {
        Err(error) => {
            println!("FAIL {name} {architecture}: {error}");
            false
        }
        Ok(program) => {
            let used = resources::read(&program.log);
            println!(
                "ok   {name} {architecture}: {} kernels, cubin of {} bytes",
                used.len(),
                program.cubin.len()
            );
            for kernel in used
                .iter()
                .filter(|kernel| kernel.name.starts_with("conv_"))
            {
                println!("       {kernel}");
            }
            true
        }
    }
}

/// The files of a folder with that extension, by name.
fn read(folder: &Path, extension: &str) -> io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == extension) {
            let name = path.file_name().unwrap_or_default();
            sources.push(Source {
                name: name.to_string_lossy().into_owned(),
                text: fs::read_to_string(&path)?,
            });
        }
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sources)
}
