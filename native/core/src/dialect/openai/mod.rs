//! The stream of `openai-completions`, from bytes to items.

mod calls;
mod delta;
mod details;
mod think_tags;
mod usage;

use std::ops::ControlFlow;

use calls::CallAssembly;
use delta::{text_of, thinking_of};
use details::ReasoningDetails;
use think_tags::ThinkTags;
use usage::read;

use crate::dialect::body::{BodyDecoder, Message, in_band_error};
use crate::dialect::usage::{is_told, take_counters};
use crate::dialect::{Decode, DecoderOptions};
use crate::item::{Counters, Item};
use crate::json::{Object, Value};
use crate::text::{Channel, settle};

/// Make the decoder of one body.
///
/// `is_minimax`: reasoning details may be cumulative, and tags count only until thinking comes in a member of its own.
pub(super) fn decoder(options: DecoderOptions, is_minimax: bool) -> Box<dyn Decode> {
    let state = State {
        tags: options.think_tags.then(ThinkTags::default),
        details: ReasoningDetails::new(is_minimax),
        is_minimax,
        ..State::default()
    };
    Box::new(BodyDecoder::new(state, options.event_limit))
}

/// What is known of the message so far.
#[derive(Debug, Default)]
struct State {
    items: Vec<Item>,
    text: Channel,
    thinking: Channel,
    tags: Option<ThinkTags>,
    calls: CallAssembly,
    usage: Counters,
    details: ReasoningDetails,
    finish: String,
    told: Told,
    is_minimax: bool,
}

/// What was seen once and is not said again.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Told {
    id: bool,
    model: bool,
    refusal: bool,
    /// A delta that said something.
    delta: bool,
}

impl Message for State {
    fn take(&mut self, event: &Object<'_>) -> ControlFlow<Item> {
        let choices: Vec<&Object<'_>> = event
            .get("choices")
            .into_iter()
            .flat_map(Value::objects)
            .filter(|choice| counts(choice))
            .collect();
        if let Some(error) = in_band_error(event, &choices) {
            return ControlFlow::Break(Item::Error("in_band", error));
        }
        for (name, member, is_told) in [
            ("response_id", "id", &mut self.told.id),
            ("model", "model", &mut self.told.model),
        ] {
            if let Some(text) = event.text(member).filter(|_| !*is_told) {
                *is_told = true;
                self.items.push(Item::Meta(name, settle(text).into_owned()));
            }
        }
        for object in std::iter::once(event).chain(choices.iter().copied()) {
            if let Some(usage) = object.object("usage") {
                take_counters(&mut self.usage, &read(usage));
            }
        }
        for choice in choices {
            self.take_choice(choice);
        }
        ControlFlow::Continue(())
    }

    fn is_finished(&self) -> bool {
        !self.finish.is_empty()
    }

    fn let_go(&mut self) {
        self.release_thinking();
        self.release_text();
        self.release_tags();
        for (ordinal, call) in self.calls.in_progress() {
            if let Some(text) = call.arguments.release() {
                self.items.push(Item::CallArgs(ordinal, text));
            }
        }
        self.items.extend(self.calls.finish().map(Item::Call));
        self.items.extend(self.details.text().map(Item::Details));
        if is_told(&self.usage) {
            self.items.push(Item::Usage(self.usage));
        }
    }

    fn items(&mut self) -> &mut Vec<Item> {
        &mut self.items
    }
}

impl State {
    fn take_choice(&mut self, choice: &Object<'_>) {
        if let Some(delta) = choice.object("delta") {
            self.told.delta |= self.take_delta(delta);
        } else if let Some(message) = choice.object("message").filter(|_| !self.told.delta) {
            self.take_delta(message);
        }
        if let Some(reason) = choice.text("finish_reason").map(settle) {
            if reason != self.finish {
                self.finish = reason.into_owned();
                self.items.push(Item::Finish(self.finish.clone()));
            }
        }
    }

    /// Take a delta; give whether it said anything.
    fn take_delta(&mut self, delta: &Object<'_>) -> bool {
        let mut thinking = thinking_of(delta);
        let details = delta.get("reasoning_details").into_iter().flat_map(Value::objects);
        let detailed = self.details.take(details);
        if thinking.is_empty() {
            thinking = detailed.into();
        }
        let text = text_of(delta);
        let mut has_said = !thinking.is_empty() || !text.is_empty();
        self.give_thinking(&thinking);
        self.give_text(&text);
        if let Some(words) = delta.text("refusal") {
            has_said = true;
            self.release_tags();
            self.give_text(words);
            if !std::mem::replace(&mut self.told.refusal, true) {
                self.items.push(Item::Refusal);
            }
        }
        for entry in delta.get("tool_calls").into_iter().flat_map(Value::objects) {
            has_said = true;
            self.take_call(entry, entry.object("function"));
        }
        if let Some(function) = delta.object("function_call") {
            has_said = true;
            self.take_call(&Object::default(), Some(function));
        }
        has_said
    }

    fn take_call(&mut self, entry: &Object<'_>, function: Option<&Object<'_>>) {
        let (ordinal, is_new) = self.calls.locate(entry);
        if is_new {
            self.release_tags();
            self.items.push(Item::CallOpen(ordinal));
        }
        let call = self.calls.call(ordinal);
        call.take_extra(entry);
        let Some(function) = function else { return };
        if let Some(name) = function.text("name") {
            call.take_name(name);
        }
        match function.get("arguments") {
            None | Some(Value::Null) => {}
            Some(Value::Text(piece)) => self.give_arguments(ordinal, piece),
            Some(value) => self.give_arguments(ordinal, value.canonical().as_bytes()),
        }
    }

    fn give_text(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        let settled = self.text.push(piece);
        if !settled.is_empty() {
            self.release_thinking();
            self.emit_text(settled);
        }
    }

    fn give_thinking(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        let settled = self.thinking.push(piece);
        if !settled.is_empty() {
            self.release_text();
            self.emit_thinking(settled);
        }
    }

    fn give_arguments(&mut self, ordinal: usize, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        let call = self.calls.call(ordinal);
        let settled = call.arguments.push(piece);
        if !settled.is_empty() {
            call.scan.push(&settled);
            self.release_thinking();
            self.release_text();
            self.release_tags();
            self.items.push(Item::CallArgs(ordinal, settled));
        }
    }

    fn emit_text(&mut self, text: String) {
        match &mut self.tags {
            None => self.items.push(Item::Text(text)),
            Some(tags) => tags.push(&text, &mut self.items),
        }
    }

    fn emit_thinking(&mut self, text: String) {
        self.release_tags();
        if self.is_minimax {
            self.tags = None;
        }
        self.items.push(Item::Thinking(text));
    }

    fn release_text(&mut self) {
        if let Some(text) = self.text.release() {
            self.emit_text(text);
        }
    }

    fn release_thinking(&mut self) {
        if let Some(text) = self.thinking.release() {
            self.emit_thinking(text);
        }
    }

    fn release_tags(&mut self) {
        if let Some(tags) = &mut self.tags {
            tags.release(&mut self.items);
        }
    }
}

/// Whether an entry of `choices` is the first choice.
fn counts(choice: &Object<'_>) -> bool {
    match choice.get("index") {
        None | Some(Value::Null) => true,
        Some(index) => index.is_zero(),
    }
}
