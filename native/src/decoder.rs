//! The pure decoder, as the tests see it.

use pyo3::prelude::*;
use pyo3::types::PyList;
use tinyagent_core::dialect::decoder_for;
use tinyagent_core::{Decode, DecoderOptions};

use crate::convert::to_list;
use crate::error::Failure;

/// Bytes in, items out: the decoder that the hub uses.
#[pyclass(module = "tinyagent_actors._alchemy", unsendable)]
pub(crate) struct Decoder {
    inner: Box<dyn Decode>,
}

#[pymethods]
impl Decoder {
    #[new]
    #[pyo3(signature = (api, *, think_tags = false, event_limit = 67_108_864))]
    fn new(api: &str, think_tags: bool, event_limit: usize) -> PyResult<Self> {
        let options = DecoderOptions {
            think_tags,
            event_limit,
        };
        let inner = decoder_for(api, options).ok_or_else(|| Failure::UnknownApi(api.to_owned()))?;
        Ok(Self { inner })
    }

    /// Take bytes of the body; give the items that they make.
    fn feed<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyList>> {
        to_list(py, self.inner.feed(data))
    }

    /// Say that the body ended, by itself or because of `cut`; give the last items.
    fn end<'py>(&mut self, py: Python<'py>, cut: Option<&str>) -> PyResult<Bound<'py, PyList>> {
        to_list(py, self.inner.end(cut))
    }

    /// Whether the last item was given.
    #[getter]
    fn done(&self) -> bool {
        self.inner.is_done()
    }
}
