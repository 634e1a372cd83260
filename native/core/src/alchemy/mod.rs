//! The engine `alchemy`: `alchemy_llm::stream`, as it was published, behind the face of the hub.
//!
//! The crate spawns a detached task on whatever runtime it is called on, gives its events through a channel without a
//! bound, and knows no way to stop. What is done here puts ends and bounds around it without touching it:
//!
//! - **A runtime for each stream**, with no thread but the one that runs it. To cancel is to drop the runtime: its tasks
//!   go, and with them the socket. ([`run`])
//! - **A bounded pool** of threads for all of them; who finds it full waits in a line that is bounded too. ([`pool`])
//! - **Credit.** Where the reader has taken nothing for a while, the thread of the stream waits for it *outside* of the
//!   runtime. Nobody polls the crate's task then, it reads no further, and its peer feels that. ([`hub`])
//! - **Items.** What the crate says becomes what our own decoders say, so that everything above is shared; what it lost
//!   is lost. Arguments of tools are taken from its deltas, not from what it makes of them. ([`items`])
//! - **Requests** come in the dict shapes of the seed, and every rule of compatibility is set, so that nothing is guessed
//!   from a host's name. A key goes as a bearer token, which a redirect to another origin does not take along. ([`request`])
//! - **Panics** in its task end that task; the stream ends with an error, and no other notices.
//!
//! [`completions`] gives the crate's own events, in the seed's shapes, to callers that block.
//!
//! Refused: the worker of the native hub (a task that nobody can abort, and a reader that stalls all others); one
//! shared runtime (dropping it would end every stream); a fork of the crate (then it is another engine).

pub mod completions;
pub mod hub;
pub mod items;
pub mod request;
pub mod shape;

mod messages;
mod pool;
mod run;
mod value;

pub use completions::Completions;
pub use hub::Hub;
pub use pool::PoolError;
pub use request::{Ask, RequestError};
