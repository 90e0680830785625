//! A process group that may outlive the process that started it: named so that it can be found
//! again, looked at, and stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use crate::clock::Instant;
use crate::fs;
use crate::whereabouts::Whereabouts;

/// How long we wait for a killed group to vanish.
pub const VANISH: Duration = Duration::from_secs(5);
/// How often we look at a group whose end we can't wait for.
const LOOK: Duration = Duration::from_millis(10);

/// A job's first process, which leads its process group. Safe to keep on disk: thanks to its start
/// time and the machine's boot it is never mistaken for a later process with the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Its process id, which is its group's id too.
    pub pid: u32,
    /// Its session, if known.
    pub session: Option<u32>,
    /// When it started, in clock ticks since boot, if known.
    pub started: Option<u64>,
    /// The boot and the process namespace that its numbers belong to, if known.
    pub space: Option<String>,
}

impl ProcessRef {
    /// The process with this id, which must exist and lead its group.
    pub fn of(pid: u32) -> Self {
        let stat = Stat::of(pid);
        Self {
            pid,
            session: stat.as_ref().map(|stat| stat.session),
            started: stat.as_ref().map(|stat| stat.started),
            space: space().clone(),
        }
    }

    /// Whether it, or a process that it left in its group, still runs. Zombies don't. A group
    /// of another boot or process namespace counts as gone: it cannot be seen from here.
    pub fn is_alive(&self) -> bool {
        if self.space != *space() || !self.exists() {
            return false;
        }
        match members(self.pid) {
            // Without a list of processes the group's existence is all that can be known.
            None => true,
            Some(members) => {
                let leader_is_another = members
                    .iter()
                    .any(|m| m.pid == self.pid && Some(m.started) != self.started);
                !leader_is_another && members.iter().any(|member| self.owns(member))
            }
        }
    }

    /// Stops the whole group, TERM first, KILL after `grace`, and waits until it is gone.
    /// Returns whether it is. For groups that another, dead `restage` left behind.
    pub fn stop(&self, grace: Duration) -> bool {
        for (signal, patience) in [(Signal::TERM, grace), (Signal::KILL, VANISH)] {
            if !self.is_alive() {
                return true;
            }
            self.signal(signal);
            let since = Instant::now();
            while since.elapsed() < patience && self.is_alive() {
                std::thread::sleep(LOOK);
            }
        }
        !self.is_alive()
    }

    /// Sends a signal to the group. The caller knows that the group is still this one: its
    /// leader has not been reaped, or it was just seen alive.
    pub fn signal(&self, signal: Signal) {
        if let Some(group) = self.group() {
            // The only failure left is that the group is gone, which is what we want.
            let _ = rustix::process::kill_process_group(group, signal);
            if signal == Signal::TERM {
                // A stopped process would not hear TERM.
                let _ = rustix::process::kill_process_group(group, Signal::CONT);
            }
        }
    }

    /// Whether the group has any process, including zombies and later owners of the number.
    pub fn exists(&self) -> bool {
        self.group().is_some_and(|group| {
            rustix::process::test_kill_process_group(group) != Err(rustix::io::Errno::SRCH)
        })
    }

    fn group(&self) -> Option<Pid> {
        // 0 and 1 would mean our own group and everyone.
        i32::try_from(self.pid)
            .ok()
            .filter(|pid| *pid > 1)
            .and_then(Pid::from_raw)
    }

    fn owns(&self, member: &Stat) -> bool {
        !member.zombie
            && self.session.is_none_or(|session| session == member.session)
            && self.started.is_none_or(|started| started <= member.started)
    }
}

/// The process group of a process; `None` if it has ended, or its group lies outside of this process
/// namespace. (`getpgid` says 0 then, which rustix takes for impossible.)
pub fn group_of(pid: u32) -> Option<u32> {
    Some(Stat::of(pid)?.group).filter(|group| *group > 0)
}

/// The part of `/proc/PID/stat` that tells processes apart.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    pid: u32,
    zombie: bool,
    /// By a signal.
    stopped: bool,
    parent: u32,
    group: u32,
    session: u32,
    started: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let mut file = fs::open(Path::new(&format!("/proc/{pid}/stat"))).ok()?;
        // `/proc` says that the file is empty. 52 numbers and a short name are shorter than this.
        let mut text = [0; 2048];
        let length = file.read(&mut text).ok()?;
        Self::parse(text.get(..length)?)
    }

    /// `PID (NAME) STATE PPID PGRP SESSION ...`, the start time as field 22. The name may hold
    /// anything, also `)`.
    fn parse(text: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(text);
        let (head, tail) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
        Some(Self {
            pid: head.split_once(' ')?.0.parse().ok()?,
            zombie: matches!(*fields.first()?, "Z" | "X"),
            stopped: *fields.first()? == "T",
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

/// The processes of a group; `None` if the system has no `/proc`.
fn members(group: u32) -> Option<Vec<Stat>> {
    Some(all()?.filter(|stat| stat.group == group).collect())
}

/// The ids of the processes of each of these jobs, without zombies: those in the job's process
/// group, those that descend from its first process, and what these started in turn, whatever
/// group or session they moved to. One pass over all processes for any number of jobs. Empty if
/// the system has no `/proc`.
pub fn members_by_job(jobs: &BTreeSet<u32>) -> BTreeMap<u32, Vec<u32>> {
    let all: BTreeMap<u32, Stat> = all().into_iter().flatten().map(|s| (s.pid, s)).collect();
    let mut found: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for stat in all.values().filter(|stat| !stat.zombie) {
        let mut line = std::iter::successors(Some(stat), |stat| all.get(&stat.parent));
        // The list is not of one moment, so parents might seem to form a circle.
        let job = line.by_ref().take(all.len()).find_map(|stat| {
            let named = [stat.pid, stat.group];
            named.into_iter().find(|number| jobs.contains(number))
        });
        if let Some(job) = job {
            found.entry(job).or_default().push(stat.pid);
        }
    }
    found
}

/// A process that descends from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descendant {
    /// Its process id.
    pub pid: u32,
    /// It was stopped by a signal.
    pub stopped: bool,
}

/// All processes that descend from this one, without zombies.
pub fn descendants(of: u32) -> Vec<Descendant> {
    let mut children: BTreeMap<u32, Vec<Stat>> = BTreeMap::new();
    for stat in all().into_iter().flatten() {
        children.entry(stat.parent).or_default().push(stat);
    }
    let (mut found, mut open) = (Vec::new(), vec![of]);
    while let Some(parent) = open.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            open.push(child.pid);
            if !child.zombie {
                found.push(Descendant {
                    pid: child.pid,
                    stopped: child.stopped,
                });
            }
        }
    }
    found
}

/// Every process that can be seen; `None` if the system has no `/proc`.
fn all() -> Option<impl Iterator<Item = Stat>> {
    space().as_ref()?;
    let entries = fs::read_dir(Path::new("/proc")).ok()?;
    let of = |name: std::ffi::OsString| Stat::of(name.to_str()?.parse().ok()?);
    Some(entries.into_iter().filter_map(of))
}

/// The boot and namespace in which process ids are unique.
fn space() -> &'static Option<String> {
    static SPACE: OnceLock<Option<String>> = OnceLock::new();
    SPACE.get_or_init(|| {
        let (boot, namespace) = Whereabouts::here().boot_and_namespace()?;
        Some(format!("{boot} {namespace}"))
    })
}

/// How many files this process may have open at once.
pub fn open_files_limit() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn start(script: &str) -> (Child, ProcessRef) {
        let child = Command::new("sh")
            .args(["-c", script])
            .process_group(0)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = ProcessRef::of(child.id());
        (child, process)
    }

    #[test]
    fn a_process_name_may_hold_anything() {
        let line = b"71 (a) b (c) S 1 71 70 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 123456 0 0";
        let stat = Stat {
            pid: 71,
            zombie: false,
            stopped: false,
            parent: 1,
            group: 71,
            session: 70,
            started: 123_456,
        };
        assert_eq!(Stat::parse(line), Some(stat));
        assert_eq!(Stat::parse(b"71 (a) S"), None);
        assert_eq!(Stat::parse(b""), None);
    }

    #[test]
    fn a_group_left_behind_is_stopped_with_its_children() {
        let (mut leader, process) = start("sleep 60 & sleep 60 & exit 0");
        leader.wait().unwrap();
        assert!(process.is_alive(), "its children live on");
        assert!(process.stop(Duration::from_secs(5)));
        assert!(!process.is_alive());
    }

    #[test]
    fn a_process_in_a_session_of_its_own_still_belongs_to_its_job() {
        let (mut leader, process) = start("setsid sleep 60 & setsid -w sh -c 'sleep 60 & wait'");
        let jobs = BTreeSet::from([process.pid]);
        let mut members = 0;
        for _ in 0..1000 {
            members = members_by_job(&jobs).get(&process.pid).map_or(0, Vec::len);
            if members >= 4 {
                break;
            }
            std::thread::sleep(LOOK);
        }
        let below = descendants(process.pid);
        for one in &below {
            let pid = Pid::from_raw(one.pid as i32).unwrap();
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        leader.kill().unwrap();
        leader.wait().unwrap();
        assert!(members >= 4, "{members}");
        assert_eq!(below.len() + 1, members, "{below:?}");
    }

    #[test]
    fn a_later_process_of_the_same_number_is_left_alone() {
        let (mut child, process) = start("exec sleep 60");
        let earlier = ProcessRef {
            started: process.started.map(|ticks| ticks - 1),
            ..process.clone()
        };
        let elsewhere = ProcessRef {
            space: Some("another boot".into()),
            ..process.clone()
        };
        assert!(!earlier.is_alive());
        assert!(!elsewhere.is_alive());
        assert!(earlier.stop(Duration::ZERO) && elsewhere.stop(Duration::ZERO));
        assert!(child.try_wait().unwrap().is_none(), "still runs");
        assert!(process.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_reference_survives_the_disk() {
        let (mut child, process) = start("exec true");
        child.wait().unwrap();
        let text = serde_json::to_string(&process).unwrap();
        assert_eq!(serde_json::from_str::<ProcessRef>(&text).unwrap(), process);
    }
}
