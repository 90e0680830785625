//! What is said where there is no GPU, no driver or one that is too old.
//! It must not know networks.

use std::path::Path;
use std::process::Command;

use cuda::driver::{OpenError, open};

/// A driver that says of itself what its environment tells it to.
const STUB: &str = r#"
#include <stdlib.h>
static int told(const char *name) { const char *text = getenv(name); return text ? atoi(text) : 0; }
int cuInit(unsigned flags) { (void)flags; return told("STUB_INIT"); }
int cuDriverGetVersion(int *version) { *version = told("STUB_VERSION"); return 0; }
int cuDeviceGetCount(int *count) { *count = told("STUB_COUNT"); return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceGetName(char *name, int length, int device) {
    (void)device;
    const char *given = "Stub GPU";
    for (int i = 0; i < length && (name[i] = given[i]); i++) {}
    return 0;
}
"#;

#[test]
fn a_machine_without_a_driver_says_so_and_what_to_do() {
    match open(0, None) {
        Err(error @ OpenError::NoDriver) => {
            assert_eq!(
                error.to_string(),
                "no NVIDIA driver: `libcuda.so.1` cannot be loaded"
            );
            assert!(error.hint().contains("train.device=cpu"));
        }
        _ => println!("skipped: this machine has NVIDIA's driver"),
    }
}

/// Run by the test below in a process of its own, whose driver is the stub.
#[test]
#[ignore = "says what it finds to another test"]
fn what_is_found() {
    match open(0, None) {
        Ok(gpu) => println!("found {}", gpu.name()),
        Err(error) => println!("found {error}\nhint {}", error.hint()),
    }
}

#[test]
fn drivers_without_a_card_too_old_or_without_a_compiler_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(stub) = build_stub(folder.path()) else {
        return;
    };
    // No folder of the caller's: there may be a real compiler in it.
    let found = |init: &str, version: &str, count: &str| {
        let output = Command::new(std::env::current_exe().expect("a program"))
            .args([
                "--exact",
                "driver::what_is_found",
                "--ignored",
                "--nocapture",
            ])
            .env("LD_LIBRARY_PATH", &stub)
            .envs([
                ("STUB_INIT", init),
                ("STUB_VERSION", version),
                ("STUB_COUNT", count),
            ])
            .output()
            .expect("the test's program");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for (init, version, count, expected) in [
        // CUDA_ERROR_NO_DEVICE, which a driver on a machine without a card answers.
        (
            "100",
            "13000",
            "0",
            "found no GPU 0: the NVIDIA driver shows 0",
        ),
        (
            "0",
            "13000",
            "0",
            "found no GPU 0: the NVIDIA driver shows 0",
        ),
        (
            "0",
            "11080",
            "1",
            "found the NVIDIA driver knows CUDA 11.8, and 12.0 is needed",
        ),
        // CUDA_ERROR_SYSTEM_DRIVER_MISMATCH.
        (
            "803",
            "13000",
            "1",
            "found the driver failed to start: CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
        ),
    ] {
        let said = found(init, version, count);
        assert!(said.contains(expected), "{init} {version} {count}: {said}");
        assert!(said.contains("\nhint "), "{said}");
    }
    let said = found("0", "13000", "1");
    let none = "found no kernel compiler: `libnvrtc.so` of CUDA 12 or 13 cannot be loaded";
    if !said.contains(none) {
        println!("skipped: this machine has NVRTC: {said}");
    }
}

/// The folder with the stub in it, or nothing, with a word.
fn build_stub(folder: &Path) -> Option<std::path::PathBuf> {
    let source = folder.join("stub.c");
    std::fs::write(&source, STUB).expect("a file");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(folder.join("libcuda.so"))
        .arg(&source)
        .status();
    match built {
        Ok(status) if status.success() => Some(folder.to_owned()),
        other => {
            println!("skipped: `cc` builds no library here: {other:?}");
            None
        }
    }
}
