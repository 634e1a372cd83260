//! Reasoning details: objects that come in pieces, to be sent back whole.

use std::collections::HashMap;

use crate::json::{Object, Value, string, write_members};

/// The members whose texts join.
const JOINED: [&[u8]; 2] = [b"text", b"summary"];

/// The value of a member.
#[derive(Debug)]
enum Kept {
    /// Wide text that may go on.
    Text {
        wide: Vec<u8>,
        /// A piece held all of the text before it.
        is_cumulative: bool,
    },
    /// Canonical JSON.
    Other(String),
}

impl Kept {
    fn of(name: &[u8], value: &Value<'_>) -> Self {
        match value.as_text() {
            Some(text) if JOINED.contains(&name) => Self::Text {
                wide: text.to_vec(),
                is_cumulative: false,
            },
            _ => Self::Other(value.canonical()),
        }
    }

    fn canonical(&self) -> String {
        match self {
            Self::Text { wide, .. } => string(wide),
            Self::Other(text) => text.clone(),
        }
    }
}

type Entry = Vec<(Vec<u8>, Kept)>;

/// The merged list, and which of its entries has which index.
#[derive(Debug, Default)]
pub(super) struct ReasoningDetails {
    /// A text may be all that was said so far, a type may be missing, and the place in the list stands for a missing index.
    is_minimax: bool,
    entries: Vec<Entry>,
    by_index: HashMap<u64, usize>,
}

impl ReasoningDetails {
    pub(super) fn new(is_minimax: bool) -> Self {
        Self {
            is_minimax,
            ..Self::default()
        }
    }

    /// Take the details of one chunk; give the thinking that they add.
    pub(super) fn take<'a, 'b: 'a>(&mut self, details: impl Iterator<Item = &'a Object<'b>>) -> Vec<u8> {
        let mut thinking = Vec::new();
        for (place, detail) in (0..).zip(details) {
            self.take_one(place, detail, &mut thinking);
        }
        thinking
    }

    fn take_one(&mut self, place: u64, detail: &Object<'_>, thinking: &mut Vec<u8>) {
        let said = self.said_in(detail);
        let index = detail.counter("index").or(self.is_minimax.then_some(place));
        if let Some(&known) = index.and_then(|index| self.by_index.get(&index)) {
            merge(&mut self.entries[known], detail, said, self.is_minimax, thinking);
            return;
        }
        if let Some(index) = index {
            self.by_index.insert(index, self.entries.len());
        }
        let members = detail.members();
        self.entries.push(
            members
                .map(|(name, value)| (name.to_vec(), Kept::of(name, value)))
                .collect(),
        );
        thinking.extend_from_slice(said.and_then(|name| detail.text(name)).unwrap_or_default());
    }

    /// Which member of a detail is thinking.
    fn said_in(&self, detail: &Object<'_>) -> Option<&'static str> {
        match detail.get("type") {
            Some(Value::Text(kind)) if **kind == *b"reasoning.text" => Some("text"),
            Some(Value::Text(kind)) if **kind == *b"reasoning.summary" => Some("summary"),
            None | Some(Value::Null) if self.is_minimax => Some("text"),
            _ => None,
        }
    }

    /// Give the canonical JSON text of the list, if there is anything in it.
    pub(super) fn text(&self) -> Option<String> {
        let mut text = String::new();
        for entry in &self.entries {
            text.push(if text.is_empty() { '[' } else { ',' });
            let members = entry.iter();
            write_members(members.map(|(name, kept)| (&**name, kept.canonical())), &mut text);
        }
        (!text.is_empty()).then(|| text + "]")
    }
}

/// Put a detail to its entry, and to `thinking` what that adds to the member that is thinking.
fn merge(entry: &mut Entry, detail: &Object<'_>, said: Option<&str>, may_be_whole: bool, thinking: &mut Vec<u8>) {
    for (name, value) in detail.members() {
        let at = entry.iter().position(|(known, _)| known == name);
        let piece = value.as_text().unwrap_or_default();
        let mut added = piece;
        match (at.map(|at| &mut entry[at].1), Kept::of(name, value)) {
            (Some(Kept::Text { wide, is_cumulative }), Kept::Text { .. }) => {
                if may_be_whole {
                    added = tail_of(piece, wide, is_cumulative);
                }
                wide.extend_from_slice(added);
            }
            _ if *value == Value::Null => continue,
            (Some(kept), other) => *kept = other,
            (None, other) => entry.push((name.to_vec(), other)),
        }
        if said.is_some_and(|said| said.as_bytes() == name) {
            thinking.extend_from_slice(added);
        }
    }
}

/// Give what a piece, perhaps the whole text so far and more, says anew.
fn tail_of<'a>(piece: &'a [u8], known: &[u8], is_cumulative: &mut bool) -> &'a [u8] {
    match piece.strip_prefix(known) {
        Some(tail) if !known.is_empty() && (!tail.is_empty() || *is_cumulative) => {
            *is_cumulative = true;
            tail
        }
        // Nothing to compare with; or, where pieces are no wholes, a word said twice.
        _ => piece,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thinking(pieces: &[&str]) -> String {
        let mut details = ReasoningDetails::new(true);
        let mut told = Vec::new();
        for piece in pieces {
            let source = format!(r#"{{"text":"{piece}"}}"#);
            if let Ok(Value::Object(detail)) = Value::parse(&source) {
                told.extend(details.take(std::iter::once(&detail)));
            }
        }
        let whole = details.text().unwrap_or_default();
        let told = String::from_utf8_lossy(&told).into_owned();
        assert_eq!(whole, format!(r#"[{{"text":"{told}"}}]"#));
        told
    }

    #[test]
    fn pieces_and_wholes_amount_to_the_same() {
        assert_eq!(thinking(&["Let", " me", " see"]), "Let me see");
        assert_eq!(
            thinking(&["Let", "Let me", "Let me", "Let me see", "Let me see"]),
            "Let me see"
        );
    }

    #[test]
    fn a_word_said_twice_is_said_twice() {
        assert_eq!(thinking(&["", "ha", "ha", "!"]), "haha!");
    }
}
