//! The engine `alchemy`, as Python sees it: a hub with the face of the native one, and streams for callers that block.

use std::collections::HashMap;
use std::time::Duration;

use pyo3::prelude::*;
use tinyagent_core::alchemy::completions::Next;
use tinyagent_core::alchemy::hub::Hub as CoreHub;
use tinyagent_core::alchemy::{Ask, Completions as CoreCompletions};
use tinyagent_core::hub::Cost;

use crate::error::Failure;
use crate::hub::{Entry, seconds, to_entries};

/// How long a blocked call stays out of Python, so that Ctrl-C is heard.
const GLANCE: Duration = Duration::from_millis(100);

/// The alchemy streams of a system.
#[pyclass(frozen, module = "tinyagent_actors._alchemy")]
pub(crate) struct AlchemyHub {
    inner: CoreHub,
}

#[pymethods]
impl AlchemyHub {
    #[new]
    fn new() -> Self {
        Self {
            inner: CoreHub::default(),
        }
    }

    /// Start a stream; give its number. Never waits.
    fn open(&self, request: &[u8]) -> PyResult<u64> {
        let ask = Ask::from_json(request).map_err(Failure::from)?;
        Ok(self.inner.open(ask).map_err(Failure::from)?)
    }

    /// Wait until anything is ready; an empty list after `timeout` seconds, None once the hub is closed.
    fn next_batch<'py>(&self, py: Python<'py>, timeout: f64) -> PyResult<Option<Vec<Entry<'py>>>> {
        let batch = py.detach(|| self.inner.next_batch(seconds(timeout)));
        to_entries(py, batch.map_err(Failure::from)?)
    }

    /// None: only threads can wait.
    #[allow(clippy::unused_self, reason = "the face of `Hub`")]
    fn fileno(&self) -> Option<i32> {
        None
    }

    /// Give credit back.
    fn release(&self, stream: u64, events: usize, size: usize) -> PyResult<()> {
        let released = self.inner.release(stream, Cost { events, bytes: size });
        Ok(released.map_err(Failure::from)?)
    }

    /// Read no more of a stream; its last items still come.
    fn end(&self, stream: u64) -> PyResult<()> {
        Ok(self.inner.end(stream).map_err(Failure::from)?)
    }

    /// Drop a stream: its connection is closed at once, and nothing more comes of it.
    fn abort(&self, stream: u64) -> PyResult<()> {
        Ok(self.inner.abort(stream).map_err(Failure::from)?)
    }

    /// Count open streams and queued items; of the whole process, those that run and those that wait.
    fn statistics(&self) -> PyResult<HashMap<&'static str, usize>> {
        let counted = self.inner.statistics().map_err(Failure::from)?;
        Ok(HashMap::from([
            ("streams", counted.streams),
            ("running", counted.running),
            ("waiting", counted.waiting),
            ("queued", counted.queued),
        ]))
    }

    /// Abort all streams and wake whoever waits for a batch. Nothing can be opened any more.
    fn close(&self) -> PyResult<()> {
        Ok(self.inner.close().map_err(Failure::from)?)
    }
}

/// One stream of the crate, in JSON of the seed's shapes.
#[pyclass(frozen, module = "tinyagent_actors._alchemy")]
pub(crate) struct Completions {
    inner: CoreCompletions,
}

#[pymethods]
impl Completions {
    #[new]
    fn new(request: &[u8]) -> PyResult<Self> {
        let ask = Ask::from_json(request).map_err(Failure::from)?;
        let inner = CoreCompletions::open(ask).map_err(Failure::from)?;
        Ok(Self { inner })
    }

    /// Wait, without the interpreter, for the next event; None when there are no more.
    fn next_event(&self, py: Python<'_>) -> PyResult<Option<String>> {
        loop {
            match py.detach(|| self.inner.next_event(GLANCE)) {
                Next::Event(event) => return Ok(Some(event)),
                Next::Over => return Ok(None),
                Next::Nothing => py.check_signals()?,
            }
        }
    }

    /// Give the last message, once its event was read.
    fn message(&self) -> Option<String> {
        self.inner.message()
    }

    /// End the stream and close its socket.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.inner.close());
    }
}
