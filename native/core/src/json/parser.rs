//! The parser: recursive descent over a text whose nesting is bounded.

use std::borrow::Cow;

use super::{Malformed, Object, Value, Wide};
use crate::text::push_code_point;

/// How deep arrays and objects may be nested.
pub(super) const MAX_DEPTH: usize = 127;

/// A number this short without an exponent is finite.
const SURELY_FINITE: usize = 300;

/// Parse a text, with white space around it.
pub(super) fn parse(text: &str) -> Result<Value<'_>, Malformed> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let value = parser.value()?;
    parser.skip_blanks();
    if parser.at == text.len() {
        Ok(value)
    } else {
        Err(Malformed)
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Step over a byte, if it comes next.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self) -> Result<Value<'a>, Malformed> {
        self.skip_blanks();
        match self.peek().ok_or(Malformed)? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'"' => self.string().map(Value::Text),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            _ => self.number(),
        }
    }

    fn nested(&mut self, inside: fn(&mut Self) -> Result<Value<'a>, Malformed>) -> Result<Value<'a>, Malformed> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Malformed);
        }
        let value = inside(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value<'a>, Malformed> {
        let mut object = Object::default();
        self.skip_blanks();
        if self.take(b'}') {
            return Ok(Value::Object(object));
        }
        loop {
            self.skip_blanks();
            let name = self.string()?;
            self.skip_blanks();
            if !self.take(b':') {
                return Err(Malformed);
            }
            object.0.push((name, self.value()?));
            self.skip_blanks();
            if self.take(b'}') {
                object.drop_duplicates();
                return Ok(Value::Object(object));
            }
            if !self.take(b',') {
                return Err(Malformed);
            }
        }
    }

    fn array(&mut self) -> Result<Value<'a>, Malformed> {
        let mut elements = Vec::new();
        self.skip_blanks();
        if self.take(b']') {
            return Ok(Value::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            self.skip_blanks();
            if self.take(b']') {
                return Ok(Value::Array(elements));
            }
            if !self.take(b',') {
                return Err(Malformed);
            }
        }
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, Malformed> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(Malformed)
        }
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let begin = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > begin { Ok(()) } else { Err(Malformed) }
    }

    fn number(&mut self) -> Result<Value<'a>, Malformed> {
        let begin = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        let has_exponent = matches!(self.peek(), Some(b'e' | b'E'));
        if has_exponent {
            self.at += 1;
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        let text = &self.text[begin..self.at];
        let is_finite =
            (!has_exponent && text.len() < SURELY_FINITE) || text.parse().is_ok_and(|real: f64| real.is_finite());
        if is_finite {
            Ok(Value::Number(text))
        } else {
            Err(Malformed)
        }
    }

    fn string(&mut self) -> Result<Wide<'a>, Malformed> {
        if !self.take(b'"') {
            return Err(Malformed);
        }
        let plain = self.plain()?;
        if self.take(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut wide = plain.to_vec();
        while self.take(b'\\') {
            self.escape(&mut wide)?;
            wide.extend_from_slice(self.plain()?);
        }
        if self.take(b'"') {
            Ok(Cow::Owned(wide))
        } else {
            Err(Malformed)
        }
    }

    /// The bytes up to the next quote or backslash.
    fn plain(&mut self) -> Result<&'a [u8], Malformed> {
        let rest = &self.text.as_bytes()[self.at..];
        let plain = &rest[..memchr::memchr2(b'"', b'\\', rest).ok_or(Malformed)?];
        if plain.iter().any(|&byte| byte < b' ') {
            return Err(Malformed);
        }
        self.at += plain.len();
        Ok(plain)
    }

    fn escape(&mut self, wide: &mut Vec<u8>) -> Result<(), Malformed> {
        let escaped = self.peek().ok_or(Malformed)?;
        self.at += 1;
        let byte = match escaped {
            b'"' | b'\\' | b'/' => escaped,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                self.unicode(wide)?;
                return Ok(());
            }
            _ => return Err(Malformed),
        };
        wide.push(byte);
        Ok(())
    }

    fn unicode(&mut self, wide: &mut Vec<u8>) -> Result<(), Malformed> {
        let unit = self.unit().ok_or(Malformed)?;
        let here = self.at;
        if (0xd800..0xdc00).contains(&unit) && self.take(b'\\') && self.take(b'u') {
            if let Some(low @ 0xdc00..=0xdfff) = self.unit() {
                push_code_point(wide, 0x10000 + ((unit & 0x3ff) << 10) + (low & 0x3ff));
                return Ok(());
            }
        }
        self.at = here;
        push_code_point(wide, unit);
        Ok(())
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
        self.at += 4;
        digits
            .iter()
            .try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
    }
}
