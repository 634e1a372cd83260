//! Items: what a decoder and the hub say, one at a time.

/// Counters of usage; `None` is "not told".
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// Tokens of the prompt, cached ones too.
    pub prompt: Option<u64>,
    /// Tokens of the answer.
    pub completion: Option<u64>,
    /// Tokens in all.
    pub total: Option<u64>,
    /// Tokens of the prompt that were read from a cache.
    pub cached: Option<u64>,
    /// Tokens of the prompt that were written to a cache.
    pub written: Option<u64>,
    /// Tokens of thinking.
    pub reasoning: Option<u64>,
    /// What the provider bills, in its own unit.
    pub cost: Option<f64>,
}

/// What is told of a tool call when the message is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Which call: 0, 1, ... in the order in which they were first seen.
    pub ordinal: usize,
    /// Its id; empty if none was sent.
    pub id: String,
    /// The tool that it names; empty if none was named.
    pub name: String,
    /// Canonical JSON of the members that nobody here knows.
    pub extra: Option<String>,
}

/// One item. `docs/explanation/engine-boundary.md` says what each means.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A piece of text, never empty.
    Text(String),
    /// A piece of thinking, never empty.
    Thinking(String),
    /// A tool call was first seen.
    CallOpen(usize),
    /// A piece of the raw argument text of a call, never empty.
    CallArgs(usize, String),
    /// A call, at the end.
    Call(Call),
    /// `response_id` or `model`, and its value.
    Meta(&'static str, String),
    /// All counters, at the end.
    Usage(Counters),
    /// Canonical JSON of the merged reasoning details, at the end.
    Details(String),
    /// A raw finish reason, never empty.
    Finish(String),
    /// A refusal was seen.
    Refusal,
    /// Last: code and text.
    Error(&'static str, String),
    /// Last: the message ended properly.
    End,
    /// Of the hub: status and headers, names in lower case.
    Head(u16, Vec<(String, String)>),
    /// Of the hub: a piece of the body of a response whose status is not 200.
    Body(Vec<u8>),
    /// Of the hub: bytes came that made no item.
    Activity,
    /// A content block began: `text`, `thinking`, `tool_use`, or blank for any other type.
    BlockOpen(usize, &'static str),
    /// A piece of the text, the thinking or the raw argument text of a block, never empty.
    BlockPiece(usize, String),
    /// A block is complete: canonical JSON of its other members, or of the whole block where its type was blank.
    Block(usize, String),
    /// Of the hub, where it was asked for: a piece of the body as it came, and when, in seconds since the stream began.
    Raw(f64, Vec<u8>),
    /// Of the hub, where it was asked for: when the body ended, and what broke it.
    RawEnd(f64, Option<String>),
}

impl Item {
    /// Whether nothing can follow.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Error(..) | Self::End)
    }

    /// Whether it says only that bytes came, or what came before them; such an item costs no credit.
    #[must_use]
    pub fn is_free(&self) -> bool {
        matches!(self, Self::Head(..) | Self::Activity)
    }

    /// How many bytes of text it holds.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Text(text)
            | Self::Thinking(text)
            | Self::CallArgs(_, text)
            | Self::BlockPiece(_, text)
            | Self::Block(_, text)
            | Self::Meta(_, text)
            | Self::Details(text)
            | Self::Finish(text)
            | Self::Error(_, text) => text.len(),
            Self::Call(call) => call.id.len() + call.name.len() + call.extra.as_deref().map_or(0, str::len),
            Self::Body(body) | Self::Raw(_, body) => body.len(),
            Self::CallOpen(_)
            | Self::BlockOpen(..)
            | Self::Usage(_)
            | Self::Refusal
            | Self::End
            | Self::Head(..)
            | Self::Activity
            | Self::RawEnd(..) => 0,
        }
    }
}
