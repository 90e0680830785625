//! Archives that must be refused, a row each, and what is kept of a good one.
//! It must not need any real archive.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const SMALL: Limits = Limits {
    total: 1 << 20,
    entry: 100_000,
    entries: 50,
};

/// A tar header for any name, as no honest tool would write it.
fn header(name: &str, kind: EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o777);
    header.set_size(size);
    header.set_cksum();
    header
}

/// A tar file, entry by entry.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn good() -> Self {
        let files = wanted().map(|name| (format!("cifar-10-batches-bin/{name}"), name));
        files.fold(Self::default(), |tar, (path, name)| {
            tar.file(&path, name.as_bytes())
        })
    }

    fn raw(mut self, header: &tar::Header, body: &[u8]) -> Self {
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(body);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, body: &[u8]) -> Self {
        self.raw(&header(name, EntryType::Regular, body.len() as u64), body)
    }

    fn kind(self, name: &str, kind: EntryType, link: &str) -> Self {
        let mut header = header(name, kind, 0);
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.raw(&header, b"")
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What unpacking says, with the archive's path shortened, and what it left behind.
fn outcome(archive: &[u8], limits: Limits) -> (Result<(), String>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("a.tar"), folder.path().join("out"));
    std::fs::write(&path, archive).unwrap();
    std::fs::create_dir(&out).unwrap();
    let stage = Stage::for_test("{}", folder.path());
    let result = unpack(&stage, &path, &out, limits, (0.0, 1.0));
    let result = result.map_err(|error| error.to_string().replace(path.to_str().unwrap(), "a.tar"));
    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    };
    assert_eq!(
        names(folder.path()),
        ["a.tar", "out"],
        "something was written outside"
    );
    (result, names(&out))
}

fn refusal(archive: &[u8]) -> String {
    outcome(archive, SMALL).0.unwrap_err()
}

#[test]
fn a_good_archive_gives_its_six_files_gzipped_or_not() {
    let tar = Tar::default()
        .raw(
            &header("pax_global_header", EntryType::XGlobalHeader, 0),
            b"",
        )
        .kind("cifar-10-batches-bin/", EntryType::Directory, "")
        .file("cifar-10-batches-bin/readme.html", b"<html>");
    let tar = Tar(tar.0.into_iter().chain(Tar::good().0).collect()).end();
    let expected = [
        "batches.meta.txt",
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
        "test_batch.bin",
    ];
    for archive in [gzipped(&tar), tar] {
        let (result, files) = outcome(&archive, SMALL);
        assert_eq!(result, Ok(()));
        assert_eq!(files, expected);
    }
}

#[test]
fn files_at_the_top_are_found_too() {
    let tar = wanted().fold(Tar::default(), |tar, name| {
        tar.file(&format!("./{name}"), b"x")
    });
    assert_eq!(outcome(&tar.end(), SMALL).0, Ok(()));
}

#[test]
fn dangerous_archives_are_refused() {
    let inside = "cifar-10-batches-bin/data_batch_1.bin";
    let big = header(inside, EntryType::Regular, 100_001);
    let cases = [
        Tar::default().file("/etc/passwd", b"x"),
        Tar::default().file("cifar-10-batches-bin/../../escaped", b"x"),
        Tar::default().file("..", b"x"),
        Tar::default().file("cifar-10-batches-bin\\..\\escaped", b"x"),
        Tar::default().kind(inside, EntryType::Symlink, "/etc/passwd"),
        Tar::default().kind("cifar-10-batches-bin", EntryType::Symlink, "/tmp"),
        Tar::default().kind(inside, EntryType::Link, "/etc/passwd"),
        Tar::default().kind(inside, EntryType::Char, ""),
        Tar::default().kind("other", EntryType::Fifo, ""),
        Tar::default().kind(inside, EntryType::new(b'V'), ""),
        Tar::default().raw(&big, b""),
        Tar::good().file("data_batch_1.bin", b"again"),
        Tar::default().file(inside, b"x"),
        (0..51).fold(Tar::default(), |tar, n| tar.file(&format!("file{n}"), b"")),
    ];
    let refusals = cases.map(|tar| refusal(&tar.end()));
    insta::assert_snapshot!(refusals.join("\n"), @r"
    archive `a.tar` has an unsafe entry `/etc/passwd`: its path is absolute
    archive `a.tar` has an unsafe entry `cifar-10-batches-bin/../../escaped`: its path contains `..`
    archive `a.tar` has an unsafe entry `..`: its path contains `..`
    archive `a.tar` has an unsafe entry `cifar-10-batches-bin\\..\\escaped`: its path has a character that no such name needs
    archive `a.tar` has an unsafe entry `cifar-10-batches-bin/data_batch_1.bin`: it is a link
    archive `a.tar` has an unsafe entry `cifar-10-batches-bin`: it is a link
    archive `a.tar` has an unsafe entry `cifar-10-batches-bin/data_batch_1.bin`: it is a link
    archive `a.tar` has an unsafe entry `cifar-10-batches-bin/data_batch_1.bin`: it is a device
    archive `a.tar` has an unsafe entry `other`: it is a device
    archive `a.tar` has an unsafe entry `cifar-10-batches-bin/data_batch_1.bin`: it is neither a file nor a folder
    archive `a.tar` has an unsafe entry `cifar-10-batches-bin/data_batch_1.bin`: it is far larger than any batch
    archive `a.tar` has two entries `data_batch_1.bin`
    archive `a.tar` lacks `data_batch_2.bin`, `data_batch_3.bin`, `data_batch_4.bin`, `data_batch_5.bin`, `test_batch.bin`, `batches.meta.txt`
    archive `a.tar` unpacks to more than 50 entries
    ");
}

#[test]
fn a_bomb_is_stopped() {
    let zeros = vec![0; 90_000];
    let tar = (0..20).fold(Tar::default(), |tar, n| {
        tar.file(&format!("zeros{n}"), &zeros)
    });
    let bomb = gzipped(&tar.end());
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    let trailing = gzipped(&[Tar::good().end(), vec![0; 2 << 20]].concat());
    for archive in [bomb, trailing] {
        assert_eq!(
            refusal(&archive),
            "archive `a.tar` unpacks to more than 1048576 bytes"
        );
    }
}

#[test]
fn any_damage_is_noticed() {
    let tar = Tar::good().end();
    let archive = gzipped(&tar);
    let damaged = "archive `a.tar` is damaged or truncated";
    for cut in (20..archive.len()).step_by(23) {
        assert_eq!(refusal(&archive[..cut]), damaged, "cut at {cut}");
    }
    let mut flipped = archive.clone();
    let end = flipped.len() - 6;
    flipped[end] ^= 1; // gzip's checksum
    assert_eq!(refusal(&flipped), damaged);
    assert_eq!(
        refusal(&tar[..600]),
        "archive `a.tar` is damaged or truncated"
    );
    assert_eq!(refusal(&[archive, b"not gzip".to_vec()].concat()), damaged);
    assert_eq!(refusal(&[0x55; 2048]), damaged);
}

#[test]
fn an_archive_without_the_files_is_refused() {
    let others = Tar::default()
        .file("elsewhere/data_batch_1.bin", b"x")
        .file("readme", b"x");
    let all = "`data_batch_1.bin`, `data_batch_2.bin`, `data_batch_3.bin`, `data_batch_4.bin`, \
               `data_batch_5.bin`, `test_batch.bin`, `batches.meta.txt`";
    assert_eq!(
        refusal(&others.end()),
        format!("archive `a.tar` lacks {all}")
    );
    assert_eq!(refusal(b""), format!("archive `a.tar` lacks {all}"));
}

/// Whatever bytes change, unpacking ends in good files or an error, and writes nothing
/// outside its folder; `outcome` looks.
#[test]
fn no_change_of_bytes_escapes() {
    let tar = Tar::good().end();
    let mut random = dataset::random::Random::new(1, "damage");
    for _ in 0..40 {
        let mut damaged = tar.clone();
        for _ in 0..=random.below(3) {
            // Headers are where the danger is: the first 160 bytes of a block.
            let block = random.below(tar.len() as u64 / 512) as usize * 512;
            damaged[block + random.below(160) as usize] = random.below(256) as u8;
        }
        for block in damaged.chunks_exact_mut(512) {
            let mut header = tar::Header::new_old();
            header.as_mut_bytes().copy_from_slice(block);
            if block[0] != 0 && header.size().is_ok() {
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
        }
        let (result, files) = outcome(&damaged, SMALL);
        let known = |name: &String| wanted().any(|wanted| wanted == name);
        assert!(files.iter().all(known), "{files:?}");
        assert!(result.is_err() || files.len() == 7);
    }
}
