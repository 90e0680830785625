//! Files and folders: those in the crate, and those known by their digests only.

use serde_json::{Value, json};

use super::{Document, Item, entity};

impl Document<'_> {
    /// The id of a path. A folder is in the crate if any of its files is.
    pub(super) fn name_of(&self, path: &str) -> String {
        match self.of.items.get(path) {
            Some(Item::File { included: true, .. }) => entity::file(path),
            Some(Item::Folder { files, .. }) if self.any_included(files) => entity::folder(path),
            _ => entity::elsewhere(path),
        }
    }

    fn any_included(&self, files: &[String]) -> bool {
        let is_included = |path: &String| {
            matches!(
                self.of.items.get(path),
                Some(Item::File { included: true, .. })
            )
        };
        files.iter().any(is_included)
    }

    /// The ids of all data in the crate.
    pub(super) fn parts(&self) -> Vec<String> {
        let names = self.of.items.keys().map(|path| self.name_of(path));
        names.filter(|name| !name.starts_with('#')).collect()
    }

    /// The entities of all paths except the pipeline file.
    pub(super) fn data(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for (path, item) in self
            .of
            .items
            .iter()
            .filter(|(path, _)| **path != self.of.pipeline)
        {
            let name = self.name_of(path);
            let here = !name.starts_with('#');
            let kind = match (item, here) {
                (Item::Folder { .. }, true) => "Dataset",
                (Item::File { .. }, true) => "File",
                // As a file or folder, it would have to be in the crate.
                _ => "CreativeWork",
            };
            let mut entity = json!({"@id": name, "@type": kind, "name": path});
            self.describe(path, &mut entity);
            if !here {
                entity["description"] = json!("Not in this crate; known by its digest");
            }
            if path == "README.md" {
                entity["about"] = entity::reference("./");
            }
            found.push(entity);
        }
        found
    }

    /// Adds what is known about the bytes.
    pub(super) fn describe(&self, path: &str, entity: &mut Value) {
        match self.of.items.get(path) {
            Some(Item::File {
                size,
                blake3,
                sha256,
                ..
            }) => {
                entity["contentSize"] = json!(size.to_string());
                entity["identifier"] = json!(format!("blake3:{blake3}"));
                if let Some(sha256) = sha256 {
                    entity["sha256"] = json!(sha256);
                }
                entity["encodingFormat"] = json!(media_type(path));
            }
            Some(Item::Folder { files, digest }) => {
                entity["identifier"] = json!(format!("restage:tree:{digest}"));
                entity["hasPart"] = entity::references(files.iter().map(|path| self.name_of(path)));
            }
            None => {}
        }
    }
}

/// By the name alone; unknown names are bytes.
fn media_type(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path);
    if name == "pipeline.lock" {
        return "application/yaml";
    }
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("csv") => "text/csv",
        Some("tsv") => "text/tab-separated-values",
        Some("txt" | "log") => "text/plain",
        Some("md") => "text/markdown",
        Some("html") => "text/html",
        Some("tex") => "application/x-tex",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("pdf") => "application/pdf",
        Some("json") => "application/json",
        Some("yaml" | "yml") => "application/yaml",
        Some("zip") => "application/zip",
        Some("gz") => "application/gzip",
        _ => "application/octet-stream",
    }
}
