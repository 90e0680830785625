//! What a folder holds, with its links judged where they are read (docs/adr/0022).
//!
//! A link that leads to something in the same folder stays a link, by a relative path. One that
//! leads out of it counts as what it leads to, a file or a folder. One that leads nowhere, round in a circle, or to
//! a folder that it lies in, is an error.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::mem;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rayon::prelude::*;

use crate::fs::{self, FsError};

/// From so many names on a folder is looked at by all cores; waking them costs more than a few looks.
const MANY: usize = 200;
/// From so many folders on they are shared among the cores.
const FOLDERS: usize = 8;

/// Whether to pass over something: its path relative to the folder that is listed, and whether it
/// is a folder.
pub type Skip<'a> = dyn Fn(&Path, bool) -> bool + Sync + 'a;

/// Passes over nothing.
pub fn nothing(_: &Path, _: bool) -> bool {
    false
}

/// Everything that a folder holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// Sorted bytewise by path.
    pub found: Vec<Entry>,
    /// Something was passed over.
    pub skipped: bool,
}

/// Something in a folder.
#[derive(Debug)]
pub struct Entry {
    /// Relative to the folder.
    pub path: PathBuf,
    /// What it is.
    pub what: What,
    /// Of the entry itself. Of what is behind a link that was followed, that.
    pub metadata: Metadata,
    /// Whether the way to it is through a link that leads out of the folder.
    pub behind_link: bool,
}

/// What something in a folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A file, or something that is neither a folder nor a link.
    File,
    /// A link to this relative path in the same folder.
    Link(PathBuf),
    /// A link that leads there, out of the folder; what it leads to is listed at the same path.
    Followed(PathBuf),
    /// A folder with nothing in it.
    EmptyFolder,
    /// A folder with something in it that is listed too.
    Folder,
}

/// A folder on the disk, and where its entries are listed.
#[derive(Debug)]
struct Place {
    real: PathBuf,
    at: PathBuf,
    /// The place with the link that led here.
    outer: Option<Rc<Place>>,
}

impl Place {
    fn chain(&self) -> impl Iterator<Item = &Place> {
        std::iter::successors(Some(self), |place| place.outer.as_deref())
    }
}

enum Judged {
    Gone,
    Inside(PathBuf),
    File(PathBuf, Metadata),
    Folder(PathBuf, Metadata),
}

struct Walk<'a> {
    root: &'a Path,
    skip: &'a Skip<'a>,
}

/// What stands in one folder.
struct Inside {
    /// By name, without what is passed over.
    seen: Vec<(PathBuf, Metadata)>,
    skipped: bool,
    is_empty: bool,
}

/// What stands at one name.
enum Look {
    Gone,
    Skipped,
    Seen(PathBuf, Metadata),
}

/// Lists a folder. A folder in it that holds nothing but what is passed over is passed over too.
pub fn list(root: &Path, skip: &Skip<'_>) -> Result<Listing, FsError> {
    let walk = Walk { root, skip };
    let mut listing = Listing::default();
    let start = Place {
        real: fs::canonicalize(root)?,
        at: PathBuf::new(),
        outer: None,
    };
    // Folders without a name in them, and folders with a file or a link in them.
    let (mut empty, mut filled) = (BTreeSet::new(), Vec::new());
    let mut open = vec![(PathBuf::new(), Rc::new(start))];
    while !open.is_empty() {
        let level = mem::take(&mut open);
        let inside = walk.look_into(level.iter().map(|(folder, _)| folder.as_path()).collect())?;
        for ((folder, place), inside) in level.into_iter().zip(inside) {
            listing.skipped |= inside.skipped;
            let behind_link = place.outer.is_some();
            let mut is_filled = false;
            for (path, metadata) in inside.seen {
                let mut add = |path, what, metadata, behind_link| {
                    is_filled |= matches!(what, What::File | What::Link(_));
                    listing.found.push(Entry {
                        path,
                        what,
                        metadata,
                        behind_link,
                    });
                };
                if metadata.is_dir() {
                    open.push((path.clone(), Rc::clone(&place)));
                    add(path, What::Folder, metadata, behind_link);
                    continue;
                }
                if !metadata.is_symlink() {
                    add(path, What::File, metadata, behind_link);
                    continue;
                }
                match walk.judge(&path, &place)? {
                    Judged::Gone => {}
                    Judged::Inside(target) => {
                        add(path, What::Link(target), metadata, behind_link);
                    }
                    Judged::File(real, there) => {
                        add(path.clone(), What::Followed(real), metadata, behind_link);
                        add(path, What::File, there, true);
                    }
                    Judged::Folder(real, there) => {
                        let followed = What::Followed(real.clone());
                        add(path.clone(), followed, metadata, behind_link);
                        add(path.clone(), What::Folder, there, true);
                        let outer = Some(Rc::clone(&place));
                        let at = path.clone();
                        open.push((path, Rc::new(Place { real, at, outer })));
                    }
                }
            }
            if inside.is_empty {
                empty.insert(folder);
            } else if is_filled {
                filled.push(folder);
            }
        }
    }
    settle_folders(&mut listing, &empty, &filled);
    // Most of it is in order already. A link that was followed comes before what it leads to.
    listing.found.sort_by(|a, b| {
        let [a, b] = [a, b].map(|found| found.path.as_os_str().as_bytes());
        a.cmp(b)
    });
    Ok(listing)
}

/// Tells empty folders from others, and drops those that hold nothing that is listed.
fn settle_folders(listing: &mut Listing, empty: &BTreeSet<PathBuf>, filled: &[PathBuf]) {
    let around_empty = empty.iter().flat_map(|folder| folder.parent());
    let mut holding: BTreeSet<&Path> = BTreeSet::new();
    for folder in filled.iter().map(PathBuf::as_path).chain(around_empty) {
        for folder in folder.ancestors() {
            if !holding.insert(folder) {
                break;
            }
        }
    }
    listing.found.retain_mut(|found| {
        if found.what != What::Folder || holding.contains(found.path.as_path()) {
            return true;
        }
        found.what = What::EmptyFolder;
        empty.contains(&found.path)
    });
}

impl Walk<'_> {
    /// What stands in each of these folders.
    fn look_into(&self, folders: Vec<&Path>) -> Result<Vec<Inside>, FsError> {
        let look = |folder| self.look_into_one(folder);
        match folders.len() < FOLDERS {
            true => folders.into_iter().map(look).collect(),
            false => folders.into_par_iter().map(look).collect(),
        }
    }

    fn look_into_one(&self, folder: &Path) -> Result<Inside, FsError> {
        let full = self.root.join(folder);
        let names = fs::read_dir(&full)?;
        let is_empty = names.is_empty();
        let look = |full: &mut PathBuf, name: OsString| {
            full.push(&name);
            let found = self.look_at(folder.join(name), full);
            full.pop();
            found
        };
        let looks: Vec<Look> = if names.len() < MANY {
            let mut full = full;
            let names = names.into_iter();
            names
                .map(|name| look(&mut full, name))
                .collect::<Result<_, _>>()?
        } else {
            let names = names.into_par_iter();
            names.map_with(full, look).collect::<Result<_, _>>()?
        };
        let mut inside = Inside {
            seen: Vec::with_capacity(looks.len()),
            skipped: false,
            is_empty,
        };
        for look in looks {
            match look {
                Look::Gone => {}
                Look::Skipped => inside.skipped = true,
                Look::Seen(path, metadata) => inside.seen.push((path, metadata)),
            }
        }
        Ok(inside)
    }

    fn look_at(&self, path: PathBuf, full: &Path) -> Result<Look, FsError> {
        let Some(metadata) = fs::symlink_metadata_if_exists(full)? else {
            return Ok(Look::Gone);
        };
        Ok(match (self.skip)(&path, metadata.is_dir()) {
            true => Look::Skipped,
            false => Look::Seen(path, metadata),
        })
    }

    fn judge(&self, path: &Path, place: &Rc<Place>) -> Result<Judged, FsError> {
        let full = self.root.join(path);
        let target = match fs::read_link(&full) {
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => {
                return Ok(Judged::Gone);
            }
            target => target?,
        };
        let real = follow(&full, &target)?;
        for place in place.chain() {
            let Ok(rest) = real.strip_prefix(&place.real) else {
                continue;
            };
            let leads = place.at.join(rest);
            if !self.is_skipped(&leads, &real) {
                return Ok(Judged::Inside(self.kept(path, &target, &leads, place)));
            }
        }
        let metadata = fs::metadata(&full)?;
        if !metadata.is_dir() {
            return Ok(Judged::File(real, metadata));
        }
        if place.chain().any(|place| place.real.starts_with(&real)) {
            return Err(bad_link(&full, &target, ", a folder that it lies in"));
        }
        Ok(Judged::Folder(real, metadata))
    }

    /// Whether a path in the folder, or a folder above it, is passed over.
    fn is_skipped(&self, path: &Path, real: &Path) -> bool {
        let is_dir = |at: &Path| at != path || fs::metadata(real).is_ok_and(|there| there.is_dir());
        let named = path.ancestors().filter(|at| !at.as_os_str().is_empty());
        named.into_iter().any(|at| (self.skip)(at, is_dir(at)))
    }

    /// The text of a link at `path` that leads to `leads`, both in the folder: as it was written, if it
    /// is right wherever the folder is put.
    fn kept(&self, path: &Path, target: &Path, leads: &Path, place: &Place) -> PathBuf {
        let folder = path.parent().unwrap_or(Path::new(""));
        let Some(named) = joined(folder, target) else {
            return relative(folder, leads);
        };
        if named == leads || self.is_another_link(&named, leads, place) {
            target.to_owned()
        } else {
            relative(folder, leads)
        }
    }

    /// Whether `named` is another link to the same, in a folder that is reached without links.
    fn is_another_link(&self, named: &Path, leads: &Path, place: &Place) -> bool {
        let listed = |real: PathBuf| Some(place.at.join(real.strip_prefix(&place.real).ok()?));
        let at = |path: &Path| listed(fs::canonicalize(&self.root.join(path)).ok()?);
        let folder = named.parent().unwrap_or(Path::new(""));
        at(named).as_deref() == Some(leads)
            && at(folder).as_deref() == Some(folder)
            && !(self.skip)(named, false)
    }
}

/// Where a link leads.
fn follow(link: &Path, target: &Path) -> Result<PathBuf, FsError> {
    fs::canonicalize(link).map_err(|error| match error.source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            bad_link(link, target, ", where nothing is")
        }
        _ if error.source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            bad_link(link, target, ", and from there back to itself")
        }
        _ => error,
    })
}

/// Refuses a path that is a link which leads nowhere; anything else is fine.
pub fn check_link(path: &Path) -> Result<(), FsError> {
    match fs::symlink_metadata_if_exists(path)? {
        Some(found) if found.is_symlink() => {
            follow(path, &fs::read_link(path)?)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn bad_link(link: &Path, target: &Path, why: &str) -> FsError {
    let text = format!("it leads to `{}`{why}", target.display());
    FsError {
        op: FsError::FOLLOW,
        path: link.to_owned(),
        source: io::Error::other(text),
    }
}

/// A relative path from a folder, without `.` and `..`; `None` if it is absolute, or climbs out.
pub(super) fn joined(folder: &Path, target: &Path) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    for part in target.components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                path.pop().then_some(())?;
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// The way from a folder to a path, both relative to the same folder.
pub(super) fn relative(folder: &Path, to: &Path) -> PathBuf {
    let shared = folder
        .components()
        .zip(to.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = folder
        .components()
        .skip(shared)
        .map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(to.components().skip(shared)).collect();
    match way.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => way,
    }
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
