//! Names to addresses: off the threads that wait for them, to a deadline, and one search at a time. A name server that
//! hangs takes one thread of a resolver, however many requests wait for it and however often they are tried again.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

use super::address::denied;

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;

/// Why there is no address to connect to.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ResolveError {
    /// The name could not be found out.
    #[error("{host}: {reason}")]
    Lookup {
        /// The name.
        host: String,
        /// The system's words.
        reason: String,
    },
    /// It took too long.
    #[error("{host}: no answer within {limit:?}")]
    Timeout {
        /// The name.
        host: String,
        /// The deadline.
        limit: Duration,
    },
    /// Nothing may be sent there.
    #[error("{host} is {what} ({address}): not allowed")]
    Denied {
        /// The name, or the address.
        host: String,
        /// The address.
        address: IpAddr,
        /// What it is.
        what: &'static str,
    },
}

/// What a search gives: addresses, or the system's words.
type Found = Result<Arc<[SocketAddr]>, Arc<str>>;
/// A search that several may wait for.
type Search = Shared<BoxFuture<'static, Found>>;

/// How a name is searched for; blocks.
pub type LookUp = fn(&str) -> std::io::Result<Vec<SocketAddr>>;

/// Finds addresses by the system's means.
pub struct Resolver {
    rules: Rules,
    /// A name that stands for another host: the name of the certificate, and the host that is connected to.
    alias: Option<(String, String)>,
    /// What the last search found; held to write or copy it.
    found: Arc<Mutex<Vec<SocketAddr>>>,
    look_up: LookUp,
    /// The search under way; held to look at it, never while it waits.
    under_way: Mutex<Option<(String, Search)>>,
}

/// What is kept to in each search.
#[derive(Clone, Copy)]
struct Rules {
    deny_private: bool,
    limit: Duration,
}

impl Resolver {
    /// A resolver that refuses what nothing may be sent to, with a deadline of one search.
    pub fn new(deny_private: bool, limit: Duration) -> Self {
        Self {
            rules: Rules { deny_private, limit },
            alias: None,
            found: Arc::default(),
            look_up: system,
            under_way: Mutex::default(),
        }
    }

    /// With a name that stands for another host, and a place for what is found.
    pub fn with(self, alias: Option<(String, String)>, found: Arc<Mutex<Vec<SocketAddr>>>) -> Self {
        Self { alias, found, ..self }
    }

    /// Searching in another way.
    pub fn searching(self, look_up: LookUp) -> Self {
        Self { look_up, ..self }
    }

    fn search(&self, host: &str) -> Search {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        match under_way.as_ref() {
            Some((name, search)) if name == host && search.peek().is_none() => search.clone(),
            _ => {
                let search = searched(host.to_owned(), self.look_up).boxed().shared();
                *under_way = Some((host.to_owned(), search.clone()));
                search
            }
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = match &self.alias {
            Some((alias, host)) if alias.eq_ignore_ascii_case(name.as_str()) => host.clone(),
            _ => name.as_str().to_owned(),
        };
        let search = self.search(host.trim_start_matches('[').trim_end_matches(']'));
        let (rules, found) = (self.rules, Arc::clone(&self.found));
        Box::pin(async move {
            let addresses = rules.kept(&host, search).await?;
            *found.lock().unwrap_or_else(PoisonError::into_inner) = addresses.clone();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl Rules {
    /// The addresses that may be connected to.
    async fn kept(self, host: &str, search: Search) -> Result<Vec<SocketAddr>, ResolveError> {
        let named = || host.to_owned();
        let late = |_| ResolveError::Timeout { host: named(), limit: self.limit };
        let found = tokio::time::timeout(self.limit, search).await.map_err(late)?;
        let found = found.map_err(|reason| ResolveError::Lookup { host: named(), reason: reason.to_string() })?;
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in found.iter().copied().take(ADDRESSES_MAX) {
            match denied(address.ip(), self.deny_private) {
                None => allowed.push(address),
                Some(what) => refused = Some(ResolveError::Denied { host: named(), address: address.ip(), what }),
            }
        }
        match refused {
            Some(refused) if allowed.is_empty() => Err(refused),
            None if allowed.is_empty() => {
                Err(ResolveError::Lookup { host: named(), reason: "it has no address".to_owned() })
            }
            _ => Ok(allowed),
        }
    }
}

async fn searched(host: String, look_up: LookUp) -> Found {
    match tokio::task::spawn_blocking(move || look_up(&host)).await {
        Ok(Ok(found)) => Ok(found.into()),
        Ok(Err(error)) => {
            // "failed to lookup address information: Name or service not known"
            let text = error.to_string();
            Err(text.rsplit(": ").next().unwrap_or(&text).into())
        }
        Err(_) => Err("the search was ended".into()),
    }
}

/// As the system does.
pub fn system(host: &str) -> std::io::Result<Vec<SocketAddr>> {
    (host, 0).to_socket_addrs().map(Iterator::collect)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn addresses(resolver: &Resolver, host: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        resolver.rules.kept(host, resolver.search(host)).await
    }

    #[tokio::test]
    async fn a_name_of_a_denied_address_is_refused_and_an_unknown_one_is_named() {
        let (open, shut) = [false, true].map(|deny| Resolver::new(deny, Duration::from_secs(5))).into();
        let denied = addresses(&shut, "localhost").await.unwrap_err();
        assert!(matches!(&denied, ResolveError::Denied { what: "a loopback address", .. }), "{denied}");
        assert!(addresses(&open, "localhost").await.is_ok());
        let unknown = addresses(&open, "no-such-host.invalid").await.unwrap_err();
        assert!(matches!(&unknown, ResolveError::Lookup { host, .. } if host == "no-such-host.invalid"), "{unknown}");
        let metadata = |_: &str| Ok(vec![SocketAddr::from(([169, 254, 169, 254], 0))]);
        let denied = addresses(&open.searching(metadata), "store.example").await.unwrap_err();
        assert_eq!(denied.to_string(), "store.example is a link-local address (169.254.169.254): not allowed");
    }

    #[tokio::test]
    async fn a_search_that_hangs_takes_one_thread_however_many_wait_for_it() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static SEARCHES: AtomicUsize = AtomicUsize::new(0);
        let hangs = |_: &str| {
            SEARCHES.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_secs(2));
            Ok(Vec::new())
        };
        let resolver = Resolver::new(false, Duration::from_millis(20)).searching(hangs);
        for _ in 0..5 {
            let (first, second) = tokio::join!(addresses(&resolver, "h"), addresses(&resolver, "h"));
            for late in [first, second] {
                assert_eq!(late.unwrap_err().to_string(), "h: no answer within 20ms");
            }
        }
        assert_eq!(SEARCHES.load(Ordering::SeqCst), 1);
    }
}
