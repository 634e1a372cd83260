//! From items to Python: flat tuples `(kind, payload)`.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use tinyagent_core::Item;

/// Give items as Python has them.
pub(crate) fn to_list(py: Python<'_>, items: Vec<Item>) -> PyResult<Bound<'_, PyList>> {
    let converted: PyResult<Vec<_>> = items.into_iter().map(|item| to_tuple(py, item)).collect();
    PyList::new(py, converted?)
}

/// The kinds, in the order of `docs/explanation/engine-boundary.md`.
fn to_tuple(py: Python<'_>, item: Item) -> PyResult<Bound<'_, PyTuple>> {
    match item {
        Item::Text(text) => (0, text).into_pyobject(py),
        Item::Thinking(text) => (1, text).into_pyobject(py),
        Item::CallOpen(ordinal) => (2, ordinal).into_pyobject(py),
        Item::CallArgs(ordinal, text) => (3, (ordinal, text)).into_pyobject(py),
        Item::Call(call) => (4, (call.ordinal, call.id, call.name, call.extra)).into_pyobject(py),
        Item::Meta(name, value) => (5, (name, value)).into_pyobject(py),
        Item::Usage(told) => {
            let counters = (
                told.prompt,
                told.completion,
                told.total,
                told.cached,
                told.written,
                told.reasoning,
                told.cost,
            );
            (6, counters).into_pyobject(py)
        }
        Item::Details(text) => (7, text).into_pyobject(py),
        Item::Finish(text) => (8, text).into_pyobject(py),
        Item::Refusal => (9, py.None()).into_pyobject(py),
        Item::Error(code, text) => (10, (code, text)).into_pyobject(py),
        Item::End => (11, py.None()).into_pyobject(py),
        Item::Head(status, headers) => (12, (status, headers)).into_pyobject(py),
        Item::Body(body) => (13, PyBytes::new(py, &body)).into_pyobject(py),
        Item::Raw(seconds, bytes) => (20, (seconds, PyBytes::new(py, &bytes))).into_pyobject(py),
        Item::RawEnd(seconds, cut) => (21, (seconds, cut)).into_pyobject(py),
        Item::Activity => (14, py.None()).into_pyobject(py),
        Item::BlockOpen(ordinal, name) => (15, (ordinal, name)).into_pyobject(py),
        Item::BlockPiece(ordinal, text) => (16, (ordinal, text)).into_pyobject(py),
        Item::Block(ordinal, text) => (17, (ordinal, text)).into_pyobject(py),
    }
}
