//! What is reserved for a stage: cores, graphics cards, memory.

/// What is reserved for a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// Cores.
    pub cpu: Cores,
    /// Graphics cards.
    pub gpu: Gpus,
    /// Memory in bytes that its processes may hold together; more, and it is ended.
    pub mem: Option<u64>,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            cpu: Cores::whole(1),
            gpu: Gpus::Unstated,
            mem: None,
        }
    }
}

/// A number of cores, in thousandths: a stage that only waits needs none or a part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cores(u32);

impl Cores {
    /// More cores than any machine has.
    pub(crate) const MOST: u32 = 1 << 20;

    /// Whole cores.
    #[must_use]
    pub const fn whole(cores: u32) -> Self {
        Self(cores.saturating_mul(1000))
    }

    /// A number that is not negative, rounded up to a thousandth.
    pub(crate) fn of(cores: f64) -> Option<Self> {
        let fits = (0.0..=f64::from(Self::MOST)).contains(&cores);
        fits.then(|| Self((cores * 1000.0 - 1e-6).ceil().max(0.0) as u32))
    }

    /// In thousandths of a core.
    #[must_use]
    pub fn thousandths(self) -> u32 {
        self.0
    }

    /// As many threads as are of use, at least one.
    #[must_use]
    pub fn threads(self) -> u32 {
        self.0.div_ceil(1000).max(1)
    }
}

impl std::fmt::Display for Cores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", f64::from(self.0) / 1000.0)
    }
}

/// Which graphics cards a stage holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gpus {
    /// Nothing is said: none is reserved, and the caller's choice of cards reaches the stage.
    Unstated,
    /// So many, whichever are free.
    Count(u32),
    /// One if the machine has any (`auto`).
    Auto,
    /// This one of those that may be used, from 0 (`cuda:1`).
    Card(u32),
}

impl Gpus {
    /// How many a machine must have that has `cards` of them.
    #[must_use]
    pub fn needed(self, cards: usize) -> usize {
        match self {
            Self::Unstated => 0,
            Self::Count(count) => count as usize,
            Self::Auto => cards.min(1),
            Self::Card(number) => number as usize + 1,
        }
    }

    /// Of a device as training takes it: `auto`, `cpu`, `cuda`, `cuda:1`.
    #[must_use]
    pub(crate) fn of_device(device: &str) -> Option<Self> {
        match device {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Count(0)),
            "cuda" => Some(Self::Count(1)),
            _ => {
                let digits = device.strip_prefix("cuda:")?;
                let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
                plain.then(|| digits.parse().ok().map(Self::Card))?
            }
        }
    }
}
