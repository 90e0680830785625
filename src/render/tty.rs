//! A run on a terminal: a bar for each running stage, with finished stages scrolling by above.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::plain::progress_text;
use super::reading::Reading;
use super::summary;
use crate::format::{count, duration};
use crate::style::Style;
use restage_engine::{Event, Observer, StageEvent, StageOutcome, estimate};

/// Resolution of a bar that shows a share of the work.
const STEPS: u64 = 1000;

/// Draws on stderr.
pub(crate) struct TtyRenderer<'a> {
    bars: MultiProgress,
    running: BTreeMap<String, ProgressBar>,
    build: Option<ProgressBar>,
    style: Style,
    cores: u32,
    durations: &'a dyn Fn(&str) -> Option<f64>,
    /// Until something is decided.
    reading: Option<Reading>,
}

impl<'a> TtyRenderer<'a> {
    pub(crate) fn new(
        reading: Reading,
        style: Style,
        cores: u32,
        durations: &'a dyn Fn(&str) -> Option<f64>,
    ) -> Self {
        Self {
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8)),
            running: BTreeMap::new(),
            build: None,
            style,
            cores,
            durations,
            reading: Some(reading),
        }
    }

    fn line(&self, text: &str) {
        // A closed stderr must not end a run of hours.
        let _ = self.bars.println(text);
    }

    fn spinner(&self, prefix: &str, message: String) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(spinning());
        bar.set_prefix(prefix.to_owned());
        bar.set_message(message);
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    fn stage_event(&mut self, stage: &str, event: &StageEvent) {
        match event {
            StageEvent::Message(text) => self.line(&format!("  {stage}: {text}")),
            StageEvent::Progress(progress) => {
                let Some(bar) = self.running.get(stage) else {
                    return;
                };
                if bar.length().is_none() {
                    bar.set_length(STEPS);
                    bar.set_style(
                        template("{spinner:.cyan} {prefix} {bar:12.cyan/dim} {wide_msg}")
                            .progress_chars("━━─"),
                    );
                }
                bar.set_position((progress.fraction * STEPS as f64) as u64);
                bar.set_message(progress_text(progress));
            }
        }
    }

    fn finished(&mut self, stage: &str, outcome: &StageOutcome) {
        if let Some(bar) = self.running.remove(stage) {
            bar.finish_and_clear();
        }
        let style = self.style;
        match outcome {
            StageOutcome::Fresh | StageOutcome::Cancelled => {}
            StageOutcome::Restored { outs } => {
                self.line(&format!(
                    "{} {stage} restored {}",
                    style.good("✓"),
                    count(*outs, "out")
                ));
            }
            StageOutcome::Ran { seconds, unchanged } => {
                let same = if *unchanged {
                    style.dim(" outputs unchanged")
                } else {
                    String::new()
                };
                self.line(&format!(
                    "{} {stage} {}{same}",
                    style.good("✓"),
                    style.dim(&duration(*seconds))
                ));
            }
            StageOutcome::Failed(failure) => {
                self.line(summary::failure(stage, failure, style).trim_end());
            }
            StageOutcome::Gated(gate) => {
                self.line(&format!(
                    "{} {stage} {}: {gate}",
                    style.busy("-"),
                    style.busy("gated")
                ));
            }
            StageOutcome::Blocked { by } => {
                self.line(&format!(
                    "{} {stage} not run: `{by}` has no result",
                    style.bad("✗")
                ));
            }
        }
    }
}

/// Of a line without an end in sight.
pub(super) fn spinning() -> ProgressStyle {
    template("{spinner:.cyan} {prefix} {wide_msg:.dim} {elapsed}")
}

fn template(text: &str) -> ProgressStyle {
    ProgressStyle::with_template(text)
        .expect("the templates of this file are constants, and a test draws them")
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

impl Observer for TtyRenderer<'_> {
    fn event(&mut self, event: &Event<'_>) {
        self.reading = None;
        match event {
            Event::Planned { graph, plan } => {
                let seconds = |id| (self.durations)(&graph.stage(id).name);
                let guess = estimate(graph, plan, self.cores, &seconds);
                for line in summary::plan_lines(graph, plan, guess, self.style) {
                    self.line(&line);
                }
            }
            Event::Building { packages } => {
                let what = format!("building {}", count(packages.len(), "program"));
                self.build = Some(self.spinner(&what, String::new()));
            }
            Event::BuildLine { text } => {
                if let Some(bar) = &self.build {
                    bar.set_message((*text).to_owned());
                }
            }
            Event::Built { seconds } => {
                if let Some(bar) = self.build.take() {
                    bar.finish_and_clear();
                }
                self.line(&format!(
                    "{} built {}",
                    self.style.good("✓"),
                    self.style.dim(&duration(*seconds))
                ));
            }
            Event::MakingEnvironment { name, kind } => {
                let what = format!("building environment {name}");
                self.build = Some(self.spinner(&what, (*kind).to_owned()));
            }
            Event::EnvironmentMade {
                name,
                seconds,
                failed,
            } => {
                if let Some(bar) = self.build.take() {
                    bar.finish_and_clear();
                }
                if !failed {
                    let took = self.style.dim(&duration(*seconds));
                    let good = self.style.good("✓");
                    self.line(&format!("{good} built environment {name} {took}"));
                }
            }
            Event::WaitingForOther { stage } => {
                let bar = self.spinner(stage, "another restage is running it".to_owned());
                if let Some(old) = self.running.insert((*stage).to_owned(), bar) {
                    old.finish_and_clear();
                }
            }
            Event::Started {
                stage,
                expected_seconds,
                ..
            } => {
                let message = expected_seconds
                    .map_or_else(String::new, |s| format!("took {} last time", duration(s)));
                let bar = self.spinner(stage, message);
                if let Some(old) = self.running.insert((*stage).to_owned(), bar) {
                    old.finish_and_clear();
                }
            }
            Event::Stage { stage, event } => self.stage_event(stage, event),
            Event::Retrying { stage, failure } => {
                self.line(&summary::retry(stage, failure, self.style));
            }
            Event::Audited { stage, audited } => {
                for line in summary::audit(stage, audited, self.style) {
                    self.line(&line);
                }
            }
            Event::Finished { stage, outcome } => self.finished(stage, outcome),
            Event::Warning { stage, text } => {
                self.line(&format!(
                    "{} {stage}: {text}",
                    self.style.warning("warning:")
                ));
            }
            Event::Interrupted => self.line("stopping the running stages"),
        }
    }
}

impl Drop for TtyRenderer<'_> {
    fn drop(&mut self) {
        // A cargo that failed leaves its spinner behind.
        if let Some(bar) = self.build.take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_well_formed() {
        template("{spinner:.cyan} {prefix} {wide_msg:.dim} {elapsed}");
        template("{spinner:.cyan} {prefix} {bar:12.cyan/dim} {wide_msg}").progress_chars("━━─");
    }
}
