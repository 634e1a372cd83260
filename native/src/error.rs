//! From the core's errors to Python's exceptions.

use pyo3::PyErr;
#[cfg(feature = "alchemy")]
use pyo3::exceptions::PyPermissionError;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use tinyagent_core::HubError;
#[cfg(feature = "alchemy")]
use tinyagent_core::alchemy::{PoolError, RequestError};
use tinyagent_core::transport::BadRequest;

/// An error on its way to Python.
pub(crate) enum Failure {
    /// The hub cannot do what was asked.
    Hub(HubError),
    /// The request cannot be sent as it is.
    Request(BadRequest),
    /// No dialect has this name.
    UnknownApi(String),
    /// A call of the crate that cannot be made.
    #[cfg(feature = "alchemy")]
    Ask(RequestError),
    /// The crate's streams have no room.
    #[cfg(feature = "alchemy")]
    Pool(PoolError),
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

#[cfg(feature = "alchemy")]
impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::Ask(error)
    }
}

#[cfg(feature = "alchemy")]
impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        Self::Pool(error)
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Hub(error) => PyRuntimeError::new_err(error.to_string()),
            Failure::Request(error) => PyValueError::new_err(error.to_string()),
            Failure::UnknownApi(api) => PyValueError::new_err(format!("the native engine does not speak {api:?}")),
            #[cfg(feature = "alchemy")]
            Failure::Ask(error @ RequestError::NoKey(_)) => PyPermissionError::new_err(error.to_string()),
            #[cfg(feature = "alchemy")]
            Failure::Ask(error) => PyValueError::new_err(error.to_string()),
            #[cfg(feature = "alchemy")]
            Failure::Pool(error) => PyRuntimeError::new_err(error.to_string()),
        }
    }
}
