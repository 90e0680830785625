//! A stage's command in a container: what runs the image is started instead, with the work folder at the
//! workspace's path (docs/adr/0027).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::environment_kinds::installers_environment;
use restage_core::digest::{Digest, Frame};
use restage_core::rel_path::RelPath;
use restage_pipeline::{Runtime, Stage};
use restage_worker::{HostEnv, OF_THIS_MACHINE};

/// Where a restage inside the stage would find the store: a place on this machine.
const STORE: &str = "RESTAGE_STORE";
/// Most inputs that are mounted read-only one by one.
const MOST_MOUNTS: usize = 200;
/// A container that takes longer to be removed is left.
const LIMIT: Duration = Duration::from_secs(20);

/// What a stage runs in its image.
pub(super) struct Inside<'a> {
    pub(super) stage: &'a Stage,
    pub(super) image: &'a str,
    pub(super) by: Runtime,
    /// The workspace: where the work folder is seen.
    pub(super) at: &'a Path,
    /// The work folder.
    pub(super) work: &'a Path,
    /// What else it writes to.
    pub(super) written: [&'a Path; 2],
    /// Its inputs.
    pub(super) placed: &'a [RelPath],
    /// The cards that it was leased.
    pub(super) has_cards: bool,
    pub(super) name: &'a Container,
}

/// A container by its name, which belongs to one key of one store: who has the key's lock may remove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Container {
    by: Runtime,
    name: String,
}

impl Container {
    pub(super) fn of(by: Runtime, key: &Digest, store: &Path) -> Self {
        let mut frame = Frame::new("restage container");
        frame.digest(key);
        frame.digest(&Digest::of(store.as_os_str().as_encoded_bytes()));
        let name = format!("restage-{}", frame.finish().short());
        Self { by, name }
    }

    /// Removes what a dead restage, or a client that was killed, has left of it.
    pub(super) fn remove(&self, host: &HostEnv, folder: &Path) {
        if self.by == Runtime::Apptainer {
            // Its processes are the stage's own.
            return;
        }
        let argv = [self.by.program(), "rm", "--force", &self.name].map(str::to_owned);
        // That there is none is the rule, and said by an error.
        let _ = restage_exec::capture(&argv, folder, &installers_environment(host), LIMIT);
    }
}

impl Inside<'_> {
    /// The command, and the environment of what starts it. `argv` and `env` are the stage's own.
    pub(super) fn command(
        &self,
        argv: &[OsString],
        env: &BTreeMap<OsString, OsString>,
        host: &HostEnv,
    ) -> (Vec<OsString>, BTreeMap<OsString, OsString>) {
        let given = self.given(env);
        match self.by {
            Runtime::Podman | Runtime::Docker => self.run(argv, &given, host),
            Runtime::Apptainer => self.exec(argv, given, host),
        }
    }

    /// The stage's variables, but for those that only mean something on this machine.
    fn given(&self, env: &BTreeMap<OsString, OsString>) -> BTreeMap<OsString, OsString> {
        let own = |name: &OsString| {
            let Some(name) = name.to_str() else {
                return true;
            };
            let stage = self.stage;
            let declared = stage.env.contains_key(name) || stage.pass_env.contains(name);
            declared || !(OF_THIS_MACHINE.contains(&name) || name == STORE)
        };
        let given = env.iter().filter(|(name, _)| own(name));
        given
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    fn run(
        &self,
        argv: &[OsString],
        given: &BTreeMap<OsString, OsString>,
        host: &HostEnv,
    ) -> (Vec<OsString>, BTreeMap<OsString, OsString>) {
        let mut client = installers_environment(host);
        let mut words = Words(vec![self.by.program().into()]);
        words.add(&["run", "--rm", "--pull=never", "--name", &self.name.name]);
        words.add(&["--security-opt", "label=disable", "--workdir"]);
        words.0.push(self.at.into());
        for (source, target, writable) in self.mounts() {
            words.add(&["--mount"]);
            words.0.push(mount(&source, &target, writable));
        }
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        if !uid.is_root() {
            match self.by {
                Runtime::Podman => words.add(&["--userns=keep-id"]),
                _ => words.add(&["--user", &format!("{}:{}", uid.as_raw(), gid.as_raw())]),
            }
        }
        if self.stage.offline {
            words.add(&["--network", "none"]);
        }
        if let Some(bytes) = self.stage.resources.mem {
            words.add(&["--memory", &bytes.to_string()]);
        }
        match self.by {
            _ if !self.has_cards => {}
            Runtime::Podman => words.add(&["--device", "nvidia.com/gpu=all"]),
            _ => words.add(&["--gpus", "all"]),
        }
        let secrets: BTreeSet<&OsStr> = self
            .stage
            .secrets
            .iter()
            .map(|secret| OsStr::new(&secret.name))
            .collect();
        for (name, value) in given {
            words.add(&["--env"]);
            if secrets.contains(name.as_os_str()) {
                // Arguments can be seen by all.
                client.insert(name.clone(), value.clone());
                words.0.push(name.clone());
            } else {
                words.0.push(joined(&[name, OsStr::new("="), value]));
            }
        }
        let (program, rest) = argv
            .split_first()
            .map_or((OsString::new(), &[][..]), |(program, rest)| {
                (program.clone(), rest)
            });
        words.add(&["--entrypoint"]);
        words.0.extend([program, self.image.into()]);
        words.0.extend(rest.iter().cloned());
        (words.0, client)
    }

    fn exec(
        &self,
        argv: &[OsString],
        given: BTreeMap<OsString, OsString>,
        host: &HostEnv,
    ) -> (Vec<OsString>, BTreeMap<OsString, OsString>) {
        let mut client = installers_environment(host);
        for (name, value) in given {
            client.insert(joined(&[OsStr::new("APPTAINERENV_"), &name]), value);
        }
        let mut words = Words(vec![self.by.program().into()]);
        words.add(&[
            "--quiet",
            "exec",
            "--contain",
            "--cleanenv",
            "--no-home",
            "--pwd",
        ]);
        words.0.push(self.at.into());
        for (source, target, writable) in self.mounts() {
            words.add(&["--mount"]);
            words.0.push(mount(&source, &target, writable));
        }
        if self.stage.offline {
            words.add(&["--net", "--network", "none"]);
        }
        if self.has_cards {
            words.add(&["--nv"]);
        }
        words.0.push(format!("docker://{}", self.image).into());
        words.0.extend(argv.iter().cloned());
        (words.0, client)
    }

    /// What is seen in the container, where, and whether it may be written to.
    fn mounts(&self) -> Vec<(PathBuf, PathBuf, bool)> {
        let mut mounts = vec![(self.work.to_owned(), self.at.to_owned(), true)];
        let holds_out = |path: &RelPath| {
            let outs = &self.stage.outs;
            outs.iter()
                .any(|out| out.path.is_within(path) || path.is_within(&out.path))
        };
        let inputs: Vec<&RelPath> = self.placed.iter().filter(|path| !holds_out(path)).collect();
        if inputs.len() <= MOST_MOUNTS {
            let read = |path: &RelPath| (path.under(self.work), path.under(self.at), false);
            mounts.extend(inputs.into_iter().map(read));
        }
        let written = self.written.iter();
        mounts.extend(written.map(|path| ((*path).to_owned(), (*path).to_owned(), true)));
        mounts
    }
}

struct Words(Vec<OsString>);

impl Words {
    fn add(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(OsString::from));
    }
}

fn joined(parts: &[&OsStr]) -> OsString {
    let mut all = OsString::new();
    for part in parts {
        all.push(part);
    }
    all
}

/// The value of `--mount`: fields of a line of CSV.
fn mount(source: &Path, target: &Path, writable: bool) -> OsString {
    let field = |name: &str, path: &Path| {
        let plain = joined(&[OsStr::new(name), OsStr::new("="), path.as_os_str()]);
        match plain.to_str() {
            Some(text) if text.contains([',', '"', '\n']) => {
                OsString::from(format!("\"{}\"", text.replace('"', "\"\"")))
            }
            _ => plain,
        }
    };
    let mut all = joined(&[
        OsStr::new("type=bind,"),
        &field("source", source),
        OsStr::new(","),
        &field("target", target),
    ]);
    if !writable {
        all.push(",readonly");
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use restage_core::span::Location;
    use restage_pipeline::{Out, Place, Secret};

    fn stage() -> Stage {
        let out = |path: &str| Out {
            path: RelPath::new(path).unwrap(),
            volatile: false,
            temporary: false,
            place: Place::Copy,
            any_seed: None,
            location: Location::default(),
        };
        let mut stage = Stage {
            outs: vec![out("made/out.csv")],
            offline: true,
            secrets: vec![Secret {
                name: "TOKEN".into(),
                location: Location::default(),
            }],
            ..Stage::default()
        };
        stage.env.insert("LANG".into(), Some("de".into()));
        stage
    }

    fn words(by: Runtime) -> (Vec<String>, BTreeMap<OsString, OsString>) {
        let (stage, store) = (stage(), Path::new("/store"));
        let name = Container::of(by, &Digest::of(b"key"), store);
        let inside = Inside {
            stage: &stage,
            image: "python@sha256:00",
            by,
            at: Path::new("/ws,1"),
            work: Path::new("/store/work/a-1"),
            written: [Path::new("/store/scratch"), Path::new("/store/logs")],
            placed: &["data", "made"].map(|path| RelPath::new(path).unwrap()),
            has_cards: false,
            name: &name,
        };
        let own = [
            ("PATH", "/host/bin"),
            ("LANG", "de"),
            ("TOKEN", "secret"),
            ("HOME", "/home/me"),
        ];
        let env = own.map(|(name, value)| (name.into(), value.into())).into();
        let host = HostEnv::new([("PATH".into(), "/host/bin".into())]);
        let argv = ["sh".into(), "-c".into(), "make all".into()];
        let (words, client) = inside.command(&argv, &env, &host);
        let words = words.iter().map(|word| word.to_str().unwrap().to_owned());
        (words.collect(), client)
    }

    fn has(words: &[String], wanted: &[&str]) -> bool {
        words.windows(wanted.len()).any(|window| window == wanted)
    }

    #[test]
    fn the_command_runs_in_the_image_with_the_work_folder_where_the_workspace_is() {
        let (words, client) = words(Runtime::Podman);
        assert_eq!(words[..2], ["podman", "run"]);
        assert!(has(&words, &["--workdir", "/ws,1"]));
        assert!(has(
            &words,
            &["--entrypoint", "sh", "python@sha256:00", "-c", "make all"]
        ));
        let work = "type=bind,source=/store/work/a-1,\"target=/ws,1\"";
        assert!(has(&words, &["--mount", work]), "{words:?}");
        let data = "type=bind,source=/store/work/a-1/data,\"target=/ws,1/data\",readonly";
        assert!(has(&words, &["--mount", data]));
        let made = words
            .iter()
            .any(|word| word.contains("source=/store/work/a-1/made"));
        assert!(!made, "an out lies in it");
        assert!(has(
            &words,
            &["--mount", "type=bind,source=/store/logs,target=/store/logs"]
        ));
        assert!(has(&words, &["--network", "none"]));
        assert_eq!(client[OsStr::new("PATH")], "/host/bin");
    }

    #[test]
    fn declared_variables_go_in_and_the_callers_stay_out_and_no_argument_has_a_secret() {
        let (words, client) = words(Runtime::Docker);
        assert!(has(&words, &["--env", "LANG=de"]) && has(&words, &["--env", "TOKEN"]));
        assert!(
            !words
                .iter()
                .any(|word| word.contains("secret") || word.contains("/home/me"))
        );
        assert!(!words.iter().any(|word| word.starts_with("PATH=")));
        assert_eq!(client[OsStr::new("TOKEN")], "secret");
    }

    #[test]
    fn apptainer_gets_variables_by_its_own_names() {
        let (words, client) = words(Runtime::Apptainer);
        assert!(has(
            &words,
            &["docker://python@sha256:00", "sh", "-c", "make all"]
        ));
        assert_eq!(client[OsStr::new("APPTAINERENV_TOKEN")], "secret");
        assert_eq!(client.get(OsStr::new("APPTAINERENV_PATH")), None);
    }

    #[test]
    fn a_key_of_a_store_has_one_name() {
        let of =
            |key: &[u8], store| Container::of(Runtime::Podman, &Digest::of(key), Path::new(store));
        assert_eq!(of(b"a", "/s"), of(b"a", "/s"));
        assert_ne!(of(b"a", "/s"), of(b"b", "/s"));
        assert_ne!(of(b"a", "/s"), of(b"a", "/t"));
    }
}
