//! From a request to the bytes of its response.
//!
//! What a client usually adds is left out, because it must not happen here or has rules of its own: redirects are
//! followed by hand (a credential never leaves its origin), bodies are inflated in bounded steps, and the only time
//! limit is the connection's, since all others are Trio deadlines.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Body, Client, Response, StatusCode, Url};
use thiserror::Error;

use crate::connect::CONNECT_LIMIT;
use crate::failure::is_refused_unseen;
pub use crate::failure::{SendError, words};
use crate::route::{Clients, Lease};
pub use crate::route::{Route, RouteError};
use crate::sending::{Sending, SentBody};

const MAX_REDIRECTS: usize = 5;

/// A request that can be sent.
#[derive(Debug)]
pub struct Request {
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    connect_limit: Option<Duration>,
    route: Route,
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
            route: Route::default(),
        })
    }

    /// Go another way than straight, or trust others than the system does.
    #[must_use]
    pub fn by(mut self, route: Route) -> Self {
        self.route = route;
        self
    }

    fn host(&self) -> String {
        self.url.host_str().unwrap_or_default().to_owned()
    }
}

/// The connections of a hub.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    clients: Clients,
}

impl Pool {
    /// How many connections were opened.
    #[must_use]
    pub fn opened(&self) -> usize {
        self.clients.opened().load(Ordering::Relaxed)
    }

    /// Close the connections that nobody uses.
    pub(crate) fn close(&self) {
        self.clients.clear();
    }

    /// Send a request, following redirects that keep the method and stay within the origin.
    ///
    /// The lease is kept as long as the response is read.
    pub(crate) async fn send(&self, request: &Request, sending: &Arc<Sending>) -> Result<(Response, Lease), SendError> {
        let (client, lease) = self.clients.get(&request.route, &request.url).await?;
        let mut response = send_to(&client, &request.url, request, sending).await?;
        for _ in 0..MAX_REDIRECTS {
            let Some(target) = target_within(&request.url, &response) else {
                break;
            };
            response = send_to(&client, &target, request, sending).await?;
        }
        Ok((response, lease))
    }
}

async fn send_to(client: &Client, url: &Url, request: &Request, sending: &Arc<Sending>) -> Result<Response, SendError> {
    let attempt = || {
        let body = SentBody::new(request.body.clone(), Arc::clone(sending));
        let post = client.post(url.clone()).headers(request.headers.clone());
        CONNECT_LIMIT.scope(request.connect_limit, post.body(Body::wrap(body)).send())
    };
    let answer = match attempt().await {
        Err(error) if is_refused_unseen(&error) => attempt().await,
        answer => answer,
    };
    answer.map_err(|error| SendError::of(error, request.host()))
}

/// Where a redirect leads, if it keeps the method and stays within the origin.
fn target_within(url: &Url, response: &Response) -> Option<Url> {
    let keeps_method = [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT];
    if !keeps_method.contains(&response.status()) {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    if location.contains('\\') {
        return None; // Some take it for a slash, which may begin another host.
    }
    let target = url.join(location).ok()?;
    (target.origin() == url.origin()).then_some(target)
}
