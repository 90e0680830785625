//! What the launcher is told to do, and the form in which it reaches it.
//!
//! Paths, arguments and variables hold no NUL byte, so each item is a letter, its bytes and a NUL.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The first argument of a process that will become a launcher.
pub const LAUNCHER_ARGUMENT: &str = "__isolate";

/// How a process is kept apart from the rest of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolation {
    /// A program that calls [`crate::launch`] if its first argument is [`LAUNCHER_ARGUMENT`].
    pub launcher: PathBuf,
    /// How all processes that it starts are found and ended with it.
    pub processes: Processes,
    /// What it can reach.
    pub network: Network,
    /// Which files it sees; `None`: all, as its caller does.
    pub view: Option<View>,
}

/// How all processes that a command starts are found and ended with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processes {
    /// A PID namespace: the kernel ends them. Nothing escapes.
    Namespace,
    /// The launcher and its first process adopt orphans and end them. Escapes only what makes both
    /// of them end at the same moment.
    Subreaper,
}

/// What a process can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// What its caller can.
    Host,
    /// Only itself, by the loopback interface.
    None,
}

/// A folder that stands where another one is, for one process and its children. What is in that
/// other folder does not exist for them, but for what is bound into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The folder that is seen: canonical, absolute.
    pub work: PathBuf,
    /// Where it stands: an existing folder, canonical, absolute. The process starts here.
    pub at: PathBuf,
    /// What else is seen, in this order: an outer place comes before an inner one.
    pub binds: Vec<Bind>,
}

/// A file or folder that is seen at a place, with all mounts below it. It is bound, not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// What is seen: absolute; links are followed.
    pub source: PathBuf,
    /// Where: absolute. Below [`View::at`] an empty file or folder is made for it in
    /// [`View::work`], and stays there; elsewhere it must exist. Below another bind's place it
    /// must exist in that bind's source.
    pub place: PathBuf,
    /// Whether it can be written there, as far as it can be outside.
    pub writable: bool,
}

/// A command and its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The program and its arguments; none: only try whether there could be one.
    pub(crate) argv: Vec<OsString>,
    /// `NAME=VALUE`: its whole environment.
    pub(crate) env: Vec<OsString>,
    /// Where it starts, unless there is a view.
    pub(crate) dir: PathBuf,
    pub(crate) subreaper: bool,
    pub(crate) no_network: bool,
    pub(crate) view: Option<View>,
}

impl Plan {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut put = |letter: u8, item: &OsStr| {
            bytes.push(letter);
            bytes.extend(item.as_bytes());
            bytes.push(0);
        };
        self.argv.iter().for_each(|item| put(b'a', item));
        self.env.iter().for_each(|item| put(b'e', item));
        put(b'd', self.dir.as_os_str());
        if self.subreaper {
            put(b's', OsStr::new(""));
        }
        if self.no_network {
            put(b'n', OsStr::new(""));
        }
        if let Some(view) = &self.view {
            put(b'w', view.work.as_os_str());
            put(b'v', view.at.as_os_str());
            for bind in &view.binds {
                put(
                    if bind.writable { b'b' } else { b'r' },
                    bind.source.as_os_str(),
                );
                put(b'p', bind.place.as_os_str());
            }
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> io::Result<Self> {
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "the plan is broken");
        let mut plan = Self::default();
        let mut items = bytes.split(|byte| *byte == 0);
        if items.next_back() != Some(&[]) {
            return Err(broken());
        }
        let (mut work, mut source) = (None, None);
        for item in items {
            let (letter, item) = item.split_first().ok_or_else(broken)?;
            let text = OsString::from_vec(item.to_vec());
            match letter {
                b'a' => plan.argv.push(text),
                b'e' => plan.env.push(text),
                b'd' => plan.dir = text.into(),
                b's' => plan.subreaper = true,
                b'n' => plan.no_network = true,
                b'w' => work = Some(PathBuf::from(text)),
                b'v' => {
                    plan.view = Some(View {
                        work: work.take().ok_or_else(broken)?,
                        at: text.into(),
                        binds: Vec::new(),
                    });
                }
                b'r' | b'b' => source = Some((PathBuf::from(text), *letter == b'b')),
                b'p' => {
                    let (source, writable) = source.take().ok_or_else(broken)?;
                    let place = text.into();
                    plan.view.as_mut().ok_or_else(broken)?.binds.push(Bind {
                        source,
                        place,
                        writable,
                    });
                }
                _ => return Err(broken()),
            }
        }
        Ok(plan)
    }
}

impl View {
    /// Where a bind is made: in the work folder, before that is moved to its place.
    pub(crate) fn target(&self, bind: &Bind) -> PathBuf {
        match bind.place.strip_prefix(&self.at) {
            Ok(inside) => self.work.join(inside),
            Err(_) => bind.place.clone(),
        }
    }

    /// Whether a place is in the work folder.
    pub(crate) fn holds(&self, place: &Path) -> bool {
        place.starts_with(&self.at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = OsString> {
        prop::collection::vec(1u8..=255, 0..9).prop_map(OsString::from_vec)
    }

    fn view() -> impl Strategy<Value = View> {
        let bind = (text(), text(), any::<bool>());
        (text(), text(), prop::collection::vec(bind, 0..4)).prop_map(|(work, at, binds)| View {
            work: work.into(),
            at: at.into(),
            binds: binds
                .into_iter()
                .map(|(source, place, writable)| Bind {
                    source: source.into(),
                    place: place.into(),
                    writable,
                })
                .collect(),
        })
    }

    proptest! {
        #[test]
        fn a_plan_arrives_as_it_was_sent(
            argv in prop::collection::vec(text(), 0..4),
            env in prop::collection::vec(text(), 0..4),
            dir in text(),
            flags in any::<(bool, bool)>(),
            view in prop::option::of(view()),
        ) {
            let (subreaper, no_network) = flags;
            let plan = Plan { argv, env, dir: dir.into(), subreaper, no_network, view };
            let bytes = plan.encode();
            prop_assert_eq!(Plan::decode(&bytes).unwrap(), plan);
            // Nothing that is cut short is read, but at the end of an item.
            for end in 1..bytes.len() {
                if bytes[end - 1] != 0 {
                    prop_assert!(Plan::decode(&bytes[..end]).is_err());
                }
            }
        }
    }
}
