//! What the system allows: tried, not guessed. A refusal is named with its step and a likely reason.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;

use crate::caller::{Ending, Launch};
use crate::plan::{Bind, Isolation, Network, Processes, View};
use crate::server::Launchers;
use restage_core::fs;

/// The isolation that a system allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// A process can be given a [`View`].
    pub files: bool,
    /// How its processes can be held together; `None`: only by their process group.
    pub processes: Option<Processes>,
    /// It can be without a network; as asked.
    pub network: bool,
    /// The namespaces are made by way of a user namespace.
    pub user_namespace: bool,
    /// Why it is not all.
    pub refusal: Option<Refusal>,
}

impl Allowed {
    /// Files and processes are kept apart.
    pub fn is_full(&self) -> bool {
        self.files && self.processes == Some(Processes::Namespace)
    }
}

/// A step of the isolation that the system refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The step.
    pub step: String,
    /// The error's number.
    pub errno: i32,
    /// What is likely to be the reason.
    pub reason: Option<&'static str>,
    /// How to allow it.
    pub advice: Option<&'static str>,
}

impl Refusal {
    /// What was refused, without the likely reason.
    pub fn what(&self) -> String {
        let name = name_of(Errno::from_raw_os_error(self.errno));
        format!("`{}` was refused ({name})", self.step)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        match self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

/// The names that manuals use; the system's sentences mislead: a limit says "no space on device".
fn name_of(error: Errno) -> String {
    let known = [
        (Errno::PERM, "EPERM"),
        (Errno::ACCESS, "EACCES"),
        (Errno::NOSPC, "ENOSPC"),
        (Errno::NOSYS, "ENOSYS"),
        (Errno::AGAIN, "EAGAIN"),
        (Errno::INVAL, "EINVAL"),
        (Errno::USERS, "EUSERS"),
    ];
    let found = known.iter().find(|(known, _)| *known == error);
    found.map_or_else(|| error.to_string(), |(_, name)| (*name).to_owned())
}

/// Tries what this system allows, in `folder`, which must be empty and writable; it is left with
/// files in it. A network is only left out if `without_network`.
///
/// # Errors
/// `launcher` can't be started, or the folder can't be written.
pub fn probe(launcher: &Path, folder: &Path, without_network: bool) -> io::Result<Allowed> {
    let work = folder.join("work");
    let source = folder.join("source");
    fs::create_dir_all(&work).map_err(|error| error.source)?;
    fs::create_dir_all(&source).map_err(|error| error.source)?;
    let view = View {
        work,
        at: folder.to_owned(),
        binds: vec![Bind {
            source,
            place: folder.join("place"),
            writable: false,
        }],
    };
    let network = |off| if off { Network::None } else { Network::Host };
    let ways = [
        (Processes::Namespace, Some(&view), without_network),
        (Processes::Namespace, Some(&view), false),
        (Processes::Subreaper, Some(&view), without_network),
        (Processes::Subreaper, Some(&view), false),
        (Processes::Subreaper, None, without_network),
        (Processes::Subreaper, None, false),
    ];
    let launchers = Launchers::new(launcher.to_owned());
    let mut refusal = None;
    for (index, (processes, view, off)) in ways.into_iter().enumerate() {
        if index % 2 == 1 && !without_network {
            continue;
        }
        let isolation = Isolation {
            launcher: launcher.to_owned(),
            processes,
            network: network(off),
            view: view.cloned(),
        };
        match try_once(&launchers, &isolation, folder)? {
            None => {
                return Ok(Allowed {
                    files: view.is_some(),
                    processes: Some(processes),
                    network: !without_network || off,
                    user_namespace: view.is_some() && !may_administer(),
                    refusal,
                });
            }
            Some((step, error)) => refusal = refusal.or_else(|| Some(explain(step, &error))),
        }
    }
    Ok(Allowed {
        files: false,
        processes: None,
        network: !without_network,
        user_namespace: false,
        refusal,
    })
}

#[cfg(target_os = "linux")]
fn may_administer() -> bool {
    crate::namespaces::may_administer()
}

#[cfg(not(target_os = "linux"))]
fn may_administer() -> bool {
    false
}

/// The step that is refused, if one is.
fn try_once(
    launchers: &Launchers,
    isolation: &Isolation,
    folder: &Path,
) -> io::Result<Option<(String, io::Error)>> {
    let launch = Launch::new(isolation, &[], [], folder, None)?;
    let null = rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    let pid = launch.start(launchers, null.as_fd(), null.as_fd())?;
    let status = crate::reap(pid)?.status;
    Ok(match launch.ending() {
        Ending::Ended { status, .. } if status.success() => None,
        Ending::Refused { step, error } => Some((step, error)),
        other => {
            let text = format!("the launcher ended with {status}: {other:?}");
            Some(("start".to_owned(), io::Error::other(text)))
        }
    })
}

fn explain(step: String, error: &io::Error) -> Refusal {
    let errno = error.raw_os_error().unwrap_or(0);
    let (reason, advice) = likely(&step, Errno::from_raw_os_error(errno)).unzip();
    Refusal {
        step,
        errno,
        reason,
        advice,
    }
}

/// The likely reason of a refusal and how to allow it, by what the system tells of itself.
fn likely(step: &str, errno: Errno) -> Option<(&'static str, &'static str)> {
    let setting = |path: &str| {
        let text = fs::read_to_string(Path::new(path)).ok()?;
        Some(text.trim().to_owned())
    };
    let is = |path: &str, value: &str| setting(path).as_deref() == Some(value);
    let filtered = || {
        let status = setting("/proc/self/status").unwrap_or_default();
        status.lines().any(|line| line == "Seccomp:\t2")
    };
    let refused = errno == Errno::PERM || errno == Errno::ACCESS;
    Some(match errno {
        Errno::NOSYS => ("this kernel is too old", "Linux 5.12 or later is needed"),
        Errno::NOSPC | Errno::USERS => (
            "a limit on namespaces is 0 or used up",
            "raise `user.max_user_namespaces`, `user.max_mnt_namespaces` and \
             `user.max_pid_namespaces` (`sysctl`)",
        ),
        Errno::AGAIN => ("a limit on processes is reached", "raise `ulimit -u`"),
        _ if refused && step == "proc" => (
            "`/proc` has covered places, as in a container",
            "start the container with `--security-opt systempaths=unconfined`",
        ),
        _ if refused && is("/proc/sys/kernel/unprivileged_userns_clone", "0") => (
            "`kernel.unprivileged_userns_clone` is 0",
            "set it to 1 (`sysctl`)",
        ),
        _ if refused && filtered() => (
            "a seccomp filter is in force, as in a container",
            "start the container with `--security-opt seccomp=unconfined --security-opt \
             systempaths=unconfined`",
        ),
        _ if refused
            && is(
                "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
                "1",
            ) =>
        {
            (
                "AppArmor restricts user namespaces",
                "give restage an AppArmor profile with `userns,`, or set \
             `kernel.apparmor_restrict_unprivileged_userns` to 0 (`sysctl`)",
            )
        }
        _ if refused && step == "clone" => (
            "user namespaces are forbidden here, perhaps by a chroot",
            "ask the machine's administrator for unprivileged user namespaces",
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_step_and_never_speaks_of_space_on_a_device() {
        let full = explain("clone".into(), &io::Error::from_raw_os_error(28));
        assert_eq!(
            full.to_string(),
            "`clone` was refused (ENOSPC): a limit on namespaces is 0 or used up"
        );
        let covered = explain("proc".into(), &io::Error::from_raw_os_error(1));
        assert!(covered.to_string().contains("covered places"), "{covered}");
        assert!(covered.advice.is_some());
    }
}
