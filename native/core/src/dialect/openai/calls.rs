//! Assembling tool calls: to which call a piece belongs.

use std::collections::HashMap;

use crate::item::Call;
use crate::json::{Object, Value, write_members};
use crate::text::{Channel, settle};

const KNOWN: [&[u8]; 4] = [b"id", b"index", b"type", b"function"];

/// Whether pieces of a text amount to an object: every brace that was opened is closed, and there was one.
#[derive(Debug, Default)]
pub(super) struct ObjectScan {
    depth: i64,
    is_in_string: bool,
    is_escaped: bool,
    has_begun: bool,
}

impl ObjectScan {
    /// Take a piece.
    pub(super) fn push(&mut self, piece: &str) {
        for byte in piece.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_in_string = !self.is_in_string,
                b'{' | b'}' if !self.is_in_string => {
                    self.depth += if byte == b'{' { 1 } else { -1 };
                    self.has_begun = true;
                }
                _ => {}
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.has_begun && self.depth == 0 && !self.is_in_string
    }
}

/// What was told of one call so far.
#[derive(Debug, Default)]
pub(super) struct CallInProgress {
    id: String,
    /// Where it was opened.
    index: Option<u64>,
    name: String,
    pub(super) arguments: Channel,
    /// What came of the arguments.
    pub(super) scan: ObjectScan,
    /// The members that we do not know, their values in canonical JSON.
    extra: Vec<(Vec<u8>, String)>,
}

impl CallInProgress {
    /// Take a name: the known one again is a repeat, another is its continuation.
    pub(super) fn take_name(&mut self, name: &[u8]) {
        let name = settle(name);
        if name != self.name {
            self.name += &name;
        }
    }

    /// Keep the members of an entry that we do not know.
    pub(super) fn take_extra(&mut self, entry: &Object<'_>) {
        for (name, value) in entry.members() {
            if KNOWN.contains(&name) || *value == Value::Null {
                continue;
            }
            match self.extra.iter_mut().find(|(known, _)| known == name) {
                Some((_, kept)) => *kept = value.canonical(),
                None => self.extra.push((name.to_vec(), value.canonical())),
            }
        }
    }

    fn told(self, ordinal: usize) -> Call {
        let extra = (!self.extra.is_empty()).then(|| {
            let mut text = String::new();
            let members = self.extra.iter();
            write_members(members.map(|(name, value)| (&**name, value.clone())), &mut text);
            text
        });
        Call {
            ordinal,
            id: self.id,
            name: self.name,
            extra,
        }
    }
}

/// The calls of one message, in the order in which they were first seen.
#[derive(Debug, Default)]
pub(super) struct CallAssembly {
    calls: Vec<CallInProgress>,
    by_id: HashMap<String, usize>,
    /// The call last opened at each index.
    by_index: HashMap<u64, usize>,
    touched: Option<usize>,
}

impl CallAssembly {
    /// Give the ordinal of the call that an entry belongs to, and whether it was opened by it.
    pub(super) fn locate(&mut self, entry: &Object<'_>) -> (usize, bool) {
        let id = entry.text("id").map(settle);
        let index = entry.counter("index");
        let known = match (&id, index) {
            (Some(id), _) => {
                let known = self.by_id.get(&**id).copied();
                known.filter(|&known| !is_another(&self.calls[known], index, entry))
            }
            (None, Some(index)) => self.by_index.get(&index).copied(),
            (None, None) => self.touched,
        };
        let ordinal = known.unwrap_or(self.calls.len());
        if known.is_none() {
            let id = id.unwrap_or_default().into_owned();
            if !id.is_empty() {
                self.by_id.insert(id.clone(), ordinal);
            }
            if let Some(index) = index {
                self.by_index.insert(index, ordinal);
            }
            self.calls.push(CallInProgress {
                id,
                index,
                ..CallInProgress::default()
            });
        }
        self.touched = Some(ordinal);
        (ordinal, known.is_none())
    }

    /// Give a call that was located.
    pub(super) fn call(&mut self, ordinal: usize) -> &mut CallInProgress {
        &mut self.calls[ordinal]
    }

    /// Give all calls with their ordinals.
    pub(super) fn in_progress(&mut self) -> impl Iterator<Item = (usize, &mut CallInProgress)> {
        self.calls.iter_mut().enumerate()
    }

    /// Give what is told of each call at the end.
    pub(super) fn finish(&mut self) -> impl Iterator<Item = Call> + use<> {
        let calls = std::mem::take(&mut self.calls);
        calls.into_iter().enumerate().map(|(ordinal, call)| call.told(ordinal))
    }
}

/// Whether an entry with a call's id is a call of its own: one that is named at another index when that call is whole.
fn is_another(call: &CallInProgress, index: Option<u64>, entry: &Object<'_>) -> bool {
    let is_elsewhere = index.is_some() && call.index.is_some() && index != call.index;
    let has_name = || {
        entry
            .object("function")
            .is_some_and(|function| function.text("name").is_some())
    };
    is_elsewhere && has_name() && call.scan.is_whole()
}
