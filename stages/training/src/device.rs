//! What training computes on, as parameters say it and as this machine has it.
//! It must not know engines.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `train.device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// The first GPU if there is one, else the processor.
    Auto,
    /// The processor.
    Cpu,
    /// A GPU: this one, or the first.
    Cuda(Option<u32>),
}

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// The processor.
    Cpu,
    /// The GPU with this number among those that this process sees.
    Cuda(usize),
}

impl Device {
    /// `visible` is what CUDA_VISIBLE_DEVICES leaves, if it is set: the runner sets it to what it
    /// leased, and to nothing where it leased nothing. `any` says whether there is a GPU at all.
    #[must_use]
    pub fn resolve(self, visible: Option<&str>, any: impl FnOnce() -> bool) -> Resolved {
        match (self, visible) {
            (Self::Cpu, _) | (Self::Auto, Some("")) => Resolved::Cpu,
            // The one that was leased is the first that this process sees.
            (Self::Auto | Self::Cuda(_), Some(_)) => Resolved::Cuda(0),
            (Self::Auto, None) if !any() => Resolved::Cpu,
            (Self::Auto, None) => Resolved::Cuda(0),
            (Self::Cuda(number), None) => Resolved::Cuda(number.unwrap_or(0) as usize),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(None)),
            _ => {
                let digits = text.strip_prefix("cuda:")?;
                let plain = !digits.starts_with('+');
                digits
                    .parse()
                    .ok()
                    .filter(|_| plain)
                    .map(|n| Self::Cuda(Some(n)))
            }
        }
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(None) => f.write_str("cuda"),
            Self::Cuda(Some(number)) => write!(f, "cuda:{number}"),
        }
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| {
            let problem = "expected `auto`, `cpu`, `cuda` or `cuda:1`";
            serde::de::Error::custom(format!("unknown device `{text}`, {problem}"))
        })
    }
}

impl Serialize for Device {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_was_written() {
        for text in ["auto", "cpu", "cuda", "cuda:0", "cuda:12"] {
            let json = format!("\"{text}\"");
            let device: Device = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&device).unwrap(), json);
        }
    }

    #[test]
    fn what_is_no_device_is_refused_with_what_is() {
        for text in ["gpu", "cuda:", "cuda:x", "cuda:+1", "cuda:-1", "CPU", ""] {
            let error = serde_json::from_str::<Device>(&format!("\"{text}\"")).unwrap_err();
            let expected =
                format!("unknown device `{text}`, expected `auto`, `cpu`, `cuda` or `cuda:1`");
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn a_lease_decides_and_without_one_the_machine_does() {
        use Resolved::{Cpu, Cuda};
        for (device, visible, any, expected) in [
            (Device::Cpu, Some("0"), true, Cpu),
            (Device::Auto, Some(""), true, Cpu),
            (Device::Auto, Some("3"), true, Cuda(0)),
            (Device::Auto, None, true, Cuda(0)),
            (Device::Auto, None, false, Cpu),
            (Device::Cuda(Some(2)), Some("GPU-11cd"), true, Cuda(0)),
            (Device::Cuda(Some(2)), None, false, Cuda(2)),
            (Device::Cuda(None), Some(""), false, Cuda(0)),
        ] {
            assert_eq!(
                device.resolve(visible, || any),
                expected,
                "{device} {visible:?}"
            );
        }
    }
}
