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
use usage::{is_told, take_usage};

use crate::dialect::{Decode, DecoderOptions};
use crate::item::{Counters, Item};
use crate::json::{self, BLANKS, Object, Value};
use crate::sse::{Frame, Framer};
use crate::text::{Channel, settle};

/// How many characters an error shows of what could not be read.
const SHOWN: usize = 200;

/// Bytes in, items out.
#[derive(Debug)]
pub struct OpenAiDecoder {
    framer: Framer,
    event_limit: usize,
    state: State,
}

impl OpenAiDecoder {
    /// Make the decoder of one body.
    #[must_use]
    pub fn new(options: DecoderOptions) -> Self {
        Self {
            framer: Framer::new(options.event_limit),
            event_limit: options.event_limit,
            state: State {
                tags: options.think_tags.then(ThinkTags::default),
                ..State::default()
            },
        }
    }
}

impl Decode for OpenAiDecoder {
    fn feed(&mut self, data: &[u8]) -> Vec<Item> {
        let Self { framer, state, .. } = self;
        if state.is_done {
            return Vec::new();
        }
        framer.feed(data, &mut |frame| {
            state.take_frame(frame);
            if state.is_done {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        if !state.is_done && framer.is_too_large() {
            state.fail("event_too_large", self.event_limit.to_string());
        } else if !state.is_done && framer.is_page_ready() {
            state.fail("protocol_error", shown(framer.whole()));
        }
        std::mem::take(&mut state.items)
    }

    fn end(&mut self, cut: Option<&str>) -> Vec<Item> {
        let Self { framer, state, .. } = self;
        if state.is_done {
            return Vec::new();
        }
        if framer.is_page() {
            state.fail("protocol_error", shown(framer.whole()));
        } else if framer.is_json() {
            state.take_body(framer.whole(), cut);
        } else {
            framer.close(&mut |frame| {
                if is_whole(frame.data) {
                    state.take_frame(frame);
                }
                ControlFlow::Break(())
            });
        }
        if !state.is_done {
            state.conclude(cut);
        }
        std::mem::take(&mut state.items)
    }

    fn is_done(&self) -> bool {
        self.state.is_done
    }
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
    is_done: bool,
}

/// What was seen once and is not said again.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Told {
    id: bool,
    model: bool,
    refusal: bool,
    /// An event that is an object.
    object: bool,
    /// A delta that is not empty.
    delta: bool,
}

impl State {
    fn take_frame(&mut self, frame: Frame<'_>) {
        let error = String::from_utf8_lossy(frame.error);
        let error = error.trim_matches(BLANKS);
        if !error.is_empty() {
            let text = Value::parse(error).map(|value| value.canonical());
            self.fail("in_band", text.unwrap_or_else(|_| json::string(error.as_bytes())));
            return;
        }
        let data = String::from_utf8_lossy(frame.data);
        let data = data.trim_matches(BLANKS);
        let is_error = frame.event == b"error";
        match Value::parse(data) {
            _ if data.is_empty() => {}
            _ if data == "[DONE]" => self.finish_properly(),
            Ok(Value::Object(value)) if is_error => {
                let inner = value.get("error").filter(|inner| **inner != Value::Null);
                let text = inner.map(Value::canonical);
                self.fail("in_band", text.unwrap_or_else(|| Value::Object(value).canonical()));
            }
            Ok(value) if is_error => self.fail("in_band", value.canonical()),
            Ok(value) => self.take(&value),
            Err(_) if is_error => self.fail("in_band", json::string(data.as_bytes())),
            Err(_) => self.fail("malformed_event", first_characters(data)),
        }
    }

    /// Take a body that is one JSON document.
    fn take_body(&mut self, body: &[u8], cut: Option<&str>) {
        let text = String::from_utf8_lossy(body);
        let text = text.trim_matches(BLANKS);
        match (Value::parse(text), cut) {
            (Ok(value), _) => {
                self.take(&value);
                if !self.is_done {
                    self.close(Item::End);
                }
            }
            (Err(_), None) => self.fail("malformed_event", first_characters(text)),
            (Err(_), Some(cut)) => self.fail("truncated", cut.to_owned()),
        }
    }

    /// Take the value of an event.
    fn take(&mut self, value: &Value<'_>) {
        let Some(event) = value.as_object().or_else(|| value.objects().next()) else {
            return;
        };
        self.told.object = true;
        let choices: Vec<&Object<'_>> = event
            .get("choices")
            .into_iter()
            .flat_map(Value::objects)
            .filter(|choice| counts(choice))
            .collect();
        if let Some(error) = in_band_error(event, &choices) {
            self.fail("in_band", error);
            return;
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
                take_usage(&mut self.usage, usage);
            }
        }
        for choice in choices {
            self.take_choice(choice);
        }
    }

    fn take_choice(&mut self, choice: &Object<'_>) {
        let mut delta = choice.object("delta");
        match delta {
            Some(delta) => self.told.delta |= !delta.is_empty(),
            None if self.told.delta => {}
            None => delta = choice.object("message"),
        }
        if let Some(delta) = delta {
            self.take_delta(delta);
        }
        if let Some(reason) = choice.text("finish_reason").map(settle) {
            if reason != self.finish {
                self.finish = reason.into_owned();
                self.items.push(Item::Finish(self.finish.clone()));
            }
        }
    }

    fn take_delta(&mut self, delta: &Object<'_>) {
        self.give_thinking(&thinking_of(delta));
        for detail in delta.get("reasoning_details").into_iter().flat_map(Value::objects) {
            self.details.take(detail);
        }
        self.give_text(&text_of(delta));
        if let Some(words) = delta.text("refusal") {
            self.release_tags();
            self.give_text(words);
            if !std::mem::replace(&mut self.told.refusal, true) {
                self.items.push(Item::Refusal);
            }
        }
        for entry in delta.get("tool_calls").into_iter().flat_map(Value::objects) {
            self.take_call(entry, entry.object("function"));
        }
        if let Some(function) = delta.object("function_call") {
            self.take_call(&Object::default(), Some(function));
        }
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
        let settled = self.calls.call(ordinal).arguments.push(piece);
        if !settled.is_empty() {
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

    fn finish_properly(&mut self) {
        if self.told.object {
            self.close(Item::End);
        } else {
            self.fail("empty_response", String::new());
        }
    }

    /// End a body that had no end marker.
    fn conclude(&mut self, cut: Option<&str>) {
        if !self.finish.is_empty() {
            self.close(Item::End);
        } else if cut.is_none() && !self.told.object {
            self.fail("empty_response", String::new());
        } else {
            let why = cut.filter(|cut| !cut.is_empty());
            let why = why.unwrap_or("the body ended before the message did");
            self.fail("truncated", why.to_owned());
        }
    }

    fn fail(&mut self, code: &'static str, text: String) {
        self.close(Item::Error(code, text));
    }

    /// Let go what is held, say what is told at the end, and be done.
    fn close(&mut self, last: Item) {
        self.is_done = true;
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
        self.items.push(last);
    }
}

/// Whether an entry of `choices` is the first choice.
fn counts(choice: &Object<'_>) -> bool {
    match choice.get("index") {
        None | Some(Value::Null) => true,
        Some(index) => index.is_zero(),
    }
}

/// Give what an event says of an error, in canonical JSON.
fn in_band_error(event: &Object<'_>, choices: &[&Object<'_>]) -> Option<String> {
    let has_choices = event
        .get("choices")
        .is_some_and(|choices| !choices.elements().is_empty());
    let is_none = |error: &Value<'_>| is_nothing(error) || (has_choices && is_empty_object(error));
    let error = event.get("error").filter(|error| !is_none(error));
    if let Some(error) = error {
        return Some(error.canonical());
    }
    if ["object", "type"].iter().any(|name| event.text(name) == Some(b"error")) {
        return Some(Value::Object(event.clone()).canonical());
    }
    let base = event.get("base_resp");
    let status = base.and_then(Value::as_object).and_then(|base| base.get("status_code"));
    if status.and_then(Value::real).is_some_and(|status| status != 0.0) {
        return base.map(Value::canonical);
    }
    let mut errors = choices.iter().filter_map(|choice| choice.get("error"));
    let error = errors.find(|error| !is_nothing(error) && !is_empty_object(error));
    error.map(Value::canonical)
}

fn is_nothing(error: &Value<'_>) -> bool {
    match error {
        Value::Null | Value::Bool(false) => true,
        Value::Text(text) => text.is_empty(),
        _ => false,
    }
}

fn is_empty_object(value: &Value<'_>) -> bool {
    value.as_object().is_some_and(Object::is_empty)
}

/// Whether the data of an event without an end of its own is complete.
fn is_whole(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let text = text.trim_matches(BLANKS);
    text == "[DONE]" || Value::parse(text).is_ok()
}

/// Give the beginning of what could not be read.
fn shown(data: &[u8]) -> String {
    first_characters(&String::from_utf8_lossy(&data[..data.len().min(4 * SHOWN)]))
}

fn first_characters(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}
