//! How far the sending of a request has come: known without asking, and without waking anybody.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Bytes that are given to the connection at a time, so that it can say when it has enough.
const PIECE: usize = 64 * 1024;

/// When a request began to be written, and when it was.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    begun: OnceLock<Instant>,
    done: OnceLock<Instant>,
}

impl Sending {
    /// How long ago the request was written; while it is being written, how long ago that began; none without a connection.
    pub(crate) fn age(&self) -> Option<Duration> {
        let since = self.done.get().or_else(|| self.begun.get());
        since.map(Instant::elapsed)
    }
}

/// The body of a request, which notes when the connection takes it.
pub(crate) struct SentBody {
    rest: Bytes,
    sending: Arc<Sending>,
}

impl SentBody {
    pub(crate) fn new(content: Bytes, sending: Arc<Sending>) -> Self {
        Self { rest: content, sending }
    }
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.sending.begun.get_or_init(Instant::now);
        let taken = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(taken);
        if self.rest.is_empty() {
            self.sending.done.get_or_init(Instant::now);
        }
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_the_beginning_and_the_end_apart() {
        let sending = Arc::new(Sending::default());
        let mut body = SentBody::new(Bytes::from(vec![b'x'; PIECE + 1]), Arc::clone(&sending));
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert_eq!(sending.age(), None);
        assert_eq!(body.size_hint().exact(), Some(PIECE as u64 + 1));

        let first = Pin::new(&mut body).poll_frame(&mut context);
        assert!(first.is_ready() && sending.age().is_some());
        assert!(sending.done.get().is_none() && !body.is_end_stream());
        let second = Pin::new(&mut body).poll_frame(&mut context);

        assert!(second.is_ready() && body.is_end_stream());
        assert!(sending.done.get().is_some());
    }
}
