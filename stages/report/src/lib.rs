//! The report: Table I, Fig. 1 to 5 and confusion matrices.
//! It must not know how results are made; it reads the CSVs that other stages write.
//!
//! [`Report::new`] reads and checks every input and draws; [`Report::write`] writes. Nothing
//! but the numbers decides a figure's bytes: no font of the machine, no time, no platform
//! mathematics.

mod classes;
mod efficiency;
mod error;
mod figure;
mod input;
mod number;
mod over_seeds;
mod params;
mod table;

use std::path::Path;

use contract::files;
use contract::table::Table;

pub use crate::error::ReportError;
pub use crate::params::{Color, PaperEntry, Params, Shown, Style};

use crate::efficiency::Efficiency;
use crate::figure::Figure;
use crate::input::Results;
use crate::table::Table1;

/// A finished report, not yet written.
#[derive(Debug)]
pub struct Report {
    table: Table1,
    efficiency: Vec<Efficiency>,
    classes: Table,
    figures: Vec<Figure>,
    left_out: Vec<String>,
}

impl Report {
    /// Reads the results of a profile from `results` and makes its report.
    ///
    /// # Errors
    /// Parameters that contradict each other; an input that is missing or malformed.
    pub fn new(results: &Path, profile: &str, params: &Params) -> Result<Self, ReportError> {
        params.check()?;
        let left_out = input::left_out(results, params)?;
        let results = Results::read(results, params)?;
        let table = Table1::new(&results, params, profile);
        let efficiency = Efficiency::all(&results);
        let classes = classes::csv(&results.models)?;
        let figures = Figure::all(
            &results,
            &format!("Data: {} · profile {profile}", results.data),
        )?;
        Ok(Self {
            table,
            efficiency,
            classes,
            figures,
            left_out,
        })
    }

    /// Table I as aligned plain text.
    #[must_use]
    pub fn table_text(&self) -> String {
        self.table.plain()
    }

    /// A figure's SVG document, by its file's name without extension: `fig1`,
    /// `confusion/resnet18`.
    #[must_use]
    pub fn svg(&self, figure: &str) -> Option<String> {
        let figure = self.figures.iter().find(|drawn| drawn.name == figure)?;
        Some(figure.svg())
    }

    /// Models that have results, but are not in `report.order`.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Writes every file into `folder`, each whole or not at all; `progress` hears how many
    /// of how many files are done.
    ///
    /// # Errors
    /// A file that cannot be written; names it.
    pub fn write(
        &self,
        folder: &Path,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<(), ReportError> {
        const TABLES: u64 = 5;
        let total = TABLES + 2 * self.figures.len() as u64;
        self.write_tables(folder)?;
        let mut done = 0;
        let mut step = |files| {
            for _ in 0..files {
                done += 1;
                progress(done, total);
            }
        };
        step(TABLES);
        files::create_dir_all(folder.join("confusion"))?;
        for figure in &self.figures {
            let path = |extension| folder.join(format!("{}.{extension}", figure.name));
            write(&path("svg"), figure.svg().as_bytes())?;
            step(1);
            write(&path("png"), &figure.png()?)?;
            step(1);
        }
        Ok(())
    }

    /// Writes Table I in its three forms and the tables of costs and classes alone.
    ///
    /// # Errors
    /// A file that cannot be written; names it.
    pub fn write_tables(&self, folder: &Path) -> Result<(), ReportError> {
        self.table.csv()?.write(folder.join("table1.csv"))?;
        write(&folder.join("table1.md"), self.table.markdown().as_bytes())?;
        write(&folder.join("table1.tex"), self.table.latex().as_bytes())?;
        efficiency::csv(&self.efficiency)?.write(folder.join("efficiency.csv"))?;
        self.classes.write(folder.join("class_report.csv"))?;
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    Ok(files::write_atomic(path, |out| out.write_all(bytes))?)
}
