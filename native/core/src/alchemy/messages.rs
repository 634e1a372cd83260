//! From messages in the dict shapes of the seed to the crate's.

use alchemy_llm::types::{
    Api, AssistantMessage, Content, ImageContent, Message, Provider, StopReason, TextContent, ThinkingContent,
    ToolResultContent, ToolResultMessage, Usage, UserContent, UserContentBlock, UserMessage,
};
use serde_json::Value;

use super::request::RequestError;
use super::value::At;

/// Give the message; none for a role that models do not see.
pub(crate) fn to_message(message: &At<'_>) -> Result<Option<Message>, RequestError> {
    let role = message.text("role")?;
    Ok(Some(match role {
        "user" => Message::User(UserMessage {
            content: to_user_content(&message.at("content"))?,
            timestamp: 0,
        }),
        "assistant" => Message::Assistant(to_assistant(message)?),
        "tool_result" => Message::ToolResult(to_result(message)?),
        _ => return Ok(None),
    }))
}

fn to_user_content(content: &At<'_>) -> Result<UserContent, RequestError> {
    match content.value() {
        Some(Value::String(text)) => Ok(UserContent::Text(text.clone())),
        Some(Value::Array(_)) => {
            let blocks = content.entries();
            let blocks: Vec<_> = blocks.iter().map(to_user_block).collect::<Result<_, _>>()?;
            Ok(match blocks.as_slice() {
                [UserContentBlock::Text(only)] => UserContent::Text(only.text.clone()),
                _ => UserContent::Multi(blocks),
            })
        }
        _ => Err(content.wrong("must be a string or a list of blocks")),
    }
}

fn to_user_block(block: &At<'_>) -> Result<UserContentBlock, RequestError> {
    match block.text("type")? {
        "text" => Ok(UserContentBlock::Text(to_text(block)?)),
        "image" => Ok(UserContentBlock::Image(to_image(block)?)),
        _ => Err(block.at("type").wrong("a user's message holds text and images")),
    }
}

fn to_text(block: &At<'_>) -> Result<TextContent, RequestError> {
    Ok(TextContent {
        text: block.text_or("text", "")?.to_owned(),
        text_signature: None,
    })
}

fn to_image(block: &At<'_>) -> Result<ImageContent, RequestError> {
    let mime_type = block.text_or("mime_type", "image/png")?.to_owned();
    let url = block.text_or("url", "")?;
    let (data, mime_type) = match url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((kind, data)) => (data, kind.to_owned()),
        None => (block.text_or("data", "")?, mime_type),
    };
    if data.is_empty() {
        return Err(block.wrong("the alchemy engine sends images by their data, not by a URL"));
    }
    ImageContent::from_base64(data, mime_type).map_err(|_| block.at("data").wrong("must be base64"))
}

fn to_assistant(message: &At<'_>) -> Result<AssistantMessage, RequestError> {
    let content = message.at("content");
    let content = match content.value() {
        None => Vec::new(),
        Some(Value::String(text)) => vec![Content::text(text.as_str())],
        Some(Value::Array(_)) => content.entries().iter().map(to_block).collect::<Result<Vec<_>, _>>()?,
        Some(_) => return Err(content.wrong("must be a string or a list of blocks")),
    };
    // Of an earlier answer the crate sends only the content.
    Ok(AssistantMessage {
        content,
        api: Api::OpenAICompletions,
        provider: Provider::Custom(String::new()),
        model: String::new(),
        usage: Usage::default(),
        stop_reason: StopReason::Stop,
        error_message: None,
        timestamp: 0,
    })
}

fn to_block(block: &At<'_>) -> Result<Content, RequestError> {
    Ok(match block.text("type")? {
        "text" => Content::Text { inner: to_text(block)? },
        "thinking" => Content::Thinking {
            inner: ThinkingContent {
                thinking: block.text_or("thinking", "")?.to_owned(),
                thinking_signature: block
                    .at("thinking_signature")
                    .value()
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            },
        },
        "tool_call" => {
            let arguments = block.object("arguments")?.value().cloned();
            let arguments = arguments.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
            Content::tool_call(block.text("id")?, block.text("name")?, arguments)
        }
        _ => return Err(block.at("type").wrong("an answer holds text, thinking and tool calls")),
    })
}

fn to_result(message: &At<'_>) -> Result<ToolResultMessage, RequestError> {
    let content = message.at("content");
    let content = match content.value() {
        Some(Value::String(text)) => vec![ToolResultContent::Text(TextContent {
            text: text.clone(),
            text_signature: None,
        })],
        _ => message
            .items("content")?
            .iter()
            .map(to_result_block)
            .collect::<Result<Vec<_>, _>>()?,
    };
    Ok(ToolResultMessage {
        tool_call_id: message.text("tool_call_id")?.into(),
        tool_name: message.text_or("tool_name", "")?.to_owned(),
        content,
        details: None,
        is_error: message.flag("is_error")?.unwrap_or(false),
        timestamp: 0,
    })
}

fn to_result_block(block: &At<'_>) -> Result<ToolResultContent, RequestError> {
    match block.text("type")? {
        "text" => Ok(ToolResultContent::Text(to_text(block)?)),
        "image" => Ok(ToolResultContent::Image(to_image(block)?)),
        _ => Err(block.at("type").wrong("a result holds text and images")),
    }
}
