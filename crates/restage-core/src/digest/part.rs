//! A part of a folder: what its manifest has at a path, a file or a folder.

use std::collections::VecDeque;

use super::manifest::{Manifest, ManifestEntry, ManifestError, Node};
use super::path::{Kind, PathDigest};

/// Most links on the way to one file, as in Linux.
const MOST_LINKS: usize = 40;

/// A file or folder that lies in another folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it holds.
    pub content: PathDigest,
    /// Its entries, if it is a folder.
    pub folder: Option<Manifest>,
}

impl Manifest {
    /// What lies at `inside`, a file or a folder; `None` where nothing does. Links are followed. As in
    /// every folder, a link within the part stays one, and one that leads out of it counts as what it
    /// leads to.
    ///
    /// # Errors
    /// Links lead in a circle, or out of the whole folder.
    pub fn part(&self, inside: &str) -> Result<Option<Part>, ManifestError> {
        let Some(at) = self.resolve(inside) else {
            return Ok(None);
        };
        if let Some(Node::File {
            digest,
            size,
            executable,
        }) = self.node(&at)
        {
            let content = PathDigest {
                digest: *digest,
                kind: Kind::File {
                    executable: *executable,
                },
                size: *size,
                files: 1,
            };
            return Ok(Some(Part {
                content,
                folder: None,
            }));
        }
        let mut entries = Vec::new();
        self.gather(&at, "", &mut Vec::new(), &mut entries)?;
        if entries.is_empty() && self.node(&at) != Some(&Node::EmptyFolder) {
            return Ok(None);
        }
        let folder = Manifest::new(entries)?;
        Ok(Some(Part {
            content: folder.content(),
            folder: Some(folder),
        }))
    }

    /// Adds the entries below `folder` as entries below `under`. `open` has the folders that are
    /// being gathered.
    fn gather(
        &self,
        folder: &str,
        under: &str,
        open: &mut Vec<String>,
        entries: &mut Vec<ManifestEntry>,
    ) -> Result<(), ManifestError> {
        let circle = |link: &str| ManifestError::Link(link.to_owned());
        open.push(folder.to_owned());
        for entry in self.below(folder) {
            let inside = entry.path[folder.len()..].trim_start_matches('/');
            let path = joined(under, inside);
            let leads = match &entry.node {
                Node::Link(_) => self
                    .resolve(&entry.path)
                    .ok_or_else(|| circle(&entry.path))?,
                other => {
                    let node = other.clone();
                    entries.push(ManifestEntry { path, node });
                    continue;
                }
            };
            if is_within(&leads, folder) {
                let node = entry.node.clone();
                entries.push(ManifestEntry { path, node });
                continue;
            }
            if open.iter().any(|open| is_within(open, &leads)) {
                return Err(circle(&entry.path));
            }
            match self.node(&leads) {
                Some(node) => entries.push(ManifestEntry {
                    path,
                    node: node.clone(),
                }),
                None if self.below(&leads).next().is_none() => return Err(circle(&entry.path)),
                None => self.gather(&leads, &path, open, entries)?,
            }
        }
        open.pop();
        Ok(())
    }

    /// Where a path leads, links followed; `None` if out of the folder or round in a circle.
    fn resolve(&self, path: &str) -> Option<String> {
        let mut rest: VecDeque<&str> = path.split('/').collect();
        let mut at: Vec<&str> = Vec::new();
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            match part {
                "" | "." => continue,
                ".." => {
                    at.pop()?;
                    continue;
                }
                part => at.push(part),
            }
            if let Some(Node::Link(target)) = self.node(&at.join("/")) {
                links += 1;
                if links > MOST_LINKS || target.starts_with('/') {
                    return None;
                }
                at.pop();
                target
                    .split('/')
                    .rev()
                    .for_each(|part| rest.push_front(part));
            }
        }
        Some(at.join("/"))
    }

    fn node(&self, path: &str) -> Option<&Node> {
        let entries = self.entries();
        let at = entries.binary_search_by(|entry| entry.path.as_str().cmp(path));
        at.ok().map(|at| &entries[at].node)
    }

    /// The entries below a folder, which are neighbours.
    fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a ManifestEntry> + use<'a> {
        let prefix = match folder {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let entries = self.entries();
        let start = entries.partition_point(|entry| entry.path.as_str() < prefix.as_str());
        entries[start..]
            .iter()
            .take_while(move |entry| entry.path.starts_with(&prefix))
    }
}

/// Whether `path` is `folder` or lies in it; `""` is the whole.
fn is_within(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder);
    folder.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn joined(folder: &str, inside: &str) -> String {
    match folder {
        "" => inside.to_owned(),
        folder => format!("{folder}/{inside}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn manifest(entries: &[(&str, &str)]) -> Manifest {
        let entry = |(path, text): &(&str, &str)| ManifestEntry {
            path: (*path).to_owned(),
            node: match text.strip_prefix("-> ") {
                Some(target) => Node::Link(target.to_owned()),
                None => Node::File {
                    digest: Digest::of(text.as_bytes()),
                    size: text.len() as u64,
                    executable: false,
                },
            },
        };
        Manifest::new(entries.iter().map(entry).collect()).unwrap()
    }

    #[test]
    fn a_file_is_its_bytes_whatever_lies_beside_it() {
        let part = |entries| manifest(entries).part("raw/a").unwrap().unwrap().content;
        let alone = part(&[("raw/a", "1")]);
        assert_eq!(alone.digest, Digest::of(b"1"));
        assert_eq!(part(&[("raw/a", "1"), ("raw/b", "2")]), alone);
        assert_eq!(
            part(&[("raw", "-> old"), ("old/a", "1"), ("old/b", "2")]),
            alone
        );
        assert_ne!(part(&[("raw/a", "2")]), alone);
    }

    #[test]
    fn a_folder_is_what_it_is_elsewhere() {
        let whole = manifest(&[("a-b", "0"), ("a/x", "1"), ("a/y/z", "2"), ("b", "3")]);
        let part = whole.part("a").unwrap().unwrap();
        assert_eq!(part.folder, Some(manifest(&[("x", "1"), ("y/z", "2")])));
        assert_eq!(
            part.content,
            manifest(&[("x", "1"), ("y/z", "2")]).content()
        );
        for nothing in ["c", "a/x/y", "a/", "b/c", "a-"] {
            let found = whole.part(nothing).unwrap();
            assert_eq!(found.is_some(), nothing == "a/", "{nothing}");
        }
    }

    #[test]
    fn links_out_of_a_part_count_as_what_they_lead_to() {
        let hub = manifest(&[
            ("blobs/1", "weights"),
            ("blobs/2/x", "deep"),
            ("snap/r/config", "-> ../../blobs/1"),
            ("snap/r/dir", "-> ../../blobs/2"),
            ("snap/r/same", "-> config"),
        ]);
        let part = hub.part("snap").unwrap().unwrap();
        let expected = [
            ("r/config", "weights"),
            ("r/dir/x", "deep"),
            ("r/same", "weights"),
        ];
        assert_eq!(part.folder, Some(manifest(&expected)));
        let whole = hub.part("").unwrap().unwrap();
        assert_eq!(whole.folder, Some(hub));
    }

    #[test]
    fn links_that_go_round_or_out_are_refused() {
        let round = manifest(&[("a/x", "-> ../b"), ("b/y", "-> ../a")]);
        assert_eq!(
            round.part("a"),
            Err(ManifestError::Link("b/y".to_owned())),
            "a -> b -> a"
        );
        let out = manifest(&[("a/x", "-> ../../c"), ("b", "-> b")]);
        assert_eq!(out.part("a"), Err(ManifestError::Link("a/x".to_owned())));
        assert_eq!(out.part("b"), Ok(None));
    }
}
