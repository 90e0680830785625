//! `pipeline.yaml`, from text to a validated pipeline: located nodes, then instances.
//! It opens no file and does not know what has already run.

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod cel_text;
mod claim;
mod compare;
mod copied_params;
mod data;
mod data_path;
pub mod diagnostic;
mod environment;
pub mod expand;
mod export;
mod expression;
pub mod fields;
pub mod graph;
mod include;
mod init;
mod isolation;
mod language;
mod layout;
mod load;
mod names;
pub mod node;
mod other_seeds;
mod params;
mod params_files;
mod paths;
mod pipeline;
mod profiles;
mod programs;
mod reference;
pub mod render;
mod report;
mod resources;
pub mod scalar;
mod schema;
mod schema_version;
mod script;
mod seeds;
pub mod shell;
mod sources;
mod stage;
mod stages;
mod syntax;
mod table;
mod table_formats;
pub mod template;
mod toml_values;
mod units;
pub mod yaml;
mod yaml_1_1;

pub use copied_params::EditedCopy;
pub use data_path::{Data, DataPath, Fetch, UNPACKED};
pub use diagnostic::{Diagnostic, Diagnostics, Note};
pub use environment::{
    Conda, Environment, Image, Installer, Made, Nix, Pixi, Renv, Runtime, Tool, Uv, Venv,
};
pub use expression::{CheckExpression, Expression, ExpressionError, ExpressionType};
pub use init::init_files;
pub use load::{LoadOptions, load};
pub use other_seeds::OtherSeeds;
pub use params_files::{is_toml, is_yaml, params_in};
pub use pipeline::*;
pub use reference::reference;
pub use resources::{Cores, Gpus, Resources};
pub use schema::schema;
pub use schema_version::SCHEMA;
pub use script::{Script, Shell};
pub use sources::{OpenFile, Source};
pub use units::{duration_text, size as parse_size, size_text};
pub use yaml_1_1::{OtherReading, other_readings};
