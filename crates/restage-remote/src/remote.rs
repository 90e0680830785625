//! A remote with patience: what may pass is tried again with growing pauses, and one that is not there is
//! not asked a hundred times.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::error::RemoteError;
use super::layout::{FORMAT, FORMAT_TEXT};
use super::transport::{Body, Transport};

/// Bytes of objects that were sent and received.
static MOVED: AtomicU64 = AtomicU64::new(0);

/// How many bytes of objects this process has sent and received: for showing that something happens.
pub fn bytes_moved() -> u64 {
    MOVED.load(Ordering::Relaxed)
}

/// Counts bytes that were sent or received.
pub(crate) fn moved(bytes: u64) {
    MOVED.fetch_add(bytes, Ordering::Relaxed);
}

/// How patient we are with a server.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Tries in all.
    pub tries: u32,
    /// The pause after the first failure; it doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause that a server may ask for.
    pub longest_pause: Duration,
    /// For a connection.
    pub connect: Duration,
    /// For an answer to begin, and for each read of it.
    pub wait: Duration,
}

impl Patience {
    /// A server that is not there costs some 20 s at most.
    pub const DEFAULT: Self = Self {
        tries: 4,
        first_pause: Duration::from_millis(300),
        longest_pause: Duration::from_secs(10),
        connect: Duration::from_secs(4),
        wait: Duration::from_secs(30),
    };

    fn pause(&self, failures: u32, asked: Option<Duration>) -> Duration {
        match asked {
            Some(asked) => asked.min(self.longest_pause),
            None => self.first_pause * 3_u32.pow(failures.saturating_sub(1).min(8)),
        }
    }
}

/// Where results are kept for others.
#[derive(Debug)]
pub struct Remote {
    name: String,
    transport: Box<dyn Transport>,
    patience: Patience,
    /// It could not be reached: nobody else waits for that.
    down: AtomicBool,
    /// It was found to be a remote.
    is_remote: AtomicBool,
}

impl Remote {
    pub(crate) fn new(name: &str, transport: Box<dyn Transport>, patience: Patience) -> Self {
        Self {
            name: name.to_owned(),
            transport,
            patience,
            down: AtomicBool::new(false),
            is_remote: AtomicBool::new(false),
        }
    }

    /// Its name in restage.toml.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is, for people.
    pub fn address(&self) -> &str {
        self.transport.address()
    }

    pub(crate) fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    /// Looks whether it can be used, and says whether anything was ever pushed to it.
    ///
    /// # Errors
    /// It can't be reached or read, or has another layout.
    pub fn check(&self) -> Result<bool, RemoteError> {
        if self.is_remote.load(Ordering::Relaxed) {
            return Ok(true);
        }
        match self.small(FORMAT, 256)? {
            None => Ok(false),
            Some(text) if text == FORMAT_TEXT.as_bytes() => {
                self.is_remote.store(true, Ordering::Relaxed);
                Ok(true)
            }
            Some(_) => Err(RemoteError::Layout {
                what: self.address().to_owned(),
            }),
        }
    }

    /// Makes it a remote, unless it is one.
    pub(crate) fn prepare(&self) -> Result<(), RemoteError> {
        self.transport.make()?;
        match self.check()? {
            true => Ok(()),
            false => self.put(FORMAT, Body::Bytes(FORMAT_TEXT.as_bytes())),
        }
    }

    /// The bytes of something that has at most so many.
    pub(crate) fn small(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, RemoteError> {
        self.patiently(|| {
            let mut bytes = Vec::new();
            let there = self.transport.get(name, None, &mut |some| {
                if (bytes.len() + some.len()) as u64 > most {
                    let what = self.shown(name);
                    return Err(RemoteError::TooLong { what, most });
                }
                bytes.extend_from_slice(some);
                Ok(())
            })?;
            Ok(there.then_some(bytes))
        })
    }

    pub(crate) fn put(&self, name: &str, body: Body<'_>) -> Result<(), RemoteError> {
        self.patiently(|| self.transport.put(name, body))
    }

    pub(crate) fn size(&self, name: &str) -> Result<Option<u64>, RemoteError> {
        self.patiently(|| self.transport.size(name))
    }

    /// Every name that begins so, as `known` reads it, with its size; `None` where there is no listing.
    pub(crate) fn list<T>(
        &self,
        prefix: &str,
        known: &dyn Fn(&str) -> Option<T>,
    ) -> Result<Option<Vec<(T, u64)>>, RemoteError> {
        self.patiently(|| {
            let mut all = Vec::new();
            let can = self.transport.list(prefix, &mut |name, size| {
                all.extend(known(name).map(|known| (known, size)));
            })?;
            Ok(can.then_some(all))
        })
    }

    /// What has a name, for people.
    pub(crate) fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.address())
    }

    /// Tries until it works, can't, or has been tried often enough.
    pub(crate) fn patiently<T>(
        &self,
        mut go: impl FnMut() -> Result<T, RemoteError>,
    ) -> Result<T, RemoteError> {
        let mut failures = 0;
        loop {
            if self.down.load(Ordering::Relaxed) {
                let what = self.address().to_owned();
                return Err(RemoteError::Down { what });
            }
            let error = match go() {
                Err(error) if error.may_pass() => error,
                done => return done,
            };
            failures += 1;
            if failures >= self.patience.tries {
                if error.is_remote() && self.down.swap(true, Ordering::Relaxed) {
                    let what = self.address().to_owned();
                    return Err(RemoteError::Down { what });
                }
                return Err(RemoteError::GaveUp {
                    tries: failures,
                    last: Box::new(error),
                });
            }
            let asked = match &error {
                RemoteError::Status { after, .. } => *after,
                _ => None,
            };
            std::thread::sleep(self.patience.pause(failures, asked));
        }
    }
}
