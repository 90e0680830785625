//! A run as plain lines, for logs and CI.

use std::collections::BTreeMap;
use std::io::Write;

use super::summary;
use crate::format::{count, duration, metric, rough_duration, size};
use crate::style::Style;
use restage_core::clock::Instant;
use restage_engine::{Event, Observer, Progress, StageEvent, StageOutcome, estimate};

/// Seconds after which a stage is shown again, even without progress.
const EVERY: f64 = 30.0;
/// Seconds between two progress lines of one stage, at least.
const AT_LEAST: f64 = 4.0;

/// Writes lines to stderr.
pub(crate) struct PlainRenderer<'a> {
    out: &'a mut dyn Write,
    style: Style,
    quiet: bool,
    cores: u32,
    durations: &'a dyn Fn(&str) -> Option<f64>,
    /// When each running stage was last shown, and how far it was.
    last_shown: BTreeMap<String, (Instant, u64)>,
}

impl<'a> PlainRenderer<'a> {
    pub(crate) fn new(
        out: &'a mut dyn Write,
        style: Style,
        quiet: bool,
        cores: u32,
        durations: &'a dyn Fn(&str) -> Option<f64>,
    ) -> Self {
        Self {
            out,
            style,
            quiet,
            cores,
            durations,
            last_shown: BTreeMap::new(),
        }
    }

    fn line(&mut self, text: &str) {
        // A closed stderr must not end a run of hours.
        let _ = writeln!(self.out, "{text}");
    }

    /// A line for each unit done, but never two within seconds, and one now and then in between;
    /// nothing for stages that end soon.
    fn progress(&mut self, stage: &str, progress: &Progress) {
        let Some((at, done)) = self.last_shown.get(stage) else {
            return;
        };
        let pause = if *done == progress.done {
            EVERY
        } else {
            AT_LEAST
        };
        if at.elapsed().as_secs_f64() >= pause {
            self.last_shown
                .insert(stage.to_owned(), (Instant::now(), progress.done));
            self.line(&format!("{stage}: {}", progress_text(progress)));
        }
    }
}

/// `epoch 3/30, about 14 min left, loss 1.532, 512 images/s`.
pub(crate) fn progress_text(progress: &Progress) -> String {
    let (done, total) = (progress.done, progress.total);
    let mut text = match progress.unit.as_str() {
        "byte" => format!("{} of {}", size(done as f64), size(total as f64)),
        unit => format!("{unit} {done}/{total}"),
    };
    if let Some(seconds) = progress.remaining_seconds.filter(|s| *s >= 1.0) {
        text += &format!(", {} left", rough_duration(seconds));
    }
    for figure in &progress.metrics {
        text += &format!(", {}", metric(&figure.name, figure.value));
    }
    text
}

impl Observer for PlainRenderer<'_> {
    fn event(&mut self, event: &Event<'_>) {
        let style = self.style;
        match event {
            Event::Stage { .. } | Event::Started { .. } | Event::Planned { .. } if self.quiet => {}
            Event::Planned { graph, plan } => {
                let seconds = |id| (self.durations)(&graph.stage(id).name);
                let guess = estimate(graph, plan, self.cores, &seconds);
                for line in summary::plan_lines(graph, plan, guess, style) {
                    self.line(&line);
                }
            }
            Event::Building { packages } => {
                self.line(&format!(
                    "building {}: {}",
                    count(packages.len(), "program"),
                    packages.join(", ")
                ));
            }
            Event::BuildLine { .. } => {}
            Event::Built { seconds } => self.line(&format!("built in {}", duration(*seconds))),
            Event::MakingEnvironment { name, kind } => {
                self.line(&format!("building environment {name} ({kind})"));
            }
            Event::EnvironmentMade { failed: true, .. } => {}
            Event::EnvironmentMade { name, seconds, .. } => {
                let took = duration(*seconds);
                self.line(&format!("built environment {name} in {took}"));
            }
            Event::WaitingForOther { stage } => {
                self.line(&format!(
                    "{stage}: waiting for another restage that is running it"
                ));
            }
            Event::Started {
                stage,
                attempt,
                attempts,
                ..
            } => {
                self.last_shown
                    .insert((*stage).to_owned(), (Instant::now(), 0));
                let again = if *attempt > 1 {
                    format!(" (attempt {attempt} of {attempts})")
                } else {
                    String::new()
                };
                self.line(&format!("{stage}: started{again}"));
            }
            Event::Stage {
                stage,
                event: StageEvent::Progress(progress),
            } => self.progress(stage, progress),
            Event::Stage {
                stage,
                event: StageEvent::Message(text),
            } => self.line(&format!("{stage}: {text}")),
            Event::Retrying { stage, failure } => {
                self.line(&summary::retry(stage, failure, style));
            }
            Event::Audited { stage, audited } => {
                for line in summary::audit(stage, audited, self.style) {
                    self.line(&line);
                }
            }
            Event::Finished { stage, outcome } => match outcome {
                StageOutcome::Fresh | StageOutcome::Cancelled => {}
                StageOutcome::Restored { .. } | StageOutcome::Ran { .. } if self.quiet => {}
                StageOutcome::Restored { outs } => {
                    self.line(&format!(
                        "{stage}: {} ({})",
                        style.good("restored"),
                        count(*outs, "out")
                    ));
                }
                StageOutcome::Ran { seconds, unchanged } => {
                    let same = if *unchanged {
                        ", outputs unchanged"
                    } else {
                        ""
                    };
                    self.line(&format!(
                        "{stage}: {} in {}{same}",
                        style.good("done"),
                        duration(*seconds)
                    ));
                }
                StageOutcome::Failed(failure) => {
                    let text = summary::failure(stage, failure, style);
                    self.line(text.trim_end());
                }
                StageOutcome::Gated(gate) => {
                    self.line(&format!("{stage}: {}: {gate}", style.busy("gated")));
                }
                StageOutcome::Blocked { by } => {
                    self.line(&format!(
                        "{stage}: {}, `{by}` has no result",
                        style.bad("not run")
                    ));
                }
            },
            Event::Warning { stage, text } => {
                self.line(&format!("{} {stage}: {text}", style.warning("warning:")));
            }
            Event::Interrupted => self.line("stopping the running stages"),
        }
    }
}
