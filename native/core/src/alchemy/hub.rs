//! The streams of one system, seen as those of the native hub: numbered, bounded by credit, handed out in batches.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alchemy_llm::types::AssistantMessageEvent;
use tokio::sync::Notify;

use super::items::ItemMaker;
use super::pool::{self, submit};
use super::request::Ask;
use super::run::{Ending, Sink, run};
use crate::hub::{Batch, HubError};
use crate::item::Item;
use crate::queue::{Cost, Queue};

/// The words of an end that was asked for.
const ASKED_TO_END: &str = "the stream was ended";

/// What a hub can say of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Streams whose last item was not taken yet.
    pub streams: usize,
    /// Streams of the whole process that run.
    pub running: usize,
    /// Streams of the whole process that wait for a thread.
    pub waiting: usize,
    /// Items that nobody has taken yet.
    pub queued: usize,
}

/// The streams of one system.
#[derive(Debug)]
pub struct Hub {
    shared: Arc<Shared>,
    /// The process that has the threads.
    process: u32,
}

impl Default for Hub {
    fn default() -> Self {
        Self {
            shared: Arc::default(),
            process: std::process::id(),
        }
    }
}

impl Hub {
    /// Start a stream; give its number. Never waits: one that finds no thread waits in line, or ends with an error.
    ///
    /// # Errors
    ///
    /// [`HubError::Closed`] and [`HubError::Forked`].
    pub fn open(&self, ask: Ask) -> Result<u64, HubError> {
        let mut state = self.state()?;
        if state.is_closed {
            return Err(HubError::Closed);
        }
        let stream = state.next;
        state.next += 1;
        let entry = Entry::default();
        let (stop, room) = (Arc::clone(&entry.stop), Arc::clone(&entry.room));
        state.streams.insert(stream, entry);
        drop(state);
        let shared = Arc::clone(&self.shared);
        let job = Box::new(move || serve(&shared, stream, &ask, &stop, &room));
        if let Err(error) = submit(job) {
            let refused = Item::Error("connection_error", error.to_string());
            self.shared.push(stream, vec![refused]);
        }
        Ok(stream)
    }

    /// Wait until anything is ready for any stream; give it. Nothing after `timeout`; `None` once the hub is closed.
    ///
    /// # Errors
    ///
    /// [`HubError::Forked`].
    pub fn next_batch(&self, timeout: Duration) -> Result<Option<Vec<Batch>>, HubError> {
        let deadline = Instant::now() + timeout;
        let mut state = self.state()?;
        while state.ready.is_empty() && !state.is_closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.shared.wake.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        Ok((!state.is_closed).then(|| state.take_ready()))
    }

    /// Give credit back.
    ///
    /// # Errors
    ///
    /// [`HubError::Forked`].
    pub fn release(&self, stream: u64, cost: Cost) -> Result<(), HubError> {
        if let Some(entry) = self.state()?.streams.get_mut(&stream) {
            entry.queue.release(cost);
            entry.room.notify_one();
        }
        Ok(())
    }

    /// Read no more of a stream; its last items still come.
    ///
    /// # Errors
    ///
    /// [`HubError::Forked`].
    pub fn end(&self, stream: u64) -> Result<(), HubError> {
        let mut state = self.state()?;
        let Some(entry) = state.streams.get_mut(&stream) else {
            return Ok(());
        };
        entry.is_wanted = false;
        entry.stop.notify_one();
        entry.room.notify_one();
        let is_waiting = !entry.is_running;
        drop(state);
        if is_waiting {
            let ended = Item::Error("truncated", ASKED_TO_END.to_owned());
            self.shared.push(stream, vec![ended]);
        }
        Ok(())
    }

    /// Drop a stream: its connection is closed at once, and nothing more comes of it.
    ///
    /// # Errors
    ///
    /// [`HubError::Forked`].
    pub fn abort(&self, stream: u64) -> Result<(), HubError> {
        if let Some(entry) = self.state()?.streams.remove(&stream) {
            entry.drop_it();
        }
        Ok(())
    }

    /// Count.
    ///
    /// # Errors
    ///
    /// [`HubError::Forked`].
    pub fn statistics(&self) -> Result<Statistics, HubError> {
        let state = self.state()?;
        let (running, waiting) = pool::load();
        Ok(Statistics {
            streams: state.streams.len(),
            running,
            waiting,
            queued: state.streams.values().map(|entry| entry.queue.len()).sum(),
        })
    }

    /// Abort all streams and wake whoever waits for a batch. Nothing can be opened any more.
    ///
    /// # Errors
    ///
    /// [`HubError::Forked`].
    pub fn close(&self) -> Result<(), HubError> {
        let mut state = self.state()?;
        state.is_closed = true;
        for (_, entry) in state.streams.drain() {
            entry.drop_it();
        }
        self.shared.wake.notify_all();
        Ok(())
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, HubError> {
        // Before the lock: in a child, a thread that is not there may hold it.
        if std::process::id() == self.process {
            Ok(self.shared.lock())
        } else {
            Err(HubError::Forked)
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // In a child there is nothing to close.
        let _ = self.close();
    }
}

#[derive(Debug, Default)]
struct Shared {
    /// Held for moments, and never while a stream is run.
    state: Mutex<State>,
    /// Told when something is ready, and when the hub is closed.
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    streams: HashMap<u64, Entry>,
    /// The streams that have anything, in the order in which they got it.
    ready: Vec<u64>,
    next: u64,
    is_closed: bool,
}

/// One stream.
#[derive(Debug)]
struct Entry {
    queue: Queue,
    /// Ends the wait for its socket.
    stop: Arc<Notify>,
    /// Told when credit comes back or nobody wants more; waited for with the state's lock.
    room: Arc<Condvar>,
    is_wanted: bool,
    /// Whether it has a thread.
    is_running: bool,
    /// Whether it stands in `State::ready`.
    is_ready: bool,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            queue: Queue::default(),
            stop: Arc::default(),
            room: Arc::default(),
            is_wanted: true,
            is_running: false,
            is_ready: false,
        }
    }
}

impl Entry {
    fn drop_it(self) {
        self.stop.notify_one();
        self.room.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock leaves nothing half done: its sections only move values.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lay items down for a stream, unless its last one lies there.
    fn push(&self, stream: u64, items: Vec<Item>) {
        let mut state = self.lock();
        let Some(entry) = state.streams.get_mut(&stream).filter(|entry| !entry.queue.is_over()) else {
            return;
        };
        entry.queue.push(items);
        if entry.queue.len() > 0 && !std::mem::replace(&mut entry.is_ready, true) {
            state.ready.push(stream);
            self.wake.notify_one();
        }
    }

    /// Note that a stream has a thread now; whether it still wants one.
    fn begin(&self, stream: u64) -> bool {
        let mut state = self.lock();
        let entry = state.streams.get_mut(&stream);
        entry.is_some_and(|entry| {
            entry.is_running = entry.is_wanted;
            entry.is_wanted
        })
    }

    /// Wait until a stream may have more; `false` if nobody wants it.
    fn wait_for_room(&self, stream: u64, room: &Condvar) -> bool {
        let mut state = self.lock();
        loop {
            let Some(entry) = state.streams.get(&stream).filter(|entry| entry.is_wanted) else {
                return false;
            };
            if entry.queue.has_room() || entry.queue.is_over() {
                return true;
            }
            state = room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl State {
    fn take_ready(&mut self) -> Vec<Batch> {
        let mut batches = Vec::with_capacity(self.ready.len());
        for stream in std::mem::take(&mut self.ready) {
            let Some(entry) = self.streams.get_mut(&stream) else {
                continue;
            };
            let is_over = entry.queue.is_over();
            let (items, cost) = entry.queue.take();
            entry.is_ready = false;
            if is_over {
                self.streams.remove(&stream);
            }
            batches.push(Batch { stream, items, cost });
        }
        batches
    }
}

/// Run a stream on this thread, and say its last item whatever happens.
fn serve(shared: &Arc<Shared>, stream: u64, ask: &Ask, stop: &Arc<Notify>, room: &Condvar) {
    if !shared.begin(stream) {
        return;
    }
    let mut lay = Lay {
        shared,
        stream,
        room,
        maker: ItemMaker::new(ask.api),
    };
    let last = match run(&|| ask.start(), stop, &mut lay) {
        Ending::Said => return,
        Ending::Stopped => lay.maker.cut(ASKED_TO_END),
        Ending::Failed(why) => lay.maker.broken(why),
    };
    shared.push(stream, last);
}

/// Lays down what comes of a stream.
struct Lay<'a> {
    shared: &'a Shared,
    stream: u64,
    room: &'a Condvar,
    maker: ItemMaker,
}

impl Sink for Lay<'_> {
    fn take(&mut self, event: AssistantMessageEvent) -> bool {
        let items = self.maker.items(event);
        if items.is_empty() {
            return true;
        }
        let is_last = items.last().is_some_and(Item::is_last);
        self.shared.push(self.stream, items);
        // Blocks the thread, and so the runtime: while there is no credit, nobody reads the socket.
        is_last || self.shared.wait_for_room(self.stream, self.room)
    }
}
