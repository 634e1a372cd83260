//! The hub: any number of streams on one Tokio worker, read by one thread.
//!
//! Each stream is a task. It sends its request, decodes what comes, and lays the items into its [`Queue`]; then it looks
//! whether it has credit left, and if not it reads no further, so that its peer feels the back-pressure. The reader, one
//! thread for all streams, takes everything that is ready for anybody in one call of [`Hub::next_batch`].
//!
//! **Fair.** What one stream can have in a batch is bounded by its credit, and a batch holds an entry of every stream
//! that has anything; so a fast stream cannot starve a slow one, neither of the worker (a task that finds bytes ready
//! gives way by Tokio's budget) nor of the reader.
//!
//! **Big batches under load, no waiting when idle.** A call costs the reader a thread hop, a hundred times what an item
//! costs. So a call that follows hard upon another one waits [`LINGER`] for more; the first after a pause does not.
//!
//! **Two ways to wait.** [`Hub::next_batch`] parks a thread. On Linux an event loop can wait by itself: it polls
//! [`Hub::descriptor`] and calls [`Hub::poll_batch`], which never waits; the bell ([`crate::bell`]) does the lingering. That saves the
//! hop, and with it one of three wake-ups between the socket and the reader. A bell rings once for a batch, whatever comes
//! meanwhile; taking the batch sets it for the next one.
//!
//! **Ends.** Closing a stream early aborts its task, which drops the response and with it the connection. After a proper
//! end the task reads the rest of the body, so that the connection can serve again; the last item does not wait for
//! that. A panic inside a task becomes the last item of its stream and touches no other. Closing the hub aborts all.
//! Dropping it never waits for its threads, and in a forked child, which has none, it does nothing at all.
//!
//! **One lock**, held for a few instructions at a time and never across an await; by the worker for each read, by the
//! reader for each batch. Refused: a lock per stream (a batch would take hundreds), and channels (they bound items one by
//! one, and cannot merge what waits).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

#[cfg(target_os = "linux")]
use crate::bell::Bell;
use crate::dialect::Decode;
use crate::item::Item;
pub use crate::queue::Cost;
use crate::queue::Queue;
use crate::reader::Reader;
use crate::sending::Sending;
use crate::transport::{Pool, Request};

/// How long a batch waits for more, if the one before it was taken a moment ago.
pub const LINGER: Duration = Duration::from_micros(500);
/// What is a moment ago.
const RECENTLY: Duration = Duration::from_millis(1);
/// Threads that resolve names.
const RESOLVERS: usize = 4;

/// Why a call of the hub failed.
#[derive(Debug, Error)]
pub enum HubError {
    /// The runtime has no threads in a child of a fork.
    #[error("the native engine cannot be used in a forked child; make a new system there")]
    Forked,
    /// It was closed.
    #[error("the native engine is closed")]
    Closed,
    /// The operating system gave no thread.
    #[error("the native engine cannot start: {0}")]
    Runtime(#[from] std::io::Error),
}

/// A stream to open.
pub struct StreamRequest {
    /// What to send.
    pub request: Request,
    /// Who reads the answer.
    pub decoder: Box<dyn Decode>,
    /// Whether the bytes of the body are handed over too, as they come.
    pub capture: bool,
}

/// All that is ready for one stream.
#[derive(Debug)]
pub struct Batch {
    /// Whose.
    pub stream: u64,
    /// What, in order.
    pub items: Vec<Item>,
    /// The credit that it took.
    pub cost: Cost,
}

/// What a hub can say of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Streams whose last item was not taken yet.
    pub streams: usize,
    /// Connections opened so far.
    pub opened: usize,
    /// Requests begun so far.
    pub requests: usize,
    /// Items that nobody has taken yet.
    pub queued: usize,
}

/// The streams of one system.
#[derive(Debug)]
pub struct Hub {
    /// Present until the hub is dropped.
    runtime: Option<Runtime>,
    pool: Pool,
    shared: Arc<Shared>,
    requests: AtomicUsize,
    /// The process that has the runtime's threads.
    process: u32,
}

impl Hub {
    /// Make a hub with a runtime and a pool of its own.
    ///
    /// # Errors
    ///
    /// [`HubError::Runtime`].
    pub fn new() -> Result<Self, HubError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(RESOLVERS)
            .thread_name("tinyagent-native")
            .enable_all()
            .build()?;
        Ok(Self {
            runtime: Some(runtime),
            pool: Pool::default(),
            shared: Arc::new(Shared::new()?),
            requests: AtomicUsize::new(0),
            process: std::process::id(),
        })
    }

    /// Start a stream; give its number. Never waits.
    ///
    /// # Errors
    ///
    /// [`HubError::Closed`] and [`HubError::Forked`].
    pub fn open(&self, stream: StreamRequest) -> Result<u64, HubError> {
        let mut state = self.state()?;
        let runtime = self.runtime.as_ref().filter(|_| !state.is_closed);
        let runtime = runtime.ok_or(HubError::Closed)?;
        let number = state.next;
        state.next += 1;
        self.requests.fetch_add(1, Ordering::Relaxed);
        let signals = Arc::new(Signals::default());
        let sending = Arc::new(Sending::default());
        let reader = Reader {
            shared: Arc::clone(&self.shared),
            stream: number,
            signals: Arc::clone(&signals),
            sending: Arc::clone(&sending),
            decoder: stream.decoder,
            captured_since: stream.capture.then(Instant::now),
        };
        // Under the lock, so that the task finds its entry.
        let task = runtime.spawn(reader.run(self.pool.clone(), stream.request));
        let entry = Entry {
            queue: Queue::default(),
            signals,
            sending,
            task: task.abort_handle(),
            is_ready: false,
        };
        state.streams.insert(number, entry);
        Ok(number)
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
            state.is_awaited = true;
            let waited = self.shared.wake.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            state.is_awaited = false;
        }
        if !state.ready.is_empty() && state.follows_hard() {
            drop(state);
            std::thread::sleep(LINGER);
            state = self.state()?;
        }
        if state.is_closed {
            return Ok(None);
        }
        state.last_batch = Some(Instant::now());
        Ok(Some(state.take_ready()))
    }

    /// What an event loop polls to hear of a batch, while the hub lives; none where only threads can wait.
    #[must_use]
    pub fn descriptor(&self) -> Option<i32> {
        #[cfg(target_os = "linux")]
        return Some(self.shared.bell.descriptor());
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// Take what is ready, and have the bell rung for what comes next; `None` once the hub is closed. Never waits.
    ///
    /// # Errors
    ///
    /// [`HubError::Forked`].
    pub fn poll_batch(&self) -> Result<Option<Vec<Batch>>, HubError> {
        let mut state = self.state()?;
        if state.is_closed {
            return Ok(None);
        }
        self.shared.silence();
        state.is_rung = false;
        let batch = state.take_ready();
        if !batch.is_empty() {
            state.last_batch = Some(Instant::now());
        }
        Ok(Some(batch))
    }

    /// Give credit back.
    ///
    /// # Errors
    ///
    /// [`HubError::Forked`].
    pub fn release(&self, stream: u64, cost: Cost) -> Result<(), HubError> {
        if let Some(entry) = self.state()?.streams.get_mut(&stream) {
            entry.queue.release(cost);
            if entry.queue.has_room() {
                entry.signals.room.notify_one();
            }
        }
        Ok(())
    }

    /// How long ago the request of a stream was written; while it is being written, how long ago that began; none while
    /// there is no connection, and of a stream that is over.
    ///
    /// # Errors
    ///
    /// [`HubError::Forked`].
    pub fn request_age(&self, stream: u64) -> Result<Option<Duration>, HubError> {
        Ok(self.state()?.streams.get(&stream).and_then(|entry| entry.sending.age()))
    }

    /// Read no more of a stream and let go what is held, as after a cut; its last items still come.
    ///
    /// # Errors
    ///
    /// [`HubError::Forked`].
    pub fn end(&self, stream: u64) -> Result<(), HubError> {
        if let Some(entry) = self.state()?.streams.get(&stream) {
            entry.signals.end.notify_one();
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
            entry.task.abort();
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
        Ok(Statistics {
            streams: state.streams.len(),
            opened: self.pool.opened(),
            requests: self.requests.load(Ordering::Relaxed),
            queued: state.streams.values().map(|entry| entry.queue.len()).sum(),
        })
    }

    /// Abort all streams, close all connections and wake whoever waits for a batch. Nothing can be opened any more.
    ///
    /// # Errors
    ///
    /// [`HubError::Forked`].
    pub fn close(&self) -> Result<(), HubError> {
        let mut state = self.state()?;
        state.is_closed = true;
        for (_, entry) in state.streams.drain() {
            entry.task.abort();
        }
        self.pool.close();
        self.shared.wake.notify_all();
        self.shared.ring(Duration::ZERO);
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
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        if self.close().is_ok() {
            runtime.shutdown_background();
        } else {
            std::mem::forget(runtime); // A child has none of its threads to end.
        }
    }
}

/// What the tasks and the reader share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Held for moments, never across an await.
    state: Mutex<State>,
    /// Told when something is ready and somebody waits, and when the hub is closed.
    wake: Condvar,
    /// Rung when something is ready, and when the hub is closed.
    #[cfg(target_os = "linux")]
    bell: Bell,
}

#[derive(Debug, Default)]
struct State {
    streams: HashMap<u64, Entry>,
    /// The streams that have anything, in the order in which they got it.
    ready: Vec<u64>,
    next: u64,
    last_batch: Option<Instant>,
    /// Whether a thread is parked in `next_batch`.
    is_awaited: bool,
    /// Whether the bell was rung since the last `poll_batch`.
    is_rung: bool,
    is_closed: bool,
}

/// One stream.
#[derive(Debug)]
struct Entry {
    queue: Queue,
    signals: Arc<Signals>,
    sending: Arc<Sending>,
    task: AbortHandle,
    /// Whether it stands in `State::ready`.
    is_ready: bool,
}

/// What a stream's task waits for besides its socket; each has that one listener.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Credit came back.
    pub(crate) room: Notify,
    /// Read no more.
    pub(crate) end: Notify,
}

impl Shared {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            #[cfg(target_os = "linux")]
            bell: Bell::new()?,
        })
    }

    #[cfg(target_os = "linux")]
    fn ring(&self, after: Duration) {
        self.bell.ring(after);
    }

    #[cfg(target_os = "linux")]
    fn silence(&self) {
        self.bell.silence();
    }

    #[cfg(not(target_os = "linux"))]
    fn ring(&self, _after: Duration) {}

    #[cfg(not(target_os = "linux"))]
    fn silence(&self) {}

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under the lock leaves nothing half done: its sections only move values.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Change the queue of a stream, and let the reader know.
    pub(crate) fn with_queue(&self, stream: u64, change: impl FnOnce(&mut Queue)) {
        let mut state = self.lock();
        let Some(entry) = state.streams.get_mut(&stream) else {
            return;
        };
        change(&mut entry.queue);
        if entry.queue.len() > 0 && !std::mem::replace(&mut entry.is_ready, true) {
            state.ready.push(stream);
            if state.is_awaited {
                self.wake.notify_one();
            }
            if !std::mem::replace(&mut state.is_rung, true) {
                self.ring(if state.follows_hard() { LINGER } else { Duration::ZERO });
            }
        }
    }

    pub(crate) fn has_room(&self, stream: u64) -> bool {
        let state = self.lock();
        let entry = state.streams.get(&stream);
        entry.is_none_or(|entry| entry.queue.has_room())
    }
}

impl State {
    /// Whether a batch was taken a moment ago.
    fn follows_hard(&self) -> bool {
        self.last_batch.is_some_and(|last| last.elapsed() < RECENTLY)
    }

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
