//! System calls that rustix does not offer. All `unsafe` of the launcher is here.

use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use rustix::process::Pid;

/// Makes a child process, in new namespaces if `flags` say so. `None`: we are the child.
///
/// Must be called while this process has one thread only: the child has a copy of memory in which
/// no other thread holds a lock, so it may do anything.
pub(crate) fn clone(flags: i32) -> io::Result<Option<Pid>> {
    // SAFETY: as `fork`: with a null stack and no `CLONE_VM` the child goes on here with a copy of
    // our memory. The arguments whose order depends on the architecture are null.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::c_long::from(flags | libc::SIGCHLD),
            0,
            0,
            0,
            0,
        )
    };
    match i32::try_from(pid) {
        Ok(pid) if pid >= 0 => Ok(Pid::from_raw(pid)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The kernel's `struct mount_attr`, which libc lacks.
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

const MOUNT_ATTR_RDONLY: u64 = 1;

/// Changes whether a detached mount, and all below it, can be written.
pub(crate) fn set_read_only(tree: impl AsFd, read_only: bool) -> io::Result<()> {
    let on = MOUNT_ATTR_RDONLY;
    let attr = MountAttr {
        attr_set: if read_only { on } else { 0 },
        attr_clr: if read_only { 0 } else { on },
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the path is empty and ends with NUL; the kernel reads as many bytes of `attr` as we
    // say it has.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            std::ptr::from_ref(&attr),
            mem::size_of_val(&attr),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A set of signals, as the system wants it.
#[derive(Clone, Copy)]
pub(crate) struct SignalMask(libc::sigset_t);

impl SignalMask {
    fn of(signals: &[i32]) -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: the first call initialises the set, the others change an initialised one.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for signal in signals {
                libc::sigaddset(set.as_mut_ptr(), *signal);
            }
            Self(set.assume_init())
        }
    }

    /// Blocks all signals that can be, and returns what was blocked before.
    pub(crate) fn block_all() -> Self {
        let mut all = MaybeUninit::uninit();
        let mut before = Self::of(&[]);
        // SAFETY: both sets are ours; the first is initialised before it is read. It cannot fail
        // with a valid `how`.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), &raw mut before.0);
        }
        before
    }

    /// Blocks these and no others.
    pub(crate) fn restore(&self) {
        // SAFETY: the set is initialised; null asks for nothing back.
        unsafe {
            libc::sigprocmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut());
        }
    }
}

/// Waits for one of two signals, which must be blocked, or for so long.
pub(crate) fn wait_for_signal(signals: [i32; 2], at_most: Option<Duration>) {
    let set = SignalMask::of(&signals);
    let time = at_most.map(|time| libc::timespec {
        tv_sec: time.as_secs() as libc::time_t,
        tv_nsec: time.subsec_nanos().into(),
    });
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the set is initialised; null asks for no details, and for no end of waiting; `time`
    // outlives the call.
    unsafe {
        libc::sigtimedwait(&raw const set.0, std::ptr::null_mut(), time);
    }
}

/// A descriptor that can be read when a signal has come, which must be blocked.
pub(crate) fn signal_descriptor(signal: i32) -> io::Result<OwnedFd> {
    let set = SignalMask::of(&[signal]);
    // SAFETY: the set is initialised; -1 asks for a new descriptor.
    let fd =
        unsafe { libc::signalfd(-1, &raw const set.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made it, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Closes all descriptors but the first three at the next start of a program: one of a folder in
/// the workspace would be a way out.
pub(crate) fn close_all_on_exec() -> io::Result<()> {
    // SAFETY: it changes flags of descriptors and touches no memory.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Stops this process as the terminal does (SIGTSTP), whoever handles that signal here, and returns
/// when it goes on. Where nobody could make it go on, the system does not stop it.
pub(crate) fn stop_this_process() {
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    let mut default = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: all zeros is a valid value of this plain struct: the default action, an empty mask, no
    // flags. The second call puts back what the first has written.
    unsafe {
        (*default.as_mut_ptr()).sa_sigaction = libc::SIG_DFL;
        if libc::sigaction(libc::SIGTSTP, default.as_ptr(), before.as_mut_ptr()) == 0 {
            libc::kill(libc::getpid(), libc::SIGTSTP);
            // Another thread may be the one that takes it, a moment later.
            std::thread::sleep(std::time::Duration::from_millis(20));
            libc::sigaction(libc::SIGTSTP, before.as_ptr(), std::ptr::null_mut());
        }
    }
}

/// Ends this process without destructors and handlers: in a copy of another process they are that
/// one's.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: it takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Turns the loopback interface on, in this process's network.
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: all zeros is a valid value of this plain struct.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request's number says that the kernel reads an `ifreq`, which outlives the call.
    let done = unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS,
            std::ptr::from_ref(&request),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
