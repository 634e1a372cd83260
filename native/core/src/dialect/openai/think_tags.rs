//! Think tags: thinking that stands in the text, between `<think>` and `</think>`.

use crate::item::Item;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Text in, text and thinking out. What may be half a tag is held back.
#[derive(Debug, Default)]
pub(super) struct ThinkTags {
    is_inside: bool,
    held: String,
}

impl ThinkTags {
    /// Take a piece of text; add what it gives.
    pub(super) fn push(&mut self, piece: &str, items: &mut Vec<Item>) {
        let text = std::mem::take(&mut self.held) + piece;
        let mut rest = text.as_str();
        while let Some((begin, tag)) = self.find(rest) {
            self.give(&rest[..begin], items);
            self.is_inside = tag == OPEN;
            rest = &rest[begin + tag.len()..];
        }
        let (told, held) = rest.split_at(rest.len() - self.beginning(rest));
        self.give(told, items);
        held.clone_into(&mut self.held);
    }

    /// Add what is held back, as what it stands in.
    pub(super) fn release(&mut self, items: &mut Vec<Item>) {
        let held = std::mem::take(&mut self.held);
        self.give(&held, items);
    }

    /// The tags that matter here.
    fn tags(&self) -> &'static [&'static str] {
        if self.is_inside { &[CLOSE] } else { &[OPEN, CLOSE] }
    }

    /// Where the next tag that matters begins, and which it is.
    fn find(&self, text: &str) -> Option<(usize, &'static str)> {
        let found = self.tags().iter().filter_map(|tag| Some((text.find(tag)?, *tag)));
        found.min_by_key(|(begin, _)| *begin)
    }

    /// How many bytes at the end of `text` may be the beginning of a tag that matters.
    fn beginning(&self, text: &str) -> usize {
        let longest = |tag: &&str| (1..tag.len()).rev().find(|&size| text.ends_with(&tag[..size]));
        self.tags().iter().filter_map(longest).max().unwrap_or(0)
    }

    fn give(&self, text: &str, items: &mut Vec<Item>) {
        if !text.is_empty() {
            items.push(if self.is_inside {
                Item::Thinking(text.to_owned())
            } else {
                Item::Text(text.to_owned())
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&str]) -> (String, String) {
        let mut tags = ThinkTags::default();
        let mut items = Vec::new();
        for piece in pieces {
            tags.push(piece, &mut items);
        }
        tags.release(&mut items);
        let mut told = (String::new(), String::new());
        for item in items {
            match item {
                Item::Text(text) => told.0 += &text,
                Item::Thinking(text) => told.1 += &text,
                _ => {}
            }
        }
        told
    }

    #[test]
    fn tags_may_be_split_anywhere() {
        let whole = "a<think>b<think>c</think>d</think>e<thi";
        let expected = split(&[whole]);

        assert_eq!(expected, ("ade<thi".to_owned(), "b<think>c".to_owned()));
        for at in 0..=whole.len() {
            assert_eq!(split(&[&whole[..at], &whole[at..]]), expected, "split at {at}");
        }
    }

    #[test]
    fn unclosed_is_thinking_to_the_end() {
        assert_eq!(split(&["<think>so </thin"]), (String::new(), "so </thin".to_owned()));
    }
}
