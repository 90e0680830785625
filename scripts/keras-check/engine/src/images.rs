//! The images that are trained on: of a data set, or generated.
//! It must not know networks.

use std::error::Error;
use std::path::Path;

use dataset::{Dataset, IMAGE_BYTES, Split};
use nn::random::{Stream, StreamName};

pub(crate) const CLASSES: usize = 10;

/// As many as are needed, in the order of their batches.
pub(crate) struct Images {
    /// What the data set calls itself.
    pub(crate) label: String,
    pub(crate) train: Split,
    pub(crate) test: Split,
}

impl Images {
    /// A seeded choice from a data set without repetition, or `train` and `test` generated images.
    pub(crate) fn new(
        data: Option<&Path>,
        seed: u64,
        train: usize,
        test: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let Some(path) = data else {
            return Ok(Self {
                label: "generated".to_owned(),
                train: generated(seed, 0, train),
                test: generated(seed, train, test),
            });
        };
        let data = Dataset::load(path)?;
        if data.classes.len() != CLASSES {
            let found = data.classes.len();
            return Err(format!("`{}` has {found} classes, not {CLASSES}", path.display()).into());
        }
        let choose = |split: &Split, wanted: usize, which: &str| {
            if split.len() < wanted {
                let found = split.len();
                return Err(format!(
                    "`{}` has {found} {which} images, but {wanted} are needed: fewer steps?",
                    path.display()
                ));
            }
            let mut order = Stream::new(seed, StreamName::Shuffle, 0).permutation(split.len());
            order.truncate(wanted);
            Ok(split.select(&order))
        };
        Ok(Self {
            label: data.label.clone(),
            train: choose(&data.train, train, "training")?,
            test: choose(&data.test, test, "test")?,
        })
    }
}

/// Noise around a wave whose direction and length are its class's, from image `first` on.
fn generated(seed: u64, first: usize, count: usize) -> Split {
    let mut split = Split::with_capacity(count);
    for i in first..first + count {
        let noise = Stream::new(seed, StreamName::Data, i as u64);
        let label = noise.u32_at(IMAGE_BYTES as u64) as usize % CLASSES;
        let (across, down) = (label % 5, label / 5 + 1);
        let mut image = [0; IMAGE_BYTES];
        for (place, (pixel, noise)) in image.iter_mut().zip(noise.uniforms(0)).enumerate() {
            let (row, column, channel) = (place / 96, place / 3 % 32, place % 3);
            let phase = (row * down + column * across + 4 * channel) as f32;
            let wave = (phase * 0.4).sin();
            *pixel = (110.0 + 60.0 * wave + 70.0 * noise) as u8;
        }
        split.push(&image, label as u8);
    }
    split
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_images_have_every_class_and_no_two_are_the_same() {
        let split = generated(1, 0, 200);
        assert!(split.class_counts(CLASSES).iter().all(|&count| count > 5));
        let mut images: Vec<&[u8]> = (0..200).map(|i| split.image(i)).collect();
        images.sort_unstable();
        images.dedup();
        assert_eq!(images.len(), 200);
        // What is tested is not what was trained on.
        assert_eq!(generated(1, 150, 50).image(7), split.image(157));
    }

    #[test]
    fn a_data_set_with_too_few_images_is_refused_and_gives_no_image_twice_otherwise() {
        let folder = std::env::temp_dir().join(format!("keras-check-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("data.bin");
        let classes = (0..CLASSES).map(|class| class.to_string()).collect();
        let part = |first, count| generated(3, first, count);
        let data = Dataset::new(
            "waves".to_owned(),
            classes,
            part(0, 60),
            part(60, 30),
            part(90, 30),
        );
        data.expect("a data set").save(&path).expect("a file");
        let chosen = Images::new(Some(&path), 1, 60, 10).expect("enough images");
        assert_eq!((chosen.train.len(), chosen.test.len()), (60, 10));
        let mut images: Vec<&[u8]> = (0..60).map(|i| chosen.train.image(i)).collect();
        images.sort_unstable();
        images.dedup();
        assert_eq!(images.len(), 60);
        let refused = Images::new(Some(&path), 1, 61, 10).err().expect("too many");
        assert!(
            refused
                .to_string()
                .contains("has 60 training images, but 61 are needed"),
            "{refused}"
        );
        std::fs::remove_dir_all(&folder).expect("a folder to remove");
    }
}
