//! The way to a host, and the client that goes it: through which proxy, and whose certificates are trusted.
//!
//! What the environment says of either is read in Python, once for both engines. A client of plain http trusts nobody and
//! costs nothing; one that needs certificates reads them from files, which takes tens of milliseconds, so it is made
//! where blocking is allowed and by the first stream that needs it, while the others wait for it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Proxy, Url};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;
use tokio::sync::OnceCell;

use crate::connect::Connecting;
use crate::failure::words;

/// Clients that are kept; the one used longest ago makes room.
const MAX_CLIENTS: usize = 32;
/// Streams of one client that needs certificates. It keeps one HTTP/2 connection to a host, and servers let so many
/// streams into one; what goes beyond would wait, without a word, until another ends. So a further client takes it.
const MAX_STREAMS: usize = 100;
const MAX_IDLE_PER_HOST: usize = 512;
const IDLE: Duration = Duration::from_secs(30);
/// What the peer of an HTTP/2 stream may send that nobody has read: the bound of a stream whose reader has stopped.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same of a whole connection. So far above it that streams whose readers have stopped never stop another.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// How to reach a host. Connections are shared by the streams of one route.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Route {
    /// The proxy's URL; none: straight.
    pub proxy: Option<String>,
    /// Files and folders with the certificates that are trusted, and no others; none: the system's.
    pub roots: Option<Vec<PathBuf>>,
}

impl fmt::Debug for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        let proxy = self.proxy.as_ref().map(|_| "...");
        let mut shown = formatter.debug_struct("Route");
        shown.field("proxy", &proxy).field("roots", &self.roots).finish()
    }
}

/// Why a route cannot be gone. Trying again does not help.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RouteError {
    /// The proxy is none.
    #[error("the proxy's URL cannot be used")]
    Proxy,
    /// There is nobody to trust.
    #[error("the trusted certificates cannot be read: {0}")]
    Roots(String),
    /// The client could not be made.
    #[error("no connection can be made: {0}")]
    Client(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    route: Route,
    trusts: bool,
    /// Which of the clients of this route.
    number: usize,
}

/// A client in use by so many streams. The cell is filled by the first that needs it.
#[derive(Debug, Default)]
struct Shared {
    client: OnceCell<Client>,
    streams: AtomicUsize,
}

/// A client, as long as a stream uses it.
#[derive(Debug)]
pub(crate) struct Lease(Arc<Shared>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client, and what it is for.
type Known = (Key, Arc<Shared>);

/// The clients of a hub, one for each route.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients {
    /// In order of use, the newest last; held for moments.
    known: Arc<Mutex<Vec<Known>>>,
    opened: Arc<AtomicUsize>,
}

impl Clients {
    /// Where opened connections are counted.
    pub(crate) fn opened(&self) -> &AtomicUsize {
        &self.opened
    }

    /// Give the client for a URL, and what says that it is used.
    pub(crate) async fn get(&self, route: &Route, url: &Url) -> Result<(Client, Lease), RouteError> {
        let is_tls = |url: &str| url.starts_with("https");
        let trusts = url.scheme() == "https" || route.proxy.as_deref().is_some_and(is_tls);
        let lease = self.lease(route, trusts);
        let made = lease.0.client.get_or_try_init(|| async {
            let connecting = Connecting(Arc::clone(&self.opened));
            if !trusts {
                return build(route, false, connecting);
            }
            let route = route.clone();
            let building = tokio::task::spawn_blocking(move || build(&route, true, connecting));
            building
                .await
                .unwrap_or_else(|error| Err(RouteError::Client(error.to_string())))
        });
        let client = made.await.cloned()?;
        Ok((client, lease))
    }

    /// Forget all clients; each closes its connections when no stream uses it.
    pub(crate) fn clear(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Take the first client of a route that has room.
    fn lease(&self, route: &Route, trusts: bool) -> Lease {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = Key {
            route: route.clone(),
            trusts,
            number: 0,
        };
        loop {
            let found = known.iter().position(|(other, _)| *other == key);
            let is_full = |at: usize| trusts && known[at].1.streams.load(Ordering::Relaxed) >= MAX_STREAMS;
            if found.is_some_and(is_full) {
                key.number += 1;
                continue;
            }
            let entry = found.map_or_else(|| (key, Arc::default()), |at| known.remove(at));
            let shared = Arc::clone(&entry.1);
            shared.streams.fetch_add(1, Ordering::Relaxed);
            if known.len() == MAX_CLIENTS {
                known.remove(0);
            }
            known.push(entry);
            return Lease(shared);
        }
    }
}

fn build(route: &Route, trusts: bool, connecting: Connecting) -> Result<Client, RouteError> {
    // Another library of this process may have chosen before; its choice serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .redirect(Policy::none())
        // Retries are the governor's: a stream that an HTTP/2 server refuses is an error here, and news there.
        .retry(reqwest::retry::never())
        .no_proxy()
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .connector_layer(connecting);
    if !trusts {
        builder = builder.tls_certs_only([]);
    } else if let Some(roots) = &route.roots {
        builder = builder.tls_certs_only(read_roots(roots)?);
    }
    if let Some(url) = &route.proxy {
        builder = builder.proxy(Proxy::all(url).map_err(|_| RouteError::Proxy)?);
    }
    builder.build().map_err(|error| RouteError::Client(words(error)))
}

/// Read all certificates of the files, and of the files in the folders. A file that is named must hold one.
fn read_roots(paths: &[PathBuf]) -> Result<Vec<Certificate>, RouteError> {
    let mut roots = Vec::new();
    for path in paths {
        let told = |why: &dyn fmt::Display| RouteError::Roots(format!("{}: {why}", path.display()));
        if path.is_dir() {
            for entry in fs::read_dir(path).map_err(|error| told(&error))? {
                // What else lies there is nobody's fault.
                let found = entry.ok().and_then(|entry| read_file(&entry.path()).ok());
                roots.extend(found.unwrap_or_default());
            }
        } else {
            roots.extend(read_file(path).map_err(|why| told(&why))?);
        }
    }
    if roots.is_empty() {
        return Err(RouteError::Roots("there is no certificate".to_owned()));
    }
    Ok(roots)
}

fn read_file(path: &Path) -> Result<Vec<Certificate>, String> {
    let text = fs::read(path).map_err(|error| match error.raw_os_error() {
        None => error.to_string(),
        Some(_) => error.kind().to_string(),
    })?;
    let mut found = Vec::new();
    for der in CertificateDer::pem_slice_iter(&text) {
        let der = der.map_err(|_| "it is damaged")?;
        RootCertStore::empty().add(der.clone()).map_err(|_| "it is damaged")?;
        found.push(Certificate::from_der(&der).map_err(|_| "it is damaged")?);
    }
    if found.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(clients: &Clients, name: &str, trusts: bool) -> Arc<Shared> {
        let route = Route {
            proxy: Some(name.to_owned()),
            roots: None,
        };
        Arc::clone(&clients.lease(&route, trusts).0)
    }

    #[test]
    fn clients_are_shared_and_bounded() {
        let clients = Clients::default();
        let first = lease(&clients, "first", false);
        for number in 0..MAX_CLIENTS - 1 {
            lease(&clients, &number.to_string(), false);
        }
        assert!(Arc::ptr_eq(&first, &lease(&clients, "first", false))); // now the newest
        for number in 0..MAX_CLIENTS - 1 {
            lease(&clients, &format!("more {number}"), false);
        }
        assert!(Arc::ptr_eq(&first, &lease(&clients, "first", false)));
        for number in 0..MAX_CLIENTS {
            lease(&clients, &number.to_string(), false);
        }

        let kept = clients.known.lock().map(|known| known.len());
        assert_eq!(kept.ok(), Some(MAX_CLIENTS));
        assert!(!Arc::ptr_eq(&first, &lease(&clients, "first", false)));
    }

    #[test]
    fn a_client_that_is_full_makes_another_and_is_used_again() {
        let clients = Clients::default();
        let route = Route::default();
        let mut leases: Vec<Lease> = (0..=MAX_STREAMS).map(|_| clients.lease(&route, true)).collect();
        assert!(Arc::ptr_eq(&leases[0].0, &leases[MAX_STREAMS - 1].0));
        assert!(!Arc::ptr_eq(&leases[0].0, &leases[MAX_STREAMS].0));
        let first = leases.swap_remove(0);
        let shared = Arc::clone(&first.0);
        drop(first);

        assert!(Arc::ptr_eq(&shared, &clients.lease(&route, true).0));
    }

    #[test]
    fn a_route_keeps_its_password_to_itself() {
        let route = Route {
            proxy: Some("http://user:s3cret@proxy".to_owned()),
            roots: None,
        };

        assert!(!format!("{route:?}").contains("s3cret"));
    }

    #[test]
    fn roots_that_are_not_there_are_named() {
        let read = read_roots(&[PathBuf::from("/nowhere/ca.pem")]);

        let expected = RouteError::Roots("/nowhere/ca.pem: entity not found".to_owned());
        assert_eq!(read.err(), Some(expected));
    }
}
