//! An engine's own threads.
//! It must not know what runs on them; no result depends on how many there are.

use crate::config::ConfigError;
use rayon::prelude::*;
use std::sync::Arc;

/// A pool of a fixed number of threads, or another handle of it.
#[derive(Clone)]
pub(crate) struct Threads {
    pool: Arc<rayon::ThreadPool>,
}

impl Threads {
    pub(crate) fn new(threads: usize) -> Result<Self, ConfigError> {
        if threads == 0 {
            // To rayon 0 means "as many as the environment says".
            return Err(ConfigError::Zero {
                field: "threads".to_owned(),
            });
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("nn-{i}"))
            .build();
        pool.map(|pool| Self {
            pool: Arc::new(pool),
        })
        .map_err(|e| ConfigError::Threads {
            threads,
            reason: e.to_string(),
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs `f` on one of the threads. Within it [`Self::each`] needs no handing over, whose cost
    /// a step with hundreds of small tasks would feel.
    pub(crate) fn run<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        self.pool.install(f)
    }

    /// Runs `f(0), ..., f(tasks - 1)`, in any order.
    pub(crate) fn each(&self, tasks: usize, f: impl Fn(usize) + Sync) {
        if tasks == 1 {
            f(0);
        } else {
            self.pool
                .install(|| (0..tasks).into_par_iter().with_max_len(1).for_each(&f));
        }
    }
}
