//! What the decoders of all dialects have in common, from bytes to the objects of events.
//!
//! Frames, end markers, pages, bodies of JSON, errors that stand in a stream, and the end of a body. What one event means is
//! a dialect's to say: see [`Message`].

use std::ops::ControlFlow;

use crate::dialect::Decode;
use crate::item::Item;
use crate::json::{self, BLANKS, Object, Value};
use crate::sse::{Frame, Framer};

/// How many characters an error shows of what could not be read.
const SHOWN: usize = 200;

/// A message in the making: objects of events in, items out.
pub(super) trait Message {
    /// Take the object of an event; breaks with the last item.
    fn take(&mut self, event: &Object<'_>) -> ControlFlow<Item>;

    /// Whether a finish reason was seen.
    fn is_finished(&self) -> bool;

    /// Let go what is held, and say what is told at the end.
    fn let_go(&mut self);

    /// Where the items are laid down.
    fn items(&mut self) -> &mut Vec<Item>;
}

/// Bytes in, items out.
#[derive(Debug)]
pub(super) struct BodyDecoder<M> {
    framer: Framer,
    event_limit: usize,
    state: State<M>,
}

impl<M: Message> BodyDecoder<M> {
    /// Make the decoder of one body, whose events have at most `event_limit` bytes.
    pub(super) fn new(message: M, event_limit: usize) -> Self {
        Self {
            framer: Framer::new(event_limit),
            event_limit,
            state: State {
                message,
                has_object: false,
                is_done: false,
            },
        }
    }
}

impl<M: Message + Send + Sync> Decode for BodyDecoder<M> {
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
        std::mem::take(state.message.items())
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
        std::mem::take(state.message.items())
    }

    fn is_done(&self) -> bool {
        self.state.is_done
    }
}

/// How far the body has come.
#[derive(Debug)]
struct State<M> {
    message: M,
    /// Whether an event came that is an object.
    has_object: bool,
    is_done: bool,
}

impl<M: Message> State<M> {
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
        self.has_object = true;
        if let ControlFlow::Break(last) = self.message.take(event) {
            self.close(last);
        }
    }

    fn finish_properly(&mut self) {
        if self.has_object {
            self.close(Item::End);
        } else {
            self.fail("empty_response", String::new());
        }
    }

    /// End a body that had no end marker.
    fn conclude(&mut self, cut: Option<&str>) {
        if self.message.is_finished() {
            self.close(Item::End);
        } else if cut.is_none() && !self.has_object {
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

    /// Say the last things and be done.
    fn close(&mut self, last: Item) {
        self.is_done = true;
        self.message.let_go();
        self.message.items().push(last);
    }
}

/// Give what an event says of an error, in canonical JSON. `choices` are those of its choices that count.
pub(super) fn in_band_error(event: &Object<'_>, choices: &[&Object<'_>]) -> Option<String> {
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
