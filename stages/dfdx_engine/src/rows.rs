//! Which rows of an image batch (`[n * pixels, channels]`) a convolution or a pool looks at.
//! It must not know channels, weights or tensors.

use nn::network::Conv;

/// For each output pixel and each of the kernel's taps, in order, the row that the tap sees;
/// zeros around the images are the row after the last one. `[n * out_size^2 * kernel^2]`.
pub(crate) fn of_convolution(conv: &Conv, n: usize) -> Vec<usize> {
    let (size, out, pad) = (conv.size, conv.out_size(), conv.pad());
    let outside = n * size * size;
    // The coordinate that tap `tap` of output `at` sees, if it is inside.
    let seen = |at: usize, tap: usize| {
        let padded = at * conv.stride + tap;
        padded.checked_sub(pad).filter(|&inner| inner < size)
    };
    let mut rows = Vec::with_capacity(n * out * out * conv.kernel * conv.kernel);
    for image in 0..n {
        for (row, column) in pixels(out) {
            for (down, right) in pixels(conv.kernel) {
                rows.push(match (seen(row, down), seen(column, right)) {
                    (Some(y), Some(x)) => (image * size + y) * size + x,
                    _ => outside,
                });
            }
        }
    }
    rows
}

/// The rows at one corner (`down`, `right`: 0 or 1) of every 2x2 window of stride 2; an odd last
/// row or column of pixels is in no window. `[n * (size / 2)^2]`.
pub(crate) fn of_corner(n: usize, size: usize, down: usize, right: usize) -> Vec<usize> {
    let windows = |image| {
        pixels(size / 2)
            .map(move |(row, column)| (image * size + 2 * row + down) * size + 2 * column + right)
    };
    (0..n).flat_map(windows).collect()
}

/// Coordinates of a square's places, row by row.
fn pixels(size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..size * size).map(move |i| (i / size, i % size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_3x3_convolution_of_stride_1_sees_its_neighbours_and_the_zeros_around() {
        let rows = of_convolution(&Conv::bare(3, 1, 1, 1, 2), 2);
        assert_eq!(rows.len(), 2 * 4 * 9);
        // The first image's first pixel: above and left of it is nothing.
        assert_eq!(rows[..9], [8, 8, 8, 8, 0, 1, 8, 2, 3]);
        // The second image's last pixel.
        assert_eq!(rows[7 * 9..], [4, 5, 8, 6, 7, 8, 8, 8, 8]);
    }

    #[test]
    fn strides_skip_pixels_and_odd_extents_round_up() {
        let rows = of_convolution(&Conv::bare(3, 2, 1, 1, 3), 1);
        assert_eq!(rows.len(), 4 * 9);
        assert_eq!(rows[3 * 9..], [4, 5, 9, 7, 8, 9, 9, 9, 9]);
        assert_eq!(of_convolution(&Conv::bare(1, 2, 1, 1, 4), 1), [0, 2, 8, 10]);
    }

    #[test]
    fn corners_of_windows_drop_an_odd_last_row_and_column() {
        assert_eq!(of_corner(2, 3, 0, 0), [0, 9]);
        assert_eq!(of_corner(2, 3, 1, 0), [3, 12]);
        assert_eq!(of_corner(1, 4, 1, 1), [5, 7, 13, 15]);
    }
}
