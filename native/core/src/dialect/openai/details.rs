//! Reasoning details: objects that come in pieces, to be sent back whole.

use std::collections::HashMap;

use crate::json::{Object, Value, string, write_members};

/// The members whose texts join.
const JOINED: [&[u8]; 2] = [b"text", b"summary"];

/// The value of a member.
#[derive(Debug)]
enum Kept {
    /// Wide text that may go on.
    Text(Vec<u8>),
    /// Canonical JSON.
    Other(String),
}

impl Kept {
    fn of(name: &[u8], value: &Value<'_>) -> Self {
        match value.as_text() {
            Some(text) if JOINED.contains(&name) => Self::Text(text.to_vec()),
            _ => Self::Other(value.canonical()),
        }
    }

    fn canonical(&self) -> String {
        match self {
            Self::Text(text) => string(text),
            Self::Other(text) => text.clone(),
        }
    }
}

type Entry = Vec<(Vec<u8>, Kept)>;

/// The merged list, and which of its entries has which index.
#[derive(Debug, Default)]
pub(super) struct ReasoningDetails {
    entries: Vec<Entry>,
    by_index: HashMap<u64, usize>,
}

impl ReasoningDetails {
    /// Take one detail of a chunk.
    pub(super) fn take(&mut self, detail: &Object<'_>) {
        let index = detail.counter("index");
        if let Some(&known) = index.and_then(|index| self.by_index.get(&index)) {
            merge(&mut self.entries[known], detail);
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

fn merge(entry: &mut Entry, detail: &Object<'_>) {
    for (name, value) in detail.members() {
        let known = entry.iter_mut().find(|(known, _)| known == name);
        match (known, Kept::of(name, value)) {
            (Some((_, Kept::Text(text))), Kept::Text(piece)) => text.extend_from_slice(&piece),
            _ if *value == Value::Null => {}
            (Some((_, kept)), other) => *kept = other,
            (None, other) => entry.push((name.to_vec(), other)),
        }
    }
}
