//! The arguments of `restage compare`, and in its help what counts as a difference.
//! It must not know how tables are compared.

use std::path::PathBuf;

use clap::Args;

use super::PipelineArgs;

/// What `restage_claims::tables` documents, for users.
pub(super) const DIFFERENCES: &str = "\
What is a difference:
  exact     The default: the same text. 1.0 is not 1.00, NaN not nan, 0 not -0.
  abs, rel  The same text, or two numbers at most so far apart, or at most that
            share of the expected one apart, the bound included. Numbers are
            read as doubles. NaN matches only NaN, an infinity the same one,
            -0 also 0, and an empty cell only an empty one.
  ignore    Nothing; but the column must be there.
  columns   They are matched by name: their order does not matter. One that is
            missing or added is a difference, ignored or not.
  rows      Without a key they are matched in order, with one by the texts of
            its columns, in any order. A missing or added row is a difference.
            Two rows of one key are an error that names the key and both lines.
  files     A missing or added file is a difference. What is not .csv or .tsv
            is compared byte by byte.
No difference are quotes around cells, LF or CRLF between rows, blank lines and
a byte order mark. A line break inside a quoted cell is one.

Examples:
  restage compare                                  against the last commit
  restage compare --against origin/main --md       for a pull request
  restage compare results/a.csv --against old.csv  one file against another";

/// Compare result tables with committed ones; exit 3 where they differ.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Result tables, or folders of some; all that `compare:` names by default.
    pub(crate) files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,

    /// What is expected: a git revision, a folder laid out like this one, or a file, which is held
    /// against the result table of the same name.
    #[arg(long, value_name = "REV|DIR|FILE", default_value = "HEAD")]
    pub(crate) against: String,

    /// Markdown, folded and short enough for a comment on GitHub.
    #[arg(long, conflicts_with = "junit")]
    pub(crate) md: bool,

    /// JUnit XML: a table that differs failed, one that can't be compared is in error.
    #[arg(long)]
    pub(crate) junit: bool,

    /// Differences shown of each file.
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
