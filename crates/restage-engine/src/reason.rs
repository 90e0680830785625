//! Why a stage runs.

use restage_core::digest::Change;

/// Why a stage runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// Nothing is known of it.
    NeverRan,
    /// This differs from its last run.
    Changed(Change),
    /// The user forced it.
    Forced,
    /// Its record is there, but the store has lost this out.
    Lost(String),
    /// Its record is there; this out was not kept, and a stage that runs reads it.
    NotKept(String),
    /// What should be its record is about other outs than it declares.
    OtherOuts,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NeverRan => f.write_str("never ran"),
            Self::Changed(change) => write!(f, "{change}"),
            Self::Forced => f.write_str("forced"),
            Self::OtherOuts => f.write_str("its record names other outs than it declares"),
            Self::Lost(out) => write!(f, "the store has lost `{out}`"),
            Self::NotKept(out) => write!(f, "`{out}` was not kept, and is read again"),
        }
    }
}
