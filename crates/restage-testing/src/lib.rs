//! An executor for tests: jobs end as a script says, in virtual time, and no process is started.

#![forbid(unsafe_code)]
// Tests may touch the disk and the clock directly (see clippy.toml).
#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

mod play;
mod record;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use play::{Files, Play};
pub use record::{Event, Record};

use self::play::End;
use restage_core::fs;
use restage_exec::{ExecError, Executor, Finished, Job, JobId, Outcome, ProcessRef};

#[derive(Debug)]
struct Running {
    job: Job,
    play: Play,
    since: f64,
    ends: Option<f64>,
    outcome: Outcome,
}

#[derive(Debug, Default)]
struct World {
    now: f64,
    submitted: u64,
    scripts: BTreeMap<String, VecDeque<Play>>,
    otherwise: Option<Play>,
    running: BTreeMap<JobId, Running>,
    events: Vec<Event>,
    jobs: Vec<Job>,
}

/// Runs scripts instead of jobs.
///
/// `poll` never sleeps: it advances virtual time to the next end, however far that is, or by `wait`
/// if no job ends.
#[derive(Debug, Default)]
pub struct FakeExecutor(Arc<Mutex<World>>);

impl FakeExecutor {
    /// An executor without a script: each job succeeds after a second and writes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a play for the jobs of this name: the first for the first job, and so on; the last
    /// one is repeated.
    #[must_use]
    pub fn play(self, name: &str, play: Play) -> Self {
        lock(&self.0)
            .scripts
            .entry(name.to_owned())
            .or_default()
            .push_back(play);
        self
    }

    /// The play for every other job.
    #[must_use]
    pub fn otherwise(self, play: Play) -> Self {
        lock(&self.0).otherwise = Some(play);
        self
    }

    /// A view of what happens.
    pub fn record(&self) -> Record {
        Record(Arc::clone(&self.0))
    }
}

fn lock(world: &Arc<Mutex<World>>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    fn next_play(&mut self, name: &str) -> Play {
        match self.scripts.get_mut(name) {
            Some(plays) if plays.len() > 1 => plays.pop_front(),
            Some(plays) => plays.front().cloned(),
            None => self.otherwise.clone(),
        }
        .unwrap_or_else(Play::success)
    }

    fn start(&mut self, id: JobId, job: Job) -> Result<(), ExecError> {
        let play = self.next_play(&job.name);
        for (path, text) in [(&job.stdout, &play.stdout), (&job.stderr, &play.stderr)] {
            write(path.clone(), text.as_bytes()).map_err(|source| ExecError::Log {
                name: job.name.clone(),
                source,
            })?;
        }
        let mut planned = match &play.end {
            End::Of(outcome) => (Some(self.now + play.seconds), outcome.clone()),
            End::Never => (None, Outcome::Cancelled),
        };
        if let Err(error) = write_all(&job, play.first.clone()) {
            planned = (Some(self.now), Outcome::NotStarted(error));
        }
        if let Some(timeout) = job.timeout {
            let at = self.now + timeout.as_secs_f64();
            if planned.0.is_none_or(|ends| ends > at) {
                let late = if play.stubborn {
                    job.grace.as_secs_f64()
                } else {
                    0.0
                };
                planned = (Some(at + late), Outcome::TimedOut);
            }
        }
        let beside = self
            .running
            .values()
            .map(|other| other.job.name.clone())
            .collect();
        self.events.push(Event::Started {
            at: self.now,
            name: job.name.clone(),
            beside,
        });
        self.jobs.push(job.clone());
        let (ends, outcome) = planned;
        self.running.insert(
            id,
            Running {
                job,
                play,
                since: self.now,
                ends,
                outcome,
            },
        );
        Ok(())
    }

    fn finish(&mut self, id: JobId, running: Running) -> Finished {
        let Running {
            job,
            play,
            since,
            mut outcome,
            ..
        } = running;
        if matches!(outcome, Outcome::Exited(_) | Outcome::Signaled(_))
            && let Err(error) = (play.work)(&job).and_then(|files| write_all(&job, files))
        {
            // The outcome already says that the job failed.
            let _ = write(job.stderr.clone(), error.as_bytes());
            outcome = Outcome::Exited(1);
        }
        let (at, name) = (self.now, job.name);
        self.events.push(Event::Ended {
            at,
            name,
            outcome: outcome.clone(),
        });
        Finished {
            id,
            outcome,
            seconds: self.now - since,
            peak_memory: play.peak_memory,
            leftovers: false,
            trace: None,
        }
    }
}

fn write(path: PathBuf, bytes: &[u8]) -> Result<(), fs::FsError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write_atomic(&path, bytes)
}

fn write_all(job: &Job, files: Files) -> Result<(), String> {
    files.into_iter().try_for_each(|(path, bytes)| {
        write(job.dir.join(path), &bytes).map_err(|error| error.to_string())
    })
}

impl Executor for FakeExecutor {
    fn submit(&mut self, job: Job) -> Result<JobId, ExecError> {
        if job.argv.first().is_none_or(|program| program.is_empty()) {
            return Err(ExecError::EmptyCommand { name: job.name });
        }
        let mut world = lock(&self.0);
        let id = JobId(world.submitted);
        world.start(id, job)?;
        world.submitted += 1;
        Ok(id)
    }

    fn poll(&mut self, wait: Duration) -> Vec<Finished> {
        let mut world = lock(&self.0);
        let next = world
            .running
            .values()
            .filter_map(|job| job.ends)
            .min_by(f64::total_cmp);
        let Some(next) = next else {
            world.now += wait.as_secs_f64();
            return Vec::new();
        };
        world.now = world.now.max(next);
        let now = world.now;
        let ended: Vec<_> = world
            .running
            .extract_if(.., |_, job| job.ends.is_some_and(|at| at <= now))
            .collect();
        ended
            .into_iter()
            .map(|(id, running)| world.finish(id, running))
            .collect()
    }

    fn cancel(&mut self, id: JobId) {
        let mut world = lock(&self.0);
        let now = world.now;
        let Some(running) = world.running.get_mut(&id) else {
            return;
        };
        let late = if running.play.stubborn {
            running.job.grace.as_secs_f64()
        } else {
            0.0
        };
        if running.ends.is_none_or(|ends| ends > now) && running.outcome != Outcome::TimedOut {
            running.ends = Some(now + late);
            running.outcome = Outcome::Cancelled;
        }
        let name = running.job.name.clone();
        world.events.push(Event::Cancelled { at: now, name });
    }

    fn running(&self) -> usize {
        lock(&self.0).running.len()
    }

    fn process(&self, _: JobId) -> Option<ProcessRef> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(dir: &tempfile::TempDir, name: &str) -> Job {
        Job {
            name: name.into(),
            argv: vec!["x".into()],
            dir: dir.path().join(name),
            isolation: None,
            env: BTreeMap::new(),
            stdout: dir.path().join(format!("{name}.out")),
            stderr: dir.path().join(format!("{name}.err")),
            timeout: None,
            memory: None,
            grace: Duration::from_secs(10),
            tracing: None,
            redaction: None,
        }
    }

    fn poll(fake: &mut FakeExecutor) -> Vec<(u64, Outcome)> {
        let finished = fake.poll(Duration::from_secs(1));
        finished
            .into_iter()
            .map(|finished| (finished.id.0, finished.outcome))
            .collect()
    }

    #[test]
    fn jobs_end_in_the_order_of_virtual_time() {
        let dir = tempfile::tempdir().unwrap();
        let mut fake = FakeExecutor::new()
            .play(
                "slow",
                Play::success().seconds(3600.0).writes("a/out.csv", "1"),
            )
            .play("fast", Play::exits(3).seconds(5.0).complains("oh"));
        let record = fake.record();
        fake.submit(job(&dir, "slow")).unwrap();
        fake.submit(job(&dir, "fast")).unwrap();
        assert_eq!(poll(&mut fake), [(1, Outcome::Exited(3))]);
        assert!(!fs::exists(&dir.path().join("slow/a/out.csv")).unwrap());
        assert_eq!(poll(&mut fake), [(0, Outcome::Exited(0))]);
        assert_eq!(fs::read(&dir.path().join("slow/a/out.csv")).unwrap(), b"1");
        assert_eq!(fs::read(&dir.path().join("fast.err")).unwrap(), b"oh");
        assert_eq!((record.now(), fake.running()), (3600.0, 0));
        assert_eq!(record.most_at_once(), 2);
        assert_eq!(record.started(), ["slow", "fast"]);
    }

    #[test]
    fn a_hanging_job_ends_when_cancelled_or_timed_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut fake =
            FakeExecutor::new().otherwise(Play::hangs().stubborn().begins_by_writing("half", "x"));
        let id = fake.submit(job(&dir, "a")).unwrap();
        assert!(poll(&mut fake).is_empty());
        fake.cancel(id);
        assert_eq!(poll(&mut fake), [(0, Outcome::Cancelled)]);
        assert_eq!(
            fake.record().now(),
            11.0,
            "a second of waiting and the grace period"
        );
        assert_eq!(fs::read(&dir.path().join("a/half")).unwrap(), b"x");
        let timed = Job {
            timeout: Some(Duration::from_secs(4)),
            ..job(&dir, "b")
        };
        fake.submit(timed).unwrap();
        assert_eq!(poll(&mut fake), [(1, Outcome::TimedOut)]);
    }

    #[test]
    fn attempts_follow_the_script_and_the_last_play_is_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let work = |job: &Job| Err(format!("no input in {}", job.name));
        let mut fake = FakeExecutor::new()
            .play("a", Play::signaled(9))
            .play("a", Play::success().works(work));
        let ends: Vec<_> = (0..3)
            .flat_map(|_| {
                fake.submit(job(&dir, "a")).unwrap();
                poll(&mut fake)
            })
            .map(|(_, outcome)| outcome)
            .collect();
        assert_eq!(
            ends,
            [Outcome::Signaled(9), Outcome::Exited(1), Outcome::Exited(1)]
        );
        assert_eq!(
            fs::read(&dir.path().join("a.err")).unwrap(),
            b"no input in a"
        );
    }
}
