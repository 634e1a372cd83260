//! What happens while a connection is made: it is counted, and bounded in time.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use thiserror::Error;
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// How long the request of this task may take to connect. The pool connects within the task that asks.
    pub(crate) static CONNECT_LIMIT: Option<Duration>;
}

/// The connection was not there in time.
#[derive(Debug, Error)]
#[error("no connection within {0:?}")]
pub(crate) struct ConnectedTooLate(pub(crate) Duration);

/// Counts connections, and bounds the time that each may take to be made.
#[derive(Clone, Debug)]
pub(crate) struct Connecting(pub(crate) Arc<AtomicUsize>);

impl<S> Layer<S> for Connecting {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector {
            inner,
            opened: Arc::clone(&self.0),
        }
    }
}

/// See [`Connecting`].
#[derive(Clone, Debug)]
pub(crate) struct Connector<S> {
    inner: S,
    opened: Arc<AtomicUsize>,
}

type BoxError = Box<dyn StdError + Send + Sync>;

impl<S, R> Service<R> for Connector<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: Send,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let limit = CONNECT_LIMIT.try_with(|limit| *limit).ok().flatten();
        let opened = Arc::clone(&self.opened);
        let connecting = self.inner.call(target);
        Box::pin(async move {
            let connection = match limit {
                None => connecting.await?,
                Some(limit) => tokio::time::timeout(limit, connecting)
                    .await
                    .map_err(|_| ConnectedTooLate(limit))??,
            };
            opened.fetch_add(1, Ordering::Relaxed);
            Ok(connection)
        })
    }
}
