//! What one delta says: its thinking and its text, wherever they stand in it.

use std::borrow::Cow;

use crate::json::{Object, Value, Wide};

const THINKING_MEMBERS: [&str; 3] = ["reasoning_content", "reasoning", "reasoning_text"];

/// Give the thinking of a delta, other than in its reasoning details.
pub(super) fn thinking_of<'a>(delta: &'a Object<'_>) -> Wide<'a> {
    let direct = THINKING_MEMBERS.iter().find_map(|name| delta.text(name));
    if let Some(text) = direct {
        return Cow::Borrowed(text);
    }
    let mut thinking = Vec::new();
    for part in delta.get("content").into_iter().flat_map(Value::objects) {
        if is_type(part, b"thinking") {
            add_thought(part.get("thinking"), &mut thinking);
        }
    }
    Cow::Owned(thinking)
}

/// Give the text of a delta's content.
pub(super) fn text_of<'a>(delta: &'a Object<'_>) -> Wide<'a> {
    let Some(content) = delta.get("content") else {
        return Cow::Borrowed(&[]);
    };
    if let Some(text) = content.as_text() {
        return Cow::Borrowed(text);
    }
    let texts = content.objects().filter(|part| is_type(part, b"text"));
    Cow::Owned(
        texts
            .flat_map(|part| part.text("text").unwrap_or_default())
            .copied()
            .collect(),
    )
}

fn is_type(object: &Object<'_>, name: &[u8]) -> bool {
    object.text("type") == Some(name)
}

fn add_thought(value: Option<&Value<'_>>, thinking: &mut Vec<u8>) {
    let Some(value) = value else { return };
    if let Some(text) = value.as_text() {
        thinking.extend_from_slice(text);
    }
    for inner in value.objects() {
        thinking.extend_from_slice(inner.text("text").unwrap_or_default());
    }
}
