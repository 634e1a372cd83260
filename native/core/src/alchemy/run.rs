//! One stream of the crate on a runtime of its own, which is dropped to end it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use alchemy_llm::types::{AssistantMessageEvent, AssistantMessageEventStream};
use futures_util::StreamExt;
use tokio::runtime::Builder;
use tokio::sync::Notify;

/// Tasks that the runtime polls before it looks at the reader again: how far the crate may run ahead of the credit.
const POLLS: u32 = 4;
/// Threads of the runtime that resolve names; dropping it does not wait for them.
const RESOLVERS: usize = 1;

/// Where events go.
pub(crate) trait Sink {
    /// Take an event, waiting for room where there is none. `false`: no more are wanted.
    fn take(&mut self, event: AssistantMessageEvent) -> bool;
}

/// Calls the crate, on the runtime of the stream.
pub(crate) type Start<'a> = &'a dyn Fn() -> alchemy_llm::Result<AssistantMessageEventStream>;

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

/// Run the stream that `start` gives to its end on this thread; `stop` ends it early. Its socket is closed when this
/// returns.
pub(crate) fn run(start: Start<'_>, stop: &Arc<Notify>, sink: &mut dyn Sink) -> Ending {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .event_interval(POLLS)
        .max_blocking_threads(RESOLVERS)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return Ending::Failed(format!("the engine cannot start: {error}")),
    };
    let ending = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(read(start, stop, sink))));
    runtime.shutdown_background();
    ending.unwrap_or_else(|_| Ending::Failed("the engine panicked".to_owned()))
}

async fn read(start: Start<'_>, stop: &Arc<Notify>, sink: &mut dyn Sink) -> Ending {
    let mut events = match start() {
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

#[cfg(test)]
mod tests {
    use alchemy_llm::Error;

    use super::*;

    struct Deaf;

    impl Sink for Deaf {
        fn take(&mut self, _: AssistantMessageEvent) -> bool {
            false
        }
    }

    fn ending(start: Start<'_>) -> Ending {
        run(start, &Arc::default(), &mut Deaf)
    }

    #[test]
    fn a_panic_of_the_crate_ends_its_stream_alone() {
        let ended = ending(&|| {
            let (stream, sender) = AssistantMessageEventStream::new();
            tokio::spawn(async move {
                let _sender = sender;
                panic!("on purpose");
            });
            Ok(stream)
        });

        assert_eq!(ended, Ending::Failed("the engine panicked".to_owned()));
        assert_eq!(ending(&|| panic!("on purpose")), ended);
    }

    #[test]
    fn what_the_crate_refuses_is_told() {
        let ended = ending(&|| Err(Error::InvalidResponse("no".to_owned())));

        assert_eq!(ended, Ending::Failed("Invalid response: no".to_owned()));
    }

    #[test]
    fn a_stop_ends_a_stream_that_says_nothing() {
        let stop = Arc::<Notify>::default();
        stop.notify_one();
        let (stream, sender) = AssistantMessageEventStream::new();
        let kept = std::cell::Cell::new(Some(stream));
        let ended = run(&|| kept.take().ok_or(Error::Aborted), &stop, &mut Deaf);

        assert_eq!(ended, Ending::Stopped);
        drop(sender);
    }
}
