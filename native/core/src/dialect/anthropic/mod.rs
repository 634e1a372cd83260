//! The stream of `anthropic-messages`, from bytes to items.
//!
//! A message is a list of content blocks, each with a start, deltas and a stop, told apart by their index. Endpoints that
//! imitate the dialect leave out starts and stops, or give every block the same index; so a delta that has no block it fits
//! opens one, and what is open at the end is closed then.

mod blocks;
mod usage;

use std::collections::HashMap;
use std::ops::ControlFlow;

use blocks::{Block, Kind, StreamedBlock, WholeBlock};
use usage::{read, with_cached};

use crate::dialect::body::{BodyDecoder, Message, in_band_error};
use crate::dialect::usage::{is_told, take_counters};
use crate::dialect::{Decode, DecoderOptions};
use crate::item::{Counters, Item};
use crate::json::{Object, Value};
use crate::text::settle;

/// Make the decoder of one body. Tags in the text are never thinking here: the dialect has blocks for it.
pub(super) fn decoder(options: DecoderOptions) -> Box<dyn Decode> {
    Box::new(BodyDecoder::new(State::default(), options.event_limit))
}

/// What is known of the message so far.
#[derive(Debug, Default)]
struct State {
    items: Vec<Item>,
    /// The block that is open at each index; `None` is the index of events that have none.
    open: HashMap<Option<u64>, Block>,
    /// How many blocks were opened so far.
    opened: usize,
    usage: Counters,
    finish: String,
    has_id: bool,
    has_model: bool,
}

impl Message for State {
    fn take(&mut self, event: &Object<'_>) -> ControlFlow<Item> {
        if let Some(error) = in_band_error(event, &[]) {
            return ControlFlow::Break(Item::Error("in_band", error));
        }
        let index = event.counter("index");
        match event.text("type").unwrap_or_default() {
            b"content_block_delta" => {
                if let Some(delta) = event.object("delta") {
                    self.take_delta(index, delta);
                }
            }
            b"content_block_start" => {
                if let Some(start) = event.object("content_block") {
                    self.take_start(index, start);
                }
            }
            b"content_block_stop" => self.close(index),
            b"message_start" => {
                if let Some(message) = event.object("message") {
                    self.take_head(message);
                }
            }
            b"message_delta" => {
                self.take_usage(event);
                if let Some(delta) = event.object("delta") {
                    self.take_finish(delta);
                }
            }
            b"message" => self.take_message(event),
            b"message_stop" => return ControlFlow::Break(Item::End),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn is_finished(&self) -> bool {
        !self.finish.is_empty()
    }

    fn let_go(&mut self) {
        let mut open: Vec<Block> = self.open.drain().map(|(_, block)| block).collect();
        open.sort_by_key(Block::ordinal);
        for block in open {
            block.close(&mut self.items);
        }
        if is_told(&self.usage) {
            self.items.push(Item::Usage(with_cached(&self.usage)));
        }
    }

    fn items(&mut self) -> &mut Vec<Item> {
        &mut self.items
    }
}

impl State {
    /// Take what stands around the content: who answers, and its usage.
    fn take_head(&mut self, message: &Object<'_>) {
        for (name, member, is_told) in [
            ("response_id", "id", &mut self.has_id),
            ("model", "model", &mut self.has_model),
        ] {
            if let Some(text) = message.text(member).filter(|_| !*is_told) {
                *is_told = true;
                self.items.push(Item::Meta(name, settle(text).into_owned()));
            }
        }
        self.take_usage(message);
    }

    fn take_usage(&mut self, holder: &Object<'_>) {
        if let Some(usage) = holder.object("usage") {
            take_counters(&mut self.usage, &read(usage));
        }
    }

    fn take_finish(&mut self, holder: &Object<'_>) {
        if let Some(reason) = holder.text("stop_reason").map(settle) {
            if reason != self.finish {
                self.finish = reason.into_owned();
                self.items.push(Item::Finish(self.finish.clone()));
            }
        }
    }

    /// Take a message that comes in one; its content counts only if none came before.
    fn take_message(&mut self, message: &Object<'_>) {
        self.take_head(message);
        if self.opened == 0 {
            for block in message.get("content").into_iter().flat_map(Value::objects) {
                self.take_start(None, block);
                self.close(None);
            }
        }
        self.take_finish(message);
    }

    fn take_start(&mut self, index: Option<u64>, start: &Object<'_>) {
        self.close(index);
        if let Some(kind) = start.text("type").and_then(Kind::named) {
            self.begin(index, kind, start);
        } else {
            let block = WholeBlock::begin(self.opened, start, &mut self.items);
            self.opened += 1;
            self.open.insert(index, Block::Whole(block));
        }
    }

    fn begin(&mut self, index: Option<u64>, kind: Kind, start: &Object<'_>) {
        let block = StreamedBlock::begin(self.opened, kind, start, &mut self.items);
        self.opened += 1;
        self.open.insert(index, Block::Streamed(block));
    }

    fn take_delta(&mut self, index: Option<u64>, delta: &Object<'_>) {
        if let Some(Block::Whole(block)) = self.open.get_mut(&index) {
            block.take(delta);
            return;
        }
        let Some(piece) = Piece::of(delta) else { return };
        let fitting = piece.kind();
        if !matches!(self.open.get(&index), Some(Block::Streamed(block)) if block.kind == fitting) {
            self.close(index);
            self.begin(index, fitting, &Object::default());
        }
        if let Some(Block::Streamed(block)) = self.open.get_mut(&index) {
            match piece {
                Piece::Citation(citation) => block.cite(citation),
                Piece::Signature(signature) => block.sign(signature),
                Piece::Content(_, text) => block.push(text, &mut self.items),
            }
        }
    }

    fn close(&mut self, index: Option<u64>) {
        if let Some(block) = self.open.remove(&index) {
            block.close(&mut self.items);
        }
    }
}

/// What a delta says.
enum Piece<'a> {
    /// A piece of the content of a block of that kind.
    Content(Kind, &'a [u8]),
    /// The signature of thinking.
    Signature(&'a [u8]),
    /// A citation of a text.
    Citation(&'a Object<'a>),
}

impl<'a> Piece<'a> {
    /// Read a delta; one that is not known, or says nothing, is none.
    fn of(delta: &'a Object<'a>) -> Option<Self> {
        match delta.text("type")? {
            b"text_delta" => Some(Self::Content(Kind::Text, delta.text("text")?)),
            b"thinking_delta" => Some(Self::Content(Kind::Thinking, delta.text("thinking")?)),
            b"input_json_delta" => Some(Self::Content(Kind::ToolUse, delta.text("partial_json")?)),
            b"signature_delta" => Some(Self::Signature(delta.text("signature")?)),
            b"citations_delta" => Some(Self::Citation(delta.object("citation")?)),
            _ => None,
        }
    }

    /// The kind of block that it belongs to.
    fn kind(&self) -> Kind {
        match self {
            Self::Content(kind, _) => *kind,
            Self::Signature(_) => Kind::Thinking,
            Self::Citation(_) => Kind::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(events: &[&str]) -> Vec<Item> {
        let mut decoder = decoder(DecoderOptions::default());
        let mut items = Vec::new();
        for event in events {
            items.extend(decoder.feed(format!("data: {event}\n\n").as_bytes()));
        }
        items.extend(decoder.end(None));
        items
    }

    #[test]
    fn interleaved_blocks_are_told_apart_and_closed_in_order() {
        let items = decode(&[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"n","input":{"a":1}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"}}"#,
            r#"{"type":"message_stop"}"#,
        ]);

        assert_eq!(
            items,
            [
                Item::BlockOpen(0, "text"),
                Item::BlockPiece(0, "a".to_owned()),
                Item::BlockOpen(1, "tool_use"),
                Item::BlockPiece(0, "b".to_owned()),
                Item::Block(0, "{}".to_owned()),
                Item::BlockPiece(1, r#"{"a":1}"#.to_owned()),
                Item::Block(1, r#"{"id":"t","name":"n"}"#.to_owned()),
                Item::End,
            ]
        );
    }

    #[test]
    fn a_block_of_another_type_is_given_whole() {
        let items = decode(&[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"q\""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":": 1}"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
        ]);

        assert_eq!(
            items[..2],
            [
                Item::BlockOpen(0, ""),
                Item::Block(0, r#"{"type":"server_tool_use","id":"s","input":{"q":1}}"#.to_owned()),
            ]
        );
        assert!(matches!(items[2], Item::Error("truncated", _)));
    }

    #[test]
    fn the_prompt_of_the_usage_holds_what_was_cached() {
        let items = decode(&[
            r#"{"type":"message_start","message":{"usage":{"input_tokens":3,"cache_read_input_tokens":40}}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":null,"output_tokens":5}}"#,
        ]);

        let told = Counters {
            prompt: Some(43),
            completion: Some(5),
            cached: Some(40),
            ..Counters::default()
        };
        assert_eq!(
            items,
            [Item::Finish("end_turn".to_owned()), Item::Usage(told), Item::End]
        );
    }
}
