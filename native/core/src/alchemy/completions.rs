//! The crate's own events for callers that block: one stream, read event by event.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alchemy_llm::types::AssistantMessageEvent;
use serde_json::Value;
use tokio::sync::Notify;

use super::pool::{PoolError, submit};
use super::request::Ask;
use super::run::{Ending, Sink, run};
use super::shape::{failed, to_event};

/// Events that may wait for their reader; a stream that has so many reads its socket no further.
const BOUND: usize = 64;

type Said = (Value, Option<Value>);

/// What came of waiting for an event.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// An event, as JSON.
    Event(String),
    /// There are no more.
    Over,
    /// Nothing came in time.
    Nothing,
}

/// One stream. Dropping it ends it, and closes its socket.
#[derive(Debug)]
pub struct Completions {
    /// One reader at a time; `None` once it is closed.
    events: Mutex<Option<Receiver<Said>>>,
    /// The last message, once it was read.
    last: Mutex<Option<Value>>,
    stop: Arc<Notify>,
}

impl Completions {
    /// Start a stream.
    ///
    /// # Errors
    ///
    /// [`PoolError`].
    pub fn open(ask: Ask) -> Result<Self, PoolError> {
        let (sender, events) = sync_channel(BOUND);
        let stop = Arc::<Notify>::default();
        let stopped = Arc::clone(&stop);
        submit(Box::new(move || serve(&ask, &stopped, sender)))?;
        Ok(Self {
            events: Mutex::new(Some(events)),
            last: Mutex::default(),
            stop,
        })
    }

    /// Wait for the next event.
    pub fn next_event(&self, timeout: Duration) -> Next {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(events) = events.as_ref() else {
            return Next::Over;
        };
        match events.recv_timeout(timeout) {
            Ok((event, message)) => {
                if message.is_some() {
                    *self.last.lock().unwrap_or_else(PoisonError::into_inner) = message;
                }
                Next::Event(event.to_string())
            }
            Err(RecvTimeoutError::Timeout) => Next::Nothing,
            Err(RecvTimeoutError::Disconnected) => Next::Over,
        }
    }

    /// Give the last message as JSON, if its event was read.
    pub fn message(&self) -> Option<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map(Value::to_string)
    }

    /// End the stream and close its socket. Waits for a reader that is in `next_event`, at most its timeout.
    pub fn close(&self) {
        self.stop.notify_one();
        // A thread that waits for room in the channel is let go with it.
        self.events.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        self.close();
    }
}

fn serve(ask: &Ask, stop: &Arc<Notify>, sender: SyncSender<Said>) {
    let mut send = Send { ask, sender };
    let last = match run(&|| ask.start(), stop, &mut send) {
        Ending::Said => return,
        Ending::Stopped => failed("the stream was closed", ask),
        Ending::Failed(why) => failed(&why, ask),
    };
    // Nobody may be there to hear it.
    let _ = send.sender.try_send(last);
}

struct Send<'a> {
    ask: &'a Ask,
    sender: SyncSender<Said>,
}

impl Sink for Send<'_> {
    fn take(&mut self, event: AssistantMessageEvent) -> bool {
        // Blocks the thread, and so the runtime, where the reader is behind; `false` once it is gone.
        self.sender.send(to_event(&event, self.ask)).is_ok()
    }
}
