//! The implicit matrix of a convolution: row = position of a window, column = (tap, channel).
//! It must not know which product reads it; the matrix itself is never stored.

/// Windows over square images: position (y, x) sees the pixels
/// `(y * step + top .. + rows, x * step + left .. + columns)`, zeros outside the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Im2col {
    pub(crate) images: usize,
    /// Rows of window positions in an image.
    pub(crate) grid_rows: usize,
    /// Columns of window positions in an image.
    pub(crate) grid_columns: usize,
    /// Rows and columns of an image.
    pub(crate) size: usize,
    pub(crate) channels: usize,
    pub(crate) step: usize,
    pub(crate) window: Window,
}

/// The pixels that a window covers, relative to its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) top: isize,
    pub(crate) left: isize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

/// A window's position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    pub(crate) image: usize,
    pub(crate) y: usize,
    pub(crate) x: usize,
}

impl Im2col {
    /// Rows of the matrix.
    pub(crate) fn positions(&self) -> usize {
        self.images * self.grid_rows * self.grid_columns
    }

    /// Columns of the matrix.
    pub(crate) fn depth(&self) -> usize {
        self.window.rows * self.window.columns * self.channels
    }

    /// Positions `from..to` in order.
    pub(crate) fn walk(&self, from: usize, to: usize) -> impl Iterator<Item = Position> + use<> {
        let (rows, columns) = (self.grid_rows, self.grid_columns);
        let (line, x) = (from / columns, from % columns);
        let mut at = Position {
            image: line / rows,
            y: line % rows,
            x,
        };
        (from..to).map(move |_| {
            let here = at;
            at.x += 1;
            if at.x == columns {
                (at.x, at.y) = (0, at.y + 1);
                if at.y == rows {
                    (at.y, at.image) = (0, at.image + 1);
                }
            }
            here
        })
    }

    /// Writes columns `from..from + out.len()` of the row at `position`.
    ///
    /// Channels of neighbouring pixels lie side by side, so each row of the window is one copy
    /// between zeros.
    #[inline]
    pub(crate) fn copy_row(
        &self,
        source: &[f32],
        position: Position,
        from: usize,
        out: &mut [f32],
    ) {
        if out.is_empty() {
            return; // A window without pixels has no lines to divide by.
        }
        let line = self.window.columns * self.channels;
        let left = (position.x * self.step) as isize + self.window.left;
        // The part of a window's row that lies inside the image, in numbers from the row's start.
        let inside_from = (-left).max(0) as usize * self.channels;
        let inside_to = ((self.size as isize - left).max(0) as usize * self.channels).min(line);
        let mut window_row = from / line;
        let mut start = from % line;
        let mut rest = out;
        while !rest.is_empty() {
            let end = line.min(start + rest.len());
            let (piece, tail) = rest.split_at_mut(end - start);
            let y = (position.y * self.step + window_row) as isize + self.window.top;
            let (low, high) = (inside_from.clamp(start, end), inside_to.clamp(start, end));
            if y < 0 || y >= self.size as isize || low >= high {
                piece.fill(0.0);
            } else {
                let base = ((position.image * self.size + y as usize) * self.size * self.channels)
                    as isize
                    + left * self.channels as isize;
                let at = (base + low as isize) as usize;
                piece[..low - start].fill(0.0);
                copy(
                    &source[at..at + high - low],
                    &mut piece[low - start..high - start],
                );
                piece[high - start..].fill(0.0);
            }
            (rest, start, window_row) = (tail, 0, window_row + 1);
        }
    }
}

/// Copies numbers; three pixels of colour, the rows of a stem's windows, without a call.
#[inline]
fn copy(from: &[f32], to: &mut [f32]) {
    match (from.as_array::<9>(), to.as_mut_array::<9>()) {
        (Some(from), Some(to)) => *to = *from,
        _ => to.copy_from_slice(from),
    }
}
