//! The arguments of `restage compare`, and in its help what counts as a difference.

use std::path::PathBuf;

use clap::Args;

use super::pipeline::PipelineArgs;

/// The rules that `tables` documents, for users.
const DIFFERENCES: &str = "\
What counts as a difference:
  exact     Any other text. This is the default. 1.0 is not 1.00, NaN is not
            nan, 0 is not -0.
  abs, rel  Two numbers further apart than the bound, absolute or relative to
            the expected one; close to it, the digits as written decide. NaN
            matches only NaN, an infinity only itself, -0 matches 0, and an
            empty cell matches only an empty one. With both bounds, as in
            {abs: 1.0e-8, rel: 1.0e-5}, their sum is allowed.
  ignore    Nothing, but the column must exist.
  columns   Matched by name, in any order. A missing or added column is a
            difference, even an ignored one. Spaces around a name don't matter.
            Columns of one name are matched in order.
  rows      Matched in order, or by the text of the key columns if there is a
            key. A missing or added row is a difference. Two rows with the same
            key are an error, which names the key and both lines.
  files     A missing or added file is a difference. Files other than .csv,
            .tsv, .json, .jsonl, .yaml, .toml and those that `tables:` names
            are compared byte by byte.
  json      A JSON, YAML or TOML file is a table of one row; a list of objects,
            or a file of JSON lines, has a row for each. Columns are the paths
            of values, such as /accuracy or /loss/train. Layout and the order
            of keys make no difference.
Quotes around cells, LF or CRLF between rows, blank lines, a byte order mark,
and commas, semicolons or tabs between cells make no difference. A line break
inside a quoted cell does.

Examples:
  restage compare                                  with the last commit
  restage compare --against origin/main --md       for a pull request
  restage compare results/a.csv --against old.csv  two files";

/// Compare result tables with committed ones; exit 3 if they differ.
///
/// `compare:` in pipeline.yaml says which tables, and how closely each column must match.
#[derive(Debug, Args)]
#[command(after_long_help = DIFFERENCES)]
pub(crate) struct Compare {
    /// Result tables, or folders that hold some [default: all that `compare:` matches].
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// What to compare with: a git revision, a folder with the same layout, or a file, which is
    /// compared with the result table of the same name.
    #[arg(long, value_name = "REV|DIR|FILE", default_value = "HEAD")]
    pub(crate) against: String,

    /// Print Markdown, folded and short enough for a comment on GitHub.
    #[arg(long, conflicts_with = "junit")]
    pub(crate) md: bool,

    /// Print JUnit XML: a table that differs is a failure, one that can't be compared an error.
    #[arg(long)]
    pub(crate) junit: bool,

    /// Show at most N differences per file.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) most: usize,
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_lines_that_are_broken_by_hand_fit_a_terminal() {
        for line in super::DIFFERENCES.lines() {
            assert!(line.chars().count() <= 79, "{line}");
        }
    }
}
