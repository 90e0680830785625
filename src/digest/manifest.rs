//! A folder as one value: what lies in it, and the digest of each file.
//! It must not know the disk: entries are given to it, bytes come out.
//!
//! Layout, by the framing rule of [`super::frame`]: the text `restage tree`, the count of
//! entries, then each entry, sorted bytewise by path: path as text, variant, content.
//! Variant 0 is a file and 1 an executable file (its size as a number, its digest), 2 a
//! symbolic link (what it leads to, as text), 3 an empty folder. Folders that are not empty
//! are known by what lies in them. The folder's digest is the digest of these bytes.

use super::Digest;

const DOMAIN: &str = "restage tree";

/// What lies in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest(Vec<ManifestEntry>);

/// One thing in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestEntry {
    /// Path relative to the folder, `/` between its parts.
    pub path: String,
    /// What stands there.
    pub node: Node,
}

/// What stands at a path in a folder.
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
    /// A symbolic link and what it leads to, which is never looked at.
    Link(String),
    /// A folder with nothing in it.
    EmptyFolder,
}

/// Why entries or bytes are no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The bytes end early, go on too long, or are something else.
    #[error("the bytes are no folder's manifest")]
    Malformed,
    /// A path that a folder can't have: absolute, with `.` or `..`, empty, or not in order.
    #[error("`{0}` is no path inside a folder, or is listed out of order")]
    Path(String),
    /// A file or link with something below it.
    #[error("`{0}` lies inside something that is no folder")]
    InsideFile(String),
}

impl Manifest {
    /// Sorts entries into a manifest and checks that such a folder can exist.
    pub fn new(mut entries: Vec<ManifestEntry>) -> Result<Self, ManifestError> {
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Self::checked(entries)
    }

    fn checked(entries: Vec<ManifestEntry>) -> Result<Self, ManifestError> {
        let mut previous: Option<&str> = None;
        let mut leaves = std::collections::BTreeSet::new();
        for ManifestEntry { path, .. } in &entries {
            let bad_part = |part: &str| matches!(part, "" | "." | "..") || part.contains('\0');
            if path.split('/').any(bad_part) || previous.is_some_and(|p| p >= path.as_str()) {
                return Err(ManifestError::Path(path.clone()));
            }
            previous = Some(path);
            leaves.insert(path.as_str());
        }
        for ManifestEntry { path, .. } in &entries {
            let mut parents = path.match_indices('/').map(|(at, _)| &path[..at]);
            if parents.any(|parent| leaves.contains(parent)) {
                return Err(ManifestError::InsideFile(path.clone()));
            }
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

    /// The bytes whose digest is the folder's.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.0.len() * 96);
        put_text(DOMAIN, &mut bytes);
        put_number(self.0.len() as u64, &mut bytes);
        for ManifestEntry { path, node } in &self.0 {
            put_text(path, &mut bytes);
            match node {
                Node::File {
                    digest,
                    size,
                    executable,
                } => {
                    put_number(u64::from(*executable), &mut bytes);
                    put_number(*size, &mut bytes);
                    bytes.extend_from_slice(&digest.0);
                }
                Node::Link(target) => {
                    put_number(2, &mut bytes);
                    put_text(target, &mut bytes);
                }
                Node::EmptyFolder => put_number(3, &mut bytes),
            }
        }
        bytes
    }

    /// Reads what [`Manifest::to_bytes`] wrote. Bytes from elsewhere are safe to read: no
    /// path leads out of the folder.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut rest = bytes;
        let entries = read_entries(&mut rest).ok_or(ManifestError::Malformed)?;
        if !rest.is_empty() {
            return Err(ManifestError::Malformed);
        }
        Self::checked(entries)
    }
}

fn put_number(number: u64, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_text(text: &str, bytes: &mut Vec<u8>) {
    put_number(text.len() as u64, bytes);
    bytes.extend_from_slice(text.as_bytes());
}

fn read_entries(rest: &mut &[u8]) -> Option<Vec<ManifestEntry>> {
    if take_text(rest)? != DOMAIN {
        return None;
    }
    let count = take_number(rest)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let path = take_text(rest)?;
        let node = match take_number(rest)? {
            variant @ (0 | 1) => {
                let size = take_number(rest)?;
                let digest = Digest(take(rest, 32)?.try_into().ok()?);
                Node::File {
                    digest,
                    size,
                    executable: variant == 1,
                }
            }
            2 => Node::Link(take_text(rest)?),
            3 => Node::EmptyFolder,
            _ => return None,
        };
        entries.push(ManifestEntry { path, node });
    }
    Some(entries)
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(head)
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(take(rest, 8)?.try_into().ok()?))
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let len = usize::try_from(take_number(rest)?).ok()?;
    String::from_utf8(take(rest, len)?.to_vec()).ok()
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
