//! The process's largest resident memory, as Linux counts it.
//! It must not know what the memory holds.

use std::fs;

/// Starts the count anew, where the system allows it; elsewhere the peak is that of the
/// process's whole life.
pub(crate) fn reset_peak() {
    // Refused in some sandboxes; the measurement is then coarser, not wrong.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The largest resident memory since the last reset, in MiB; none where there is no `/proc`.
pub(crate) fn peak_mib() -> Option<f64> {
    parse(&fs::read_to_string("/proc/self/status").ok()?)
}

fn parse(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_status() {
        let status = "VmPeak:\t  200000 kB\nVmHWM:\t  12800 kB\nVmRSS:\t   5000 kB\n";
        assert_eq!(parse(status), Some(12.5));
    }

    #[test]
    fn a_status_without_a_peak_gives_none() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("VmHWM: lots"), None);
    }
}
