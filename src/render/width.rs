//! Text from files, made safe to print and cut to the width of a terminal.

use unicode_width::UnicodeWidthChar;

/// The width of a terminal: lines are broken to fit, except for long names, paths and values.
pub(crate) const WIDTH: usize = 80;

/// Escapes characters that are invisible or control the terminal: control characters, those that
/// change the direction of writing, line separators, and those without a width.
pub(crate) fn visible(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let shown = |c: char| match hidden(c) {
        true => c.escape_default().to_string(),
        false => c.into(),
    };
    text.chars().map(shown).collect()
}

fn of(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// How many columns a visible text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(of).sum()
}

/// The start of a text, with a mark if it was cut.
pub(super) fn cut(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut left = room.saturating_sub(1);
    let fits = |c: &char| match left.checked_sub(of(*c)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    text.chars().take_while(fits).collect::<String>() + "…"
}

/// The end of a text, with a mark if it was cut.
pub(super) fn cut_start(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let backwards: String = text.chars().rev().collect();
    cut(&backwards, room).chars().rev().collect()
}

/// Two texts, cut to their rooms so that the first difference shows.
pub(super) fn windows(one: &str, other: &str, rooms: [usize; 2]) -> [String; 2] {
    let common = one.chars().zip(other.chars()).take_while(|(a, b)| a == b);
    let common: Vec<char> = common.map(|(a, _)| a).collect();
    let least = rooms[0].min(rooms[1]);
    let long = width(one) > rooms[0] || width(other) > rooms[1];
    let before: usize = common.iter().copied().map(of).sum();
    if !long || before + 3 < least {
        return [cut(one, rooms[0]), cut(other, rooms[1])];
    }
    // Keep a third of the room for the text before the difference.
    let mut kept = 0;
    let near = common.iter().rev().take_while(|c| {
        kept += of(**c);
        kept <= least / 3
    });
    let skip = common.len() - near.count();
    let window = |text: &str, room| {
        let rest: String = text.chars().skip(skip).collect();
        cut(&format!("…{rest}"), room)
    };
    [window(one, rooms[0]), window(other, rooms[1])]
}
