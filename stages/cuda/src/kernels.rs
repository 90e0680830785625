//! The kernels' sources, and which kernels they hold.
//! It must not know what compiles them.

/// Headers that the sources name.
pub const HEADERS: &[(&str, &str)] = &[];

/// Each compiled alone.
pub const SOURCES: &[(&str, &str)] = &[];

/// Every kernel of the sources.
pub const KERNELS: &[&str] = &[];
