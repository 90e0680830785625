//! Line patterns and markers, which tell curves apart without colour.
//! It must not know whose curve it is.

use plotters_backend::BackendCoord;

use super::svg::UNIT;

/// How a curve is drawn; its place in `report.order` chooses it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stroke {
    /// Lengths of dash, gap, dash, ... in pixels; empty: a solid line.
    pub(super) pattern: &'static [f64],
    pub(super) marker: Marker,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    TriangleDown,
}

impl Stroke {
    /// Twenty strokes that differ; after that they repeat.
    pub(super) fn of(place: usize) -> Self {
        const PATTERNS: [&[f64]; 4] = [&[6.0, 3.0], &[1.5, 2.5], &[], &[9.0, 3.0, 1.5, 3.0]];
        const MARKERS: [Marker; 5] = [
            Marker::Square,
            Marker::Triangle,
            Marker::Circle,
            Marker::Diamond,
            Marker::TriangleDown,
        ];
        Self {
            pattern: PATTERNS[place % PATTERNS.len()],
            marker: MARKERS[place % MARKERS.len()],
        }
    }
}

impl Marker {
    /// The corners around a centre, or none for a circle; `radius` in units.
    pub(super) fn corners(self, (x, y): BackendCoord, radius: i32) -> Vec<BackendCoord> {
        // Radii that give the shapes about a circle's area.
        let scaled = |share: i32| radius * share / 100;
        let corners: &[(i32, i32)] = match self {
            Self::Circle => &[],
            Self::Square => &[(-90, -90), (90, -90), (90, 90), (-90, 90)],
            Self::Triangle => &[(0, -125), (120, 85), (-120, 85)],
            Self::TriangleDown => &[(0, 125), (120, -85), (-120, -85)],
            Self::Diamond => &[(0, -130), (115, 0), (0, 130), (-115, 0)],
        };
        corners
            .iter()
            .map(|(right, down)| (x + scaled(*right), y + scaled(*down)))
            .collect()
    }
}

/// Cuts a polyline into dashes; an empty pattern leaves it whole.
pub(super) fn dashes(path: &[BackendCoord], pattern: &[f64]) -> Vec<Vec<BackendCoord>> {
    if pattern.is_empty() {
        return vec![path.to_vec()];
    }
    let mut dashes = Vec::new();
    let mut dash: Vec<BackendCoord> = path.first().copied().into_iter().collect();
    let mut turn = 0;
    let mut left = pattern[0] * f64::from(UNIT);
    for pair in path.windows(2) {
        let (from, to) = (to_float(pair[0]), to_float(pair[1]));
        let (right, down) = (to.0 - from.0, to.1 - from.1);
        let length = (right * right + down * down).sqrt();
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let share = done / length;
            let point = (
                (from.0 + right * share).round() as i32,
                (from.1 + down * share).round() as i32,
            );
            if turn % 2 == 0 {
                dash.push(point);
                dashes.push(std::mem::take(&mut dash));
            } else {
                dash = vec![point];
            }
            turn += 1;
            left = pattern[turn % pattern.len()] * f64::from(UNIT);
        }
        left -= length - done;
        if turn % 2 == 0 {
            dash.push(pair[1]);
        }
    }
    if dash.len() > 1 {
        dashes.push(dash);
    }
    dashes
}

fn to_float((x, y): BackendCoord) -> (f64, f64) {
    (f64::from(x), f64::from(y))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_runs_on_around_corners() {
        let path = [(0, 0), (100, 0), (100, 100)];
        assert_eq!(
            dashes(&path, &[8.0, 4.0]),
            [vec![(0, 0), (80, 0)], vec![(100, 20), (100, 100)],]
        );
        assert_eq!(
            dashes(&path, &[15.0, 4.0]),
            [
                vec![(0, 0), (100, 0), (100, 50)],
                vec![(100, 90), (100, 100)]
            ]
        );
        assert_eq!(dashes(&path, &[]), [path.to_vec()]);
    }

    #[test]
    fn a_single_point_or_repeated_points_make_no_endless_loop() {
        assert!(dashes(&[(5, 5)], &[2.0, 2.0]).is_empty());
        assert!(dashes(&[], &[2.0, 2.0]).is_empty());
        assert_eq!(dashes(&[(5, 5), (5, 5)], &[2.0, 2.0]), [[(5, 5), (5, 5)]]);
    }
}
