//! Reads what ptxas says of each kernel: registers, shared memory, spills.
//! It must not know how a kernel was compiled.

use std::fmt;

/// What a kernel takes of the device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) name: String,
    /// Registers of a thread.
    pub(crate) registers: u32,
    /// Bytes of shared memory of a block.
    pub(crate) shared: u32,
    /// Bytes of registers that a thread writes to memory for want of room.
    pub(crate) spilled: u32,
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            registers,
            shared,
            spilled,
        } = self;
        write!(
            f,
            "{name}: {registers} registers, {shared} B shared, {spilled} B spilled"
        )
    }
}

/// The kernels in a log of `--ptxas-options=-v`.
pub(crate) fn read(log: &str) -> Vec<Used> {
    let mut all: Vec<Used> = Vec::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            all.push(Used {
                name: rest.split('\'').next().unwrap_or_default().to_owned(),
                ..Used::default()
            });
        } else if let Some(last) = all.last_mut() {
            let set = |field: &mut u32, unit| {
                if let Some(number) = before(line, unit) {
                    *field = number;
                }
            };
            set(&mut last.registers, " registers");
            set(&mut last.shared, " bytes smem");
            set(&mut last.spilled, " bytes spill stores");
        }
    }
    all
}

/// The number in front of `unit`.
fn before(line: &str, unit: &str) -> Option<u32> {
    line.split_once(unit)?
        .0
        .rsplit([' ', ','])
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_and_what_they_use_are_read_from_a_log() {
        let log = "\
ptxas info    : 28 bytes gmem, 56 bytes cmem[4]
ptxas info    : Compiling entry function 'conv_forward_bf16' for 'sm_80'
ptxas info    : Function properties for conv_forward_bf16
ptxas         .     0 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads
ptxas info    : Used 99 registers, used 1 barriers, 8192 bytes smem, 416 bytes cmem[0]
ptxas info    : Compiling entry function 'advance' for 'sm_80'
ptxas info    : Used 8 registers, used 0 barriers";
        let used = |name: &str, registers, shared, spilled| Used {
            name: name.to_owned(),
            registers,
            shared,
            spilled,
        };
        assert_eq!(
            read(log),
            [
                used("conv_forward_bf16", 99, 8192, 12),
                used("advance", 8, 0, 0)
            ]
        );
    }
}
