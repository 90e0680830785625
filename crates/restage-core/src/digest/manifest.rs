//! A folder as one value: its entries, and the digest of each file.
//!
//! Layout, by the framing rule of [`super::frame`]: the text `restage tree`, the count of
//! entries, then each entry, sorted bytewise by path: path as text, variant, content.
//! Variant 0 is a file and 1 an executable file (its size as a number, its digest), 2 a
//! symbolic link (its target, as text), 3 an empty folder. Folders that are not empty are
//! implied by their entries. The folder's digest is the digest of these bytes.

use super::frame::{Frame, Reader};
use super::hash::Digest;
use super::path::{Kind, PathDigest};

const DOMAIN: &str = "restage tree";

/// The entries of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest(Vec<ManifestEntry>);

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestEntry {
    /// Path relative to the folder, `/` between its parts.
    pub path: String,
    /// What it is.
    pub node: Node,
}

/// What a folder has at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A file.
    File {
        /// Of its bytes.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
        /// The owner's execute bit.
        executable: bool,
    },
    /// A symbolic link with its target, which is never looked at.
    Link(String),
    /// An empty folder.
    EmptyFolder,
}

/// Why entries or bytes are not a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The bytes end early, go on too long, or are something else.
    #[error("the bytes are not a folder's manifest")]
    Malformed,
    /// A path that a folder can't have: absolute, with `.` or `..`, empty, or not in order.
    #[error("`{0}` is not a path inside a folder, or is listed out of order")]
    Path(String),
    /// A file or link with something below it.
    #[error("`{0}` lies inside something that is not a folder")]
    InsideFile(String),
    /// A link that leads nowhere, or round in a circle.
    #[error("the link `{0}` leads nowhere, or round in a circle")]
    Link(String),
}

impl Manifest {
    /// Sorts entries into a manifest and checks that such a folder can exist.
    pub fn new(mut entries: Vec<ManifestEntry>) -> Result<Self, ManifestError> {
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Self::checked(entries)
    }

    fn checked(entries: Vec<ManifestEntry>) -> Result<Self, ManifestError> {
        let mut previous: Option<&str> = None;
        for ManifestEntry { path, .. } in &entries {
            let bad_part = |part| matches!(part, "" | "." | "..");
            if path.contains('\0')
                || path.split('/').any(bad_part)
                || previous.is_some_and(|previous| previous >= path.as_str())
            {
                return Err(ManifestError::Path(path.clone()));
            }
            previous = Some(path);
        }
        let is_leaf = |path: &str| {
            let found = entries.binary_search_by(|entry| entry.path.as_str().cmp(path));
            found.is_ok()
        };
        // Most entries lie in the folder of the one before.
        let mut checked = "";
        for ManifestEntry { path, .. } in &entries {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            if folder == checked {
                continue;
            }
            let mut parents = path.match_indices('/').map(|(at, _)| &path[..at]);
            if parents.any(is_leaf) {
                return Err(ManifestError::InsideFile(path.clone()));
            }
            checked = folder;
        }
        Ok(Self(entries))
    }

    /// Entries, sorted bytewise by path.
    pub fn entries(&self) -> &[ManifestEntry] {
        &self.0
    }

    /// Digest of each file, with its size, in order.
    pub fn files(&self) -> impl Iterator<Item = (&Digest, u64)> {
        self.0.iter().filter_map(|entry| match &entry.node {
            Node::File { digest, size, .. } => Some((digest, *size)),
            Node::Link(_) | Node::EmptyFolder => None,
        })
    }

    /// The folder as one value.
    pub fn content(&self) -> PathDigest {
        PathDigest {
            digest: Digest::of(&self.to_bytes()),
            kind: Kind::Tree,
            size: self.files().map(|(_, size)| size).sum(),
            files: self.files().count() as u64,
        }
    }

    /// The bytes whose digest is the folder's.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut frame = Frame::new(DOMAIN);
        frame.number(self.0.len() as u64);
        for ManifestEntry { path, node } in &self.0 {
            frame.text(path);
            match node {
                Node::File {
                    digest,
                    size,
                    executable,
                } => {
                    frame.number(u64::from(*executable));
                    frame.number(*size);
                    frame.digest(digest);
                }
                Node::Link(target) => {
                    frame.number(2);
                    frame.text(target);
                }
                Node::EmptyFolder => frame.number(3),
            }
        }
        frame.into_bytes()
    }

    /// Reads what [`Manifest::to_bytes`] wrote. Bytes from elsewhere are safe to read: no
    /// path leads out of the folder.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        let entries = read_entries(bytes).ok_or(ManifestError::Malformed)?;
        Self::checked(entries)
    }
}

fn read_entries(bytes: &[u8]) -> Option<Vec<ManifestEntry>> {
    let mut reader = Reader::new(DOMAIN, bytes)?;
    let count = reader.number()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let path = reader.text()?.to_owned();
        let node = match reader.number()? {
            variant @ (0 | 1) => Node::File {
                size: reader.number()?,
                digest: reader.digest()?,
                executable: variant == 1,
            },
            2 => Node::Link(reader.text()?.to_owned()),
            3 => Node::EmptyFolder,
            _ => return None,
        };
        entries.push(ManifestEntry { path, node });
    }
    reader.is_at_end().then_some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(path: &str) -> ManifestEntry {
        let node = Node::File {
            digest: Digest::of(b"x"),
            size: 1,
            executable: false,
        };
        ManifestEntry {
            path: path.to_owned(),
            node,
        }
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_refused() {
        for path in ["../x", "a/../../x", "/x", "", "a//b", "./a", "a/", "a\0b"] {
            let refused = Manifest::new(vec![file(path)]);
            assert_eq!(refused, Err(ManifestError::Path(path.to_owned())));
        }
    }

    #[test]
    fn a_file_below_a_file_or_link_is_refused() {
        // `a-b` sorts between `a` and `a/b`.
        let refused = Manifest::new(vec![file("a/b"), file("a"), file("a-b")]);
        assert_eq!(refused, Err(ManifestError::InsideFile("a/b".to_owned())));
    }

    #[test]
    fn the_same_path_twice_is_refused() {
        assert!(Manifest::new(vec![file("a"), file("a")]).is_err());
    }

    fn entries() -> impl Strategy<Value = Vec<ManifestEntry>> {
        let node = prop_oneof![
            (any::<[u8; 32]>(), any::<u64>(), any::<bool>()).prop_map(|(d, size, executable)| {
                Node::File {
                    digest: Digest(d),
                    size,
                    executable,
                }
            }),
            ".*".prop_map(Node::Link),
            Just(Node::EmptyFolder),
        ];
        prop::collection::btree_map("[a-c\n\"é]{1,3}", node, 0..6).prop_map(|map| {
            map.into_iter()
                .map(|(path, node)| ManifestEntry { path, node })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn bytes_read_back_as_the_manifest_that_they_were(
            entries in entries(), order in any::<prop::sample::Index>(),
        ) {
            let mut shuffled = entries.clone();
            if !shuffled.is_empty() {
                let by = order.index(shuffled.len());
                shuffled.rotate_left(by);
            }
            let manifest = Manifest::new(entries).unwrap();
            prop_assert_eq!(Manifest::new(shuffled).unwrap().to_bytes(), manifest.to_bytes());
            let mut longer = manifest.to_bytes();
            longer.push(0);
            prop_assert!(Manifest::from_bytes(&longer).is_err());
            prop_assert_eq!(Manifest::from_bytes(&manifest.to_bytes()), Ok(manifest));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(
            entries in entries(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut bytes = Manifest::new(entries).unwrap().to_bytes();
            let at = at.index(bytes.len());
            let _ = Manifest::from_bytes(&bytes[..at]);
            bytes[at] = byte;
            let _ = Manifest::from_bytes(&bytes);
        }
    }
}
