//! Framing: from the bytes of a body to its events, by the WHATWG's rules for Server-Sent Events and a few of our own.
//!
//! The extras are for what endpoints really send under that name: bare JSON, web pages, and a field called `error`.
//! Every byte is looked at a bounded number of times, however the body is split, and what is kept of one event is
//! bounded by a limit.

use std::ops::ControlFlow;

use memchr::memchr2;

/// How much of a page is waited for before it is reported.
pub const PAGE_BYTES: usize = 4096;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// An event that was dispatched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its data, the lines joined by LF.
    pub data: &'a [u8],
    /// The last value of the field `event`.
    pub event: &'a [u8],
    /// The last value of the field `error`.
    pub error: &'a [u8],
}

/// Who takes the events; breaking ends the reading.
pub type Sink<'a> = &'a mut dyn FnMut(Frame<'_>) -> ControlFlow<()>;

/// What the body turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Nothing came but perhaps a piece of a BOM.
    Unknown,
    /// Only white space came.
    Blank,
    /// Server-Sent Events.
    Events,
    /// One JSON document.
    Json,
    /// A web page.
    Page,
}

/// The event in the making.
#[derive(Debug, Default)]
struct Pending {
    data: Vec<u8>,
    /// Whether a data line came, be it an empty one.
    has_data: bool,
    event: Vec<u8>,
    error: Vec<u8>,
    /// Bytes of its lines.
    size: usize,
    /// Its lines are JSON as they stand.
    is_unframed: bool,
}

/// Bytes in, events out; a state between the two.
#[derive(Debug)]
pub struct Framer {
    limit: usize,
    shape: Shape,
    is_too_large: bool,
    /// A body that is no stream of events, or the first bytes of a BOM.
    whole: Vec<u8>,
    /// A line that has not ended; of a comment only its first byte.
    tail: Vec<u8>,
    /// The last read ended in CR: an LF that comes first now belongs to it.
    is_after_cr: bool,
    /// The line of that CR counts for its event.
    is_cr_counted: bool,
    pending: Pending,
}

impl Framer {
    /// Make a framer whose events have at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            shape: Shape::Unknown,
            is_too_large: false,
            whole: Vec::new(),
            tail: Vec::new(),
            is_after_cr: false,
            is_cr_counted: false,
            pending: Pending::default(),
        }
    }

    /// Take bytes of the body; the events that they end go to `sink`.
    pub fn feed(&mut self, data: &[u8], sink: Sink<'_>) {
        if data.is_empty() {
            return;
        }
        match self.shape {
            Shape::Unknown => {
                self.whole.extend_from_slice(data);
                if self.whole.len() >= BOM.len() || !BOM.starts_with(&self.whole) {
                    let whole = std::mem::take(&mut self.whole);
                    self.begin(whole.strip_prefix(BOM).unwrap_or(&whole), sink);
                }
            }
            Shape::Blank => self.begin(data, sink),
            Shape::Events | Shape::Json | Shape::Page => self.read(data, sink),
        }
    }

    /// Say that the body ended; the event that had no end of its own goes to `sink`. Whether it counts is its to judge.
    pub fn close(&mut self, sink: Sink<'_>) {
        if self.shape == Shape::Unknown {
            let whole = std::mem::take(&mut self.whole);
            self.read_lines(&whole, sink);
        }
        let line = std::mem::take(&mut self.tail);
        if !line.is_empty() && !self.is_comment(&line) {
            self.take_line(&line);
        }
        let _ = self.dispatch(sink);
    }

    /// Whether an event was larger than the limit; nothing can follow.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.is_too_large
    }

    /// Whether the whole body is one JSON document.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.shape == Shape::Json
    }

    /// Whether the body is a web page.
    #[must_use]
    pub fn is_page(&self) -> bool {
        self.shape == Shape::Page
    }

    /// Whether enough of a page has come.
    #[must_use]
    pub fn is_page_ready(&self) -> bool {
        self.is_page() && self.whole.len() >= PAGE_BYTES
    }

    /// The body as it came, from its first byte that is not white space, if it is a page or JSON.
    #[must_use]
    pub fn whole(&self) -> &[u8] {
        &self.whole
    }

    /// Look what the body is.
    fn begin(&mut self, data: &[u8], sink: Sink<'_>) {
        let body = trim_start(data);
        self.shape = match body.first() {
            None => Shape::Blank,
            Some(b'{' | b'[') => Shape::Json,
            Some(b'<') => Shape::Page,
            Some(_) => Shape::Events,
        };
        let is_whole = matches!(self.shape, Shape::Json | Shape::Page);
        self.read(if is_whole { body } else { data }, sink);
    }

    fn read(&mut self, data: &[u8], sink: Sink<'_>) {
        match self.shape {
            Shape::Unknown | Shape::Blank | Shape::Events => self.read_lines(data, sink),
            Shape::Json => {
                self.is_too_large = self.whole.len() + data.len() > self.limit;
                if !self.is_too_large {
                    self.whole.extend_from_slice(data);
                }
            }
            Shape::Page => {
                let room = PAGE_BYTES - self.whole.len();
                self.whole.extend_from_slice(&data[..room.min(data.len())]);
            }
        }
    }

    fn read_lines(&mut self, mut data: &[u8], sink: Sink<'_>) {
        if self.is_after_cr && data.first() == Some(&b'\n') {
            data = &data[1..];
            if self.is_cr_counted && !self.count(1) {
                return;
            }
        }
        self.is_after_cr = data.last() == Some(&b'\r');
        while let Some(end) = memchr2(b'\n', b'\r', data) {
            let size = end + 1 + usize::from(data[end..].starts_with(b"\r\n"));
            let flow = if self.tail.is_empty() {
                self.read_line(&data[..end], size, sink)
            } else {
                let mut line = std::mem::take(&mut self.tail);
                line.extend_from_slice(&data[..end]);
                self.read_line(&line, line.len() + size - end, sink)
            };
            if flow.is_break() {
                return;
            }
            data = &data[size..];
        }
        self.keep_tail(data);
    }

    /// Read a line of `size` bytes with its end.
    fn read_line(&mut self, text: &[u8], size: usize, sink: Sink<'_>) -> ControlFlow<()> {
        self.is_cr_counted = !text.is_empty() && !self.is_comment(text);
        if self.is_cr_counted {
            if !self.count(size) {
                return ControlFlow::Break(());
            }
            self.take_line(text);
        } else if text.is_empty() {
            return self.dispatch(sink);
        }
        ControlFlow::Continue(())
    }

    /// Keep the beginning of a line that has not ended.
    fn keep_tail(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        if self.tail.is_empty() && self.is_comment(piece) {
            self.tail.push(piece[0]);
        } else if self.tail.is_empty() || !self.is_comment(&self.tail) {
            self.is_too_large = self.pending.size + self.tail.len() + piece.len() > self.limit;
            if !self.is_too_large {
                self.tail.extend_from_slice(piece);
            }
        }
    }

    fn is_comment(&self, line: &[u8]) -> bool {
        line.first() == Some(&b':') && !self.pending.is_unframed
    }

    /// Add to the size of the event; whether it may be that large.
    fn count(&mut self, size: usize) -> bool {
        self.pending.size += size;
        self.is_too_large = self.pending.size > self.limit;
        !self.is_too_large
    }

    /// Take a line without its end, not empty and no comment.
    fn take_line(&mut self, line: &[u8]) {
        if self.pending.is_unframed || matches!(line.first(), Some(b'{' | b'[')) {
            self.pending.is_unframed = true;
            self.pending.add_data(line);
            return;
        }
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => self.pending.add_data(value),
            b"event" => self.pending.event = value.to_vec(),
            b"error" => self.pending.error = value.to_vec(),
            _ => {}
        }
    }

    fn dispatch(&mut self, sink: Sink<'_>) -> ControlFlow<()> {
        let Pending { data, event, error, .. } = &self.pending;
        let flow = if data.is_empty() && event.is_empty() && error.is_empty() {
            ControlFlow::Continue(())
        } else {
            sink(Frame { data, event, error })
        };
        self.pending.clear();
        flow
    }
}

impl Pending {
    fn add_data(&mut self, line: &[u8]) {
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
        self.data.extend_from_slice(line);
    }

    /// Begin the next event, keeping a buffer of ordinary size.
    fn clear(&mut self) {
        const KEPT: usize = 64 * 1024;
        if self.data.capacity() > KEPT {
            self.data = Vec::new();
        }
        self.data.clear();
        self.event.clear();
        self.error.clear();
        self.has_data = false;
        self.size = 0;
        self.is_unframed = false;
    }
}

/// What is left behind white space: space, tab, CR and LF.
fn trim_start(data: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let begin = data.iter().position(|byte| !is_blank(byte));
    &data[begin.unwrap_or(data.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = (String, String, String);

    fn frames(pieces: &[&[u8]]) -> Vec<Told> {
        let mut framer = Framer::new(1 << 20);
        let mut told = Vec::new();
        let mut sink = |frame: Frame<'_>| {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            told.push((text(frame.data), text(frame.event), text(frame.error)));
            ControlFlow::Continue(())
        };
        for piece in pieces {
            framer.feed(piece, &mut sink);
        }
        framer.close(&mut sink);
        told
    }

    fn data(text: &str) -> Told {
        (text.to_owned(), String::new(), String::new())
    }

    #[test]
    fn every_line_end_ends_a_line_wherever_it_is_split() {
        let body = b"data: a\r\n\r\ndata:b\r\rdata:  c\n\n: comment\ndata: d\ndata: e\r\n\n".as_slice();
        let expected = [data("a"), data("b"), data(" c"), data("d\ne")];

        for at in 0..=body.len() {
            assert_eq!(frames(&[&body[..at], &body[at..]]), expected, "split at {at}");
        }
    }

    #[test]
    fn a_mark_is_dropped_only_at_the_very_start() {
        let body = b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n".as_slice();

        for at in 0..=body.len() {
            assert_eq!(frames(&[&body[..at], &body[at..]]), [data("a")], "split at {at}");
        }
    }

    #[test]
    fn names_and_errors_are_kept_and_unframed_json_is_data() {
        let named = ("x".to_owned(), "error".to_owned(), String::new());
        let failed = (String::new(), String::new(), "broken".to_owned());
        assert_eq!(
            frames(&[b"event: error\ndata: x\n\nerror: broken\n\nid: 1\n\n"]),
            [named, failed]
        );
        assert_eq!(frames(&[b": c\n\n", b"{\"a\":\n:1}\n\n"]), [data("{\"a\":\n:1}")]);
    }

    #[test]
    fn what_a_body_is_is_seen_from_its_first_byte() {
        for (start, is_json, is_page) in [
            (" \r\n\t[", true, false),
            ("\u{feff} <", false, true),
            ("x", false, false),
        ] {
            let mut framer = Framer::new(1 << 20);
            framer.feed(start.as_bytes(), &mut |_| ControlFlow::Continue(()));

            assert_eq!((framer.is_json(), framer.is_page()), (is_json, is_page), "{start:?}");
        }
    }

    #[test]
    fn the_limit_is_of_one_event_and_comments_do_not_count() {
        let is_too_large = |pieces: &[&[u8]]| {
            let mut framer = Framer::new(10);
            for piece in pieces {
                framer.feed(piece, &mut |_| ControlFlow::Continue(()));
            }
            framer.is_too_large()
        };

        assert!(!is_too_large(&[
            b"data: 678\n\ndata: 678\n\n",
            b": a long comment, in",
            b" pieces too\n"
        ]));
        assert!(is_too_large(&[b"data: 6789\n\n"]));
        assert!(is_too_large(&[b"data:", b" 67890"]));
        assert!(is_too_large(&[b"data: 678\r", b"\ndata\n"]));
        assert!(is_too_large(&[b"[1,2,3,", b"4,5]"]));
    }
}
