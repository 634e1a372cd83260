//! Text that may hold halves of a character.
//!
//! JSON can hold a lone surrogate (`"\ud83d"`), UTF-8 and `String` cannot. So what comes out of a JSON string is *wide*
//! text: UTF-8 in which a lone surrogate stands as the three bytes that its code point would have (WTF-8). [`settle`]
//! turns it into a `String`; a [`Channel`] does so for pieces of one text, where the two halves may come apart.

use std::borrow::Cow;

const REPLACEMENT: char = '\u{fffd}';
const HALF: usize = 3;

fn is_high(bytes: &[u8]) -> bool {
    matches!(bytes, [0xed, 0xa0..=0xaf, 0x80..=0xbf])
}

/// The code unit of the surrogate that these bytes begin with, if they do.
fn surrogate(bytes: &[u8]) -> Option<u32> {
    match *bytes {
        [0xed, second @ 0xa0..=0xbf, third @ 0x80..=0xbf, ..] => {
            Some(0xd000 | u32::from(second & 0x3f) << 6 | u32::from(third & 0x3f))
        }
        _ => None,
    }
}

/// Append a code point that may be a surrogate, as wide text has it.
pub(crate) fn push_code_point(wide: &mut Vec<u8>, code: u32) {
    if let Some(character) = char::from_u32(code) {
        wide.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    } else {
        let low = |shift: u32| (code >> shift & 0x3f | 0x80).to_le_bytes()[0];
        wide.extend_from_slice(&[0xed, low(6), low(0)]);
    }
}

/// Give wide text as a string: halves that stand side by side are joined, every lone one becomes U+FFFD.
#[must_use]
pub fn settle(wide: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(wide) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(settle_halves(wide)),
    }
}

fn settle_halves(wide: &[u8]) -> String {
    let mut settled = String::with_capacity(wide.len());
    let mut begin = 0;
    let mut at = 0;
    while at < wide.len() {
        let Some(first) = surrogate(&wide[at..]) else {
            at += 1;
            continue;
        };
        settled.push_str(&String::from_utf8_lossy(&wide[begin..at]));
        let second = surrogate(&wide[at + HALF..]);
        at += HALF;
        match second {
            Some(low @ 0xdc00..=0xdfff) if first < 0xdc00 => {
                let code = 0x10000 + ((first & 0x3ff) << 10) + (low & 0x3ff);
                settled.push(char::from_u32(code).unwrap_or(REPLACEMENT));
                at += HALF;
            }
            _ => settled.push(REPLACEMENT),
        }
        begin = at;
    }
    settled.push_str(&String::from_utf8_lossy(&wide[begin..]));
    settled
}

/// Pieces of one text, of which a last high half waits for its other half in the next piece.
#[derive(Debug, Default)]
pub struct Channel {
    /// A high half, or nothing.
    held: Vec<u8>,
}

impl Channel {
    /// Take a piece; give what of it, and of what was held, can go on.
    pub fn push(&mut self, piece: &[u8]) -> String {
        if self.held.is_empty() && !ends_high(piece) {
            return settle(piece).into_owned();
        }
        let mut wide = std::mem::take(&mut self.held);
        wide.extend_from_slice(piece);
        if ends_high(&wide) {
            self.held = wide.split_off(wide.len() - HALF);
        }
        settle(&wide).into_owned()
    }

    /// Give what is held up: U+FFFD for a half, else nothing.
    pub fn release(&mut self) -> Option<String> {
        let is_held = self.is_held();
        self.held.clear();
        is_held.then(|| REPLACEMENT.to_string())
    }

    /// Whether a half waits.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.held.is_empty()
    }
}

fn ends_high(wide: &[u8]) -> bool {
    wide.len() >= HALF && is_high(&wide[wide.len() - HALF..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(units: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for unit in units {
            push_code_point(&mut bytes, *unit);
        }
        bytes
    }

    #[test]
    fn plain_text_is_borrowed() {
        assert!(matches!(settle("héé".as_bytes()), Cow::Borrowed("héé")));
    }

    #[test]
    fn halves_side_by_side_are_joined_and_lone_ones_replaced() {
        let text = wide(&[0x61, 0xd83d, 0xde00, 0xde00, 0xd83d, 0x62, 0xd83d]);

        assert_eq!(settle(&text), "a\u{1f600}\u{fffd}\u{fffd}b\u{fffd}");
    }

    #[test]
    fn a_channel_waits_for_the_other_half() {
        let mut channel = Channel::default();

        assert_eq!(channel.push(&wide(&[0x61, 0xd83d])), "a");
        assert!(channel.is_held());
        assert_eq!(channel.push(&wide(&[0xde00, 0x62])), "\u{1f600}b");
        assert_eq!(channel.release(), None);
    }

    #[test]
    fn what_a_channel_holds_is_let_go_once() {
        let mut channel = Channel::default();
        channel.push(&wide(&[0xd83d]));

        assert_eq!(channel.release().as_deref(), Some("\u{fffd}"));
        assert_eq!(channel.release(), None);
    }
}
