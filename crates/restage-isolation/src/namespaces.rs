//! The steps that turn a process in new namespaces into one with a place of its own. Each step has
//! a name, which is shown if the system refuses it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount, mount_bind,
    mount_change, mount_move, move_mount, open_tree,
};
use rustix::thread::CapabilitySet;

use crate::plan::{Bind, Plan, View};
use crate::system;
use restage_core::fs;

/// A step that was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) step: String,
    pub(crate) error: io::Error,
}

pub(crate) trait Step<T> {
    fn step(self, name: &str) -> Result<T, Refused>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, name: &str) -> Result<T, Refused> {
        self.map_err(|error| Refused {
            step: name.to_owned(),
            error: error.into(),
        })
    }
}

/// The namespaces that a plan needs.
pub(crate) fn flags(plan: &Plan) -> i32 {
    let wanted = [
        (plan.view.is_some() || !plan.subreaper, libc::CLONE_NEWNS),
        (!plan.subreaper, libc::CLONE_NEWPID),
        (plan.no_network, libc::CLONE_NEWNET),
    ];
    let flags = wanted.iter().filter(|(on, _)| *on);
    let flags = flags.fold(0, |flags, (_, flag)| flags | flag);
    // Not `uid != 0`: root in a container may lack the right.
    if flags != 0 && !may_administer() {
        flags | libc::CLONE_NEWUSER
    } else {
        flags
    }
}

/// Whether this process may make namespaces without a user namespace.
pub(crate) fn may_administer() -> bool {
    rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// Makes an empty file or folder in the work folder for each bind that has none.
pub(crate) fn make_places(view: &View) -> Result<(), Refused> {
    let mut made: Option<PathBuf> = None;
    for bind in view.binds.iter().filter(|bind| view.holds(&bind.place)) {
        let target = view.target(bind);
        let shown = || format!("place for `{}`", bind.place.display());
        let done = make_place(view, bind, &target, &mut made);
        done.map_err(|error| Refused {
            step: shown(),
            error,
        })?;
    }
    Ok(())
}

/// The path is named by the step.
fn system_error(error: fs::FsError) -> io::Error {
    error.source
}

fn make_place(
    view: &View,
    bind: &Bind,
    target: &Path,
    made: &mut Option<PathBuf>,
) -> io::Result<()> {
    // Below another bind it is that one's source which has the place.
    let outer = view.binds.iter().take_while(|other| *other != bind);
    if outer
        .into_iter()
        .any(|other| bind.place.starts_with(&other.place))
    {
        return Ok(());
    }
    let found = fs::metadata(&bind.source).map_err(system_error)?;
    if found.is_dir() {
        return fs::create_dir_all(target).map_err(system_error);
    }
    // Often many files of one folder.
    if let Some(parent) = target.parent()
        && made.as_deref() != Some(parent)
    {
        fs::create_dir_all(parent).map_err(system_error)?;
        *made = Some(parent.to_owned());
    }
    match fs::create_new(target).map_err(system_error) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Gives this process its own id, and no other, in its new user namespace.
pub(crate) fn map_ids(uid: u32, gid: u32) -> Result<(), Refused> {
    // Each in one write. Groups may be mapped only once nobody can drop one.
    for (file, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("{uid} {uid} 1\n")),
        ("gid_map", format!("{gid} {gid} 1\n")),
    ] {
        write_to_proc(file, &text).step(file)?;
    }
    Ok(())
}

/// Sets something of this process.
pub(crate) fn write_to_proc(file: &str, text: &str) -> rustix::io::Result<()> {
    let file = open_of_proc(file, OFlags::WRONLY)?;
    rustix::io::write(file, text.as_bytes()).map(drop)
}

/// A line about this process.
pub(crate) fn read_from_proc(file: &str) -> rustix::io::Result<String> {
    let mut line = [0; 256];
    let len = rustix::io::read(open_of_proc(file, OFlags::RDONLY)?, &mut line)?;
    Ok(String::from_utf8_lossy(&line[..len]).into_owned())
}

fn open_of_proc(file: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = Path::new("/proc/self").join(file);
    rustix::fs::open(path, flags | OFlags::CLOEXEC, rustix::fs::Mode::empty())
}

/// Keeps mounts that are made here to this namespace. What the host unmounts is not held by us.
pub(crate) fn keep_mounts() -> Result<(), Refused> {
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", slave).step("mount propagation")
}

/// Puts the work folder at its place, with all that is bound into it.
pub(crate) fn enter_view(view: &View) -> Result<(), Refused> {
    // It becomes a mount where it is, gets its inputs, and is then moved with all of them: sources
    // below its new place stay reachable until then.
    mount_bind(&view.work, &view.work).step("bind mount")?;
    for bind in &view.binds {
        make_bind(bind, &view.target(bind))?;
    }
    mount_move(&view.work, &view.at).step("move mount")?;
    // The folder in which we were is covered now.
    rustix::process::chdir(&view.at).step("change of folder")?;
    // Root could undo all this; what the command runs can no longer get the right.
    if rustix::process::geteuid().is_root() {
        let right = CapabilitySet::SYS_ADMIN;
        rustix::thread::remove_capability_from_bounding_set(right).step("capability")?;
    }
    Ok(())
}

/// By a detached copy, so that it is never there writable.
fn make_bind(bind: &Bind, target: &Path) -> Result<(), Refused> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let name = |what: &str| format!("{what} of `{}`", bind.place.display());
    let tree = open_tree(CWD, &bind.source, flags).step(&name("open_tree"))?;
    let set = system::set_read_only(&tree, !bind.writable);
    // A mount that is read-only outside cannot be made writable here, and need not be.
    if !bind.writable {
        set.step(&name("mount_setattr"))?;
    }
    move_mount(
        &tree,
        "",
        CWD,
        target,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .step(&name("move_mount"))
}

/// `/proc` of the new PID namespace.
pub(crate) fn mount_proc() -> Result<(), Refused> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None).step("proc")
}
