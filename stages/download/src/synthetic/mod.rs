//! Generated images: ten classes of shapes and textures, learnable but not trivially.
//! It must not use the platform's mathematics: the same seed gives the same bytes anywhere.
//!
//! Position, size, rotation, colours, clutter, brightness and noise are drawn at random,
//! and the foreground is as often darker as lighter than the background, so that no
//! single pixel or colour tells the class: a linear model does poorly, a small
//! convolutional network well.

mod paint;
mod pattern;

use contract::{Progress, Stage};
use dataset::Split;
use dataset::cifar::{Batches, CLASSES};
use dataset::random::Random;

use pattern::Pattern;

/// Ten classes, in the order of their labels; both splits are balanced and shuffled.
pub(crate) fn generate(stage: &Stage, seed: u64, train: usize, test: usize) -> Batches {
    let total = (train + test) as u64;
    let mut done = 0;
    let mut split = |name: &str, count: usize| {
        let order = Random::new(seed, &format!("synthetic/{name}/labels")).permutation(count);
        let stream = format!("synthetic/{name}/image");
        let mut split = Split::with_capacity(count);
        for (index, place) in order.into_iter().enumerate() {
            let class = place % CLASSES;
            let mut random = Random::nth(seed, &stream, index as u64);
            let image = paint::image(Pattern::ALL[class], &mut random);
            split.push(&image, class as u8);
            done += 1;
            stage.progress(Progress {
                done,
                total,
                unit: "image",
                fraction: done as f64 / total as f64,
                remaining_seconds: None,
                metrics: &[],
            });
        }
        split
    };
    Batches {
        train: split("train", train),
        test: split("test", test),
        classes: Pattern::ALL
            .map(|pattern| pattern.name().to_owned())
            .to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sha2::{Digest, Sha256};

    use super::*;

    fn small(seed: u64) -> Batches {
        generate(&Stage::for_test("{}", Path::new(".")), seed, 40, 20)
    }

    /// Committed results rest on these bytes: another digest means other results.
    #[test]
    fn the_images_never_change_unnoticed() {
        let batches = small(42);
        let mut digest = Sha256::new();
        for split in [&batches.train, &batches.test] {
            digest.update(&split.labels);
            digest.update(&split.images);
        }
        insta::assert_snapshot!(crate::archive::hexadecimal(&digest.finalize()), @"520326cd1714796d5b3e0f5a0e788c8bb9ddc9671fcadc487f206706d22764ac");
    }

    #[test]
    fn classes_are_balanced_and_differ_between_splits() {
        let batches = small(1);
        assert_eq!(batches.train.class_counts(CLASSES), [4; CLASSES]);
        assert_eq!(batches.test.class_counts(CLASSES), [2; CLASSES]);
        assert_ne!(batches.train.image(0), batches.test.image(0));
    }

    #[test]
    fn another_seed_gives_other_images() {
        assert_eq!(small(1), small(1));
        assert_ne!(small(1).train.images, small(2).train.images);
        assert_ne!(small(1).train.labels, small(2).train.labels);
    }

    #[test]
    fn more_images_leave_the_first_as_they_are() {
        let stage = Stage::for_test("{}", Path::new("."));
        let few = generate(&stage, 3, 10, 10);
        let same = (0..10).filter(|&index| {
            let more = Random::nth(3, "synthetic/train/image", index as u64);
            let pattern = Pattern::ALL[usize::from(few.train.labels[index])];
            paint::image(pattern, &mut more.clone())[..] == *few.train.image(index)
        });
        assert_eq!(same.count(), 10);
    }
}
