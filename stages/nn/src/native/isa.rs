//! Instruction sets: which this CPU has, and one source compiled for each.
//! It must not know what the compiled code computes.

/// An instruction set that kernels are compiled for. All give the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Isa {
    /// AVX-512 F, BW, DQ, VL with FMA: 16 numbers at a time.
    Avx512,
    /// AVX2 with FMA: 8 numbers at a time.
    Avx2,
    /// Rust without assumptions; correct everywhere, and slow where `fma` is a library call.
    Plain,
}

/// Why an instruction set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IsaError {
    /// No such name.
    #[error("unknown instruction set `{name}`: use `avx512`, `avx2` or `plain`")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The CPU has no such instructions.
    #[error("this CPU lacks `{name}`: use `{best}`, which gives the same results")]
    Missing {
        /// What was asked for.
        name: &'static str,
        /// The best that it has.
        best: &'static str,
    },
}

impl Isa {
    /// The fastest that this CPU has.
    #[must_use]
    pub fn detect() -> Self {
        [Self::Avx512, Self::Avx2]
            .into_iter()
            .find(|isa| isa.available())
            .unwrap_or(Self::Plain)
    }

    /// By name: `avx512`, `avx2` or `plain`.
    ///
    /// # Errors
    /// The name is unknown, or this CPU lacks it.
    pub fn from_name(name: &str) -> Result<Self, IsaError> {
        let isa = [Self::Avx512, Self::Avx2, Self::Plain]
            .into_iter()
            .find(|isa| isa.name() == name);
        let isa = isa.ok_or_else(|| IsaError::Unknown {
            name: name.to_owned(),
        })?;
        Checked::new(isa).map(|_| isa)
    }

    /// Its name, as [`Isa::from_name`] takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Plain => "plain",
        }
    }

    /// Whether this CPU has it.
    #[must_use]
    pub fn available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("fma")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512 | Self::Avx2 => false,
            Self::Plain => true,
        }
    }
}

/// An instruction set that this CPU is known to have: what `unsafe` calls rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checked(Isa);

impl Checked {
    pub(crate) fn new(isa: Isa) -> Result<Self, IsaError> {
        if isa.available() {
            Ok(Self(isa))
        } else {
            Err(IsaError::Missing {
                name: isa.name(),
                best: Isa::detect().name(),
            })
        }
    }

    pub(crate) fn get(self) -> Isa {
        self.0
    }
}

/// Compiles a function's one source for every instruction set and calls the checked one.
///
/// The compiler vectorises across independent numbers and never reorders or fuses float
/// arithmetic by itself, so all versions give the same bits.
macro_rules! for_each_isa {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block)*) => {$(
        $(#[$meta])*
        pub(crate) fn $name(isa: $crate::native::isa::Checked, $($arg: $type),*) {
            #[inline(always)]
            fn body($($arg: $type),*) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma")]
            fn avx512($($arg: $type),*) { body($($arg),*) }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) { body($($arg),*) }
            match isa.get() {
                // SAFETY: `Checked` exists only for instructions that this CPU has.
                #[cfg(target_arch = "x86_64")]
                $crate::native::Isa::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::native::Isa::Avx2 => unsafe { avx2($($arg),*) },
                _ => body($($arg),*),
            }
        }
    )*};
}
pub(crate) use for_each_isa;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_against_the_list_and_the_cpu() {
        assert_eq!(Isa::from_name("plain"), Ok(Isa::Plain));
        assert_eq!(Isa::from_name(Isa::detect().name()), Ok(Isa::detect()));
        let said = Isa::from_name("sse9").expect_err("no such set").to_string();
        assert_eq!(
            said,
            "unknown instruction set `sse9`: use `avx512`, `avx2` or `plain`"
        );
        for isa in [Isa::Avx512, Isa::Avx2] {
            assert_eq!(Isa::from_name(isa.name()).is_ok(), isa.available());
        }
    }
}
