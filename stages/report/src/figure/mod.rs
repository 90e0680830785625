//! The figures: each an SVG, and a PNG of it, whose bytes depend on the numbers alone.
//! It must not know of files; it hands back text and bytes.

mod axis;
mod confusion;
mod curves;
mod gradients;
mod png;
mod series;
mod sheet;
mod stroke;
mod svg;
mod text;
mod theme;

use std::convert::Infallible;

use plotters::drawing::DrawingAreaErrorKind;

use crate::error::ReportError;
use crate::input::Results;

/// A drawn figure.
#[derive(Debug)]
pub(crate) struct Figure {
    /// Its file's name without extension, from the results' folder: `fig1`, `confusion/resnet18`.
    pub(crate) name: String,
    /// `Fig. 1. Training accuracy and loss`.
    title: String,
    /// What it shows, for those who read it and those who hear it.
    caption: String,
    /// Width and height in pixels.
    size: (u32, u32),
    /// The elements inside `<svg>`.
    elements: String,
}

/// Why a figure could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DrawError(String);

impl From<DrawingAreaErrorKind<Infallible>> for DrawError {
    fn from(error: DrawingAreaErrorKind<Infallible>) -> Self {
        Self(error.to_string())
    }
}

impl Figure {
    /// Fig. 1 to 5 and a confusion matrix a model.
    ///
    /// # Errors
    /// What the drawing library says, with the figure's name.
    pub(crate) fn all(results: &Results, subtitle: &str) -> Result<Vec<Self>, ReportError> {
        let mut figures = Vec::with_capacity(5 + results.models.len());
        for number in [1, 2, 4, 5] {
            let figure = curves::draw(number, results, subtitle);
            figures.push(figure.map_err(|error| failed(format!("fig{number}"), &error))?);
        }
        let figure = gradients::draw(results, subtitle);
        figures.insert(
            2,
            figure.map_err(|error| failed("fig3".to_owned(), &error))?,
        );
        for model in &results.models {
            let figure = confusion::draw(model, &results.data, subtitle);
            figures
                .push(figure.map_err(|error| failed(format!("confusion/{}", model.name), &error))?);
        }
        Ok(figures)
    }

    /// The whole SVG document.
    pub(crate) fn svg(&self) -> String {
        let (width, height) = self.size;
        let label = svg::escape(&format!("{} {}", self.title, self.caption));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             font-family=\"{}\" stroke-linejoin=\"round\" role=\"img\" aria-label=\"{label}\">\n{}</svg>\n",
            text::FAMILIES,
            self.elements
        )
    }

    /// The figure as a PNG with two pixels for each of the SVG's.
    ///
    /// # Errors
    /// What the renderer says, with the figure's name.
    pub(crate) fn png(&self) -> Result<Vec<u8>, ReportError> {
        png::render(&self.svg()).map_err(|error| failed(self.name.clone(), &error))
    }
}

fn failed(figure: String, error: &DrawError) -> ReportError {
    ReportError::Figure {
        figure,
        problem: error.to_string(),
    }
}
