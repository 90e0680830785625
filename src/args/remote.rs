//! The arguments of commands about remotes.

use clap::{Args, Subcommand};

use super::PipelineArgs;

/// Push results to a remote, for others and for other clones.
///
/// A remote is named in restage.toml, beside the pipeline file: `[remote.NAME]` with `url =
/// "s3://BUCKET/PREFIX"`, `"https://.."` or `"file:///.."`. Pushed are the current results of the targets and of what
/// they need, each signed with your key (`restage remote key`); files that are there already are not sent again.
/// A push that is interrupted is continued by the next one.
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// Stages, groups or outs [default: all stages].
    pub(crate) targets: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// The remote [default: the only one in restage.toml].
    #[arg(long, value_name = "NAME")]
    pub(crate) remote: Option<String>,

    /// Put what is there again: it may be damaged.
    #[arg(long)]
    pub(crate) repair: bool,
}

/// Pull results from a remote into the store.
///
/// Pulled are results of the stages as they are now, signed by somebody whom restage.toml trusts (without `trusted`:
/// by you); every byte is checked. `restage reproduce` then restores them without running anything; `restage
/// reproduce --pull` does both.
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// Stages, groups or outs [default: all stages].
    pub(crate) targets: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// The remote [default: the only one in restage.toml].
    #[arg(long, value_name = "NAME")]
    pub(crate) remote: Option<String>,
}

/// Ask a remote what it has, or show the key that signs your results.
#[derive(Debug, Subcommand)]
pub(crate) enum Remote {
    /// Show which results of the pipeline a remote has.
    Status(RemoteTargets),
    /// Fetch every file of the pipeline's results from a remote, and check its bytes; exit 3 if any is damaged or missing.
    ///
    /// Nothing is kept. `restage push --repair` puts damaged files there again.
    Check(RemoteTargets),
    /// Show your public key; a new key is made where there is none.
    ///
    /// It goes into `trusted` of a remote in restage.toml: whoever has that file then uses the results that you
    /// pushed. The private key is in ~/.config/restage/signing-key, or in the variable RESTAGE_SIGNING_KEY, for CI.
    Key,
}

/// Which results, in which remote.
#[derive(Debug, Args)]
pub(crate) struct RemoteTargets {
    /// Stages, groups or outs [default: all stages].
    pub(crate) targets: Vec<String>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// The remote [default: the only one in restage.toml].
    #[arg(long, value_name = "NAME")]
    pub(crate) remote: Option<String>,
}
