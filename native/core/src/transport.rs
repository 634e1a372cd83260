//! From a request to the bytes of its response: one pool of connections for all streams.
//!
//! What a client usually adds is left out, because it must not happen here or has rules of its own: redirects are
//! followed by hand (a credential never leaves its origin), bodies are inflated in bounded steps, and the only time
//! limit is the connection's, since all others are Trio deadlines.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, NoProxy, Proxy, Response, StatusCode, Url};
use thiserror::Error;
use tower_layer::Layer;
use tower_service::Service;

const MAX_REDIRECTS: usize = 5;
const MAX_IDLE_PER_HOST: usize = 256;
const IDLE: Duration = Duration::from_secs(30);
/// What is never reached through a proxy, whatever the environment says.
const THIS_MACHINE: &str = "localhost,.localhost,127.0.0.0/8,::1";

tokio::task_local! {
    /// How long the request of this task may take to connect. The pool connects within the task that asks.
    static CONNECT_LIMIT: Option<Duration>;
}

/// A request that can be sent.
#[derive(Debug)]
pub struct Request {
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    connect_limit: Option<Duration>,
}

/// Why a request cannot be sent as it is.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BadRequest {
    /// No part of the URL stands in the text: it may hold a password.
    #[error("the URL is not one that can be asked")]
    Url,
    /// The value may be a secret.
    #[error("the header {0:?} cannot be sent")]
    Header(String),
}

/// Why there is no response.
#[derive(Debug, Error, PartialEq)]
pub enum SendError {
    /// The connection took too long.
    #[error("no connection to {host} within {seconds} s")]
    ConnectTimeout {
        /// To which host.
        host: String,
        /// The limit.
        seconds: f64,
    },
    /// Anything else.
    #[error("{host}: {words}")]
    Failed {
        /// Which host was asked.
        host: String,
        /// What failed, without the URL.
        words: String,
    },
}

/// Why the pool could not be made.
#[derive(Debug, Error)]
#[error("the pool of connections cannot be made: {0}")]
pub struct PoolError(String);

impl Request {
    /// Make a POST request.
    ///
    /// # Errors
    ///
    /// [`BadRequest`] says which part of it cannot be sent.
    pub fn new(
        url: &str,
        headers: &[(String, String)],
        body: Bytes,
        connect_limit: Option<Duration>,
    ) -> Result<Self, BadRequest> {
        let url = Url::parse(url).map_err(|_| BadRequest::Url)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(BadRequest::Url);
        }
        let mut map = HeaderMap::with_capacity(headers.len());
        for (name, value) in headers {
            let bad = || BadRequest::Header(name.clone());
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
            value.set_sensitive(true);
            map.append(key, value);
        }
        Ok(Self {
            url,
            headers: map,
            body,
            connect_limit,
        })
    }

    fn host(&self) -> String {
        self.url.host_str().unwrap_or_default().to_owned()
    }
}

/// The connections of a hub.
#[derive(Clone, Debug)]
pub struct Pool {
    client: Client,
    opened: Arc<AtomicUsize>,
}

impl Pool {
    /// Make a pool. Proxies are those that the environment names now.
    ///
    /// # Errors
    ///
    /// [`PoolError`]: there are no certificates, or a proxy is named that cannot be one.
    pub fn new() -> Result<Self, PoolError> {
        // Another library of this process may have chosen before; its choice serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let opened = Arc::new(AtomicUsize::new(0));
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .connector_layer(Connecting(Arc::clone(&opened)));
        for proxy in proxies()? {
            builder = builder.proxy(proxy);
        }
        let client = builder.build().map_err(|error| PoolError(words(error)))?;
        Ok(Self { client, opened })
    }

    /// How many connections were opened.
    #[must_use]
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    /// Send a request, following redirects that keep the method and stay within the origin.
    ///
    /// # Errors
    ///
    /// [`SendError`] says what failed, without credentials.
    pub async fn send(&self, request: &Request) -> Result<Response, SendError> {
        let mut response = self.send_to(&request.url, request).await?;
        for _ in 0..MAX_REDIRECTS {
            let Some(target) = target_within(&request.url, &response) else {
                break;
            };
            response = self.send_to(&target, request).await?;
        }
        Ok(response)
    }

    async fn send_to(&self, url: &Url, request: &Request) -> Result<Response, SendError> {
        let sending = self
            .client
            .post(url.clone())
            .headers(request.headers.clone())
            .body(request.body.clone())
            .send();
        let sent = CONNECT_LIMIT.scope(request.connect_limit, sending).await;
        sent.map_err(|error| {
            let host = request.host();
            let late = causes(&error).find_map(|cause| cause.downcast_ref::<ConnectedTooLate>());
            match late.map(|late| late.0.as_secs_f64()) {
                Some(seconds) => SendError::ConnectTimeout { host, seconds },
                None => SendError::Failed {
                    host,
                    words: words(error),
                },
            }
        })
    }
}

/// Say what failed: the innermost cause, which names no URL.
#[must_use]
pub fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let innermost = causes(&error).last().map(ToString::to_string);
    innermost.unwrap_or_else(|| error.to_string())
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

/// Where a redirect leads, if it keeps the method and stays within the origin.
fn target_within(url: &Url, response: &Response) -> Option<Url> {
    let keeps_method = [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT];
    if !keeps_method.contains(&response.status()) {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let target = url.join(location).ok()?;
    (target.origin() == url.origin()).then_some(target)
}

/// The proxies that the environment names.
fn proxies() -> Result<Vec<Proxy>, PoolError> {
    let named = |name: &str| {
        let either = std::env::var(name.to_lowercase()).or_else(|_| std::env::var(name));
        either.ok().filter(|value| !value.trim().is_empty())
    };
    let exceptions = named("NO_PROXY").map_or_else(String::new, |more| format!(",{more}"));
    let exceptions = NoProxy::from_string(&format!("{THIS_MACHINE}{exceptions}"));
    let mut proxies = Vec::new();
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        let Some(url) = named(name) else { continue };
        let made = match name {
            "HTTP_PROXY" => Proxy::http(url),
            "HTTPS_PROXY" => Proxy::https(url),
            _ => Proxy::all(url),
        };
        let proxy = made.map_err(|_| PoolError(format!("{name} is no proxy's URL")))?;
        proxies.push(proxy.no_proxy(exceptions.clone()));
    }
    Ok(proxies)
}

/// The connection was not there in time.
#[derive(Debug, Error)]
#[error("no connection within {0:?}")]
struct ConnectedTooLate(Duration);

/// Counts connections, and bounds the time that each may take to be made.
#[derive(Clone, Debug)]
struct Connecting(Arc<AtomicUsize>);

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
struct Connector<S> {
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
