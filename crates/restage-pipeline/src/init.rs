//! The pipeline that `restage init` writes: small, working, and a lesson.

/// `pipeline.yaml` of a new experiment.
const INIT_TEMPLATE: &str = include_str!("init/pipeline.yaml");

/// Every file of a new experiment: path and text. The pipeline generates its own data.
pub fn init_files() -> [(&'static str, &'static str); 1] {
    [("pipeline.yaml", INIT_TEMPLATE)]
}
