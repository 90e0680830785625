//! What can be wrong with a data set and its file.
//! It must not know how the file is read.

use std::path::PathBuf;

use contract::files::FileError;

use crate::file::VERSION;
use crate::split::IMAGE_BYTES;

/// A data set that cannot be built, saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file's content is not a data set.
    #[error("`{}` is no usable data set: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The splits given to [`Dataset::new`](crate::Dataset::new) are not a data set.
    #[error(transparent)]
    Invalid(#[from] Problem),
}

/// What is wrong with a data set.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It does not begin as these files do.
    #[error("it does not begin with `RSTGDATA`")]
    Magic,
    /// A format that this program does not know.
    #[error("its format is version {found}, this program reads version {VERSION}")]
    Version {
        /// The version in the file.
        found: u32,
    },
    /// The header is not the JSON it should be.
    #[error("its header is damaged: {0}")]
    Header(String),
    /// Shorter than its header says.
    #[error("it is truncated: {found} bytes of {expected}")]
    Truncated {
        /// Bytes that the header asks for.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// Longer than its header says.
    #[error("{0} bytes follow its end")]
    Trailing(u64),
    /// The bytes are not those that were written.
    #[error("its checksum is {found:08x}, expected {expected:08x}")]
    Checksum {
        /// The checksum in the file.
        expected: u32,
        /// The checksum of the bytes.
        found: u32,
    },
    /// Images and labels of a split don't match in number.
    #[error("split `{split}` has {bytes} bytes of images for {labels} labels of {IMAGE_BYTES}")]
    Lengths {
        /// The split.
        split: &'static str,
        /// Bytes of images.
        bytes: usize,
        /// Labels.
        labels: usize,
    },
    /// A split without images.
    #[error("split `{0}` has no images")]
    Empty(&'static str),
    /// A label without a class.
    #[error("image {index} of split `{split}` has label {label}, but there are {classes} classes")]
    Label {
        /// The split.
        split: &'static str,
        /// Which image, from 0.
        index: usize,
        /// Its label.
        label: u8,
        /// How many classes there are.
        classes: usize,
    },
    /// A channel that is the same everywhere, so that nothing can be divided by its spread.
    #[error("the {0} channel of split `train` has the same value everywhere")]
    Constant(&'static str),
}
