//! The only place that asks what time it is.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment on the monotonic clock, for measuring how long something took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(std::time::Instant);

impl Instant {
    /// This moment.
    #[expect(clippy::disallowed_methods, reason = "this module is the clock")]
    pub fn now() -> Self {
        Self(std::time::Instant::now())
    }

    /// Time since this moment.
    pub fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    /// Time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Instant) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// This moment and `span` more, unless the clock cannot hold it.
    pub fn checked_add(self, span: Duration) -> Option<Instant> {
        self.0.checked_add(span).map(Self)
    }
}

/// A moment on the wall clock: whole nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime {
    /// Seconds since 1970, negative before.
    pub seconds: i64,
    /// Nanoseconds into that second, below 1,000,000,000.
    pub nanos: u32,
}

impl WallTime {
    /// This moment.
    #[expect(clippy::disallowed_methods, reason = "this module is the clock")]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// The clock that file systems stamp files with: it advances in ticks of up to 10 ms, so a
    /// file written now may have a stamp older than [`WallTime::now`].
    pub fn file_clock() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        Self {
            seconds: now.tv_sec,
            nanos: u32::try_from(now.tv_nsec).unwrap_or(0),
        }
    }

    /// The moment `span` before this one.
    #[must_use]
    pub fn earlier(self, span: Duration) -> Self {
        Self::from_nanos(self.as_nanos() - span.as_nanos() as i128)
    }

    /// The moment `span` after this one.
    #[must_use]
    pub fn later(self, span: Duration) -> Self {
        Self::from_nanos(self.as_nanos() + span.as_nanos() as i128)
    }

    /// Parses RFC 3339 in UTC, to the second. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let pattern = "0000-00-00T00:00:00Z";
        let fits = |(c, p): (u8, u8)| match p {
            b'0' => c.is_ascii_digit(),
            p => c == p,
        };
        if text.len() != pattern.len() || !text.bytes().zip(pattern.bytes()).all(fits) {
            return None;
        }
        let number = |from: usize, to: usize| text[from..to].parse::<i64>().ok();
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let days = days_from_civil(year, month, day);
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        let time = Self { seconds, nanos: 0 };
        // A 31st of June or a 25th hour would come back as another text.
        (time.to_string() == text).then_some(time)
    }

    fn from_nanos(nanos: i128) -> Self {
        Self {
            seconds: nanos.div_euclid(1_000_000_000) as i64,
            nanos: nanos.rem_euclid(1_000_000_000) as u32,
        }
    }

    /// Nanoseconds since 1970.
    pub(crate) fn as_nanos(self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos)
    }
}

impl From<SystemTime> for WallTime {
    fn from(time: SystemTime) -> Self {
        let nanos = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i128,
            Err(before) => -(before.duration().as_nanos() as i128),
        };
        Self::from_nanos(nanos)
    }
}

/// RFC 3339 in UTC, to the second: `2026-11-23T15:53:16Z`.
impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.seconds.div_euclid(86_400));
        let second = self.seconds.rem_euclid(86_400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// Year, month and day of the day that lies `days` after 1970-01-01, in the proleptic
/// Gregorian calendar.
///
/// Counts from 0000-03-01, so that a leap day ends its year and 400 years are 146,097 days
/// (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil_from_days`], by the same way of counting.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// How long the calling thread has kept a core busy since it began.
pub fn thread_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(seconds: i64) -> String {
        WallTime {
            seconds,
            nanos: 999_999_999,
        }
        .to_string()
    }

    #[test]
    fn known_moments_are_written_in_rfc_3339() {
        assert_eq!(text(0), "1970-01-01T00:00:00Z");
        assert_eq!(text(-1), "1969-12-31T23:59:59Z");
        assert_eq!(text(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(text(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(text(4_107_542_400), "2100-03-01T00:00:00Z");
        assert_eq!(text(1_795_449_196), "2026-11-23T15:53:16Z");
    }

    #[test]
    fn an_earlier_moment_is_earlier_by_the_span() {
        let half_past = WallTime {
            seconds: 10,
            nanos: 500_000_000,
        };
        let earlier = half_past.earlier(Duration::from_millis(10_600));
        assert_eq!(
            earlier,
            WallTime {
                seconds: -1,
                nanos: 900_000_000
            }
        );
    }

    #[test]
    fn a_later_moment_is_later_by_the_span() {
        let time = WallTime {
            seconds: -1,
            nanos: 900_000_000,
        };
        let later = time.later(Duration::from_millis(10_600));
        assert_eq!((later.seconds, later.nanos), (10, 500_000_000));
    }

    #[test]
    fn what_is_not_a_moment_is_not_read_as_one() {
        for text in [
            "",
            "2026-11-23T15:53:16",
            "2026-11-23 15:53:16Z",
            "2026-11-23T15:53:16+01:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-10T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T15:60:16Z",
            "+026-11-23T15:53:16Z",
            "2026-11-23T15:53:1\u{e9}",
        ] {
            assert_eq!(WallTime::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_moment_before_1970_keeps_its_nanoseconds_positive() {
        let time = WallTime::from(UNIX_EPOCH - Duration::from_nanos(1));
        assert_eq!(
            time,
            WallTime {
                seconds: -1,
                nanos: 999_999_999
            }
        );
        assert_eq!(time.as_nanos(), -1);
    }

    #[test]
    fn the_file_clock_is_close_behind_the_wall_clock() {
        let file = WallTime::file_clock().as_nanos();
        let wall = WallTime::now().as_nanos();
        assert!((wall - file).abs() < 2_000_000_000, "{file} {wall}");
    }

    proptest! {
        #[test]
        fn a_moment_is_read_back_from_its_text(seconds in -62_167_219_200_i64..253_402_300_800) {
            let time = WallTime { seconds, nanos: 0 };
            prop_assert_eq!(WallTime::parse(&time.to_string()), Some(time));
        }

        #[test]
        fn the_next_day_is_the_next_in_the_calendar(days in -1_000_000_i64..1_000_000) {
            let (year, month, day) = civil_from_days(days);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + i64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let next = match (month, day == length) {
                (_, false) => (year, month, day + 1),
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
            };
            prop_assert_eq!(civil_from_days(days + 1), next);
        }
    }
}
