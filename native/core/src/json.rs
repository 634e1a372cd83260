//! JSON by the profile of `docs/explanation/engine-boundary.md`.
//!
//! Not serde's: strings may hold lone surrogates, numbers keep the text they had in their source, and the last of
//! duplicate members wins at the place of the first. Time and memory are linear in the text.

mod parser;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use crate::text::settle;

/// The largest counter.
pub const MAX_COUNTER: u64 = 1 << 53;

/// What the profile calls white space.
pub const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// Objects with more members than this are searched for duplicates with a table.
const FEW: usize = 16;

/// A text that is not JSON by the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Wide text: see [`crate::text`].
pub type Wide<'a> = Cow<'a, [u8]>;

/// A value, borrowing from its source what it can.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it stood.
    Number(&'a str),
    /// A string.
    Text(Wide<'a>),
    /// An array.
    Array(Vec<Value<'a>>),
    /// An object.
    Object(Object<'a>),
}

/// The members of an object, in order, each name once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a>(Vec<(Wide<'a>, Value<'a>)>);

impl<'a> Object<'a> {
    /// Give a member.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        let found = self.0.iter().find(|(known, _)| **known == *name.as_bytes());
        found.map(|(_, value)| value)
    }

    /// Give a member that is a string and not empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&[u8]> {
        self.get(name).and_then(Value::as_text).filter(|text| !text.is_empty())
    }

    /// Give a member that is an object.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<&Object<'a>> {
        self.get(name).and_then(Value::as_object)
    }

    /// Give a member that is a counter.
    #[must_use]
    pub fn counter(&self, name: &str) -> Option<u64> {
        self.get(name).and_then(Value::counter)
    }

    /// Give the members in order.
    pub fn members(&self) -> impl Iterator<Item = (&[u8], &Value<'a>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Whether it has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn drop_duplicates(&mut self) {
        let firsts = self.first_places();
        for (at, &first) in firsts.iter().enumerate() {
            if first != at {
                self.0[first].1 = std::mem::replace(&mut self.0[at].1, Value::Null);
            }
        }
        let mut places = firsts.iter().enumerate();
        self.0.retain(|_| places.next().is_some_and(|(at, &first)| at == first));
    }

    /// Where each member's name stands for the first time.
    fn first_places(&self) -> Vec<usize> {
        let names = self.0.iter().map(|(name, _)| name);
        if self.0.len() > FEW {
            let mut firsts = HashMap::with_capacity(self.0.len());
            names
                .enumerate()
                .map(|(at, name)| *firsts.entry(name).or_insert(at))
                .collect()
        } else {
            let first = |wanted| self.0.iter().position(|(name, _)| name == wanted);
            names.map(|name| first(name).unwrap_or_default()).collect()
        }
    }
}

impl<'a> Value<'a> {
    /// Parse a text, with white space around it.
    ///
    /// # Errors
    ///
    /// [`Malformed`]: it is not JSON by the profile.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        parser::parse(text)
    }

    /// Give the string, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Give the object, if it is one.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Give the elements, if it is an array; else none.
    #[must_use]
    pub fn elements(&self) -> &[Self] {
        match self {
            Self::Array(elements) => elements,
            _ => &[],
        }
    }

    /// Give the elements that are objects.
    pub fn objects(&self) -> impl Iterator<Item = &Object<'a>> {
        self.elements().iter().filter_map(Self::as_object)
    }

    /// Give a whole number of at least 0 and at most 2^53; anything else is not told.
    #[must_use]
    pub fn counter(&self) -> Option<u64> {
        let Self::Number(text) = self else {
            return None;
        };
        if let Some(digits) = text.strip_prefix('-') {
            if digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return digits.bytes().all(|byte| byte == b'0').then_some(0);
            }
        } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().filter(|&counter: &u64| counter <= MAX_COUNTER);
        }
        whole(text.parse().ok()?)
    }

    /// Give a number that is not below 0; anything else is not told.
    #[must_use]
    pub fn amount(&self) -> Option<f64> {
        self.real().filter(|&real| real >= 0.0)
    }

    /// Give the number, if it is one.
    #[must_use]
    pub fn real(&self) -> Option<f64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Whether it is a number and that number is 0.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.real().is_some_and(|real| real == 0.0)
    }

    /// Give the canonical text.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(text) => out.push_str(text),
            Self::Text(text) => write_string(text, out),
            Self::Array(elements) => {
                out.push('[');
                for (place, element) in elements.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    element.write(out);
                }
                out.push(']');
            }
            Self::Object(object) => {
                let members = object.0.iter();
                write_members(members.map(|(name, value)| (&**name, value.canonical())), out);
            }
        }
    }
}

/// Write an object of members whose values are canonical already.
pub(crate) fn write_members<'a>(members: impl Iterator<Item = (&'a [u8], String)>, out: &mut String) {
    out.push('{');
    for (place, (name, value)) in members.enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_string(name, out);
        out.push(':');
        out.push_str(&value);
    }
    out.push('}');
}

/// Write wide text as a JSON string.
pub(crate) fn write_string(wide: &[u8], out: &mut String) {
    out.push('"');
    for character in settle(wide).chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// Give wide text as a JSON string.
#[must_use]
pub fn string(wide: &[u8]) -> String {
    let mut out = String::with_capacity(wide.len() + 2);
    write_string(wide, &mut out);
    out
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "checked to be whole and between 0 and 2^53, where both are exact"
)]
fn whole(real: f64) -> Option<u64> {
    (real >= 0.0 && real <= MAX_COUNTER as f64 && real.fract() == 0.0).then_some(real as u64)
}

#[cfg(test)]
mod tests {
    use super::parser::MAX_DEPTH;
    use super::*;

    fn canonical(text: &str) -> Result<String, Malformed> {
        Value::parse(text).map(|value| value.canonical())
    }

    #[test]
    fn canonical_text_is_compact_and_keeps_order_and_numbers() {
        let text = " { \"b\" : [ 1.50 , -0, 1E+2, true, null ] ,\t\"a\":\"\\u00e9\\/\\n\\u0001\" } ";

        assert_eq!(
            canonical(text).as_deref(),
            Ok("{\"b\":[1.50,-0,1E+2,true,null],\"a\":\"é/\\n\\u0001\"}")
        );
    }

    #[test]
    fn the_last_duplicate_wins_at_the_first_place() {
        assert_eq!(canonical(r#"{"a":1,"b":2,"a":3}"#).as_deref(), Ok(r#"{"a":3,"b":2}"#));

        let many: Vec<String> = (0..40).map(|at| format!("\"k{}\":{at}", at % 20)).collect();
        let kept: Vec<String> = (20..40).map(|at| format!("\"k{}\":{at}", at % 20)).collect();
        assert_eq!(
            canonical(&format!("{{{}}}", many.join(","))),
            Ok(format!("{{{}}}", kept.join(",")))
        );
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\":}",
            "{\"a\" 1}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "-",
            "1e",
            "+1",
            "NaN",
            "Infinity",
            "-Infinity",
            "1e999",
            "truth",
            "nul",
            "\"a",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u12\"",
            "\"\t\"",
            "1 2",
            "'a'",
            "\u{feff}{}",
        ] {
            assert_eq!(canonical(text), Err(Malformed), "{text:?}");
        }
        assert_eq!(canonical(&"9".repeat(400)), Err(Malformed));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);

        assert!(canonical(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(canonical(&nested(MAX_DEPTH + 1)), Err(Malformed));
    }

    #[test]
    fn surrogates_may_stand_alone() {
        let text = r#""\ud83d\ude00 \ud83dx \ude00 \ud83d\u0041""#;

        assert_eq!(
            canonical(text).as_deref(),
            Ok("\"\u{1f600} \u{fffd}x \u{fffd} \u{fffd}A\"")
        );
    }

    #[test]
    fn counters_are_whole_and_in_range() {
        let counter = |text| Value::parse(text).ok().and_then(|value| value.counter());
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("-0.0", Some(0)),
            ("12.0", Some(12)),
            ("1e3", Some(1000)),
            ("9007199254740992", Some(MAX_COUNTER)),
            ("9007199254740993", None),
            ("99999999999999999999", None),
            ("-1", None),
            ("1.5", None),
            ("true", None),
            ("\"1\"", None),
        ] {
            assert_eq!(counter(text), expected, "{text}");
        }
    }
}
