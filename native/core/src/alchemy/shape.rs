//! The crate's events and messages in the dict shapes of the seed.

use alchemy_llm::types::{AssistantMessage, AssistantMessageEvent, Content, StopReason, ToolCall, Usage};
use serde_json::{Value, json};

use super::request::Ask;

/// What the crate sets as the signature of thinking that has none.
const NO_SIGNATURE: &str = "thinking";

/// Give the event as a dict, and the message if it is the last one.
pub(crate) fn to_event(event: &AssistantMessageEvent, ask: &Ask) -> (Value, Option<Value>) {
    use AssistantMessageEvent as E;
    let made = match event {
        E::Start { partial } => json!({"type": "start", "partial": to_message(partial, ask)}),
        E::TextStart { content_index, partial } => start("text_start", *content_index, partial, ask),
        E::ThinkingStart { content_index, partial } => start("thinking_start", *content_index, partial, ask),
        E::ToolCallStart { content_index, partial } => start("tool_call_start", *content_index, partial, ask),
        E::TextDelta {
            content_index,
            delta,
            partial,
        } => with("text_delta", *content_index, partial, ask, "delta", json!(delta)),
        E::ThinkingDelta {
            content_index,
            delta,
            partial,
        } => with("thinking_delta", *content_index, partial, ask, "delta", json!(delta)),
        E::ToolCallDelta {
            content_index,
            delta,
            partial,
        } => with("tool_call_delta", *content_index, partial, ask, "delta", json!(delta)),
        E::TextEnd {
            content_index,
            content,
            partial,
        } => with("text_end", *content_index, partial, ask, "content", json!(content)),
        E::ThinkingEnd {
            content_index,
            content,
            partial,
        } => with("thinking_end", *content_index, partial, ask, "content", json!(content)),
        E::ToolCallEnd {
            content_index,
            tool_call,
            partial,
        } => with(
            "tool_call_end",
            *content_index,
            partial,
            ask,
            "tool_call",
            to_call(tool_call),
        ),
        E::Done { message, .. } => return last("done", "message", to_message(message, ask)),
        E::Error { error, .. } => return last("error", "error", to_message(error, ask)),
    };
    (made, None)
}

/// Give the last event of a stream that the crate did not end itself.
pub(crate) fn failed(why: &str, ask: &Ask) -> (Value, Option<Value>) {
    let message = json!({
        "role": "assistant",
        "content": [],
        "stop_reason": "error",
        "timestamp": now_ms(),
        "api": ask.api,
        "provider": ask.provider,
        "model": ask.model,
        "usage": to_usage(&Usage::default(), ask),
        "error_message": why,
    });
    last("error", "error", message)
}

fn last(kind: &str, member: &str, message: Value) -> (Value, Option<Value>) {
    let mut event = json!({"type": kind, "reason": message["stop_reason"]});
    event[member] = message.clone();
    (event, Some(message))
}

fn start(kind: &str, content_index: usize, partial: &AssistantMessage, ask: &Ask) -> Value {
    json!({"type": kind, "content_index": content_index, "partial": to_message(partial, ask)})
}

fn with(kind: &str, content_index: usize, partial: &AssistantMessage, ask: &Ask, member: &str, value: Value) -> Value {
    let mut event = start(kind, content_index, partial, ask);
    event[member] = value;
    event
}

fn to_message(message: &AssistantMessage, ask: &Ask) -> Value {
    json!({
        "role": "assistant",
        "content": message.content.iter().filter_map(|block| to_block(block, ask)).collect::<Vec<_>>(),
        "stop_reason": word_of(message.stop_reason),
        "timestamp": message.timestamp,
        "api": ask.api,
        "provider": ask.provider,
        "model": message.model,
        "usage": to_usage(&message.usage, ask),
        "error_message": message.error_message,
    })
}

fn to_block(block: &Content, ask: &Ask) -> Option<Value> {
    Some(match block {
        Content::Text { inner } => json!({"type": "text", "text": inner.text}),
        Content::Thinking { inner } => {
            let mut thinking = json!({"type": "thinking", "thinking": inner.thinking});
            // Of the other dialects it is the name of a member, which no maker takes for a proof.
            let signature = inner.thinking_signature.as_deref().filter(|word| *word != NO_SIGNATURE);
            if let Some(signature) = signature.filter(|_| ask.api == "anthropic-messages") {
                thinking["thinking_signature"] = json!(signature);
            }
            thinking
        }
        Content::ToolCall { inner } => to_call(inner),
        Content::Image { .. } => return None,
    })
}

fn to_call(call: &ToolCall) -> Value {
    json!({"type": "tool_call", "id": call.id.as_str(), "name": call.name, "arguments": call.arguments})
}

fn word_of(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Stop => "complete",
        StopReason::Length => "length",
        StopReason::ToolUse => "tool_calls",
        StopReason::Error => "error",
        StopReason::Aborted => "aborted",
    }
}

/// Give the one form of usage: `input` is what was not cached.
fn to_usage(usage: &Usage, ask: &Ask) -> Value {
    let cached = usage.cache_read.saturating_add(usage.cache_write);
    let input = if ask.api == "anthropic-messages" {
        usage.input
    } else {
        usage.input.saturating_sub(cached)
    };
    let cost = usage.cost;
    json!({
        "input": input,
        "output": usage.output,
        "cache_read": usage.cache_read,
        "cache_write": usage.cache_write,
        "total_tokens": u64::from(input) + u64::from(usage.output) + u64::from(cached),
        "cost": {
            "input": cost.input,
            "output": cost.output,
            "cache_read": cost.cache_read,
            "cache_write": cost.cache_write,
            "total": cost.total,
        },
    })
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
