//! The threads of all alchemy streams of a process: bounded, made when they are needed, gone when they are not.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use thiserror::Error;

/// Streams that run at once.
pub const MAX_RUNNING: usize = 64;
/// Streams that wait for a thread.
pub const MAX_WAITING: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;

/// Why a stream cannot be run.
#[derive(Debug, Error)]
pub enum PoolError {
    /// The line is as long as it may be.
    #[error("{MAX_WAITING} streams wait for the alchemy engine already")]
    Full,
    /// The operating system gave no thread.
    #[error("the alchemy engine cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The threads are those of the process that forked.
    #[error("the alchemy engine cannot be used in a forked child")]
    Forked,
}

#[derive(Default)]
struct State {
    running: usize,
    waiting: VecDeque<Job>,
}

/// The process that has the threads; 0 before the first was asked for.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Run a job on a thread of the pool, now or as soon as there is one. Never waits.
pub(crate) fn submit(job: Job) -> Result<(), PoolError> {
    let here = std::process::id();
    // Before the lock: in a child, a thread that is not there may hold it.
    let known = PROCESS.compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed);
    if known.is_err_and(|there| there != here) {
        return Err(PoolError::Forked);
    }
    let mut state = lock();
    if state.running >= MAX_RUNNING {
        if state.waiting.len() >= MAX_WAITING {
            return Err(PoolError::Full);
        }
        state.waiting.push_back(job);
        return Ok(());
    }
    let thread = std::thread::Builder::new().name("tinyagent-alchemy".to_owned());
    thread.spawn(move || work(job))?;
    state.running += 1;
    Ok(())
}

/// Do a job, then those that wait.
fn work(first: Job) {
    let mut next = Some(first);
    while let Some(job) = next {
        job();
        let mut state = lock();
        next = state.waiting.pop_front();
        if next.is_none() {
            state.running -= 1;
        }
    }
}

/// How many run, and how many wait.
#[must_use]
pub fn load() -> (usize, usize) {
    let state = lock();
    (state.running, state.waiting.len())
}

fn lock() -> MutexGuard<'static, State> {
    static STATE: OnceLock<Mutex<State>> = OnceLock::new();
    // No job runs under the lock, so that a panic leaves nothing half done.
    STATE
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}
