//! Images with their labels, as flat bytes.
//! It must not know what a split is used for.

/// Rows of an image.
pub const HEIGHT: usize = 32;
/// Pixels in a row.
pub const WIDTH: usize = 32;
/// Red, green, blue.
pub const CHANNELS: usize = 3;
/// Bytes of one image: height x width x channels, the channel varying fastest.
pub const IMAGE_BYTES: usize = HEIGHT * WIDTH * CHANNELS;

/// Images of shape `[n, 32, 32, 3]` and a label for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Pixels from 0 to 255, `[n, height, width, channel]`.
    pub images: Vec<u8>,
    /// The class of each image, an index into the classes' names.
    pub labels: Vec<u8>,
}

impl Split {
    /// A split with room for `count` images.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self {
            images: Vec::with_capacity(count * IMAGE_BYTES),
            labels: Vec::with_capacity(count),
        }
    }

    /// How many images there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of one image, `[32, 32, 3]`.
    ///
    /// # Panics
    /// If there is no such image, as indexing does.
    #[must_use]
    pub fn image(&self, index: usize) -> &[u8] {
        &self.images[index * IMAGE_BYTES..(index + 1) * IMAGE_BYTES]
    }

    /// Adds an image, `[32, 32, 3]`.
    pub fn push(&mut self, image: &[u8; IMAGE_BYTES], label: u8) {
        self.images.extend_from_slice(image);
        self.labels.push(label);
    }

    /// The images at these places, in this order.
    ///
    /// # Panics
    /// If there is no such image, as indexing does.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut selected = Self::with_capacity(indices.len());
        for &index in indices {
            selected.images.extend_from_slice(self.image(index));
            selected.labels.push(self.labels[index]);
        }
        selected
    }

    /// How many images each of `classes` classes has.
    #[must_use]
    pub fn class_counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &label in &self.labels {
            if let Some(count) = counts.get_mut(usize::from(label)) {
                *count += 1;
            }
        }
        counts
    }
}
