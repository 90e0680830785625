//! Counts a classifier's hits and misses: confusion matrix, precision, recall, F1.
//! It must not know images, networks or files.

/// How often each true class was taken for each class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

/// How well one class, or an average of classes, was recognised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScore {
    /// Of the images taken for the class, the share that is of it; 0 if none was.
    pub precision: f64,
    /// Of the class's images, the share that was recognised; 0 if there are none.
    pub recall: f64,
    /// Harmonic mean of the two; 0 if both are.
    pub f1: f64,
    /// The class's images.
    pub support: u64,
}

impl Confusion {
    /// Counts pairs of a true and a predicted class, each below `classes`.
    pub fn new(classes: usize, labels: &[u8], predicted: &[u8]) -> Self {
        let mut counts = vec![0; classes * classes];
        for (&label, &guess) in labels.iter().zip(predicted) {
            counts[usize::from(label) * classes + usize::from(guess)] += 1;
        }
        Self { classes, counts }
    }

    /// One row for each true class: counts of predicted classes.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks_exact(self.classes)
    }

    /// Images counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Share of images whose class was recognised; 0 if there are none.
    pub fn accuracy(&self) -> f64 {
        let hits = (0..self.classes)
            .map(|class| self.count(class, class))
            .sum();
        ratio(hits, self.total())
    }

    /// Each class's scores.
    pub fn class_scores(&self) -> Vec<ClassScore> {
        (0..self.classes)
            .map(|class| self.class_score(class))
            .collect()
    }

    /// Unweighted mean of the classes' scores.
    pub fn macro_average(&self) -> ClassScore {
        self.average(|_| 1.0, self.classes as f64)
    }

    /// Mean of the classes' scores, weighted by their images.
    pub fn weighted_average(&self) -> ClassScore {
        self.average(|score| score.support as f64, self.total() as f64)
    }

    fn count(&self, label: usize, predicted: usize) -> u64 {
        self.counts[label * self.classes + predicted]
    }

    fn class_score(&self, class: usize) -> ClassScore {
        let hits = self.count(class, class);
        let taken = (0..self.classes)
            .map(|label| self.count(label, class))
            .sum::<u64>();
        let support = (0..self.classes)
            .map(|predicted| self.count(class, predicted))
            .sum::<u64>();
        ClassScore {
            precision: ratio(hits, taken),
            recall: ratio(hits, support),
            f1: ratio(2 * hits, taken + support),
            support,
        }
    }

    fn average(&self, weight: impl Fn(&ClassScore) -> f64, weights: f64) -> ClassScore {
        let scores = self.class_scores();
        let mean = |part: fn(&ClassScore) -> f64| {
            if weights == 0.0 {
                return 0.0;
            }
            scores
                .iter()
                .map(|score| weight(score) * part(score))
                .sum::<f64>()
                / weights
        };
        ClassScore {
            precision: mean(|score| score.precision),
            recall: mean(|score| score.recall),
            f1: mean(|score| score.f1),
            support: self.total(),
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_small_case_matches_the_textbook() {
        let confusion = Confusion::new(3, &[0, 0, 0, 1, 1, 2], &[0, 0, 1, 1, 0, 2]);
        assert_eq!(
            confusion.rows().collect::<Vec<_>>(),
            [[2, 1, 0], [1, 1, 0], [0, 0, 1]]
        );
        let scores = confusion.class_scores();
        assert_eq!(
            scores[0],
            ClassScore {
                precision: 2.0 / 3.0,
                recall: 2.0 / 3.0,
                f1: 4.0 / 6.0,
                support: 3
            }
        );
        assert_eq!(
            scores[1],
            ClassScore {
                precision: 0.5,
                recall: 0.5,
                f1: 0.5,
                support: 2
            }
        );
        assert_eq!(
            scores[2],
            ClassScore {
                precision: 1.0,
                recall: 1.0,
                f1: 1.0,
                support: 1
            }
        );
        assert_eq!(confusion.accuracy(), 4.0 / 6.0);
        assert!((confusion.macro_average().recall - (2.0 / 3.0 + 0.5 + 1.0) / 3.0).abs() < 1e-15);
        assert!((confusion.weighted_average().recall - 4.0 / 6.0).abs() < 1e-15);
    }

    #[test]
    fn a_class_that_is_neither_there_nor_guessed_scores_nought() {
        let confusion = Confusion::new(2, &[0], &[0]);
        assert_eq!(
            confusion.class_scores()[1],
            ClassScore {
                precision: 0.0,
                recall: 0.0,
                f1: 0.0,
                support: 0
            }
        );
        assert_eq!(confusion.macro_average().precision, 0.5);
        assert_eq!(confusion.weighted_average().precision, 1.0);
    }

    #[test]
    fn no_images_at_all_are_no_division_by_nought() {
        let confusion = Confusion::new(2, &[], &[]);
        assert_eq!(confusion.accuracy(), 0.0);
        assert_eq!(confusion.weighted_average().f1, 0.0);
    }

    proptest! {
        #[test]
        fn scores_equal_a_naive_recount(pairs in proptest::collection::vec((0u8..5, 0u8..5), 0..200)) {
            let (labels, predicted): (Vec<u8>, Vec<u8>) = pairs.iter().copied().unzip();
            let confusion = Confusion::new(5, &labels, &predicted);
            let count = |test: &dyn Fn(u8, u8) -> bool| pairs.iter().filter(|&&(l, p)| test(l, p)).count() as f64;
            let safe = |a: f64, b: f64| if b == 0.0 { 0.0 } else { a / b };
            for (row, label) in confusion.rows().zip(0u8..) {
                for (&cell, guess) in row.iter().zip(0u8..) {
                    prop_assert_eq!(cell as f64, count(&|l, p| l == label && p == guess));
                }
            }
            let mut recalls = 0.0;
            for (score, class) in confusion.class_scores().into_iter().zip(0u8..) {
                let hits = count(&|l, p| l == class && p == class);
                let precision = safe(hits, count(&|_, p| p == class));
                let recall = safe(hits, count(&|l, _| l == class));
                prop_assert_eq!(score.precision, precision);
                prop_assert_eq!(score.recall, recall);
                prop_assert!((score.f1 - safe(2.0 * precision * recall, precision + recall)).abs() < 1e-12);
                recalls += recall;
            }
            prop_assert_eq!(confusion.accuracy(), safe(count(&|l, p| l == p), pairs.len() as f64));
            prop_assert!((confusion.macro_average().recall - recalls / 5.0).abs() < 1e-12);
            // Recall weighted by support is accuracy.
            prop_assert!((confusion.weighted_average().recall - confusion.accuracy()).abs() < 1e-12);
        }
    }
}
