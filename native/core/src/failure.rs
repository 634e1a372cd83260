//! Why there is no response, in words that name neither URL nor credential.

use std::error::Error as StdError;
use std::io;

use rustls::CertificateError;
use thiserror::Error;

use crate::connect::ConnectedTooLate;
use crate::route::RouteError;

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
    /// The peer could not show that it is the host.
    #[error("{host}: the certificate is not trusted: {reason}")]
    Untrusted {
        /// Which host was asked.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no way to any host.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// Anything else.
    #[error("{host}: {words}")]
    Failed {
        /// Which host was asked.
        host: String,
        /// What failed, without the URL.
        words: String,
    },
}

impl SendError {
    /// The code of the item that tells of it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ConnectTimeout { .. } => "timeout",
            Self::Untrusted { .. } => "untrusted",
            Self::Route(_) => "misconfigured",
            Self::Failed { .. } => "connection_error",
        }
    }

    /// Judge what failed while `host` was asked.
    pub(crate) fn of(error: reqwest::Error, host: String) -> Self {
        if let Some(late) = causes(&error).find_map(|cause| cause.downcast_ref::<ConnectedTooLate>()) {
            let seconds = late.0.as_secs_f64();
            return Self::ConnectTimeout { host, seconds };
        }
        let reason = causes(&error).find_map(distrust);
        match reason {
            Some(reason) => Self::Untrusted { host, reason },
            None => Self::Failed {
                host,
                words: words(error),
            },
        }
    }
}

/// Whether the peer says that it has not looked at the request, so that it may be sent again.
pub(crate) fn is_refused_unseen(error: &reqwest::Error) -> bool {
    let told = causes(error).find_map(|cause| cause.downcast_ref::<h2::Error>());
    told.is_some_and(|error| {
        let is_leaving = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        let is_refusing = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (is_leaving || is_refusing)
    })
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

/// Why a certificate is not trusted, if that is what went wrong.
fn distrust(cause: &(dyn StdError + 'static)) -> Option<String> {
    let mut error = cause;
    // An I/O error hides what it wraps from `source`; there may be several.
    while let Some(wrapped) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        error = wrapped;
    }
    let Some(rustls::Error::InvalidCertificate(reason)) = error.downcast_ref() else {
        return None;
    };
    let known = match reason {
        CertificateError::UnknownIssuer => "unknown issuer",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "not valid yet",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "wrong host",
        CertificateError::Revoked => "revoked",
        other => return Some(other.to_string()),
    };
    Some(known.to_owned())
}
