//! The task of one stream: it sends the request, decodes what comes, and stops where there is no credit.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use reqwest::Response;
use reqwest::header::CONTENT_ENCODING;

use crate::dialect::Decode;
use crate::hub::{Shared, Signals};
use crate::inflate::Inflater;
use crate::item::Item;
use crate::sending::Sending;
use crate::transport::{Pool, Request, words};

/// Bytes of the body of a response whose status is not 200.
const MAX_ERROR_BODY: usize = 1024 * 1024;
const DRAIN_BYTES: usize = 64 * 1024;
const DRAIN_TIME: Duration = Duration::from_millis(250);
const OK: u16 = 200;
/// The words of an end that was asked for.
const ASKED_TO_END: &str = "the stream was ended";

/// The task of one stream.
pub(crate) struct Reader {
    pub(crate) shared: Arc<Shared>,
    pub(crate) stream: u64,
    pub(crate) signals: Arc<Signals>,
    pub(crate) sending: Arc<Sending>,
    pub(crate) decoder: Box<dyn Decode>,
    /// When the stream began, if its bytes are handed over as they come.
    pub(crate) captured_since: Option<Instant>,
}

/// What came of waiting.
enum Came {
    Piece(Bytes),
    /// The end of the body, and what broke it.
    End(Option<String>),
}

/// How a stream stands after a piece.
#[derive(PartialEq, Eq)]
enum Flow {
    Open,
    /// The message ended properly; the rest of the body may be read.
    Ended,
    /// It is over, and so is its connection.
    Broken,
}

impl Reader {
    /// Send the request and read the answer to its end. A panic inside is the last item of this stream.
    pub(crate) async fn run(mut self, pool: Pool, request: Request) {
        let (shared, stream) = (Arc::clone(&self.shared), self.stream);
        if let Err(panic) = AssertUnwindSafe(self.read(pool, request)).catch_unwind().await {
            let why = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no words");
            let error = Item::Error("connection_error", format!("the engine panicked: {why}"));
            shared.with_queue(stream, |queue| {
                if !queue.is_over() {
                    queue.push(vec![error]);
                }
            });
        }
    }

    async fn read(&mut self, pool: Pool, request: Request) {
        let sent = tokio::select! {
            biased;
            () = self.signals.end.notified() => {
                let items = self.decoder.end(Some(ASKED_TO_END));
                self.push(items);
                return;
            }
            sent = pool.send(&request, &self.sending) => sent,
        };
        drop(request);
        match sent {
            Ok((response, _lease)) => self.read_response(response).await,
            Err(error) => self.push(vec![Item::Error(error.code(), error.to_string())]),
        }
    }

    async fn read_response(&mut self, mut response: Response) {
        let status = response.status().as_u16();
        let mut items = vec![head(&response)];
        let mut inflater = match coding(&response) {
            Coding::Plain => None,
            Coding::Inflate => Some(Inflater::default()),
            Coding::Unknown(named) => {
                let words = format!("the body is encoded as '{named}', which was not asked for");
                items.push(Item::Error("protocol_error", words));
                self.push(items);
                return;
            }
        };
        self.push(items);
        let mut room = (status != OK).then_some(MAX_ERROR_BODY);
        loop {
            let flow = match self.next_piece(&mut response).await {
                Came::End(cut) => {
                    let damage = inflater.as_ref().and_then(|inflater| inflater.close().err());
                    let cut = cut.or_else(|| damage.map(|damage| damage.to_string()));
                    self.end(cut.as_deref(), room.is_some());
                    return;
                }
                Came::Piece(piece) => match &mut inflater {
                    None => self.take(&piece, &mut room),
                    Some(inflater) => {
                        inflater.feed(&piece);
                        self.take_inflated(inflater, &mut room).await
                    }
                },
            };
            match flow {
                Flow::Open => {}
                Flow::Ended => return drain(response).await,
                Flow::Broken => return,
            }
        }
    }

    /// Wait for credit and then for bytes, or until the stream is to end.
    async fn next_piece(&self, response: &mut Response) -> Came {
        if !self.wait_for_room().await {
            return Came::End(Some(ASKED_TO_END.to_owned()));
        }
        tokio::select! {
            biased;
            () = self.signals.end.notified() => Came::End(Some(ASKED_TO_END.to_owned())),
            piece = response.chunk() => match piece {
                Ok(Some(piece)) => Came::Piece(piece),
                Ok(None) => Came::End(None),
                Err(error) => Came::End(Some(words(error))),
            },
        }
    }

    /// Wait for credit; false if the stream is to end.
    async fn wait_for_room(&self) -> bool {
        while !self.shared.has_room(self.stream) {
            tokio::select! {
                biased;
                () = self.signals.end.notified() => return false,
                () = self.signals.room.notified() => {}
            }
        }
        true
    }

    /// Take bytes of the body. `room` is what is left for the body of an error, if the response is one.
    fn take(&mut self, piece: &[u8], room: &mut Option<usize>) -> Flow {
        if let Some(room) = room {
            let taken = &piece[..piece.len().min(*room)];
            *room -= taken.len();
            let mut items = self.raw(taken);
            items.push(Item::Body(taken.to_vec()));
            let is_full = *room == 0;
            items.extend(is_full.then_some(Item::End));
            self.push(items);
            return if is_full { Flow::Broken } else { Flow::Open };
        }
        let mut items = self.raw(piece);
        items.extend(self.decoder.feed(piece));
        let flow = match items.last() {
            Some(Item::End) => Flow::Ended,
            Some(Item::Error(..)) => Flow::Broken,
            _ => Flow::Open,
        };
        self.push(items);
        flow
    }

    /// Inflate in steps, waiting for credit before each.
    async fn take_inflated(&mut self, inflater: &mut Inflater, room: &mut Option<usize>) -> Flow {
        loop {
            let is_error = room.is_some();
            if !self.wait_for_room().await {
                self.end(Some(ASKED_TO_END), is_error);
                return Flow::Broken;
            }
            let flow = match inflater.step() {
                Ok(plain) if plain.is_empty() => {
                    self.push(Vec::new());
                    return Flow::Open;
                }
                Ok(plain) => self.take(&plain, room),
                Err(damage) => {
                    self.end(Some(&damage.to_string()), is_error);
                    Flow::Broken
                }
            };
            if flow != Flow::Open {
                return flow;
            }
        }
    }

    /// Give the last items.
    fn end(&mut self, cut: Option<&str>, is_error: bool) {
        let since = self.captured_since.iter();
        let mut items: Vec<Item> = since
            .map(|since| Item::RawEnd(since.elapsed().as_secs_f64(), cut.map(str::to_owned)))
            .collect();
        if is_error {
            items.push(Item::End);
        } else {
            items.extend(self.decoder.end(cut));
        }
        self.push(items);
    }

    /// Give a piece of the body as it came, if that was asked for.
    fn raw(&self, piece: &[u8]) -> Vec<Item> {
        let since = self.captured_since.iter();
        since
            .map(|since| Item::Raw(since.elapsed().as_secs_f64(), piece.to_vec()))
            .collect()
    }

    fn push(&self, items: Vec<Item>) {
        self.shared.with_queue(self.stream, |queue| {
            if items.is_empty() {
                queue.push_activity();
            } else {
                queue.push(items);
            }
        });
    }
}

fn head(response: &Response) -> Item {
    let headers = response.headers().iter();
    let told = |value: &[u8]| value.iter().copied().map(char::from).collect();
    Item::Head(
        response.status().as_u16(),
        headers
            .map(|(name, value)| (name.as_str().to_owned(), told(value.as_bytes())))
            .collect(),
    )
}

/// How a body is encoded.
enum Coding {
    Plain,
    Inflate,
    /// In a way that was not asked for; its name.
    Unknown(String),
}

fn coding(response: &Response) -> Coding {
    const SHOWN: usize = 40;
    let named = response
        .headers()
        .get(CONTENT_ENCODING)
        .map_or(&[][..], |value| value.as_bytes());
    let named = String::from_utf8_lossy(named).trim().to_ascii_lowercase();
    match named.as_str() {
        "" | "identity" => Coding::Plain,
        "gzip" | "x-gzip" | "deflate" => Coding::Inflate,
        _ => Coding::Unknown(named.chars().take(SHOWN).collect()),
    }
}

/// Read the rest of a body whose message has ended, so that its connection can serve again.
async fn drain(mut response: Response) {
    let reading = async {
        let mut left = DRAIN_BYTES;
        while let Ok(Some(piece)) = response.chunk().await {
            let Some(rest) = left.checked_sub(piece.len()) else {
                return;
            };
            left = rest;
        }
    };
    let _ = tokio::time::timeout(DRAIN_TIME, reading).await;
}
