//! Signals during a run: the first one asks the stages to stop, the next one kills them. SIGTSTP
//! (Ctrl-Z) stops stages and restage until SIGCONT.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use restage_exec::LocalExecutor;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use crate::error::CliError;
use crate::exit::Exit;
use restage_core::fs;

/// A flag that is set by SIGINT, SIGTERM or SIGHUP. On the second one the jobs are killed and restage
/// ends at once: nothing half-written is ever recorded.
pub(crate) fn watch(executor: &LocalExecutor) -> Result<Arc<AtomicBool>, CliError> {
    let (kill, pause) = (executor.killer(), executor.pauser());
    let mut heard = vec![SIGINT, SIGTERM];
    if !ignored(SIGHUP) {
        heard.push(SIGHUP);
    }
    if !ignored(SIGTSTP) {
        heard.push(SIGTSTP);
    }
    let mut signals = Signals::new(heard).map_err(CliError::machine)?;
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    let body = move || {
        for signal in signals.forever() {
            if signal == SIGTSTP {
                pause(true);
                restage_exec::stop_this_process();
                pause(false);
            } else if seen.swap(true, Ordering::Relaxed) {
                kill();
                signal_hook::low_level::exit(Exit::Interrupted as i32);
            }
        }
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(body)
        .map_err(CliError::machine)?;
    Ok(flag)
}

/// Whether our caller made us ignore a signal, as `nohup` does: then we keep ignoring it.
fn ignored(signal: i32) -> bool {
    let Ok(status) = fs::read_to_string(std::path::Path::new("/proc/self/status")) else {
        return false;
    };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
