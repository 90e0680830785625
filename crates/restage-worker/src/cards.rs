//! The machine's graphics cards: which of them stages may use, and the kind of each.
//!
//! Linux and the driver's files say enough: planning must not load CUDA.

use std::ffi::OsString;
use std::path::Path;

use serde::{Deserialize, Serialize};

use restage_core::fs;

/// The kind of a card that the driver's files do not describe.
const UNKNOWN: &str = "unknown kind";
/// Where the driver describes each card, in order of PCI addresses.
const DESCRIPTIONS: &str = "proc/driver/nvidia/gpus";

/// A graphics card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// As `CUDA_VISIBLE_DEVICES` takes it: its place among all cards in order of PCI addresses, or
    /// its UUID.
    pub name: String,
    /// Such as `NVIDIA H100 80GB HBM3`. Cards of one kind give the same bits.
    pub kind: String,
}

/// Cards that we may use: those in `visible` (the caller's `CUDA_VISIBLE_DEVICES`), or else all in
/// the system below `root`.
pub(crate) fn cards(visible: Option<&str>, root: &Path) -> Vec<Card> {
    let described = descriptions(root);
    let card = |name: &str| Card {
        name: name.to_owned(),
        kind: kind(&described, name),
    };
    let Some(visible) = visible else {
        return devices(root).iter().map(|name| card(name)).collect();
    };
    let mut cards: Vec<Card> = Vec::new();
    let names = visible.split(',').map(str::trim);
    for name in names.take_while(|name| !name.is_empty() && *name != "-1") {
        // One named twice is still one card.
        if !cards.iter().any(|card| card.name == name) {
            cards.push(card(name));
        }
    }
    cards
}

struct Description {
    model: String,
    uuid: String,
}

fn descriptions(root: &Path) -> Vec<Description> {
    let folder = root.join(DESCRIPTIONS);
    let mut addresses = fs::read_dir_if_exists(&folder).unwrap_or_default();
    addresses.sort();
    let read = |address| {
        let text = fs::read_if_exists(&folder.join(address).join("information")).ok()??;
        let text = String::from_utf8_lossy(&text).into_owned();
        let field = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name));
            found.map(|rest| rest.trim_start_matches([':', ' ', '\t']).trim().to_owned())
        };
        Some(Description {
            model: field("Model")?,
            uuid: field("GPU UUID").unwrap_or_default(),
        })
    };
    addresses.into_iter().filter_map(read).collect()
}

/// By index, by UUID, or by the beginning of one.
fn kind(described: &[Description], name: &str) -> String {
    let found = match name.parse::<usize>() {
        Ok(place) => described.get(place),
        Err(_) => described
            .iter()
            .find(|card| card.uuid.to_lowercase().starts_with(&name.to_lowercase())),
    };
    found.map_or(UNKNOWN, |card| &card.model).to_owned()
}

/// One for each of `/dev/nvidia0` and so on. In a container the device files may keep the host's
/// numbers, which CUDA ignores.
fn devices(root: &Path) -> Vec<String> {
    let entries = fs::read_dir_if_exists(&root.join("dev")).unwrap_or_default();
    let number = |name: &OsString| name.to_str()?.strip_prefix("nvidia")?.parse::<u32>().ok();
    let count = entries.iter().filter_map(number).count();
    (0..count).map(|place| place.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system with an H100 and, behind it, a T4.
    fn system() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write_atomic(&path, text.as_bytes()).expect("a file");
        };
        for name in ["nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"] {
            put(&format!("dev/{name}"), "");
        }
        for (address, model, uuid) in [
            ("0000:65:00.0", "Tesla T4", "GPU-22ab"),
            ("0000:17:00.0", "NVIDIA H100 80GB HBM3", "GPU-11cd"),
        ] {
            put(
                &format!("{DESCRIPTIONS}/{address}/information"),
                &format!("Model: \t\t {model}\nIRQ:   \t\t 16\nGPU UUID: \t {uuid}\n"),
            );
        }
        root
    }

    fn shown(visible: Option<&str>, root: &Path) -> String {
        let cards = cards(visible, root).into_iter();
        let lines: Vec<String> = cards.map(|c| format!("{}={}", c.name, c.kind)).collect();
        lines.join(", ")
    }

    #[test]
    fn cards_are_named_in_order_of_their_addresses_with_their_kinds() {
        let root = system();
        assert_eq!(
            shown(None, root.path()),
            "0=NVIDIA H100 80GB HBM3, 1=Tesla T4"
        );
    }

    #[test]
    fn the_callers_choice_of_cards_is_kept() {
        let root = system();
        for (visible, expected) in [
            ("1", "1=Tesla T4"),
            ("1,0,1", "1=Tesla T4, 0=NVIDIA H100 80GB HBM3"),
            ("GPU-11cd", "GPU-11cd=NVIDIA H100 80GB HBM3"),
            ("gpu-22", "gpu-22=Tesla T4"),
            ("7", "7=unknown kind"),
            ("0,-1,1", "0=NVIDIA H100 80GB HBM3"),
            ("", ""),
            ("-1", ""),
        ] {
            assert_eq!(shown(Some(visible), root.path()), expected, "{visible}");
        }
    }

    #[test]
    fn a_machine_without_cards_has_none_and_without_descriptions_only_names() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(shown(None, root.path()), "");
        assert_eq!(shown(Some("0"), root.path()), "0=unknown kind");
    }
}
