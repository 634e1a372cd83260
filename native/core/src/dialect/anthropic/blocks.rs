//! Content blocks in the making: what has come of one between its start and its stop.

use std::collections::HashMap;

use crate::item::Item;
use crate::json::{BLANKS, Object, Value, string, write_members};
use crate::text::{Channel, settle};

/// A type whose content is given out in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Thinking,
    ToolUse,
}

impl Kind {
    /// Give the kind that a block's type names, if it is one of them.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"text" => Some(Self::Text),
            b"thinking" => Some(Self::Thinking),
            b"tool_use" => Some(Self::ToolUse),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Thinking => "thinking",
            Self::ToolUse => "tool_use",
        }
    }

    /// The member of a block's start that holds its content.
    fn content(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Thinking => "thinking",
            Self::ToolUse => "input",
        }
    }
}

/// The value of a member.
#[derive(Debug)]
enum Kept {
    /// Wide text that may go on.
    Text(Vec<u8>),
    /// Canonical JSON of the elements of an array that may go on.
    List(Vec<String>),
    /// Canonical JSON.
    Other(String),
}

impl Kept {
    fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.to_vec()),
            Value::Array(elements) => Self::List(elements.iter().map(Value::canonical).collect()),
            other => Self::Other(other.canonical()),
        }
    }

    fn canonical(&self) -> String {
        match self {
            Self::Text(text) => string(text),
            Self::List(elements) => format!("[{}]", elements.join(",")),
            Self::Other(text) => text.clone(),
        }
    }
}

/// Members in order, each name once.
#[derive(Debug, Default)]
struct Members {
    kept: Vec<(Vec<u8>, Kept)>,
    /// Where each name stands: a block may have very many members.
    places: HashMap<Vec<u8>, usize>,
}

impl Members {
    fn find(&mut self, name: &[u8]) -> Option<&mut Kept> {
        let &place = self.places.get(name)?;
        self.kept.get_mut(place).map(|(_, kept)| kept)
    }

    fn set(&mut self, name: &[u8], value: Kept) {
        if let Some(kept) = self.find(name) {
            *kept = value;
        } else {
            self.places.insert(name.to_vec(), self.kept.len());
            self.kept.push((name.to_vec(), value));
        }
    }

    fn canonical(&self) -> String {
        let mut text = String::new();
        write_members(
            self.kept.iter().map(|(name, kept)| (&**name, kept.canonical())),
            &mut text,
        );
        text
    }
}

/// A text, thinking or a tool call: its pieces are items as they come.
#[derive(Debug)]
pub(super) struct StreamedBlock {
    ordinal: usize,
    pub(super) kind: Kind,
    /// All but its type and its content; what is null is not told.
    members: Members,
    channel: Channel,
    has_pieces: bool,
    /// The input in the start of a call, in canonical JSON, which counts only if no piece comes.
    input: Option<String>,
}

impl StreamedBlock {
    /// Open a block; what its start holds of the content counts.
    pub(super) fn begin(ordinal: usize, kind: Kind, start: &Object<'_>, items: &mut Vec<Item>) -> Self {
        items.push(Item::BlockOpen(ordinal, kind.name()));
        let mut block = Self {
            ordinal,
            kind,
            members: Members::default(),
            channel: Channel::default(),
            has_pieces: false,
            input: None,
        };
        for (name, value) in start.members() {
            if name != b"type" && name != kind.content().as_bytes() && *value != Value::Null {
                block.members.set(name, Kept::of(value));
            }
        }
        match start.get(kind.content()) {
            Some(content) if kind == Kind::ToolUse => {
                block.input = (!is_no_input(content)).then(|| content.canonical());
            }
            Some(Value::Text(text)) if !text.is_empty() => block.push(text, items),
            _ => {}
        }
        block
    }

    /// Take a piece that is not empty.
    pub(super) fn push(&mut self, piece: &[u8], items: &mut Vec<Item>) {
        self.has_pieces = true;
        let settled = self.channel.push(piece);
        if !settled.is_empty() {
            items.push(Item::BlockPiece(self.ordinal, settled));
        }
    }

    /// Take the signature, which comes whole.
    pub(super) fn sign(&mut self, signature: &[u8]) {
        self.members.set(b"signature", Kept::Text(signature.to_vec()));
    }

    /// Take one more of its citations.
    pub(super) fn cite(&mut self, citation: &Object<'_>) {
        let citation = Value::Object(citation.clone()).canonical();
        match self.members.find(b"citations") {
            Some(Kept::List(known)) => known.push(citation),
            _ => self.members.set(b"citations", Kept::List(vec![citation])),
        }
    }

    fn close(mut self, items: &mut Vec<Item>) {
        let rest = if self.has_pieces {
            self.channel.release()
        } else {
            self.input.take()
        };
        items.extend(rest.map(|rest| Item::BlockPiece(self.ordinal, rest)));
        items.push(Item::Block(self.ordinal, self.members.canonical()));
    }
}

fn is_no_input(input: &Value<'_>) -> bool {
    match input {
        Value::Null => true,
        Value::Text(text) => text.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

/// A block of any other type: given out in one, when it is complete.
#[derive(Debug)]
pub(super) struct WholeBlock {
    ordinal: usize,
    members: Members,
    /// Wide JSON text of its input, in as far as it came in pieces.
    input: Vec<u8>,
}

impl WholeBlock {
    /// Open a block.
    pub(super) fn begin(ordinal: usize, start: &Object<'_>, items: &mut Vec<Item>) -> Self {
        items.push(Item::BlockOpen(ordinal, ""));
        let mut members = Members::default();
        for (name, value) in start.members() {
            members.set(name, Kept::of(value));
        }
        Self {
            ordinal,
            members,
            input: Vec::new(),
        }
    }

    /// Take a delta of any type: texts join, anything else that is not null replaces.
    pub(super) fn take(&mut self, delta: &Object<'_>) {
        if delta.text("type") == Some(b"input_json_delta") {
            self.input
                .extend_from_slice(delta.text("partial_json").unwrap_or_default());
            return;
        }
        for (name, value) in delta.members() {
            if name == b"type" || *value == Value::Null {
                continue;
            }
            match (self.members.find(name), value) {
                (Some(Kept::Text(known)), Value::Text(piece)) => known.extend_from_slice(piece),
                _ => self.members.set(name, Kept::of(value)),
            }
        }
    }

    /// Give the block; an input that is no JSON stands in it as a text.
    fn close(mut self, items: &mut Vec<Item>) {
        let text = settle(&self.input);
        if !text.trim_matches(BLANKS).is_empty() {
            let value = Value::parse(&text).map(|value| value.canonical());
            let input = value.unwrap_or_else(|_| string(text.as_bytes()));
            self.members.set(b"input", Kept::Other(input));
        }
        items.push(Item::Block(self.ordinal, self.members.canonical()));
    }
}

/// A block that is open.
#[derive(Debug)]
pub(super) enum Block {
    Streamed(StreamedBlock),
    Whole(WholeBlock),
}

impl Block {
    /// Its place in the order in which blocks were opened.
    pub(super) fn ordinal(&self) -> usize {
        match self {
            Self::Streamed(block) => block.ordinal,
            Self::Whole(block) => block.ordinal,
        }
    }

    /// Say what is told at its end.
    pub(super) fn close(self, items: &mut Vec<Item>) {
        match self {
            Self::Streamed(block) => block.close(items),
            Self::Whole(block) => block.close(items),
        }
    }
}
