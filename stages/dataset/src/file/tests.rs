//! What the data set's file keeps, and what it refuses.
//! It must not know how splits are chosen.

use proptest::prelude::*;

use super::*;
use crate::random::Random;

fn split(count: usize, classes: u64, seed: u64) -> Split {
    let mut random = Random::new(seed, "test");
    let mut split = Split::default();
    for _ in 0..count {
        let image = std::array::from_fn(|_| random.below(256) as u8);
        split.push(&image, random.below(classes) as u8);
    }
    split
}

fn small() -> Dataset {
    let classes = vec!["cat".to_owned(), "dog".to_owned()];
    Dataset::new(
        "test".to_owned(),
        classes,
        split(3, 2, 1),
        split(2, 2, 2),
        split(1, 2, 3),
    )
    .unwrap()
}

fn saved(dataset: &Dataset) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.bin");
    dataset.save(&path).unwrap();
    std::fs::read(path).unwrap()
}

/// What loading these bytes says, without the path.
fn refusal(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.bin");
    std::fs::write(&path, bytes).unwrap();
    let error = Dataset::load(&path).unwrap_err().to_string();
    let prefix = format!("`{}` is no usable data set: ", path.display());
    error
        .strip_prefix(&prefix)
        .map(str::to_owned)
        .unwrap_or(error)
}

/// The checksum made right again after a change.
fn resummed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 4;
    let checksum = crc32fast::hash(&bytes[..end]).to_le_bytes();
    bytes[end..].copy_from_slice(&checksum);
    bytes
}

#[test]
fn what_was_saved_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.bin");
    let dataset = small();
    dataset.save(&path).unwrap();
    assert_eq!(Dataset::load(&path).unwrap(), dataset);
}

/// The file is an input of every training: other bytes for the same images retrain all.
#[test]
fn the_format_never_changes_unnoticed() {
    let bytes = saved(&small());
    // The checksum at the end; with it, any such file sums up to the same number.
    let (body, checksum) = bytes.split_at(bytes.len() - 4);
    assert_eq!(crc32fast::hash(body).to_le_bytes(), checksum);
    insta::assert_debug_snapshot!((bytes.len(), checksum), @"
    (
        18728,
        [
            49,
            105,
            173,
            235,
        ],
    )
    ");
}

#[test]
fn a_damaged_file_is_refused_with_what_is_wrong() {
    let good = saved(&small());
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let mut long = good.clone();
    long.extend_from_slice(b"xyz");
    let header_end = PREFIX as usize + usize::from(good[12]) + 256 * usize::from(good[13]);
    let labels = header_end + 3 * IMAGE_BYTES;
    let cases = [
        refusal(b""),
        refusal(b"PK\x03\x04 a zip file"),
        refusal(&good[..10]),
        refusal(&good[..100]),
        refusal(&good[..good.len() - 1]),
        refusal(&long),
        refusal(&changed(8, 9)),
        refusal(&changed(15, 0xff)),
        refusal(&changed(20, b'?')),
        refusal(&changed(header_end + 5, good[header_end + 5] ^ 1)),
        refusal(&resummed(changed(labels + 1, 2))),
    ];
    insta::assert_snapshot!(cases.join("\n"), @"
    it does not begin with `RSTGDATA`
    it does not begin with `RSTGDATA`
    it is truncated: 10 bytes of 16
    it is truncated: 100 bytes of 286
    it is truncated: 18727 bytes of 18728
    3 bytes follow its end
    its format is version 9, this program reads version 1
    its header is damaged: 4278190350 bytes are too long
    its header is damaged: unknown field `la?el`, expected one of `label`, `classes`, `shape`, `train`, `validation`, `test`, `channels` at line 1 column 8
    its checksum is 9945305e, expected ebad6931
    image 1 of split `train` has label 2, but there are 2 classes
    ");
}

#[test]
fn splits_that_are_no_data_set_are_refused() {
    let build = |train: Split, test: Split| {
        let classes = vec!["cat".to_owned(), "dog".to_owned()];
        let validation = split(1, 2, 1);
        let built = Dataset::new("test".to_owned(), classes, train, validation, test);
        built.unwrap_err().to_string()
    };
    let mut uneven = split(2, 2, 1);
    uneven.labels.pop();
    let mut constant = split(2, 2, 1);
    constant
        .images
        .iter_mut()
        .skip(1)
        .step_by(3)
        .for_each(|green| *green = 7);
    let cases = [
        build(split(2, 2, 1), Split::default()),
        build(uneven, split(1, 2, 1)),
        build(constant, split(1, 2, 1)),
        build(split(9, 3, 1), split(1, 2, 1)),
    ];
    insta::assert_snapshot!(cases.join("\n"), @"
    split `test` has no images
    split `train` has 6144 bytes of images for 1 labels of 3072
    the green channel of split `train` has the same value everywhere
    image 3 of split `train` has label 2, but there are 2 classes
    ");
}

#[test]
fn a_missing_file_is_named() {
    let error = Dataset::load(Path::new("/nonexistent/data.bin")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read `/nonexistent/data.bin`");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_flipped_bit_is_noticed(place: prop::sample::Index, bit in 0_u8..8) {
        let mut bytes = saved(&small());
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        refusal(&bytes);
    }

    #[test]
    fn any_cut_is_noticed(place: prop::sample::Index) {
        let bytes = saved(&small());
        refusal(&bytes[..place.index(bytes.len())]);
    }
}
