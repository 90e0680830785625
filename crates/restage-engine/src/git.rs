//! What git knows: which files are committed as they are, what a revision holds, and what all of its
//! revisions that anything names hold.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use restage_core::fs;

/// Paths passed to git at once: the length of a command line is limited.
const AT_ONCE: usize = 500;

/// Files and folders that are in the checked-out commit, byte for byte.
#[derive(Debug)]
pub struct CommittedFiles {
    /// Those that are not; `None` if there is no repository, commit or git.
    others: Option<BTreeSet<String>>,
}

impl CommittedFiles {
    /// Asks git about these paths below `root`.
    pub fn among<'a>(root: &Path, paths: impl IntoIterator<Item = &'a str>) -> Self {
        let paths: Vec<&str> = paths.into_iter().collect();
        let mut others = BTreeSet::new();
        for some in paths.chunks(AT_ONCE) {
            let changed = [
                "diff",
                "--name-only",
                "--relative",
                "--no-ext-diff",
                "-z",
                "HEAD",
            ];
            for question in [&changed[..], &["ls-files", "--others", "-z"]] {
                match names(root, question, some) {
                    Some(names) => others.extend(names),
                    None => return Self { others: None },
                }
            }
        }
        Self {
            others: Some(others),
        }
    }

    /// Whether the file or folder at a path is committed as it is; `None` if git can't tell.
    pub fn is_clean(&self, path: &str) -> Option<bool> {
        let others = self.others.as_ref()?;
        let inside = format!("{path}/");
        let first_inside = others.range(inside.clone()..).next();
        Some(
            !others.contains(path) && !first_inside.is_some_and(|other| other.starts_with(&inside)),
        )
    }
}

/// The names of those files that the checked-out commit has byte for byte, so that git can put them back.
/// Each is given with where it is now. None where there is no git, no repository or no commit.
pub fn held(root: &Path, files: &[(&Path, &Path)]) -> BTreeSet<PathBuf> {
    files
        .chunks(AT_ONCE)
        .flat_map(|some| held_among(root, some).unwrap_or_default())
        .collect()
}

fn held_among(root: &Path, files: &[(&Path, &Path)]) -> Result<Vec<PathBuf>, GitError> {
    let mut tree = command(root, "ls-tree", &["-z", "HEAD", "--"]);
    let tree = tree.args(files.iter().map(|(name, _)| name)).output();
    let tree = succeeded(tree.map_err(GitError::NotRun)?)?;
    let mut ids = BTreeMap::new();
    for entry in tree.stdout.split(|byte| *byte == 0) {
        // MODE, blank, TYPE, blank, ID, tab, PATH.
        let Some(tab) = entry.iter().position(|byte| *byte == b'\t') else {
            continue;
        };
        let mut words = entry[..tab].split(|byte| *byte == b' ');
        if words.next().is_some_and(|mode| mode.starts_with(b"100"))
            && let Some(id) = words.nth(1)
        {
            let path = OsString::from_vec(entry[tab + 1..].to_vec());
            ids.insert(PathBuf::from(path), id);
        }
    }
    let (mut asked, mut paths) = (Vec::new(), Vec::new());
    for (name, at) in files {
        // git is asked one path a line.
        let at = at.as_os_str().as_bytes();
        if let Some(id) = ids.get(*name).filter(|_| !at.contains(&b'\n')) {
            asked.push((*name, *id));
            paths.extend(at);
            paths.push(b'\n');
        }
    }
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    // Unfiltered: with line breaks rewritten it would not be the same file.
    let hash = command(root, "hash-object", &["--no-filters", "--stdin-paths"]);
    let now = answer(hash, &paths)?;
    let now = now.stdout.split(|byte| *byte == b'\n');
    let same = asked
        .into_iter()
        .zip(now)
        .filter(|((_, id), now)| id == now);
    Ok(same.map(|((name, _), _)| name.to_owned()).collect())
}

/// Whether git keeps a file below `root`; false where there is no git or no repository.
pub fn keeps(root: &Path, path: &str) -> bool {
    names(root, &["ls-files", "-z"], &[path]).is_some_and(|names| !names.is_empty())
}

fn names(root: &Path, question: &[&str], paths: &[&str]) -> Option<Vec<String>> {
    let mut command = Command::new("git");
    command.arg("--literal-pathspecs").arg("-C").arg(root);
    let output = command.args(question).arg("--").args(paths).output().ok()?;
    output.status.success().then(|| zero_separated(&output))
}

fn zero_separated(output: &Output) -> Vec<String> {
    let names = String::from_utf8_lossy(&output.stdout);
    let names = names.split('\0').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// Why git gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It could not be started.
    #[error("git can't be started: {0}")]
    NotRun(io::Error),
    /// What it printed to stderr.
    #[error("git says: {0}")]
    Refused(String),
}

/// The id of the commit that a word names.
pub fn commit(root: &Path, word: &str) -> Result<String, GitError> {
    let commit = format!("{word}^{{commit}}");
    let args = ["--verify", "--quiet", "--end-of-options", &commit];
    let output = run(root, "rev-parse", &args).map_err(|error| match error {
        GitError::Refused(reason) if reason.is_empty() => {
            GitError::Refused("no such commit".to_owned())
        }
        error => error,
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Every file of a commit below `root`.
pub fn files(root: &Path, commit: &str) -> Result<Vec<String>, GitError> {
    let output = run(root, "ls-tree", &["-r", "-z", "--name-only", commit])?;
    Ok(zero_separated(&output))
}

/// The bytes of a file of a commit.
pub fn blob(root: &Path, commit: &str, path: &str) -> Result<Vec<u8>, GitError> {
    let object = format!("{commit}:./{path}");
    Ok(run(root, "cat-file", &["blob", &object])?.stdout)
}

fn run(root: &Path, what: &str, args: &[&str]) -> Result<Output, GitError> {
    let output = command(root, what, args).output();
    succeeded(output.map_err(GitError::NotRun)?)
}

fn command(root: &Path, what: &str, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(root).arg(what).args(args);
    command
}

fn succeeded(output: Output) -> Result<Output, GitError> {
    match output.status.success() {
        true => Ok(output),
        false => {
            let reason = String::from_utf8_lossy(&output.stderr);
            Err(GitError::Refused(reason.trim().to_owned()))
        }
    }
}

/// The texts of all files in the folder `root` whose name ends in `ending`, in every commit that a
/// branch, a tag, a remote-tracking branch, a worktree or a stash names; each text once. `None` if
/// there is no repository.
pub fn kept_texts(root: &Path, ending: &str) -> Result<Option<Vec<Vec<u8>>>, GitError> {
    let mut above = root.ancestors();
    if !above.any(|folder| fs::exists(&folder.join(".git")).unwrap_or(true)) {
        return Ok(None);
    }
    let prefix = run(root, "rev-parse", &["--show-prefix"])?.stdout;
    let prefix = prefix.strip_suffix(b"\n").unwrap_or(&prefix);
    let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
    let folders = commits(root)?.into_iter().map(|commit| {
        let mut folder = format!("{commit}:").into_bytes();
        folder.extend(prefix);
        folder
    });
    let found = objects(root, "--batch-check", folders)?;
    let trees: BTreeSet<String> = found.into_iter().flatten().map(|found| found.id).collect();
    let mut files = BTreeSet::new();
    for tree in objects(root, "--batch", ids(trees))?.into_iter().flatten() {
        // Two hexadecimal digits a byte.
        let id_length = tree.id.len() / 2;
        let mut rest = &tree.bytes[..];
        while let Some(end) = rest.iter().position(|byte| *byte == 0) {
            let (entry, after) = rest.split_at(end + 1);
            let Some((id, after)) = after.split_at_checked(id_length) else {
                return Err(unreadable());
            };
            let is_file = entry.starts_with(b"100");
            if is_file && entry[..end].ends_with(ending.as_bytes()) {
                files.insert(id.iter().map(|byte| format!("{byte:02x}")).collect());
            }
            rest = after;
        }
    }
    let files = objects(root, "--batch", ids(files))?.into_iter().flatten();
    Ok(Some(files.map(|file| file.bytes).collect()))
}

/// Every commit, tag or stash that is named.
fn commits(root: &Path) -> Result<BTreeSet<String>, GitError> {
    let mut commits = BTreeSet::new();
    let questions: [(&str, &[&str]); 4] = [
        ("for-each-ref", &["--format=%(objectname)"]),
        // With its index, and with its untracked files.
        ("stash", &["list", "--format=%H %P"]),
        ("worktree", &["list", "--porcelain"]),
        ("rev-parse", &["--revs-only", "HEAD"]),
    ];
    for (what, args) in questions {
        let answer = run(root, what, args)?;
        for line in String::from_utf8_lossy(&answer.stdout).lines() {
            let line = match what {
                "worktree" => line.strip_prefix("HEAD ").unwrap_or_default(),
                _ => line,
            };
            commits.extend(line.split_whitespace().map(str::to_owned));
        }
    }
    Ok(commits)
}

fn ids(ids: BTreeSet<String>) -> impl Iterator<Item = Vec<u8>> {
    ids.into_iter().map(String::into_bytes)
}

/// An object of git's.
struct Object {
    id: String,
    /// Empty if only its name was asked for.
    bytes: Vec<u8>,
}

fn unreadable() -> GitError {
    GitError::Refused("its answer can't be read".to_owned())
}

/// What git has under these names; `None` for a name of nothing.
fn objects(
    root: &Path,
    how: &str,
    names: impl Iterator<Item = Vec<u8>>,
) -> Result<Vec<Option<Object>>, GitError> {
    let (mut asked, mut count) = (Vec::new(), 0);
    for name in names {
        if name.contains(&b'\n') {
            let reason = "the folder's name has a line break";
            return Err(GitError::Refused(reason.to_owned()));
        }
        asked.extend(name);
        asked.push(b'\n');
        count += 1;
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let answer = answer(command(root, "cat-file", &[how]), &asked)?;
    let mut rest = &answer.stdout[..];
    let mut objects = Vec::with_capacity(count);
    for _ in 0..count {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, after) = rest.split_at(end.ok_or_else(unreadable)?);
        rest = &after[1..];
        if line.ends_with(b" missing") {
            objects.push(None);
            continue;
        }
        let line = String::from_utf8_lossy(line);
        let mut words = line.split(' ');
        let id = words.next().unwrap_or_default().to_owned();
        let size = words.nth(1).and_then(|size| size.parse::<usize>().ok());
        let mut bytes = Vec::new();
        if how == "--batch" {
            let size = size.ok_or_else(unreadable)?;
            let (content, after) = rest.split_at_checked(size).ok_or_else(unreadable)?;
            bytes = content.to_vec();
            rest = after.strip_prefix(b"\n").ok_or_else(unreadable)?;
        }
        objects.push(Some(Object { id, bytes }));
    }
    Ok(objects)
}

/// Runs git on what it is asked.
fn answer(mut command: Command, asked: &[u8]) -> Result<Output, GitError> {
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut git = pipes
        .stderr(Stdio::piped())
        .spawn()
        .map_err(GitError::NotRun)?;
    let asks = git.stdin.take();
    // It answers while it is asked: nobody may wait for the other.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // If it ends early, its exit status says so.
            asks.map(|mut asks| asks.write_all(asked))
        });
        git.wait_with_output()
    });
    succeeded(output.map_err(GitError::NotRun)?)
}
