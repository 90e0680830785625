//! When to try again, and after how long.
//! It does neither the waiting nor the requests.

use std::time::{Duration, SystemTime};

/// How patient fetching is.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Tries in a row that may fail without a byte gained.
    pub attempts: u32,
    /// The wait after the first failure; it doubles with each further one.
    pub first_delay: Duration,
    /// The longest wait of our own choosing.
    pub longest_delay: Duration,
    /// The longest wait that a server may ask for.
    pub longest_retry_after: Duration,
    /// For a connection, and for each read on it.
    pub timeout: Duration,
}

impl Policy {
    /// As patient as people who sleep meanwhile.
    pub const DEFAULT: Self = Self {
        attempts: 6,
        first_delay: Duration::from_secs(1),
        longest_delay: Duration::from_secs(30),
        longest_retry_after: Duration::from_secs(300),
        timeout: Duration::from_secs(60),
    };

    /// The wait after the `failures`th failure in a row (from 1), or what the server asked.
    pub(super) fn delay(&self, failures: u32, retry_after: Option<Duration>) -> Duration {
        match retry_after {
            Some(asked) => asked.min(self.longest_retry_after),
            None => {
                let factor = 1_u32
                    .checked_shl(failures.saturating_sub(1))
                    .unwrap_or(u32::MAX);
                self.first_delay
                    .saturating_mul(factor)
                    .min(self.longest_delay)
            }
        }
    }
}

/// What a `Retry-After` header asks for: seconds, or a date.
#[must_use]
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_cap() {
        let delays = [1, 2, 3, 5, 6, 40].map(|n| Policy::DEFAULT.delay(n, None).as_secs());
        assert_eq!(delays, [1, 2, 4, 16, 30, 30]);
    }

    #[test]
    fn a_server_is_obeyed_within_reason() {
        let delay = |seconds| Policy::DEFAULT.delay(1, Some(Duration::from_secs(seconds)));
        assert_eq!(delay(7).as_secs(), 7);
        assert_eq!(delay(86_400).as_secs(), 300);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let seconds = |value| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:00 GMT"), Some(23));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(seconds("soon"), None);
    }
}
