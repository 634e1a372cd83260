//! `tinyagent_actors._alchemy._lib`: the native engine as Python sees it.
//!
//! - [`hub`]: `Hub`, all streams of a system
//! - [`decoder`]: `Decoder`, the pure decoder, shown to the tests
//! - `alchemy`, a feature: `AlchemyHub` and `Completions`, the published crate
//! - [`convert`]: from items to the tuples of `docs/explanation/engine-boundary.md`
//! - [`error`]: from errors to exceptions, in one place

#[cfg(feature = "alchemy")]
mod alchemy;
mod convert;
mod decoder;
mod error;
mod hub;

#[pyo3::pymodule(gil_used = false)]
mod _lib {
    #[cfg(feature = "alchemy")]
    #[pymodule_export]
    use crate::alchemy::{AlchemyHub, Completions};
    #[pymodule_export]
    use crate::decoder::Decoder;
    #[pymodule_export]
    use crate::hub::Hub;
}
