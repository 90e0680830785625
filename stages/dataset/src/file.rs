//! The data set that training reads: three splits, their classes and statistics, in one file.
//! It must not know how the splits were chosen, nor CIFAR-10's own layout.
//!
//! ```text
//! magic   8 bytes  "RSTGDATA"
//! version u32      1              all numbers little-endian
//! length  u32      of the header
//! header           JSON: label, classes, shape, counts, sums of the train split's channels
//! body             train images, train labels, then validation's, then test's
//! crc32   u32      of everything before it
//! ```

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use contract::files::{self, FileError};

use crate::error::{DatasetError, Problem};
use crate::split::{CHANNELS, HEIGHT, IMAGE_BYTES, Split, WIDTH};
use crate::stats::{ChannelStats, ChannelSums};

const MAGIC: &[u8; 8] = b"RSTGDATA";
pub(crate) const VERSION: u32 = 1;
/// Magic, version and the header's length.
const PREFIX: u64 = 16;
const CHECKSUM: u64 = 4;
/// Far more than a few names need, far less than would hurt.
const MAX_HEADER: u32 = 1 << 20;
const SHAPE: [usize; 3] = [HEIGHT, WIDTH, CHANNELS];

/// Everything that training and analysis read.
///
/// Built by [`Dataset::new`] or [`Dataset::load`], every split has images, every label
/// has a class, and no channel is constant.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// What tables and figures call the data, such as `CIFAR-10`.
    pub label: String,
    /// The classes' names, in the order of their labels.
    pub classes: Vec<String>,
    /// What weights are fitted to.
    pub train: Split,
    /// What weights and learning rates are chosen by.
    pub validation: Split,
    /// What the result is judged by.
    pub test: Split,
    /// Red, green and blue of the train split.
    pub channels: [ChannelStats; CHANNELS],
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    label: String,
    classes: Vec<String>,
    shape: [usize; 3],
    train: u64,
    validation: u64,
    test: u64,
    channels: [ChannelSums; CHANNELS],
}

impl Header {
    /// Bytes of the three splits, if that many can exist.
    fn body(&self) -> Option<u64> {
        let images = self.train.checked_add(self.validation)?;
        let images = images.checked_add(self.test)?;
        images.checked_mul(IMAGE_BYTES as u64 + 1)
    }
}

impl Dataset {
    /// Puts three splits together and measures the train split's channels.
    ///
    /// # Errors
    /// An empty split, a label without a class, images and labels that differ in number,
    /// or a channel that is constant.
    pub fn new(
        label: String,
        classes: Vec<String>,
        train: Split,
        validation: Split,
        test: Split,
    ) -> Result<Self, DatasetError> {
        let splits = [
            ("train", &train),
            ("validation", &validation),
            ("test", &test),
        ];
        for (name, split) in splits {
            check(name, split, classes.len())?;
        }
        let channels = stats(ChannelSums::of(&train))?;
        Ok(Self {
            label,
            classes,
            train,
            validation,
            test,
            channels,
        })
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// A data set that [`Dataset::new`] would refuse, or a file that cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), DatasetError> {
        for (name, split) in self.splits() {
            check(name, split, self.classes.len())?;
        }
        let channels = ChannelSums::of(&self.train);
        stats(channels)?;
        let header = Header {
            label: self.label.clone(),
            classes: self.classes.clone(),
            shape: SHAPE,
            train: self.train.len() as u64,
            validation: self.validation.len() as u64,
            test: self.test.len() as u64,
            channels,
        };
        let header =
            serde_json::to_vec(&header).map_err(|error| Problem::Header(error.to_string()))?;
        let length = u32::try_from(header.len())
            .ok()
            .filter(|&length| length <= MAX_HEADER)
            .ok_or_else(|| Problem::Header(format!("{} bytes are too long", header.len())))?;
        files::write_atomic(path, |out| {
            let mut out = Checked::new(out);
            out.write_all(MAGIC)?;
            out.write_all(&VERSION.to_le_bytes())?;
            out.write_all(&length.to_le_bytes())?;
            out.write_all(&header)?;
            for (_, split) in self.splits() {
                out.write_all(&split.images)?;
                out.write_all(&split.labels)?;
            }
            let checksum = out.crc.clone().finalize();
            out.inner.write_all(&checksum.to_le_bytes())
        })?;
        Ok(())
    }

    /// Reads and checks a file that [`Dataset::save`] wrote.
    ///
    /// # Errors
    /// A file that cannot be read or is not, byte for byte, a data set.
    pub fn load(path: &Path) -> Result<Self, DatasetError> {
        let file = File::open(path).map_err(FileError::new("read", path))?;
        let length = file.metadata().map_err(FileError::new("read", path))?.len();
        match Self::parse(BufReader::with_capacity(1 << 20, file), length) {
            Ok(dataset) => Ok(dataset),
            Err(Failure::Problem(problem)) => Err(DatasetError::Malformed {
                path: path.to_owned(),
                problem,
            }),
            Err(Failure::Io(source)) => Err(FileError::new("read", path)(source).into()),
        }
    }

    fn splits(&self) -> [(&'static str, &Split); 3] {
        [
            ("train", &self.train),
            ("validation", &self.validation),
            ("test", &self.test),
        ]
    }

    fn parse(input: impl Read, length: u64) -> Result<Self, Failure> {
        let mut input = Checked::new(input);
        let mut magic = [0; MAGIC.len()];
        if length < MAGIC.len() as u64 {
            return Err(Problem::Magic.into());
        }
        input.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(Problem::Magic.into());
        }
        // Lengths are compared before anything is read or reserved: a damaged header
        // can neither ask for more memory than the file has bytes, nor end in the middle.
        expect_length(length, PREFIX)?;
        let version = read_u32(&mut input)?;
        if version != VERSION {
            return Err(Problem::Version { found: version }.into());
        }
        let header_length = read_u32(&mut input)?;
        if header_length > MAX_HEADER {
            return Err(Problem::Header(format!("{header_length} bytes are too long")).into());
        }
        expect_length(length, PREFIX + u64::from(header_length))?;
        let header = read_vec(&mut input, header_length as usize)?;
        let header: Header =
            serde_json::from_slice(&header).map_err(|error| Problem::Header(error.to_string()))?;
        if header.shape != SHAPE {
            return Err(Problem::Header(format!("images of shape {:?}", header.shape)).into());
        }
        let expected = header
            .body()
            .and_then(|body| body.checked_add(PREFIX + u64::from(header_length) + CHECKSUM))
            .ok_or_else(|| Problem::Header("more images than any file can hold".to_owned()))?;
        expect_length(length, expected)?;
        if length > expected {
            return Err(Problem::Trailing(length - expected).into());
        }
        let mut split = |count: u64| {
            let too_many = |_| Problem::Header("more images than memory can hold".to_owned());
            let count = usize::try_from(count).map_err(too_many)?;
            Ok::<_, Failure>(Split {
                images: read_vec(&mut input, count * IMAGE_BYTES)?,
                labels: read_vec(&mut input, count)?,
            })
        };
        let (train, validation, test) = (
            split(header.train)?,
            split(header.validation)?,
            split(header.test)?,
        );
        let found = input.crc.clone().finalize();
        let expected = read_u32(&mut input)?;
        if found != expected {
            return Err(Problem::Checksum { expected, found }.into());
        }
        let dataset = Self {
            channels: stats(header.channels)?,
            label: header.label,
            classes: header.classes,
            train,
            validation,
            test,
        };
        for (name, split) in dataset.splits() {
            check(name, split, dataset.classes.len())?;
        }
        Ok(dataset)
    }
}

fn check(name: &'static str, split: &Split, classes: usize) -> Result<(), Problem> {
    if split.images.len() != split.len() * IMAGE_BYTES {
        return Err(Problem::Lengths {
            split: name,
            bytes: split.images.len(),
            labels: split.len(),
        });
    }
    if split.is_empty() {
        return Err(Problem::Empty(name));
    }
    match split
        .labels
        .iter()
        .position(|&label| usize::from(label) >= classes)
    {
        None => Ok(()),
        Some(index) => Err(Problem::Label {
            split: name,
            index,
            label: split.labels[index],
            classes,
        }),
    }
}

fn stats(sums: [ChannelSums; CHANNELS]) -> Result<[ChannelStats; CHANNELS], Problem> {
    let one = |sums: ChannelSums, name| match sums.stats() {
        Some(stats) if stats.std > 0.0 => Ok(stats),
        _ => Err(Problem::Constant(name)),
    };
    let [red, green, blue] = sums;
    Ok([one(red, "red")?, one(green, "green")?, one(blue, "blue")?])
}

fn expect_length(found: u64, expected: u64) -> Result<(), Problem> {
    if found < expected {
        return Err(Problem::Truncated { expected, found });
    }
    Ok(())
}

fn read_u32(input: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read_vec(input: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Why parsing stopped: the bytes are wrong, or could not be had.
enum Failure {
    Problem(Problem),
    Io(io::Error),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A reader or writer that sums up what passes.
struct Checked<T> {
    inner: T,
    crc: crc32fast::Hasher,
}

impl<T> Checked<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            crc: crc32fast::Hasher::new(),
        }
    }
}

impl<T: Read> Read for Checked<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.crc.update(&buffer[..count]);
        Ok(count)
    }
}

impl<T: Write> Write for Checked<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.crc.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests;
