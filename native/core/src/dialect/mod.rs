//! Dialects: what each API says in its bodies. A decoder is pure: bytes in, items out.

mod anthropic;
mod body;
mod openai;
mod usage;

use crate::item::Item;

/// How a body is decoded.
#[derive(Clone, Copy, Debug)]
pub struct DecoderOptions {
    /// Whether `<think>` in the text is thinking.
    pub think_tags: bool,
    /// Bytes of one event.
    pub event_limit: usize,
}

impl Default for DecoderOptions {
    fn default() -> Self {
        Self {
            think_tags: false,
            event_limit: 64 * 1024 * 1024,
        }
    }
}

/// A decoder of one body.
pub trait Decode: Send + Sync {
    /// Take bytes of the body; give the items that they make.
    fn feed(&mut self, data: &[u8]) -> Vec<Item>;

    /// Say that the body ended, by itself or because of `cut`; give the last items.
    fn end(&mut self, cut: Option<&str>) -> Vec<Item>;

    /// Whether the last item was given.
    fn is_done(&self) -> bool;
}

/// Give the decoder of an API, if there is one.
#[must_use]
pub fn decoder_for(api: &str, options: DecoderOptions) -> Option<Box<dyn Decode>> {
    match api {
        "openai-completions" | "zai-completions" => Some(openai::decoder(options, false)),
        "minimax-completions" => Some(openai::decoder(options, true)),
        "anthropic-messages" => Some(anthropic::decoder(options)),
        _ => None,
    }
}
