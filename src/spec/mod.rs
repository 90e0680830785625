//! `pipeline.yaml`, from text to a validated pipeline: located nodes, then instances.
//! It must not know the disk, the graph, or what has already run.

mod cel_text;
mod claim;
mod compare;
mod diagnostic;
mod dvc;
mod expand;
mod export;
mod expression;
mod fields;
mod init;
mod language;
mod load;
mod node;
mod other_seeds;
mod params;
mod paths;
mod pipeline;
mod profiles;
mod report;
mod scalar;
mod schema;
mod seeds;
mod settings;
mod shell;
mod stage;
pub(crate) mod suggest;
mod syntax;
mod template;
mod units;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, Note, Source};
pub use dvc::{Change, DvcFile, Imported, Unmapped};
pub use expression::{CheckExpression, Expression, ExpressionError, ExpressionType};
pub use init::{INIT_TEMPLATE, init_files};
pub use load::{LoadOptions, SCHEMA, load};
pub use other_seeds::OtherSeeds;
pub use pipeline::*;
pub use report::PICTURES;
pub use schema::schema;
pub use units::{duration_text, size as parse_size, size_text};
