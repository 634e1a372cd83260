//! From the crate's events to items, so that its streams are assembled as those of the other engines.

use std::collections::HashMap;

use alchemy_llm::types::{
    AssistantMessage, AssistantMessageEvent, Content, StopReason, StopReasonSuccess, ToolCall, Usage,
};

use crate::item::{Call, Counters, Item};

const OK: u16 = 200;
const STATUS: &str = "API returned error: ";
const REQUEST: &str = "HTTP request failed: ";
/// Stands for arguments that went to another call. It is no JSON, so that the call does not run.
const LOST: &str = "(lost by the engine)";
/// Bytes of the body of a response whose status is not 200.
const MAX_ERROR_BODY: usize = 1024 * 1024;

/// Makes the items of one stream.
#[derive(Debug)]
pub(crate) struct ItemMaker {
    /// Whether the crate's `input` leaves the cached tokens out, as this dialect does.
    is_anthropic: bool,
    is_head_told: bool,
    has_content: bool,
    calls: Vec<Call>,
    /// The arguments of each call, as they came.
    arguments: Vec<String>,
    /// Index in the content -> ordinal.
    ordinals: HashMap<usize, usize>,
}

impl ItemMaker {
    pub(crate) fn new(api: &str) -> Self {
        Self {
            is_anthropic: api == "anthropic-messages",
            is_head_told: false,
            has_content: false,
            calls: Vec::new(),
            arguments: Vec::new(),
            ordinals: HashMap::new(),
        }
    }

    /// Give the items that an event amounts to.
    pub(crate) fn items(&mut self, event: AssistantMessageEvent) -> Vec<Item> {
        match event {
            AssistantMessageEvent::Start { .. } => self.head(),
            AssistantMessageEvent::TextDelta { delta, .. } => self.piece(delta, Item::Text),
            AssistantMessageEvent::ThinkingDelta { delta, .. } => self.piece(delta, Item::Thinking),
            AssistantMessageEvent::ToolCallStart { content_index, partial } => self.open(content_index, &partial),
            AssistantMessageEvent::ToolCallDelta {
                content_index, delta, ..
            } => {
                let ordinal = self.ordinals.get(&content_index).copied().unwrap_or_default();
                if let Some(arguments) = self.arguments.get_mut(ordinal) {
                    arguments.push_str(&delta);
                }
                self.piece(delta, |text| Item::CallArgs(ordinal, text))
            }
            AssistantMessageEvent::ToolCallEnd {
                content_index,
                tool_call,
                ..
            } => self.name(content_index, tool_call),
            AssistantMessageEvent::Done { reason, message } => self.done(reason, &message),
            AssistantMessageEvent::Error { error, .. } => {
                let words = error.error_message.clone().unwrap_or_default();
                self.fail(&words, &error.usage)
            }
            _ => Vec::new(),
        }
    }

    /// Give the last items of a stream that is read no further.
    pub(crate) fn cut(&mut self, why: &str) -> Vec<Item> {
        self.close(&Usage::default(), Item::Error("truncated", why.to_owned()))
    }

    /// Give the last items of a stream that the engine cannot go on with.
    pub(crate) fn broken(&mut self, why: String) -> Vec<Item> {
        self.close(&Usage::default(), Item::Error("connection_error", why))
    }

    fn head(&mut self) -> Vec<Item> {
        self.is_head_told = true;
        vec![Item::Head(OK, Vec::new())]
    }

    fn piece(&mut self, text: String, make: impl FnOnce(String) -> Item) -> Vec<Item> {
        self.has_content = true;
        if text.is_empty() { Vec::new() } else { vec![make(text)] }
    }

    fn open(&mut self, content_index: usize, partial: &AssistantMessage) -> Vec<Item> {
        self.has_content = true;
        let ordinal = self.calls.len();
        self.ordinals.insert(content_index, ordinal);
        let (id, name) = match partial.content.get(content_index) {
            Some(Content::ToolCall { inner }) => (inner.id.to_string(), inner.name.clone()),
            _ => (String::new(), String::new()),
        };
        self.calls.push(Call {
            ordinal,
            id,
            name,
            extra: None,
        });
        self.arguments.push(String::new());
        vec![Item::CallOpen(ordinal)]
    }

    fn name(&mut self, content_index: usize, told: ToolCall) -> Vec<Item> {
        let ordinal = self.ordinals.get(&content_index);
        if let Some(call) = ordinal.and_then(|ordinal| self.calls.get_mut(*ordinal)) {
            call.id = told.id.into_inner();
            call.name = told.name;
        }
        Vec::new()
    }

    /// The crate knows no error in a stream: a filtered answer is a `stop` to it, and so is one that says nothing at all.
    fn done(&mut self, reason: StopReasonSuccess, message: &AssistantMessage) -> Vec<Item> {
        let word = match (message.stop_reason, reason) {
            (StopReason::Error, _) => "content_filter",
            (_, StopReasonSuccess::Stop) => "stop",
            (_, StopReasonSuccess::Length) => "length",
            (_, StopReasonSuccess::ToolUse) => "tool_calls",
        };
        if word == "stop" && !self.has_content && is_untold(&message.usage) {
            return vec![Item::Error("empty_response", String::new())];
        }
        let mut items = self.lost_arguments();
        items.push(Item::Finish(word.to_owned()));
        items.extend(self.close(&message.usage, Item::End));
        items
    }

    /// The crate gives the pieces of interleaved calls to the one that was opened last. Where that has made arguments that
    /// do not parse, calls that have none must not run as if they wanted none.
    fn lost_arguments(&self) -> Vec<Item> {
        let is_broken = |text: &String| serde_json::from_str::<serde_json::Map<_, _>>(text).is_err();
        let is_bare = |text: &String| text.trim().is_empty();
        if !self.arguments.iter().any(|text| !is_bare(text) && is_broken(text)) {
            return Vec::new();
        }
        let bare = self.arguments.iter().enumerate().filter(|(_, text)| is_bare(text));
        bare.map(|(ordinal, _)| Item::CallArgs(ordinal, LOST.to_owned()))
            .collect()
    }

    fn fail(&mut self, words: &str, usage: &Usage) -> Vec<Item> {
        let told = if self.is_head_told { None } else { told_status(words) };
        if let Some((status, body)) = told {
            let mut body = body.as_bytes().to_vec();
            body.truncate(MAX_ERROR_BODY);
            return vec![Item::Head(status, Vec::new()), Item::Body(body), Item::End];
        }
        // Without the URL, which may hold anything.
        let words = words.strip_prefix(REQUEST).unwrap_or(words);
        let words = words.split(" for url (").next().unwrap_or(words).to_owned();
        let code = if self.is_head_told {
            "truncated"
        } else {
            "connection_error"
        };
        self.close(usage, Item::Error(code, words))
    }

    fn close(&mut self, usage: &Usage, last: Item) -> Vec<Item> {
        let mut items: Vec<Item> = self.calls.drain(..).map(Item::Call).collect();
        if !is_untold(usage) {
            items.push(Item::Usage(self.counters(usage)));
        }
        items.push(last);
        items
    }

    fn counters(&self, usage: &Usage) -> Counters {
        let (read, written) = (u64::from(usage.cache_read), u64::from(usage.cache_write));
        let cached = if self.is_anthropic { read + written } else { 0 };
        Counters {
            prompt: Some(u64::from(usage.input) + cached),
            completion: Some(u64::from(usage.output)),
            total: None,
            cached: Some(read),
            written: Some(written),
            reasoning: None,
            cost: (usage.cost.total > 0.0).then_some(usage.cost.total),
        }
    }
}

/// Whether nothing was told: the crate has zeros for that.
pub(crate) fn is_untold(usage: &Usage) -> bool {
    usage.input == 0 && usage.output == 0 && usage.cache_read == 0 && usage.cache_write == 0
}

/// Find the status and the body in the words of an error.
fn told_status(words: &str) -> Option<(u16, &str)> {
    let (status, body) = words.strip_prefix(STATUS)?.split_once(" - ")?;
    Some((status.parse().ok()?, body))
}

#[cfg(test)]
mod tests {
    use alchemy_llm::types::{Api, Provider};

    use super::*;

    fn message(content: Vec<Content>) -> AssistantMessage {
        AssistantMessage {
            content,
            api: Api::OpenAICompletions,
            provider: Provider::Custom("any".to_owned()),
            model: "m".to_owned(),
            usage: Usage::default(),
            stop_reason: StopReason::Stop,
            error_message: None,
            timestamp: 0,
        }
    }

    fn done(message: AssistantMessage) -> AssistantMessageEvent {
        AssistantMessageEvent::Done {
            reason: StopReasonSuccess::Stop,
            message,
        }
    }

    fn failed(words: &str) -> AssistantMessageEvent {
        let mut error = message(Vec::new());
        error.error_message = Some(words.to_owned());
        let reason = alchemy_llm::types::StopReasonError::Error;
        AssistantMessageEvent::Error { reason, error }
    }

    #[test]
    fn a_status_is_a_head_and_a_body() {
        let items = ItemMaker::new("openai-completions").items(failed("API returned error: 429 - {\"a\": \" - \"}"));

        let body = b"{\"a\": \" - \"}".to_vec();
        assert_eq!(items, [Item::Head(429, Vec::new()), Item::Body(body), Item::End]);
    }

    #[test]
    fn what_breaks_is_told_without_its_url() {
        let words = "HTTP request failed: error sending request for url (http://h/?key=s3cret)";
        let mut maker = ItemMaker::new("openai-completions");

        let said = "error sending request".to_owned();
        assert_eq!(
            maker.items(failed(words)),
            [Item::Error("connection_error", said.clone())]
        );
        maker.head();
        assert_eq!(maker.items(failed(words)), [Item::Error("truncated", said)]);
    }

    #[test]
    fn an_answer_that_says_nothing_at_all_is_no_success() {
        let mut maker = ItemMaker::new("openai-completions");
        let mut told = message(Vec::new());
        told.usage.input = 3;

        let nothing = maker.items(done(message(Vec::new())));
        assert_eq!(nothing, [Item::Error("empty_response", String::new())]);
        assert_eq!(maker.items(done(told)).last(), Some(&Item::End));
    }

    #[test]
    fn a_filtered_answer_is_told_as_one() {
        let mut filtered = message(Vec::new());
        filtered.stop_reason = StopReason::Error;

        let items = ItemMaker::new("openai-completions").items(done(filtered));

        assert_eq!(items, [Item::Finish("content_filter".to_owned()), Item::End]);
    }

    #[test]
    fn a_call_that_never_ended_keeps_its_name() {
        let mut maker = ItemMaker::new("openai-completions");
        let partial = message(vec![Content::tool_call("a", "look", serde_json::json!({}))]);
        let started = AssistantMessageEvent::ToolCallStart {
            content_index: 0,
            partial,
        };

        assert_eq!(maker.items(started), [Item::CallOpen(0)]);
        let call = Call {
            ordinal: 0,
            id: "a".to_owned(),
            name: "look".to_owned(),
            extra: None,
        };
        let cut = Item::Error("truncated", "cut".to_owned());
        assert_eq!(maker.cut("cut"), [Item::Call(call), cut]);
    }

    #[test]
    fn arguments_that_another_call_got_are_not_taken_for_none() {
        let mut maker = ItemMaker::new("openai-completions");
        let told = message(vec![
            Content::tool_call("a", "one", serde_json::json!({})),
            Content::tool_call("b", "two", serde_json::json!({})),
        ]);
        for content_index in [0, 1] {
            let partial = told.clone();
            maker.items(AssistantMessageEvent::ToolCallStart { content_index, partial });
        }
        maker.items(AssistantMessageEvent::ToolCallDelta {
            content_index: 1,
            delta: "{\"x\":1}{\"y\":2}".to_owned(),
            partial: told.clone(),
        });

        let items = maker.items(done(told));

        assert_eq!(items.first(), Some(&Item::CallArgs(0, LOST.to_owned())));
    }

    #[test]
    fn a_prompt_has_its_cached_tokens_whatever_the_dialect_says() {
        let usage = Usage {
            input: 10,
            output: 1,
            cache_read: 4,
            cache_write: 2,
            ..Usage::default()
        };

        let prompts =
            ["openai-completions", "anthropic-messages"].map(|api| ItemMaker::new(api).counters(&usage).prompt);

        assert_eq!(prompts, [Some(10), Some(16)]);
    }
}
