//! One stream of the crate on a runtime of its own, which is dropped to end it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use alchemy_llm::types::AssistantMessageEvent;
use futures_util::StreamExt;
use tokio::runtime::Builder;
use tokio::sync::Notify;

use super::request::Ask;

/// Tasks that the runtime polls before it looks at the reader again: how far the crate may run ahead of the credit.
const POLLS: u32 = 4;
/// Threads of the runtime that resolve names; dropping it does not wait for them.
const RESOLVERS: usize = 1;

/// Where events go.
pub(crate) trait Sink {
    /// Take an event, waiting for room where there is none. `false`: no more are wanted.
    fn take(&mut self, event: AssistantMessageEvent) -> bool;
}

/// How a stream ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The crate has said its last event, and it was taken.
    Said,
    /// It was not wanted any more.
    Stopped,
    /// The crate refused, gave up without a word, or panicked.
    Failed(String),
}

/// Run a stream to its end on this thread; `stop` ends it early. Its socket is closed when this returns.
pub(crate) fn run(ask: &Ask, stop: &Arc<Notify>, sink: &mut dyn Sink) -> Ending {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(POLLS)
        .max_blocking_threads(RESOLVERS)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Ending::Failed(format!("the engine cannot start: {error}")),
    };
    let ending = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(read(ask, stop, sink))));
    runtime.shutdown_background();
    ending.unwrap_or_else(|_| Ending::Failed("the engine panicked".to_owned()))
}

async fn read(ask: &Ask, stop: &Arc<Notify>, sink: &mut dyn Sink) -> Ending {
    let mut events = match ask.start() {
        Ok(events) => events,
        Err(error) => return Ending::Failed(error.to_string()),
    };
    loop {
        let event = tokio::select! {
            biased;
            () = stop.notified() => return Ending::Stopped,
            event = events.next() => event,
        };
        let Some(event) = event else {
            // Its task has gone without a last event, which only a panic makes it do.
            return Ending::Failed("the engine panicked".to_owned());
        };
        let is_last = matches!(
            event,
            AssistantMessageEvent::Done { .. } | AssistantMessageEvent::Error { .. }
        );
        if !sink.take(event) {
            return Ending::Stopped;
        }
        if is_last {
            return Ending::Said;
        }
    }
}
