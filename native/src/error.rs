//! From the core's errors to Python's exceptions.

use pyo3::PyErr;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use tinyagent_core::HubError;
use tinyagent_core::transport::BadRequest;

/// An error on its way to Python.
pub(crate) enum Failure {
    /// The hub cannot do what was asked.
    Hub(HubError),
    /// The request cannot be sent as it is.
    Request(BadRequest),
    /// No dialect has this name.
    UnknownApi(String),
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        Self::Hub(error)
    }
}

impl From<BadRequest> for Failure {
    fn from(error: BadRequest) -> Self {
        Self::Request(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Hub(error) => PyRuntimeError::new_err(error.to_string()),
            Failure::Request(error) => PyValueError::new_err(error.to_string()),
            Failure::UnknownApi(api) => PyValueError::new_err(format!("the native engine does not speak {api:?}")),
        }
    }
}
