//! The report: Table I, Fig. 1 to 5, confusion matrices and one page that shows it all.
//! It must not know how results are made; it reads the CSVs that other stages write.
//!
//! [`Report::new`] reads and checks every input and draws; [`Report::write`] writes. Nothing
//! but the numbers decides a figure's bytes: no font of the machine, no time, no platform
//! mathematics.

mod efficiency;
mod error;
mod figure;
mod html;
mod input;
mod number;
mod params;
mod table;

use std::path::Path;

use contract::files;

pub use crate::error::ReportError;
pub use crate::params::{Color, Compared, PaperEntry, Params, Shown, Style};

use crate::efficiency::Efficiency;
use crate::figure::Figure;
use crate::input::Results;
use crate::table::Table1;

/// A finished report, not yet written.
#[derive(Debug)]
pub struct Report {
    table: Table1,
    efficiency: Vec<Efficiency>,
    figures: Vec<Figure>,
    page: String,
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
        let figures = Figure::all(
            &results,
            &format!("Data: {} · profile {profile}", results.data),
        )?;
        let page = html::page(&html::Content {
            results: &results,
            params,
            profile,
            table: &table,
            efficiency: &efficiency,
            figures: &figures,
        });
        Ok(Self {
            table,
            efficiency,
            figures,
            page,
            left_out,
        })
    }

    /// Table I as aligned plain text.
    #[must_use]
    pub fn table_text(&self) -> String {
        self.table.plain()
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
        let total = 5 + 2 * self.figures.len() as u64;
        let mut done = 0;
        let mut step = || {
            done += 1;
            progress(done, total);
        };
        let text = |name: &str, text: &str| {
            files::write_atomic(folder.join(name), |out| out.write_all(text.as_bytes()))
        };
        self.table.csv()?.write(folder.join("table1.csv"))?;
        step();
        text("table1.md", &self.table.markdown())?;
        step();
        text("table1.tex", &self.table.latex())?;
        step();
        efficiency::csv(&self.efficiency)?.write(folder.join("efficiency.csv"))?;
        step();
        files::create_dir_all(folder.join("confusion"))?;
        for figure in &self.figures {
            text(&format!("{}.svg", figure.name), &figure.svg())?;
            step();
            let png = figure.png()?;
            files::write_atomic(folder.join(format!("{}.png", figure.name)), |out| {
                out.write_all(&png)
            })?;
            step();
        }
        text("report.html", &self.page)?;
        step();
        Ok(())
    }
}
