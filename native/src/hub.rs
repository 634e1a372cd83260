//! The hub, as Python sees it. Every call is short but `next_batch`, which waits without the interpreter.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyList;
use tinyagent_core::DecoderOptions;
use tinyagent_core::dialect::decoder_for;
use tinyagent_core::hub::{Batch, Cost, Hub as CoreHub, StreamRequest};
use tinyagent_core::transport::{Request, Route};

use crate::convert::to_list;
use crate::error::Failure;

/// All streams of a system: one runtime with one worker thread, one pool of connections.
#[pyclass(frozen, module = "tinyagent_actors._alchemy")]
pub(crate) struct Hub {
    inner: CoreHub,
}

pub(crate) type Entry<'py> = (u64, Bound<'py, PyList>, usize, usize);

#[pymethods]
impl Hub {
    #[new]
    fn new() -> PyResult<Self> {
        let inner = CoreHub::new().map_err(Failure::from)?;
        Ok(Self { inner })
    }

    /// Start a stream; give its number. Never waits.
    #[pyo3(signature = (
        url, headers, body, *, api, think_tags = false, event_limit = 67_108_864, connect_timeout = None,
        proxy = None, roots = None, capture = false
    ))]
    #[allow(
        clippy::too_many_arguments,
        clippy::needless_pass_by_value,
        reason = "as Python gives them"
    )]
    fn open(
        &self,
        url: &str,
        headers: Vec<(String, String)>,
        body: &[u8],
        api: &str,
        think_tags: bool,
        event_limit: usize,
        connect_timeout: Option<f64>,
        proxy: Option<String>,
        roots: Option<Vec<PathBuf>>,
        capture: bool,
    ) -> PyResult<u64> {
        let options = DecoderOptions {
            think_tags,
            event_limit,
        };
        let decoder = decoder_for(api, options).ok_or_else(|| Failure::UnknownApi(api.to_owned()))?;
        let limit = connect_timeout.map(seconds);
        let request = Request::new(url, &headers, Bytes::copy_from_slice(body), limit).map_err(Failure::from)?;
        let opened = self.inner.open(StreamRequest {
            request: request.by(Route { proxy, roots }),
            decoder,
            capture,
        });
        Ok(opened.map_err(Failure::from)?)
    }

    /// Wait until anything is ready; an empty list after `timeout` seconds, None once the hub is closed.
    fn next_batch<'py>(&self, py: Python<'py>, timeout: f64) -> PyResult<Option<Vec<Entry<'py>>>> {
        let batch = py.detach(|| self.inner.next_batch(seconds(timeout)));
        to_entries(py, batch.map_err(Failure::from)?)
    }

    /// What an event loop polls to hear of a batch; None where only threads can wait.
    fn fileno(&self) -> Option<i32> {
        self.inner.descriptor()
    }

    /// Take what is ready, and have the descriptor become readable for what comes next; None once the hub is closed.
    fn poll_batch<'py>(&self, py: Python<'py>) -> PyResult<Option<Vec<Entry<'py>>>> {
        let batch = self.inner.poll_batch();
        to_entries(py, batch.map_err(Failure::from)?)
    }

    /// Give credit back.
    fn release(&self, stream: u64, events: usize, size: usize) -> PyResult<()> {
        let released = self.inner.release(stream, Cost { events, bytes: size });
        Ok(released.map_err(Failure::from)?)
    }

    /// Seconds since the request was written, or since its writing began; None without a connection.
    fn request_age(&self, stream: u64) -> PyResult<Option<f64>> {
        let age = self.inner.request_age(stream).map_err(Failure::from)?;
        Ok(age.map(|age| age.as_secs_f64()))
    }

    /// Read no more of a stream and let go what is held, as after a cut; its last items still come.
    fn end(&self, stream: u64) -> PyResult<()> {
        Ok(self.inner.end(stream).map_err(Failure::from)?)
    }

    /// Drop a stream: its connection is closed at once, and nothing more comes of it.
    fn abort(&self, stream: u64) -> PyResult<()> {
        Ok(self.inner.abort(stream).map_err(Failure::from)?)
    }

    /// Count open streams, connections opened, requests begun and items queued.
    fn statistics(&self) -> PyResult<HashMap<&'static str, usize>> {
        let counted = self.inner.statistics().map_err(Failure::from)?;
        Ok(HashMap::from([
            ("streams", counted.streams),
            ("opened", counted.opened),
            ("requests", counted.requests),
            ("queued", counted.queued),
        ]))
    }

    /// Abort all streams and wake whoever waits for a batch. Nothing can be opened any more.
    fn close(&self) -> PyResult<()> {
        Ok(self.inner.close().map_err(Failure::from)?)
    }
}

pub(crate) fn to_entries(py: Python<'_>, batch: Option<Vec<Batch>>) -> PyResult<Option<Vec<Entry<'_>>>> {
    let Some(batch) = batch else {
        return Ok(None);
    };
    let entries = batch.into_iter().map(|entry| {
        let items = to_list(py, entry.items)?;
        Ok((entry.stream, items, entry.cost.events, entry.cost.bytes))
    });
    entries.collect::<PyResult<Vec<_>>>().map(Some)
}

/// A time that Python gives; one that no clock can hold is for ever.
pub(crate) fn seconds(value: f64) -> Duration {
    const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);
    Duration::try_from_secs_f64(value).map_or(FOR_EVER, |time| time.min(FOR_EVER))
}
