//! A part of a file, mapped into memory and hashed without a copy. That the file becomes shorter, or
//! that its disk fails, shows in the result and does not end the process.
//!
//! All `unsafe` of the mapping and of its signal is here. The bytes may change at any time: they are
//! never a slice, and only the kernel's vector loads read them.

use std::fs::File;
use std::mem::{self, MaybeUninit};
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use blake3::hazmat::ChainingValue;
use libc::{c_int, c_void, siginfo_t};

use super::{LEAST, avx512};

/// Of x86-64.
const PAGE: usize = 4096;

/// A mapped part of a file.
#[derive(Debug)]
pub struct Window {
    start: *const u8,
    offset: u64,
    len: usize,
    guard: &'static Guard,
}

// SAFETY: its memory is only read, by any thread, and stays until it is dropped.
unsafe impl Sync for Window {}

/// What the handler of SIGBUS knows of a window.
#[derive(Debug)]
struct Guard {
    taken: AtomicBool,
    /// Addresses; equal where nothing is mapped.
    start: AtomicUsize,
    end: AtomicUsize,
    hit: AtomicBool,
}

/// As many as threads may digest a large file each; more of them read it.
static GUARDS: [Guard; 64] = [const {
    Guard {
        taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        hit: AtomicBool::new(false),
    }
}; 64];

impl Window {
    /// Maps `len` bytes of the file from `offset` on. None if the CPU has no AVX-512, or they can't be
    /// mapped: they are to be read then.
    pub fn map(file: &File, offset: u64, len: usize) -> Option<Self> {
        if !avx512::is_there() || !handle_sigbus() {
            return None;
        }
        let from = i64::try_from(offset).ok()?;
        let free = |guard: &&Guard| !guard.taken.swap(true, SeqCst);
        let guard = GUARDS.iter().find(free)?;
        // SAFETY: a new mapping takes nobody's memory.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_PRIVATE,
                file.as_raw_fd(),
                from,
            )
        };
        if start == libc::MAP_FAILED {
            guard.taken.store(false, SeqCst);
            return None;
        }
        guard.hit.store(false, SeqCst);
        guard.start.store(start.addr(), SeqCst);
        guard.end.store(start.addr() + len, SeqCst);
        Some(Self {
            start: start.cast(),
            offset,
            len,
            guard,
        })
    }

    /// The chaining value of the `len` bytes of the file from `offset` on, if they are in the window and such
    /// that they can be hashed without a copy; [`Self::is_whole`] then says whether it is right.
    pub fn chaining_value(&self, offset: u64, len: usize) -> Option<ChainingValue> {
        let at = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let fits = at.checked_add(len)? <= self.len;
        let is_wide = len >= LEAST && len.is_power_of_two() && offset.is_multiple_of(LEAST as u64);
        if !fits || !is_wide {
            return None;
        }
        // SAFETY: these bytes are in the mapping, and the handler puts zeros where they go. AVX-512 is there,
        // or there would be no window.
        Some(unsafe { avx512::chaining_value(self.start.add(at), len, offset) })
    }

    /// Whether all bytes that were read so far were those of the file.
    pub fn is_whole(&self) -> bool {
        !self.guard.hit.load(SeqCst)
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.guard.end.store(0, SeqCst);
        self.guard.start.store(0, SeqCst);
        // SAFETY: it is our mapping, and nobody has it any more.
        unsafe { libc::munmap(self.start.cast_mut().cast(), self.len) };
        self.guard.taken.store(false, SeqCst);
    }
}

/// What the signal did before, once the handler is there.
static BEFORE: OnceLock<Option<libc::sigaction>> = OnceLock::new();

/// Handles the signal that reading a mapped byte gives which can't be had. False if that can't be done.
fn handle_sigbus() -> bool {
    let ask = || {
        let mut before = MaybeUninit::uninit();
        // SAFETY: it says what the signal does, and changes nothing.
        let asked = unsafe { libc::sigaction(libc::SIGBUS, ptr::null(), before.as_mut_ptr()) };
        // SAFETY: it was filled in, or is not used.
        (asked == 0).then(|| unsafe { before.assume_init() })
    };
    static HANDLED: OnceLock<bool> = OnceLock::new();
    *HANDLED.get_or_init(|| {
        if BEFORE.get_or_init(ask).is_none() {
            return false;
        }
        // SAFETY: zeros are an action without flags and mask.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_sigbus;
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: the handler takes these arguments, and calls nothing that a handler must not call.
        unsafe { libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) == 0 }
    })
}

extern "C" fn on_sigbus(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a handler with SA_SIGINFO this description, of a fault or of a sent signal.
    let (is_fault, address) = unsafe { ((*info).si_code > 0, (*info).si_addr().addr()) };
    let found = GUARDS
        .iter()
        .find(|guard| (guard.start.load(SeqCst)..guard.end.load(SeqCst)).contains(&address));
    if let Some(guard) = found
        && is_fault
    {
        guard.hit.store(true, SeqCst);
        let page = address & !(PAGE - 1);
        // SAFETY: these pages are the rest of a window. Its digest counts for nothing any more, and its thread
        // goes on with zeros. A handler must leave `errno` as it was.
        let replaced = unsafe {
            let errno = *libc::__errno_location();
            let pages = libc::mmap(
                ptr::without_provenance_mut(page),
                guard.end.load(SeqCst) - page,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                -1,
                0,
            );
            *libc::__errno_location() = errno;
            pages != libc::MAP_FAILED
        };
        if replaced {
            return;
        }
    }
    as_before(signal, info, context, is_fault);
}

/// What is no window's: a fault is left to the handler before this one, which knows full stacks, and a
/// signal that was sent ends the process.
fn as_before(signal: c_int, info: *mut siginfo_t, context: *mut c_void, is_fault: bool) {
    let before = BEFORE.get().and_then(Option::as_ref);
    match before.map_or(libc::SIG_DFL, |before| before.sa_sigaction) {
        libc::SIG_IGN if !is_fault => {}
        handler if is_fault && handler != libc::SIG_IGN && handler != libc::SIG_DFL => {
            // SAFETY: it is the address of a handler. One without SA_SIGINFO takes only the first of these
            // arguments, and they are passed in registers.
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                unsafe { mem::transmute(handler) };
            handler(signal, info, context);
        }
        // SAFETY: a handler may call both. A fault happens again and then ends the process; a signal that is
        // raised here comes as soon as the handler returns.
        _ => unsafe {
            let mut default: libc::sigaction = mem::zeroed();
            default.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &raw const default, ptr::null_mut());
            if !is_fault {
                libc::raise(signal);
            }
        },
    }
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
