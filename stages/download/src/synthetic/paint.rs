//! Paints one image of a class: colours, placement, clutter, light and noise by chance.
//! It must not know labels, splits or files.

use dataset::random::Random;
use dataset::{CHANNELS, HEIGHT, IMAGE_BYTES, WIDTH};

use super::pattern::Pattern;

type Colour = [f32; CHANNELS];

/// Points per pixel along each axis, so that edges are smooth.
const SAMPLES: usize = 2;

/// Least sum of differences between foreground and background over the channels, of 765.
const CONTRAST: f32 = 180.0;

/// A pattern placed in the image.
struct Placed {
    pattern: Pattern,
    centre: (f32, f32),
    /// Cosine and sine of the rotation, divided by the size in pixels.
    axis: (f32, f32),
}

impl Placed {
    fn new(pattern: Pattern, centre: (f32, f32), angle: f32, size: f32) -> Self {
        let axis = (libm::cosf(angle) / size, libm::sinf(angle) / size);
        Self {
            pattern,
            centre,
            axis,
        }
    }

    /// How much of the pixel it covers, from 0 to 1.
    fn coverage(&self, column: usize, row: usize) -> f32 {
        let mut inside = 0_u8;
        for sample in 0..SAMPLES * SAMPLES {
            let at =
                |pixel: usize, step: usize| pixel as f32 + (step as f32 + 0.5) / SAMPLES as f32;
            let x = at(column, sample % SAMPLES) - self.centre.0;
            let y = at(row, sample / SAMPLES) - self.centre.1;
            let (cosine, sine) = self.axis;
            let (u, v) = (x * cosine + y * sine, y * cosine - x * sine);
            inside += u8::from(self.pattern.contains(u, v));
        }
        f32::from(inside) / (SAMPLES * SAMPLES) as f32
    }
}

/// An image of this class.
pub(crate) fn image(pattern: Pattern, random: &mut Random) -> [u8; IMAGE_BYTES] {
    let background = colour(random);
    let foreground = contrasting(background, random);
    let mut canvas = shaded(background, random);

    // What lies behind must not tell the class: any image may have faint texture there.
    if random.chance(0.5) {
        let index = 6 + random.below(4) as usize;
        let faint = texture(Pattern::ALL[index], random);
        let tint = mix(background, colour(random), 0.22);
        draw(&mut canvas, &faint, tint);
    }
    for _ in 0..random.below(3) {
        clutter(&mut canvas, random);
    }
    let main = if pattern.is_texture() {
        texture(pattern, random)
    } else {
        shape(pattern, random)
    };
    draw(&mut canvas, &main, foreground);
    for _ in 0..random.below(3) {
        clutter(&mut canvas, random);
    }
    develop(&canvas, random)
}

fn shape(pattern: Pattern, random: &mut Random) -> Placed {
    let size = random.between(8.0, 13.5);
    // At most a seventh of it beyond the edge.
    let margin = size * 0.85;
    let centre = (
        random.between(margin, WIDTH as f32 - margin),
        random.between(margin, HEIGHT as f32 - margin),
    );
    // Up to 29 degrees either way: enough that no pixel is sure, little enough to be
    // learnt from a thousand images.
    Placed::new(pattern, centre, random.between(-0.5, 0.5), size)
}

const TURN: f32 = std::f32::consts::TAU;

fn texture(pattern: Pattern, random: &mut Random) -> Placed {
    let period = random.between(4.5, 10.0);
    let tilt = random.between(-0.2, 0.2);
    let angle = match pattern {
        Pattern::HorizontalStripes => tilt,
        Pattern::DiagonalStripes if random.chance(0.5) => TURN / 8.0 + tilt,
        Pattern::DiagonalStripes => TURN / 8.0 * 3.0 + tilt,
        _ => random.between(0.0, TURN),
    };
    let phase = (random.between(0.0, 16.0), random.between(0.0, 16.0));
    Placed::new(pattern, phase, angle, period)
}

/// A speck or a bar, too small to be taken for a shape.
fn clutter(canvas: &mut [Colour], random: &mut Random) {
    let centre = (
        random.between(0.0, WIDTH as f32),
        random.between(0.0, HEIGHT as f32),
    );
    let pattern = if random.chance(0.5) {
        Pattern::Disc
    } else {
        Pattern::Square
    };
    let size = random.between(1.2, 3.2);
    let angle = random.between(0.0, TURN);
    let colour = colour(random);
    let speck = Placed::new(pattern, centre, angle, size);
    draw(canvas, &speck, colour);
    if random.chance(0.4) {
        let (x, y) = (libm::cosf(angle) * size, libm::sinf(angle) * size);
        for step in [1.0, 2.0] {
            let centre = (centre.0 + x * step, centre.1 + y * step);
            draw(canvas, &Placed::new(pattern, centre, angle, size), colour);
        }
    }
}

fn draw(canvas: &mut [Colour], placed: &Placed, colour: Colour) {
    for (index, pixel) in canvas.iter_mut().enumerate() {
        let coverage = placed.coverage(index % WIDTH, index / WIDTH);
        if coverage > 0.0 {
            *pixel = mix(*pixel, colour, coverage);
        }
    }
}

/// A plane of colour that grows lighter in some direction.
fn shaded(colour: Colour, random: &mut Random) -> Vec<Colour> {
    let (across, down) = (random.between(-1.2, 1.2), random.between(-1.2, 1.2));
    (0..WIDTH * HEIGHT)
        .map(|index| {
            let x = (index % WIDTH) as f32 - WIDTH as f32 / 2.0;
            let y = (index / WIDTH) as f32 - HEIGHT as f32 / 2.0;
            colour.map(|value| value + x * across + y * down)
        })
        .collect()
}

/// Brightness and noise, then whole numbers from 0 to 255.
fn develop(canvas: &[Colour], random: &mut Random) -> [u8; IMAGE_BYTES] {
    let light = random.between(0.75, 1.2);
    let noise = random.between(4.0, 18.0);
    let mut image = [0; IMAGE_BYTES];
    for (pixel, colour) in image.chunks_exact_mut(CHANNELS).zip(canvas) {
        for (byte, value) in pixel.iter_mut().zip(colour) {
            // A sum of four uniform numbers: near enough to normal, variance 1 after scaling.
            let sum = random.unit() + random.unit() + random.unit() + random.unit();
            let value = value * light + noise * (sum - 2.0) * 1.732_050_8;
            // The cast rounds towards zero and stays within 0..=255.
            *byte = (value + 0.5) as u8;
        }
    }
    image
}

fn colour(random: &mut Random) -> Colour {
    [(); CHANNELS].map(|()| random.between(20.0, 235.0))
}

/// A colour that can be told from the other.
fn contrasting(other: Colour, random: &mut Random) -> Colour {
    loop {
        let candidate = colour(random);
        if distance(candidate, other) >= CONTRAST {
            return candidate;
        }
    }
}

fn distance(a: Colour, b: Colour) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum()
}

fn mix(below: Colour, above: Colour, share: f32) -> Colour {
    let mut mixed = below;
    for (value, above) in mixed.iter_mut().zip(above) {
        *value += (above - *value) * share;
    }
    mixed
}
