//! Digests files and folders on the disk.
//!
//! A path that is a symbolic link is followed, and so is a link that leads out of its folder (see
//! [`super::listing`]). Of permissions only the owner's execute bit counts. A
//! socket, pipe or device, and a name that is not UTF-8, is an error.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use restage_hash::{BLOCK, Blocks};

use super::hash::Digest;
use super::large::{digest_large, with_buffer};
use super::listing::{Listing, Skip, What, list, nothing};
use super::manifest::{Manifest, ManifestEntry, Node};
use super::path::PathDigest;
use super::progress;
use crate::fault;
use crate::fs::{self, Context, FsError};

/// Zeros that a sparse file's copy leaves out are found in steps of so many bytes.
const HOLE: usize = 4096;

/// Digest of a file's bytes; a symbolic link is followed.
pub fn digest_file(path: &Path) -> Result<Digest, FsError> {
    digest_found(path, &fs::metadata(path)?)
}

/// Like [`digest_file`], of a file that was looked at already: opening a pipe would wait for its
/// writer.
pub fn digest_found(path: &Path, metadata: &Metadata) -> Result<Digest, FsError> {
    expect_file(path, metadata)?;
    Ok(digest_open(&fs::open_seen(path)?, path, metadata.len())?.0)
}

/// Digest of an open file of which `stat` said before that it has `size` bytes, and what it says of it
/// after these bytes were read.
pub(super) fn digest_open(
    file: &File,
    path: &Path,
    size: u64,
) -> Result<(Digest, Metadata), FsError> {
    if size < BLOCK as u64 {
        // Most files are small and as they were: one read and one look are enough. A read for more bytes than
        // the file has ends where it ends, and if it had grown in between, the look would show it. By position,
        // so that a pipe which has come in the file's place refuses it and loses nothing.
        let read = with_buffer(|buffer| match file.read_at(buffer, 0) {
            Ok(len) if len as u64 == size => Some(Digest::of(&buffer[..len])),
            _ => None,
        });
        if let Some(digest) = read {
            let after = look(file, path)?;
            if after.len() == size {
                progress::add(size);
                return Ok((digest, after));
            }
        }
    }
    // The file may be another one by now.
    let len = look(file, path)?.len();
    let digest = if len > BLOCK as u64 {
        Digest(digest_large(file, len).at("read", path)?)
    } else {
        // To its end: it may have grown, and some files of `/proc` have more than the size that they show.
        digest_stream(file, path, |_| Ok(()))?.0
    };
    Ok((digest, look(file, path)?))
}

/// What `stat` says of an open file, which must be a regular one.
pub(super) fn look(file: &File, path: &Path) -> Result<Metadata, FsError> {
    let metadata = file.metadata().at("look at", path)?;
    expect_file(path, &metadata)?;
    Ok(metadata)
}

/// Digest and number of all the bytes that can be read, each given to `each` before.
fn digest_stream(
    file: &File,
    path: &Path,
    mut each: impl FnMut(&[u8]) -> Result<(), FsError>,
) -> Result<(Digest, u64), FsError> {
    let mut blocks = Blocks::default();
    let mut size = 0;
    with_buffer(|buffer| {
        loop {
            let len = fill(file, buffer).at("read", path)?;
            size += len as u64;
            progress::add(len as u64);
            let read = &buffer[..len];
            if len > 0 {
                each(read)?;
            }
            if len < BLOCK {
                return Ok((Digest(blocks.finish(read)), size));
            }
            blocks.add(buffer);
        }
    })
}

/// Reads until the buffer is full or the file ends.
fn fill(mut file: &File, buffer: &mut [u8; BLOCK]) -> io::Result<usize> {
    let mut len = 0;
    while len < BLOCK {
        match file.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

/// Copies a file's bytes and digests exactly what was copied.
pub fn copy_and_digest(
    from: &Path,
    to: &mut impl Write,
    to_path: &Path,
) -> Result<(Digest, u64), FsError> {
    digest_stream(&fs::open(from)?, from, |read| {
        fault::point("write", to_path).at("write", to_path)?;
        to.write_all(read).at("write", to_path)
    })
}

/// Like [`copy_and_digest`], into a new file. Where `from` is sparse, blocks of zeros take no room
/// in the copy either.
pub fn copy_to_new_and_digest(
    from: &Path,
    to: &mut File,
    to_path: &Path,
) -> Result<(Digest, u64), FsError> {
    let found = fs::metadata(from)?;
    if found.blocks() * 512 >= found.len() {
        return copy_and_digest(from, to, to_path);
    }
    let copied = copy_and_digest(from, &mut Sparse(to), to_path)?;
    // It may end in a hole.
    to.set_len(copied.1).at("write", to_path)?;
    Ok(copied)
}

/// Leaves holes where zeros would be written.
struct Sparse<'a>(&'a mut File);

impl Write for Sparse<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_hole = |block: &[u8]| block.iter().all(|byte| *byte == 0);
        let mut blocks = bytes.chunks(HOLE).peekable();
        let hole = blocks.peek().is_some_and(|block| is_hole(block));
        let alike = blocks.take_while(|block| is_hole(block) == hole);
        let len = alike.map(<[u8]>::len).sum();
        match hole {
            true => drop(self.0.seek(SeekFrom::Current(len as i64))?),
            false => self.0.write_all(&bytes[..len])?,
        }
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A folder as it was found.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Its entries. Each file can be read at its path below the folder, through links.
    pub manifest: Manifest,
    /// The folder as one value.
    pub content: PathDigest,
    /// Files that are behind links that lead out of the folder.
    behind_links: BTreeSet<String>,
    /// Where such links lead.
    pub followed: Vec<PathBuf>,
    /// Whether the manifest is all that is there: nothing was passed over, no link followed.
    pub is_whole: bool,
}

impl Tree {
    /// Whether the file of this entry lies elsewhere, behind a link.
    pub fn is_behind_link(&self, entry: &str) -> bool {
        self.behind_links.contains(entry)
    }
}

/// Digest of a folder.
pub fn digest_tree(path: &Path) -> Result<PathDigest, FsError> {
    Ok(tree(path, &nothing, &digest_found)?.content)
}

/// A folder without what `skip` passes over, whose files are digested by `digest`, which gets each
/// file's path and metadata.
///
/// # Errors
/// A link leads nowhere, round in a circle, or to a folder that it lies in; a pipe, a socket or a
/// device; a name that is not UTF-8; a file that can't be read.
pub fn tree(
    root: &Path,
    skip: &Skip<'_>,
    digest: &(dyn Fn(&Path, &Metadata) -> Result<Digest, FsError> + Sync),
) -> Result<Tree, FsError> {
    use rayon::prelude::*;
    let Listing { found, skipped } = list(root, skip)?;
    let followed: Vec<PathBuf> = found
        .iter()
        .filter_map(|found| match &found.what {
            What::Followed(real) => Some(real.clone()),
            _ => None,
        })
        .collect();
    let entries: Vec<Option<(ManifestEntry, bool)>> = found
        .into_par_iter()
        .map(|found| {
            let full = root.join(&found.path);
            let text = |path: PathBuf, why| {
                let text = path.into_os_string().into_string();
                text.map_err(|_| refused(&full, why))
            };
            let node = match found.what {
                What::Folder | What::Followed(_) => return Ok(None),
                What::EmptyFolder => Node::EmptyFolder,
                What::Link(target) => Node::Link(text(target, NOT_UTF8_LINK)?),
                What::File => {
                    expect_file(&full, &found.metadata)?;
                    Node::File {
                        digest: digest(&full, &found.metadata)?,
                        size: found.metadata.len(),
                        executable: is_executable(&found.metadata),
                    }
                }
            };
            let path = text(found.path, NOT_UTF8)?;
            Ok(Some((ManifestEntry { path, node }, found.behind_link)))
        })
        .collect::<Result<_, FsError>>()?;
    let mut behind_links = BTreeSet::new();
    let mut kept = Vec::with_capacity(entries.len());
    for (entry, behind_link) in entries.into_iter().flatten() {
        if behind_link {
            behind_links.insert(entry.path.clone());
        }
        kept.push(entry);
    }
    let manifest = Manifest::new(kept)
        .map_err(io::Error::other)
        .at("list a folder that changes meanwhile:", root)?;
    Ok(Tree {
        content: manifest.content(),
        manifest,
        behind_links,
        is_whole: !skipped && followed.is_empty(),
        followed,
    })
}

/// Whether the owner may execute the file.
pub fn is_executable(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & 0o100 != 0
}

/// Refuses anything that is not a regular file.
pub(super) fn expect_file(path: &Path, metadata: &Metadata) -> Result<(), FsError> {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "it is a folder, not a file"
    } else if kind.is_fifo() {
        "it is a pipe: only files, folders and links have a content"
    } else if kind.is_socket() {
        "it is a socket: only files, folders and links have a content"
    } else {
        "it is a device: only files, folders and links have a content"
    };
    Err(refused(path, what))
}

const NOT_UTF8: &str = "its name is not UTF-8, so it can't be written down for other machines";
const NOT_UTF8_LINK: &str = "it is a link to a name that is not UTF-8";

fn refused(path: &Path, why: &'static str) -> FsError {
    let source = io::Error::new(io::ErrorKind::InvalidInput, why);
    FsError {
        op: "digest",
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tempdir_with(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file.as_bytes()).unwrap();
        }
        dir
    }

    fn digest(dir: &tempfile::TempDir) -> Digest {
        digest_tree(dir.path()).unwrap().digest
    }

    #[test]
    fn a_big_file_has_the_digest_of_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..3 << 20).map(|i: u32| (i % 251) as u8).collect();
        let path = dir.path().join("big");
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(digest_file(&path).unwrap(), Digest::of(&bytes));
        let mut copied = Vec::new();
        let (copy, size) = copy_and_digest(&path, &mut copied, &path).unwrap();
        assert_eq!((copy, size), (Digest::of(&bytes), bytes.len() as u64));
        assert_eq!(copied, bytes);
    }

    #[test]
    fn what_a_file_has_beyond_the_size_it_showed_counts() {
        let dir = tempdir_with(&["x"]);
        let path = dir.path().join("x");
        let before = fs::metadata(&path).unwrap();
        let bytes: Vec<u8> = (0..2 * BLOCK as u32 + 5).map(|i| (i % 251) as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(digest_found(&path, &before).unwrap(), Digest::of(&bytes));
    }

    #[test]
    fn a_copy_of_a_sparse_file_has_its_bytes_and_its_holes() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let file = File::create_new(&from).unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(b"in the middle", (20 << 20) + 5).unwrap();
        let room = |path: &Path| fs::metadata(path).unwrap().blocks() * 512;
        if room(&from) > 1 << 20 {
            println!("skipped: no sparse files here");
            return;
        }
        let mut copy = File::create_new(&to).unwrap();
        let (digest, size) = copy_to_new_and_digest(&from, &mut copy, &to).unwrap();
        assert_eq!(size, 64 << 20);
        assert_eq!(digest, digest_file(&from).unwrap());
        assert_eq!(digest, digest_file(&to).unwrap());
        assert!(room(&to) < 1 << 20, "{} bytes on the disk", room(&to));
    }

    #[test]
    fn equal_folders_have_equal_digests_wherever_they_are() {
        let (a, b) = (tempdir_with(&["x/y", "z"]), tempdir_with(&["z", "x/y"]));
        assert_eq!(
            digest_tree(a.path()).unwrap(),
            digest_tree(b.path()).unwrap()
        );
        assert_eq!(digest_tree(a.path()).unwrap().files, 2);
        assert_eq!(digest_tree(a.path()).unwrap().size, 4);
    }

    #[test]
    fn bytes_names_execute_bits_links_and_empty_folders_count() {
        let plain = digest(&tempdir_with(&["x", "y/z"]));
        let mut seen = vec![plain];
        let mut changed = |change: &dyn Fn(&Path)| {
            let dir = tempdir_with(&["x", "y/z"]);
            change(dir.path());
            seen.push(digest(&dir));
        };
        changed(&|root| std::fs::write(root.join("x"), b"X").unwrap());
        changed(&|root| std::fs::rename(root.join("x"), root.join("w")).unwrap());
        changed(&|root| fs::set_mode(&root.join("x"), 0o755).unwrap());
        changed(&|root| fs::create_dir(&root.join("empty")).unwrap());
        changed(&|root| fs::symlink(Path::new("x"), &root.join("link")).unwrap());
        changed(&|root| fs::symlink(Path::new("y"), &root.join("link")).unwrap());
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn other_permissions_and_times_do_not_count() {
        let dir = tempdir_with(&["x"]);
        let before = digest(&dir);
        fs::set_mode(&dir.path().join("x"), 0o400).unwrap();
        assert_eq!(digest(&dir), before);
        std::fs::remove_file(dir.path().join("x")).unwrap();
        std::fs::write(dir.path().join("x"), b"x").unwrap();
        assert_eq!(digest(&dir), before);
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let dir = tempdir_with(&["x"]);
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let error = digest_tree(dir.path()).unwrap_err();
        assert!(error.to_string().contains("it is a pipe"), "{error}");
        assert!(digest_file(&pipe).is_err());
    }

    #[test]
    fn a_pipe_that_comes_in_a_files_place_is_refused_and_keeps_its_bytes() {
        let dir = tempdir_with(&["x"]);
        let (path, pipe) = (dir.path().join("x"), dir.path().join("pipe"));
        let before = fs::metadata(&path).unwrap();
        fs::make_pipe(&pipe).unwrap();
        let mut open = fs::open_pipe(&pipe).unwrap();
        open.write_all(b"y").unwrap();
        fs::rename(&pipe, &path).unwrap();
        let error = digest_found(&path, &before).unwrap_err();
        assert!(error.to_string().contains("it is a pipe"), "{error}");
        let mut left = [0];
        open.read_exact(&mut left).unwrap();
        assert_eq!(&left, b"y");
    }

    #[test]
    fn what_a_file_shows_after_it_was_read_is_told() {
        let dir = tempdir_with(&["x"]);
        let path = dir.path().join("x");
        for (size, text) in [(1, "x"), (1, "longer"), (6, "less"), (0, "some"), (3, "")] {
            std::fs::write(&path, text).unwrap();
            let file = fs::open(&path).unwrap();
            let (digest, after) = digest_open(&file, &path, size).unwrap();
            assert_eq!(digest, Digest::of(text.as_bytes()), "{size}, {text}");
            assert_eq!(after.len(), text.len() as u64);
        }
    }

    #[test]
    fn a_file_that_shows_no_size_is_read_to_its_end() {
        let path = Path::new("/proc/version");
        let found = fs::metadata(path).unwrap();
        assert_eq!(found.len(), 0);
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(digest_found(path, &found).unwrap(), Digest::of(&bytes));
    }

    #[test]
    fn a_name_that_is_not_utf_8_is_refused_by_name() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempdir_with(&["x"]);
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
        std::fs::write(dir.path().join(name), b"").unwrap();
        let error = digest_tree(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("caf\u{fffd}") && error.contains("not UTF-8"),
            "{error}"
        );
    }
}
