//! What makes a class: for a point, whether it belongs to the shape or texture.
//! It must not know of pixels, colours or chance.

/// A class of generated images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Disc,
    Square,
    Triangle,
    Ring,
    Cross,
    Star,
    HorizontalStripes,
    DiagonalStripes,
    Checkerboard,
    Dots,
}

/// The outward normals of a regular pentagon's sides, the first pointing down.
const PENTAGON: [(f32, f32); 5] = [
    (0.0, 1.0),
    (-0.951_056_5, 0.309_017),
    (-0.587_785_25, -0.809_017),
    (0.587_785_25, -0.809_017),
    (0.951_056_5, 0.309_017),
];

impl Pattern {
    /// All classes, in the order of their labels.
    pub(crate) const ALL: [Self; 10] = [
        Self::Disc,
        Self::Square,
        Self::Triangle,
        Self::Ring,
        Self::Cross,
        Self::Star,
        Self::HorizontalStripes,
        Self::DiagonalStripes,
        Self::Checkerboard,
        Self::Dots,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Disc => "disc",
            Self::Square => "square",
            Self::Triangle => "triangle",
            Self::Ring => "ring",
            Self::Cross => "cross",
            Self::Star => "star",
            Self::HorizontalStripes => "stripes",
            Self::DiagonalStripes => "diagonals",
            Self::Checkerboard => "checkerboard",
            Self::Dots => "dots",
        }
    }

    /// Textures fill the plane with period 1; shapes lie within the unit circle.
    pub(crate) fn is_texture(self) -> bool {
        matches!(
            self,
            Self::HorizontalStripes | Self::DiagonalStripes | Self::Checkerboard | Self::Dots
        )
    }

    /// Whether the point belongs to it: `u` to the right, `v` down. Stripes run along `u`.
    pub(crate) fn contains(self, u: f32, v: f32) -> bool {
        let square_radius = u * u + v * v;
        match self {
            Self::Disc => square_radius <= 0.85 * 0.85,
            Self::Square => u.abs().max(v.abs()) <= 0.76,
            // Sides at half the circumradius from the centre.
            Self::Triangle => {
                const HALF_ROOT_3: f32 = 0.866_025_4;
                let slant = HALF_ROOT_3 * u.abs() - 0.5 * v;
                v <= 0.5 && slant <= 0.5
            }
            Self::Ring => (0.5 * 0.5..=0.92 * 0.92).contains(&square_radius),
            Self::Cross => {
                let (short, long) = (u.abs().min(v.abs()), u.abs().max(v.abs()));
                short <= 0.28 && long <= 0.95
            }
            // A pentagram: beyond at most one of the five lines through its points,
            // which pass the centre at the cosine of 72 degrees.
            Self::Star => {
                let beyond = |&&(a, b): &&(f32, f32)| a * u + b * v > 0.309_017;
                square_radius <= 1.0 && PENTAGON.iter().filter(beyond).count() <= 1
            }
            Self::HorizontalStripes | Self::DiagonalStripes => fraction(v) < 0.5,
            Self::Checkerboard => (fraction(u) < 0.5) != (fraction(v) < 0.5),
            Self::Dots => {
                let (u, v) = (fraction(u) - 0.5, fraction(v) - 0.5);
                u * u + v * v <= 0.34 * 0.34
            }
        }
    }
}

fn fraction(value: f32) -> f32 {
    value - value.floor()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Share of the square from -1 to 1, by a fine grid.
    fn area(pattern: Pattern) -> f32 {
        let inside = (0..400).flat_map(|row| (0..400).map(move |column| (row, column)));
        let at = |step: i32| (step as f32 + 0.5) / 200.0 - 1.0;
        let inside = inside.filter(|&(row, column)| pattern.contains(at(column), at(row)));
        inside.count() as f32 / 160_000.0 * 4.0
    }

    #[test]
    fn shapes_have_the_areas_that_geometry_says() {
        let expected = [
            (Pattern::Disc, 2.2698),
            (Pattern::Square, 2.3104),
            (Pattern::Triangle, 1.2990),
            (Pattern::Ring, 1.8736),
            (Pattern::Cross, 1.8144),
            // A pentagram of circumradius 1.
            (Pattern::Star, 1.1226),
        ];
        for (pattern, expected) in expected {
            let found = area(pattern);
            assert!(
                (found - expected).abs() < 0.02,
                "{pattern:?}: {found} is not {expected}"
            );
        }
    }

    #[test]
    fn shapes_stay_in_their_circle_and_textures_repeat() {
        for pattern in Pattern::ALL {
            for step in 0..1000_u16 {
                let (u, v) = (
                    f32::from(step % 31) / 8.0 - 2.0,
                    f32::from(step / 31) / 8.0 - 2.0,
                );
                if pattern.is_texture() {
                    assert_eq!(pattern.contains(u, v), pattern.contains(u + 1.0, v - 2.0));
                } else if u * u + v * v > 1.17 {
                    assert!(!pattern.contains(u, v), "{pattern:?} at {u}, {v}");
                }
            }
        }
    }
}
