//! Files that are cut while they are mapped, and faults that are not a window's.

use std::env;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::thread;

use super::*;
use crate::chaining_value;

const LEN: usize = 1 << 20;

/// None where nothing is ever mapped.
fn file() -> Option<(File, Vec<u8>)> {
    if !avx512::is_there() {
        println!("skipped: this CPU has no AVX-512, so nothing is mapped");
        return None;
    }
    let bytes: Vec<u8> = (0..2 * LEN as u32)
        .map(|i| (i % 253 * (i >> 8) % 251) as u8)
        .collect();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    Some((file, bytes))
}

#[test]
fn a_window_has_the_chaining_values_of_the_file() {
    let Some((file, bytes)) = file() else { return };
    let window = Window::map(&file, LEN as u64, LEN).unwrap();
    for (at, len) in [
        (0, LEN),
        (0, LEAST),
        (LEN / 2, LEN / 4),
        (LEN - LEAST, LEAST),
    ] {
        let (from, offset) = (LEN + at, (LEN + at) as u64);
        let expected = chaining_value(&bytes[from..from + len], offset);
        assert_eq!(
            window.chaining_value(offset, len),
            Some(expected),
            "{len} bytes at {offset}"
        );
    }
    assert!(window.is_whole());
    for (offset, len) in [
        (0, LEAST),
        (LEN, 2 * LEN),
        (2 * LEN - LEAST, 2 * LEAST),
        (LEN, LEAST / 2),
        (LEN, 3 * LEAST),
        (LEN + LEAST / 2, LEAST),
    ] {
        assert_eq!(
            window.chaining_value(offset as u64, len),
            None,
            "{len} bytes at {offset}"
        );
    }
}

#[test]
fn a_file_that_is_cut_while_it_is_mapped_shows_and_ends_nothing() {
    let Some((file, bytes)) = file() else { return };
    for _ in 0..3 {
        file.set_len(2 * LEN as u64).unwrap();
        let window = Window::map(&file, 0, LEN).unwrap();
        file.set_len(LEN as u64 / 2).unwrap();
        let begin = window.chaining_value(0, LEN / 2);
        assert_eq!(begin, Some(chaining_value(&bytes[..LEN / 2], 0)));
        assert!(window.is_whole());
        thread::scope(|scope| {
            for at in [LEN / 2, LEN / 4 * 3] {
                let window = &window;
                scope.spawn(move || window.chaining_value(at as u64, LEN / 4).unwrap());
            }
        });
        assert!(!window.is_whole());
    }
}

const WHICH: &str = "RESTAGE_HASH_TEST_SIGNAL";

/// Ends by a signal, if it is told which.
#[test]
fn another_fault_and_a_signal_that_is_sent_end_the_process_as_before() {
    let Some((file, _)) = file() else { return };
    let Some(which) = env::var_os(WHICH) else {
        let name =
            "window::tests::another_fault_and_a_signal_that_is_sent_end_the_process_as_before";
        for which in ["fault", "sent"] {
            let mut child = Command::new(env::current_exe().unwrap());
            let ended = child
                .args(["--exact", name])
                .env(WHICH, which)
                .output()
                .unwrap();
            assert_eq!(
                ended.status.signal(),
                Some(libc::SIGBUS),
                "{which}: {ended:?}"
            );
        }
        return;
    };
    drop(Window::map(&file, 0, LEN).unwrap());
    // SAFETY: what ends this process on purpose: no memory dump, and a byte that can't be read.
    unsafe {
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        if which == "sent" {
            libc::raise(libc::SIGBUS);
        } else {
            let fd = file.as_raw_fd();
            let start = libc::mmap(
                ptr::null_mut(),
                LEN,
                libc::PROT_READ,
                libc::MAP_SHARED,
                fd,
                0,
            );
            file.set_len(0).unwrap();
            println!("{}", start.cast::<u8>().read_volatile());
        }
    }
}
