//! Compiles the CUDA kernels as C++ for the CPU, where there is a C++ compiler.
//! It must not know what they compute.

use std::env;
use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(compiled)");
    println!("cargo::rustc-check-cfg=cfg(needs_fma)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=shim");
    println!("cargo::rerun-if-changed=../cuda/kernels");
    println!("cargo::rerun-if-env-changed=CUDA_SHIM_SANITIZE");
    let mut build = cc::Build::new();
    build.cpp(true).file("shim/kernels.cpp").std("c++17");
    if !works(&build) {
        return;
    }
    println!("cargo::rustc-cfg=compiled");
    // Whole networks run through it, so it is fast whatever the profile.
    build.opt_level(3).debug(true).extra_warnings(true);
    // The kernels say themselves where a product and a sum are fused.
    build.flag("-ffp-contract=off").flag("-fno-math-errno");
    build.flag("-ftls-model=initial-exec");
    build.flag("-Wno-unknown-pragmas");
    // A fused multiply-add is else a call of the library's. The target's features say what it
    // may assume; the tests run where they are built, so what is found here counts as well.
    if fma_is_here() {
        println!("cargo::rustc-cfg=needs_fma");
        build.flag("-mavx2").flag("-mfma");
    }
    if env::var_os("CUDA_SHIM_SANITIZE").is_some() {
        build.opt_level(2).define("SHIM_SANITIZE", None);
        build.flag("-fsanitize=address,undefined");
        build.flag("-fno-sanitize-recover=all");
    }
    build.compile("cuda_shim_kernels");
}

/// Whether there is a C++ compiler that runs. That it compiles the kernels is then a must.
fn works(build: &cc::Build) -> bool {
    let Ok(compiler) = build.try_get_compiler() else {
        return false;
    };
    let mut command = Command::new(compiler.path());
    command.arg("--version").stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(target_arch = "x86_64")]
fn fma_is_here() -> bool {
    env::var("TARGET").ok() == env::var("HOST").ok()
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
}

#[cfg(not(target_arch = "x86_64"))]
fn fma_is_here() -> bool {
    false
}
