//! Compiles CUDA C++ to machine code of one GPU, by NVRTC.
//! It must not know which kernels there are.

use std::ffi::{CStr, CString};

use cudarc::nvrtc::{result, sys};

/// What the compiler refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The source, with the compiler's messages.
    #[error("`{name}` does not compile for {architecture}: {log}")]
    Source {
        /// The source's name.
        name: String,
        /// Such as `sm_90`.
        architecture: String,
        /// What it said.
        log: String,
    },
    /// A call of its own failed.
    #[error("NVRTC failed to {what}: {why}")]
    Call {
        /// What was to be done.
        what: &'static str,
        /// Its words.
        why: String,
    },
}

/// A source's machine code, and what the compiler said on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// A cubin.
    pub code: Vec<u8>,
    /// Warnings, and the registers and memory that each kernel takes.
    pub log: String,
}

/// Whether NVRTC can be loaded.
#[must_use]
pub fn has_compiler() -> bool {
    // SAFETY: loads and unloads a shared library of NVIDIA's, whose initialisers are sound.
    unsafe { sys::is_culib_present() }
}

/// NVRTC's version, such as `13.0`; the library must be there.
#[must_use]
pub fn compiler_version() -> String {
    let (mut major, mut minor) = (0, 0);
    // SAFETY: writes two ints to where it is told to.
    let _known = unsafe { sys::nvrtcVersion(&raw mut major, &raw mut minor) };
    format!("{major}.{minor}")
}

/// Machine code for `architecture` (such as `sm_90`) of a source and the headers that it names.
/// The library must be there.
///
/// # Errors
/// What the compiler says.
pub fn compile(
    name: &str,
    source: &str,
    headers: &[(&str, &str)],
    architecture: &str,
) -> Result<Compiled, CompileError> {
    let text = |text: &str| CString::new(text).expect("a text without NUL");
    let (title, source) = (text(name), text(source));
    let names: Vec<CString> = headers.iter().map(|(name, _)| text(name)).collect();
    let texts: Vec<CString> = headers.iter().map(|(_, held)| text(held)).collect();
    let pointers = |all: &[CString]| all.iter().map(|text| text.as_ptr()).collect::<Vec<_>>();
    let (name_pointers, text_pointers) = (pointers(&names), pointers(&texts));
    let mut program = std::ptr::null_mut();
    // SAFETY: all pointers are of NUL-terminated texts that outlive the call; NVRTC copies them.
    let created = unsafe {
        sys::nvrtcCreateProgram(
            &raw mut program,
            source.as_ptr(),
            title.as_ptr(),
            i32::try_from(headers.len()).expect("a few headers"),
            text_pointers.as_ptr(),
            name_pointers.as_ptr(),
        )
    };
    created
        .result()
        .map_err(|error| call("take a program", error))?;
    let program = Program(program);
    // Multiplications and additions are fused where a source says so and nowhere else: then
    // results are those of the reference.
    let options = [
        format!("--gpu-architecture={architecture}"),
        "--std=c++17".to_owned(),
        "--fmad=false".to_owned(),
        "--ptxas-options=-v".to_owned(),
    ];
    // SAFETY: the program was just created and not destroyed.
    if unsafe { result::compile_program(program.0, &options) }.is_err() {
        return Err(CompileError::Source {
            name: name.to_owned(),
            architecture: architecture.to_owned(),
            log: program.log(),
        });
    }
    Ok(Compiled {
        code: program.machine_code()?,
        log: program.log(),
    })
}

struct Program(sys::nvrtcProgram);

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: created once, destroyed here alone. What a failure leaves is memory.
        let _left = unsafe { result::destroy_program(self.0) };
    }
}

impl Program {
    fn log(&self) -> String {
        // SAFETY: the program is alive; what it gives ends with NUL.
        unsafe {
            let Ok(log) = result::get_program_log(self.0) else {
                return "without a word".to_owned();
            };
            CStr::from_ptr(log.as_ptr())
                .to_string_lossy()
                .trim()
                .to_owned()
        }
    }

    fn machine_code(&self) -> Result<Vec<u8>, CompileError> {
        let mut size = 0;
        // SAFETY: the program is alive and compiled; the second call fills as many bytes as the
        // first said there are.
        unsafe {
            let asked = sys::nvrtcGetCUBINSize(self.0, &raw mut size);
            asked.result().map_err(|error| call("tell a size", error))?;
            let mut code = vec![0_u8; size];
            let got = sys::nvrtcGetCUBIN(self.0, code.as_mut_ptr().cast());
            got.result().map_err(|error| call("give its code", error))?;
            Ok(code)
        }
    }
}

fn call(what: &'static str, error: result::NvrtcError) -> CompileError {
    CompileError::Call {
        what,
        why: format!("{:?}", error.0),
    }
}
