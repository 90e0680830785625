//! Where a process runs: which processes can be seen from here, and which may run unseen.

use std::path::Path;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::fs;

/// A machine, a boot of it, and a process namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Whereabouts {
    /// The machine's name.
    pub host: String,
    /// What tells the installation from others of the same name, if known.
    #[serde(default)]
    machine: Option<String>,
    /// The boot, if known.
    #[serde(default)]
    boot: Option<String>,
    /// The process namespace, if known: containers have their own.
    #[serde(default)]
    namespace: Option<String>,
}

impl Whereabouts {
    /// Where this process runs.
    pub fn here() -> &'static Self {
        static HERE: OnceLock<Whereabouts> = OnceLock::new();
        HERE.get_or_init(Self::look)
    }

    /// The boot and the process namespace, in which process ids are unique.
    pub(crate) fn boot_and_namespace(&self) -> Option<(&str, &str)> {
        Some((self.boot.as_deref()?, self.namespace.as_deref()?))
    }

    fn look() -> Self {
        let machine = fs::read_to_string(Path::new("/etc/machine-id")).ok();
        let namespace = fs::read_link(Path::new("/proc/self/ns/pid")).ok();
        Self {
            host: host_name(),
            machine: machine.map(|id| id.trim().to_owned()),
            boot: boot_id(),
            namespace: namespace.map(|path| path.display().to_string()),
        }
    }

    /// Whether what ran there may run still though it can't be seen from `here`: on another machine, or
    /// in another container. What ran on this machine before it was booted does not.
    pub fn is_out_of_sight_of(&self, here: &Self) -> bool {
        if self.host != here.host || self.machine != here.machine {
            return true;
        }
        self.boot == here.boot && self.namespace != here.namespace
    }
}

/// The name of this machine.
pub fn host_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// What tells this boot of the machine's kernel from every other, if that can be known.
pub(crate) fn boot_id() -> Option<String> {
    let text = fs::read_to_string(Path::new("/proc/sys/kernel/random/boot_id")).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ran_here_or_before_this_boot_is_known_to_be_seen_or_gone() {
        let here = Whereabouts {
            host: "a".to_owned(),
            machine: Some("1".to_owned()),
            boot: Some("x".to_owned()),
            namespace: Some("pid:[1]".to_owned()),
        };
        let there = |change: fn(&mut Whereabouts)| {
            let mut there = here.clone();
            change(&mut there);
            there.is_out_of_sight_of(&here)
        };
        assert!(!there(|_| ()));
        assert!(there(|it| it.host = "b".to_owned()));
        assert!(there(|it| it.machine = Some("2".to_owned())), "its twin");
        assert!(there(|it| it.namespace = None), "a container, perhaps");
        assert!(!there(|it| it.boot = Some("y".to_owned())));
        assert!(there(|it| *it = Whereabouts::default()), "nobody knows");
    }

    #[test]
    fn this_process_is_here() {
        let here = Whereabouts::here();
        assert!(!here.is_out_of_sight_of(&Whereabouts::look()));
        let text = serde_json::to_string(here).unwrap();
        assert_eq!(serde_json::from_str::<Whereabouts>(&text).unwrap(), *here);
    }
}
