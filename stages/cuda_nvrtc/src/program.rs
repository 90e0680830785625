//! One source compiled by NVRTC, its headers given by name.
//! It must not know files or what is printed.

use cudarc::nvrtc::sys;
use std::ffi::{CString, NulError, c_char};
use std::ptr;

/// A file's name and text.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Why there is no binary.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error("libnvrtc was not found (is its folder in LD_LIBRARY_PATH?)")]
    NoLibrary,
    #[error("a source holds a zero byte")]
    Zero(#[from] NulError),
    #[error("{call} failed: {result:?}")]
    Call {
        call: &'static str,
        result: sys::nvrtcResult,
    },
    #[error("{result:?}\n{log}")]
    Compile {
        result: sys::nvrtcResult,
        log: String,
    },
}

/// What came of a source.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) cubin: Vec<u8>,
    pub(crate) log: String,
}

fn checked(call: &'static str, result: sys::nvrtcResult) -> Result<(), ProgramError> {
    match result {
        sys::nvrtcResult::NVRTC_SUCCESS => Ok(()),
        result => Err(ProgramError::Call { call, result }),
    }
}

/// Of the library: major, minor.
pub(crate) fn version() -> Result<(i32, i32), ProgramError> {
    // SAFETY: looks for a library, and loads it.
    if !unsafe { sys::is_culib_present() } {
        return Err(ProgramError::NoLibrary);
    }
    let (mut major, mut minor) = (0, 0);
    // SAFETY: both are written to.
    checked("nvrtcVersion", unsafe {
        sys::nvrtcVersion(&raw mut major, &raw mut minor)
    })?;
    Ok((major, minor))
}

/// A program's handle, given back at the end.
struct Handle(sys::nvrtcProgram);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is one that nvrtcCreateProgram gave; a failure leaves it as it is.
        unsafe { sys::nvrtcDestroyProgram(&raw mut self.0) };
    }
}

impl Program {
    /// The binary for one architecture, such as `sm_90`; [`version`] must have found the library.
    pub(crate) fn compile(
        source: &Source,
        headers: &[Source],
        architecture: &str,
    ) -> Result<Self, ProgramError> {
        let handle = create(source, headers)?;
        // Fused where the source says so alone: then results are those of the CPU.
        let options = [
            format!("--gpu-architecture={architecture}"),
            "--std=c++17".to_owned(),
            "--fmad=false".to_owned(),
            "--ptxas-options=-v".to_owned(),
        ];
        let options = options
            .into_iter()
            .map(CString::new)
            .collect::<Result<Vec<_>, _>>()?;
        let pointers: Vec<_> = options.iter().map(|option| option.as_ptr()).collect();
        // SAFETY: as many strings as said, which live as long as the call.
        let result =
            unsafe { sys::nvrtcCompileProgram(handle.0, pointers.len() as i32, pointers.as_ptr()) };
        let log = bytes(
            &handle,
            "the log",
            sys::nvrtcGetProgramLogSize,
            sys::nvrtcGetProgramLog,
        )?;
        let log = String::from_utf8_lossy(&log)
            .trim_end_matches('\0')
            .to_owned();
        if result != sys::nvrtcResult::NVRTC_SUCCESS {
            return Err(ProgramError::Compile { result, log });
        }
        let cubin = bytes(
            &handle,
            "the cubin",
            sys::nvrtcGetCUBINSize,
            sys::nvrtcGetCUBIN,
        )?;
        Ok(Self { cubin, log })
    }
}

fn create(source: &Source, headers: &[Source]) -> Result<Handle, ProgramError> {
    let (text, name) = (
        CString::new(source.text.as_str())?,
        CString::new(source.name.as_str())?,
    );
    let strings = |of: fn(&Source) -> &str| -> Result<Vec<CString>, NulError> {
        headers
            .iter()
            .map(|header| CString::new(of(header)))
            .collect()
    };
    let (texts, names) = (strings(|h| &h.text)?, strings(|h| &h.name)?);
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|s| s.as_ptr()).collect()
    };
    let mut program = ptr::null_mut();
    // SAFETY: strings end with zero, and there are as many as said; NVRTC copies them.
    checked("nvrtcCreateProgram", unsafe {
        sys::nvrtcCreateProgram(
            &raw mut program,
            text.as_ptr(),
            name.as_ptr(),
            headers.len() as i32,
            pointers(&texts).as_ptr(),
            pointers(&names).as_ptr(),
        )
    })?;
    Ok(Handle(program))
}

/// What a pair of NVRTC's functions gives: first how many bytes, then the bytes.
fn bytes(
    handle: &Handle,
    what: &'static str,
    size: unsafe fn(sys::nvrtcProgram, *mut usize) -> sys::nvrtcResult,
    get: unsafe fn(sys::nvrtcProgram, *mut c_char) -> sys::nvrtcResult,
) -> Result<Vec<u8>, ProgramError> {
    let mut len = 0;
    // SAFETY: the handle is alive, and `len` is written to.
    checked(what, unsafe { size(handle.0, &raw mut len) })?;
    let mut held = vec![0; len];
    // SAFETY: there is room for as many bytes as it said.
    checked(what, unsafe { get(handle.0, held.as_mut_ptr().cast()) })?;
    Ok(held)
}
