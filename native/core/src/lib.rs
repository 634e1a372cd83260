//! The engine of `tinyagent_actors` without Python.
//!
//! - [`sse`], [`json`], [`text`] and [`dialect`] are pure: bytes in, [`Item`]s out. `docs/explanation/engine-boundary.md`
//!   defines them; the Python decoder follows the same page, and both are compared over generated streams.
//! - [`transport`] and [`inflate`] turn a request into the bytes of a body, [`route`] says which way it goes.
//! - [`hub`] runs any number of streams on one Tokio worker and hands out what is ready for all of them at once.
//! - `alchemy`, a feature, is another engine: a published crate behind the same face.

#[cfg(feature = "alchemy")]
pub mod alchemy;
pub mod dialect;
pub mod hub;
pub mod inflate;
pub mod item;
pub mod json;
pub mod route;
pub mod sse;
pub mod text;
pub mod transport;

#[cfg(target_os = "linux")]
mod bell;
mod connect;
mod failure;
mod queue;
mod reader;
mod sending;

pub use dialect::{Decode, DecoderOptions};
pub use hub::{Batch, Hub, HubError, StreamRequest};
pub use item::Item;
