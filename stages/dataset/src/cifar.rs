//! CIFAR-10's binary layout: five train batches, a test batch, the classes' names.
//! It must not know where the files came from, nor how the images are split later.
//!
//! A record is one label byte and 3,072 pixel bytes: all of red, all of green, all of
//! blue, each row by row (<https://www.cs.toronto.edu/~kriz/cifar.html>).

use std::path::{Path, PathBuf};

use contract::files::{self, FileError};

use crate::split::{CHANNELS, HEIGHT, IMAGE_BYTES, Split, WIDTH};

/// Bytes of a record: the label and the pixels.
pub const RECORD_BYTES: usize = 1 + IMAGE_BYTES;
/// How many classes there are.
pub const CLASSES: usize = 10;
/// The batches of training images.
pub const TRAIN_FILES: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
/// The batch of test images.
pub const TEST_FILE: &str = "test_batch.bin";
/// The classes' names, a line each.
pub const META_FILE: &str = "batches.meta.txt";

const PLANE: usize = HEIGHT * WIDTH;

/// All of the six files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batches {
    /// The classes' names, in the order of their labels.
    pub classes: Vec<String>,
    /// The images of `data_batch_1.bin` to `data_batch_5.bin`, in order.
    pub train: Split,
    /// The images of `test_batch.bin`.
    pub test: Split,
}

/// A folder that does not hold CIFAR-10's files as it should.
#[derive(Debug, thiserror::Error)]
pub enum CifarError {
    /// A file that cannot be read or written, or is missing.
    #[error(transparent)]
    File(#[from] FileError),
    /// A batch that ends within a record.
    #[error(
        "truncated batch `{}`: {rest} bytes after the last whole record of {RECORD_BYTES}",
        path.display()
    )]
    Truncated {
        /// The batch.
        path: PathBuf,
        /// Bytes after the last whole record.
        rest: usize,
    },
    /// A batch without records.
    #[error("batch `{}` is empty", .0.display())]
    Empty(PathBuf),
    /// A label that no class has.
    #[error("record {record} of batch `{}` has label {label}, expected 0 to 9", path.display())]
    Label {
        /// The batch.
        path: PathBuf,
        /// Which record, from 0.
        record: usize,
        /// Its label.
        label: u8,
    },
    /// The classes' names are not ten different ones.
    #[error("`{}` must name {CLASSES} classes, a line each: {problem}", path.display())]
    Classes {
        /// The file of names.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Too few images to give each batch one.
    #[error("{count} training images cannot fill {} batches", TRAIN_FILES.len())]
    TooFew {
        /// Images there are.
        count: usize,
    },
}

/// Reads all six files and checks every record.
///
/// # Errors
/// A file that is missing, empty, truncated or holds a label that no class has.
pub fn read(folder: &Path) -> Result<Batches, CifarError> {
    let classes = read_classes(&folder.join(META_FILE))?;
    let mut train = Split::default();
    for name in TRAIN_FILES {
        read_batch(&folder.join(name), &mut train)?;
    }
    let mut test = Split::default();
    read_batch(&folder.join(TEST_FILE), &mut test)?;
    Ok(Batches {
        classes,
        train,
        test,
    })
}

/// Writes all six files; the training images are spread evenly over five batches.
///
/// # Errors
/// Names, labels or counts that [`read`] would refuse, or a file that cannot be written.
pub fn write(folder: &Path, batches: &Batches) -> Result<(), CifarError> {
    let meta = folder.join(META_FILE);
    check_classes(&meta, &batches.classes)?;
    let count = batches.train.len();
    if count < TRAIN_FILES.len() {
        return Err(CifarError::TooFew { count });
    }
    files::write_atomic(&meta, |out| {
        batches
            .classes
            .iter()
            .try_for_each(|class| writeln!(out, "{class}"))
    })?;
    let mut start = 0;
    for (batch, name) in TRAIN_FILES.into_iter().enumerate() {
        let end = count * (batch + 1) / TRAIN_FILES.len();
        write_batch(&folder.join(name), &batches.train, start..end)?;
        start = end;
    }
    write_batch(
        &folder.join(TEST_FILE),
        &batches.test,
        0..batches.test.len(),
    )
}

fn read_classes(path: &Path) -> Result<Vec<String>, CifarError> {
    let text = files::read_to_string(path)?;
    // The official file ends with an empty line.
    let classes: Vec<String> = text
        .trim_end()
        .lines()
        .map(|line| line.trim().to_owned())
        .collect();
    check_classes(path, &classes)?;
    Ok(classes)
}

fn check_classes(path: &Path, classes: &[String]) -> Result<(), CifarError> {
    let refuse = |problem| {
        Err(CifarError::Classes {
            path: path.to_owned(),
            problem,
        })
    };
    if classes.len() != CLASSES {
        return refuse(format!("it names {}", classes.len()));
    }
    for (index, class) in classes.iter().enumerate() {
        if class.is_empty() || class.trim() != class || class.contains(['\n', '\r']) {
            return refuse(format!("line {} is no name", index + 1));
        }
        if classes[..index].contains(class) {
            return refuse(format!("`{class}` stands twice"));
        }
    }
    Ok(())
}

fn read_batch(path: &Path, split: &mut Split) -> Result<(), CifarError> {
    let bytes = files::read(path)?;
    let rest = bytes.len() % RECORD_BYTES;
    if rest != 0 {
        return Err(CifarError::Truncated {
            path: path.to_owned(),
            rest,
        });
    }
    if bytes.is_empty() {
        return Err(CifarError::Empty(path.to_owned()));
    }
    let mut image = [0; IMAGE_BYTES];
    for (index, record) in bytes.chunks_exact(RECORD_BYTES).enumerate() {
        let (label, planes) = (record[0], &record[1..]);
        if usize::from(label) >= CLASSES {
            return Err(CifarError::Label {
                path: path.to_owned(),
                record: index,
                label,
            });
        }
        for (place, pixel) in image.chunks_exact_mut(CHANNELS).enumerate() {
            for (channel, value) in pixel.iter_mut().enumerate() {
                *value = planes[channel * PLANE + place];
            }
        }
        split.push(&image, label);
    }
    Ok(())
}

fn write_batch(
    path: &Path,
    split: &Split,
    range: std::ops::Range<usize>,
) -> Result<(), CifarError> {
    if range.is_empty() {
        return Err(CifarError::Empty(path.to_owned()));
    }
    let start = range.start;
    if let Some(record) = range
        .clone()
        .find(|&i| usize::from(split.labels[i]) >= CLASSES)
    {
        return Err(CifarError::Label {
            path: path.to_owned(),
            record: record - start,
            label: split.labels[record],
        });
    }
    files::write_atomic(path, |out| {
        let mut record = [0; RECORD_BYTES];
        for index in range {
            record[0] = split.labels[index];
            for (place, pixel) in split.image(index).chunks_exact(CHANNELS).enumerate() {
                for (channel, &value) in pixel.iter().enumerate() {
                    record[1 + channel * PLANE + place] = value;
                }
            }
            out.write_all(&record)?;
        }
        Ok(())
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(train: usize, test: usize) -> Batches {
        let mut random = crate::random::Random::new(1, "cifar");
        let mut split = |count| {
            let mut split = Split::default();
            for index in 0..count {
                let image = std::array::from_fn(|_| random.below(256) as u8);
                split.push(&image, (index % CLASSES) as u8);
            }
            split
        };
        Batches {
            classes: "a b c d e f g h i j"
                .split(' ')
                .map(str::to_owned)
                .collect(),
            train: split(train),
            test: split(test),
        }
    }

    fn written() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &sample(12, 3)).unwrap();
        folder
    }

    /// What reading the folder says, with the folder's path taken out.
    fn refusal(folder: &Path) -> String {
        let error = read(folder).unwrap_err().to_string();
        error.replace(&format!("{}/", folder.display()), "")
    }

    #[test]
    fn a_record_is_a_label_and_three_planes() {
        let folder = written();
        let path = folder.path().join(TRAIN_FILES[0]);
        let mut record = vec![0; RECORD_BYTES];
        record[0] = 7;
        record[1 + 33] = 10; // red of row 1, column 1
        record[1 + 1024 + 33] = 20;
        record[1 + 2048 + 33] = 30;
        std::fs::write(path, record).unwrap();
        let batches = read(folder.path()).unwrap();
        assert_eq!(batches.train.labels[0], 7);
        assert_eq!(batches.train.image(0)[33 * 3..34 * 3], [10, 20, 30]);
    }

    #[test]
    fn damaged_batches_are_refused_with_what_is_wrong() {
        let damage = |change: &dyn Fn(&Path)| {
            let folder = written();
            change(folder.path());
            refusal(folder.path())
        };
        let set = |folder: &Path, name: &str, bytes: &[u8]| {
            std::fs::write(folder.join(name), bytes).unwrap()
        };
        let cases = [
            damage(&|folder| {
                let path = folder.join("data_batch_2.bin");
                let bytes = std::fs::read(&path).unwrap();
                std::fs::write(path, &bytes[..bytes.len() - 3000]).unwrap();
            }),
            damage(&|folder| {
                let path = folder.join("data_batch_3.bin");
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[RECORD_BYTES] = 11;
                std::fs::write(path, bytes).unwrap();
            }),
            damage(&|folder| set(folder, "test_batch.bin", b"")),
            damage(&|folder| std::fs::remove_file(folder.join("data_batch_5.bin")).unwrap()),
            damage(&|folder| set(folder, META_FILE, b"a\nb\n")),
            damage(&|folder| set(folder, META_FILE, b"a\nb\nc\nd\ne\nf\ng\nh\na\nj\n")),
            damage(&|folder| set(folder, META_FILE, b"a\nb\n\nd\ne\nf\ng\nh\ni\nj\n")),
        ];
        insta::assert_snapshot!(cases.join("\n"), @"
        truncated batch `data_batch_2.bin`: 73 bytes after the last whole record of 3073
        record 1 of batch `data_batch_3.bin` has label 11, expected 0 to 9
        batch `test_batch.bin` is empty
        cannot read `data_batch_5.bin`
        `batches.meta.txt` must name 10 classes, a line each: it names 2
        `batches.meta.txt` must name 10 classes, a line each: `a` stands twice
        `batches.meta.txt` must name 10 classes, a line each: line 3 is no name
        ");
    }

    #[test]
    fn what_cannot_be_read_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |batches: &Batches| write(folder.path(), batches).unwrap_err().to_string();
        assert_eq!(
            refused(&sample(4, 1)),
            "4 training images cannot fill 5 batches"
        );
        assert!(refused(&sample(5, 0)).ends_with("test_batch.bin` is empty"));
        let mut wrong = sample(5, 1);
        wrong.train.labels[1] = 10;
        assert!(refused(&wrong).ends_with("data_batch_2.bin` has label 10, expected 0 to 9"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_was_written_is_read_back(train in 5_usize..40, test in 1_usize..10) {
            let folder = tempfile::tempdir().unwrap();
            let batches = sample(train, test);
            write(folder.path(), &batches).unwrap();
            prop_assert_eq!(read(folder.path()).unwrap(), batches);
        }
    }
}
