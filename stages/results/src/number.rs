//! Numbers as tables hold them: how many digits are written, and which are refused when read.

use contract::table::Cell;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A finite number with a fixed count of digits after the point: `0.500000`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fixed<const DECIMALS: usize>(pub f64);

/// A finite number with an exponent and six digits after the point: `1.000000e-3`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scientific(pub f64);

/// A norm: finite, 0 or more, written as [`Scientific`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm(pub f64);

impl<const DECIMALS: usize> From<Fixed<DECIMALS>> for Cell {
    fn from(number: Fixed<DECIMALS>) -> Self {
        Self::float(number.0, DECIMALS)
    }
}

impl From<Scientific> for Cell {
    fn from(number: Scientific) -> Self {
        Self::Scientific {
            value: number.0,
            decimals: 6,
        }
    }
}

impl From<Norm> for Cell {
    fn from(norm: Norm) -> Self {
        Scientific(norm.0).into()
    }
}

impl<'de, const DECIMALS: usize> Deserialize<'de> for Fixed<DECIMALS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        finite(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Scientific {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        finite(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Norm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = finite(deserializer)?;
        if value < 0.0 {
            return Err(D::Error::custom(format!(
                "`{value}` is negative, which no norm is"
            )));
        }
        Ok(Self(value))
    }
}

/// Another program may write `NaN`, which no mean, axis or table can show honestly.
fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(D::Error::custom(format!(
            "`{value}` is not a finite number"
        )))
    }
}
