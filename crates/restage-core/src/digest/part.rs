//! A part of a folder: what its manifest has at a path, a file or a folder.

use std::collections::VecDeque;
use std::path::Path;

use super::listing::{joined, relative};
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
            let path = join(under, inside);
            let Node::Link(target) = &entry.node else {
                let node = entry.node.clone();
                entries.push(ManifestEntry { path, node });
                continue;
            };
            let leads = self.resolve(&entry.path);
            let leads = leads.ok_or_else(|| circle(&entry.path))?;
            if is_within(&leads, folder) {
                let leads = join(under, leads[folder.len()..].trim_start_matches('/'));
                let node = Node::Link(link_text(&path, target, &leads));
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

    /// Whether the folder has this path, as a file, a link or a folder.
    pub fn has(&self, path: &str) -> bool {
        self.node(path).is_some() || self.below(path).next().is_some()
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

    /// What the folder has at a path; `None` for a folder that is not empty.
    pub fn node(&self, path: &str) -> Option<&Node> {
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

/// The text of a link at `path` to `leads`: as it was written, unless that climbs out of the part.
fn link_text(path: &str, target: &str, leads: &str) -> String {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    match joined(folder, Path::new(target)) {
        Some(_) => target.to_owned(),
        None => relative(folder, Path::new(leads)).display().to_string(),
    }
}

fn join(folder: &str, inside: &str) -> String {
    match folder {
        "" => inside.to_owned(),
        folder if inside.is_empty() => folder.to_owned(),
        folder => format!("{folder}/{inside}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{Digest, digest_found, nothing};
    use crate::fs;
    use proptest::prelude::*;

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

    /// Makes a tree of files and links to files in it.
    fn build(root: &Path, files: &[String], links: &[(String, prop::sample::Index)]) {
        for file in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        for (name, to) in links {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let up = "../".repeat(name.matches('/').count());
            let target = format!("{up}{}", to.get(files));
            let _ = fs::symlink(Path::new(&target), &path);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn a_part_is_what_its_folder_is_on_the_disk(
            files in prop::collection::btree_set("[ab]/[cd]/[ef]", 1..6),
            links in prop::collection::btree_map("[ab]/([cd]/)?[gh]", any::<prop::sample::Index>(), 0..6),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let files: Vec<String> = files.into_iter().collect();
            build(dir.path(), &files, &links.into_iter().collect::<Vec<_>>());
            let whole = crate::digest::tree(dir.path(), &nothing, &digest_found).unwrap().manifest;
            for folder in ["a", "b", "a/c", "b/d"] {
                let part = whole.part(folder).unwrap().map(|part| part.content);
                let there = dir.path().join(folder);
                let there = there.exists().then(|| crate::digest::digest_tree(&there).unwrap());
                prop_assert_eq!(part, there, "{}", folder);
            }
        }
    }
}
