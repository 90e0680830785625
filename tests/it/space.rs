//! A folder to run restage in, isolated from the machine's environment.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// Set where stages run without a view of their own (see `users`).
pub(crate) const WITHOUT_VIEW: &str = "RESTAGE_TEST_WITHOUT_VIEW";
/// A restage to run instead of the one that was built.
pub(crate) const RESTAGE: &str = "RESTAGE_TEST_BINARY";

/// A folder with a pipeline.
pub(crate) struct Space {
    dir: TempDir,
}

/// Who calls, on a machine that refuses namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// With all rights.
    Root,
    /// With none.
    User,
}

/// How a call ended and what it printed.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Fails unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.out,
            self.err
        );
        self
    }

    /// Fails unless stderr contains `text`.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.err.contains(text),
            "no {text:?} in stderr:\n{}",
            self.err
        );
        self
    }

    /// The JSON events with this name, in order.
    pub(crate) fn events(&self, name: &str) -> Vec<serde_json::Value> {
        self.out
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|event| event["event"] == name)
            .collect()
    }

    /// The stages whose `finished` event has this outcome, in order.
    pub(crate) fn with_outcome(&self, outcome: &str) -> Vec<String> {
        self.events("finished")
            .iter()
            .filter(|event| event["outcome"] == outcome)
            .filter_map(|event| event["stage"].as_str().map(ToOwned::to_owned))
            .collect()
    }
}

/// Without what is said where the machine does not let stages be kept apart: tests are the same on
/// all machines.
fn without_refusals(text: &str) -> String {
    let lines = text.split_inclusive('\n');
    lines
        .filter(|line| !line.starts_with("warning: isolation: "))
        .collect()
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: without_refusals(&String::from_utf8_lossy(&output.stderr)),
        }
    }
}

impl Space {
    /// A folder with a pipeline.yaml that has these stages.
    pub(crate) fn new(stages: &str) -> Self {
        let space = Self {
            dir: TempDir::new().expect("a temporary folder"),
        };
        space.stages(stages);
        space
    }

    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self {
            dir: TempDir::new().expect("a temporary folder"),
        }
    }

    /// Replaces the stages; params `a`, `b` are 1 and 2.
    pub(crate) fn stages(&self, stages: &str) {
        // A stage with a view does not see the rest of the workspace, which is its home here.
        let root = self.root().display().to_string();
        let without_view = stages.contains("$HOME") || stages.contains(&root);
        let isolation = match without_view || std::env::var_os(WITHOUT_VIEW).is_some() {
            true => "isolation: none\n",
            false => "",
        };
        let text =
            format!("schema: 1\nname: test\n{isolation}params: {{a: 1, b: 2}}\nstages:\n{stages}");
        self.write("pipeline.yaml", &text);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder to write in");
        fs::write(path, text).expect("a file to write");
    }

    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// A call that has not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let restage = std::env::var_os(RESTAGE);
        let restage = restage.unwrap_or_else(|| env!("CARGO_BIN_EXE_restage").into());
        let mut command = Command::new(restage);
        command.args(args);
        self.hermetic(command)
    }

    fn hermetic(&self, mut command: Command) -> Command {
        command
            .current_dir(self.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root())
            .env("COLUMNS", "80")
            .stdin(Stdio::null());
        command
    }

    /// A call on a machine that refuses all namespaces, as root or as an ordinary user. `None`, and
    /// it is said, where this machine makes no user namespace to refuse others in.
    pub(crate) fn refused(&self, who: Who, args: &[&str]) -> Option<Command> {
        // In a user namespace of its own, its root may take further ones away, and all rights.
        let mut line = "for kind in user mnt pid; do echo 0 > /proc/sys/user/max_${kind}_namespaces; done && exec "
            .to_owned();
        if who == Who::User {
            line += "setpriv --bounding-set=-all --no-new-privs ";
        }
        line += "\"$@\"";
        let unshare = |program: &str| {
            let mut command = Command::new("unshare");
            command.args(["-Ur", "sh", "-c", &line, "sh", program]);
            command
        };
        let possible = unshare("true").output();
        if !possible.is_ok_and(|output| output.status.success()) {
            println!("skipped: as {who:?}: no user namespace can be made to refuse others in");
            return None;
        }
        let mut command = unshare(env!("CARGO_BIN_EXE_restage"));
        command.args(args);
        Some(self.hermetic(command))
    }

    /// Calls git here, as somebody, whatever the machine's settings are.
    pub(crate) fn git(&self, args: &[&str]) -> Said {
        let somebody = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let mut command = Command::new("git");
        command
            .args(somebody)
            .args(["-c", "init.defaultBranch=main"]);
        command.args(args).current_dir(self.root());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_CONFIG_NOSYSTEM", "1");
        command.output().expect("git starts").into()
    }

    /// Runs a script in this folder, with an ext4 of its own in `disk.img` to mount on `disk`: in a mount
    /// namespace, so that nothing stays mounted. It exits with 77 where it can't mount. `None`, and it
    /// is said, where that can't be tried.
    pub(crate) fn on_own_disk(
        &self,
        size: u64,
        script: &str,
        env: &[(&str, &str)],
    ) -> Option<Said> {
        let disk = fs::File::create(self.path("disk.img")).expect("a file");
        disk.set_len(size).expect("a sparse file");
        fs::create_dir(self.path("disk")).expect("a folder");
        let made = Command::new("mkfs.ext4")
            .arg("-q")
            .arg(self.path("disk.img"))
            .output();
        if !rustix::process::geteuid().is_root() || !made.is_ok_and(|made| made.status.success()) {
            println!("skipped: it takes root and mkfs.ext4 to have an ext4 of one's own");
            return None;
        }
        let output = Command::new("unshare")
            .args(["-m", "bash", "-c", script])
            .current_dir(self.root())
            .env("RESTAGE", self.command(&[]).get_program())
            .envs(env.iter().copied())
            .output();
        let Ok(said) = output.map(Said::from) else {
            println!("skipped: no unshare");
            return None;
        };
        if said.code == Some(77) {
            println!("skipped: no loop mounts here");
            return None;
        }
        Some(said)
    }

    pub(crate) fn restage(&self, args: &[&str]) -> Said {
        self.command(args).output().expect("restage starts").into()
    }

    /// `restage --json reproduce ARGS`.
    pub(crate) fn reproduce(&self, args: &[&str]) -> Said {
        let mut all = vec!["--json", "reproduce"];
        all.extend(args);
        self.restage(&all)
    }

    /// The stages that a `reproduce` ran; it must succeed.
    #[track_caller]
    pub(crate) fn ran(&self, args: &[&str]) -> Vec<String> {
        self.reproduce(args).exits(0).with_outcome("ran")
    }

    /// Starts a `reproduce` in the background.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        let mut all = vec!["reproduce"];
        all.extend(args);
        self.command(&all)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("restage starts")
    }

    /// Every file of the workspace except restage's own, with its bytes.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a readable folder") {
                let path = entry.expect("an entry").path();
                if path.ends_with(".restage") {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.root()).expect("below the root");
                    let bytes = fs::read(&path).expect("a readable file");
                    found.insert(name.display().to_string(), bytes);
                }
            }
        }
        found
    }
}

/// Waits until something holds, at most ten seconds.
#[track_caller]
pub(crate) fn wait_until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("gave up waiting until {what}");
}
