//! The fields of `export:` and of the maps below it.
//! It must not know what the fields' values mean.

use crate::fields::Advice::{Instead, Use};
use crate::fields::Fields;

pub(crate) const EXPORT: Fields = Fields {
    of: "an export",
    known: &["tensorboard", "ro_crate"],
    foreign: &[(&["rocrate", "crate", "ro_crates"], Use("ro_crate"))],
};

pub(crate) const RO_CRATE: Fields = Fields {
    of: "an ro_crate",
    known: &["description", "license", "agent", "also"],
    foreign: &[
        (&["desc", "about", "abstract", "says"], Use("description")),
        (&["licence", "licenses", "spdx"], Use("license")),
        (
            &["author", "authors", "creator", "person", "organization"],
            Use("agent"),
        ),
        (&["files", "include", "add", "extra"], Use("also")),
        (
            &["name", "title"],
            Instead("the crate bears the pipeline's own `name`"),
        ),
    ],
};

pub(crate) const AGENT: Fields = Fields {
    of: "an agent",
    known: &["name", "id"],
    foreign: &[(&["orcid", "ror", "url", "uri", "address"], Use("id"))],
};

pub(crate) const STEP_TABLES: Fields = Fields {
    of: "a tensorboard",
    known: &["tables", "step"],
    foreign: &[
        (
            &["table", "file", "files", "path", "paths", "glob", "csv"],
            Use("tables"),
        ),
        (
            &["steps", "epoch", "x", "index", "global_step"],
            Use("step"),
        ),
        (
            &["run", "runs", "name"],
            Instead("a run is named by the folder of its table, from the first `*` on"),
        ),
        (
            &["tag", "tags", "columns", "scalars", "y"],
            Instead("every column of numbers becomes a scalar of its name"),
        ),
    ],
};
