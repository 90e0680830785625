//! A `dvc.yaml` as a pipeline of ours: the subset that maps, and a list of what does not; and what
//! `dvc.lock` says of its stages. It opens no file: who asks reads them.
//!
//! A stage of DVC runs among all files of the repository, and its scripts read `params.yaml`
//! themselves. Ours run in a folder that holds only what they declare. So what a stage's commands pull in
//! becomes deps, and a stage's command begins by writing the params that it declares, and no others, to its own
//! `params.yaml`: the script finds what it looks for, and only an edit of these values reruns it.

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod command;
mod emit;
mod given;
mod hash;
mod imported;
mod instances;
mod lock;
mod params;
mod paths;
mod project;
mod pulled_in;
mod shape;
mod stage;
mod template;
mod variants;

pub use self::hash::{file_md5, folder_md5};
pub use self::imported::{Change, Imported, Unmapped};
pub use self::lock::{DvcLock, Instance, Locked};
pub use self::project::{connected, import};
pub use self::stage::md5_in;
use restage_pipeline::diagnostic::Diagnostics;
pub use restage_pipeline::node::{Node, Value, is_name};
use restage_pipeline::{scalar, yaml};
pub use restage_scripts::Files;

/// A list in brackets is at most this wide, with everything before it.
const WIDTH: usize = 92;

/// A `dvc.yaml` that can be read.
#[derive(Debug, Clone)]
pub struct DvcFile {
    file_name: String,
    /// Its folder, from the pipeline's; `""` if they are the same.
    folder: String,
    text: String,
    root: Node,
}

impl DvcFile {
    /// Reads a `dvc.yaml`. The file is not opened: its text is given, and its name for messages.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn read(file_name: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut report = Vec::new();
        let root = yaml::parse(text, &mut report);
        if let Some(root) = &root {
            shape::stages(root, &mut report);
        }
        match root {
            Some(root) if report.is_empty() => Ok(Self {
                file_name: file_name.to_owned(),
                folder: String::new(),
                text: text.to_owned(),
                root,
            }),
            _ => Err(Diagnostics::new(file_name, text, report)),
        }
    }

    /// The same file, for a pipeline in a folder above it: `folder` leads from there to its own.
    #[must_use]
    pub fn in_folder(self, folder: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            ..self
        }
    }

    /// Its path from the pipeline's folder.
    fn path(&self) -> String {
        let name = self.file_name.rsplit('/').next().unwrap_or_default();
        match self.folder.as_str() {
            "" => name.to_owned(),
            folder => format!("{folder}/{name}"),
        }
    }
}

/// A field whose value is a list: on one line if that is short enough.
fn list_line(field: &str, items: &[String], indent: usize) -> String {
    let items: Vec<String> = items
        .iter()
        .map(|item| scalar::written(item, true))
        .collect();
    let line = format!("{:indent$}{field}: [{}]\n", "", items.join(", "));
    match line.len() <= WIDTH {
        true => line,
        false => {
            let between = format!("\n{:indent$}  - ", "");
            format!("{:indent$}{field}:{between}{}\n", "", items.join(&between))
        }
    }
}
