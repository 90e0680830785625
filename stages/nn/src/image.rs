//! An image's extents: every network sees 32x32 pixels of three channels.

/// Rows and columns of an image.
pub const IMAGE_SIZE: usize = 32;
/// Channels of an image.
pub const IMAGE_CHANNELS: usize = 3;
/// Numbers of an image.
pub const IMAGE: usize = IMAGE_SIZE * IMAGE_SIZE * IMAGE_CHANNELS;
