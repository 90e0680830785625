//! How much memory a group of processes uses, according to `/proc`.
//!
//! Counted is memory that only its owners can free: anonymous pages and shared memory. Pages of
//! mapped files don't count, since the system drops them when it needs room. A page that several
//! processes share counts once, not once for each: forked workers that read one big array use it
//! together. Memory on a graphics card is not counted.

use std::path::PathBuf;

use crate::fs;

/// What the processes use together, if that is more than `known`; cheap if it is not.
///
/// What each uses alone is cheap to read but counts shared pages several times, so it is an upper
/// bound. For exact shares the kernel walks over all pages, so they are read only if the bound
/// exceeds `known`. A process whose shares can't be read (an old kernel, or another user's
/// process) counts with its bound.
pub fn held_above(known: u64, pids: &[u32]) -> Option<u64> {
    let bounds: Vec<u64> = pids.iter().map(|pid| bound(*pid).unwrap_or(0)).collect();
    let mut held = bounds.iter().sum();
    if held > known && pids.len() > 1 {
        let each = pids.iter().zip(&bounds);
        held = each.map(|(pid, bound)| share(*pid).unwrap_or(*bound)).sum();
    }
    (held > known).then_some(held)
}

/// What the process has in memory, shared or not.
fn bound(pid: u32) -> Option<u64> {
    fields(pid, "status", ["RssAnon:", "RssShmem:"])
}

/// The process's share: a page that `n` processes share counts 1/`n`.
fn share(pid: u32) -> Option<u64> {
    fields(pid, "smaps_rollup", ["Pss_Anon:", "Pss_Shmem:"])
}

/// The sum of two fields in bytes; `None` if the process is gone or a field is missing.
fn fields(pid: u32, file: &str, names: [&str; 2]) -> Option<u64> {
    let text = fs::read(&PathBuf::from(format!("/proc/{pid}/{file}"))).ok()?;
    sum(&String::from_utf8_lossy(&text), names)
}

fn sum(text: &str, names: [&str; 2]) -> Option<u64> {
    names.iter().try_fold(0, |sum: u64, name| {
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
        sum.checked_add(kibibytes.checked_mul(1024)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_kibibytes_and_a_missing_one_is_not_zero() {
        let text = "Name:\tRssAnon: 7 kB\nRssAnon:\t     112 kB\nRssShmem:\t 8 kB\n";
        assert_eq!(sum(text, ["RssAnon:", "RssShmem:"]), Some(120 * 1024));
        assert_eq!(sum(text, ["RssAnon:", "Swap:"]), None);
    }

    #[test]
    fn what_a_process_fills_is_what_it_holds() {
        // It fills a block and then waits for somebody to read it.
        let mut dd = std::process::Command::new("dd");
        let dd = dd.args(["if=/dev/zero", "bs=128M", "count=1"]);
        let mut dd = dd.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let filled = (0..600).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            held_above(0, &[dd.id()]).is_some_and(|held| held >= 128 << 20)
        });
        let most = held_above(u64::MAX, &[dd.id()]);
        dd.kill().unwrap();
        dd.wait().unwrap();
        assert!(filled);
        assert_eq!(most, None);
    }

    #[test]
    fn a_process_that_has_gone_holds_nothing() {
        assert_eq!(held_above(0, &[u32::MAX]), None);
    }
}
