//! Names to addresses, off the threads that evaluate, with one look-up per store at a time: a name server that hangs
//! takes one thread, however many queries wait for it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

type Found = Result<Arc<[SocketAddr]>, Arc<str>>;
type LookUp = Shared<BoxFuture<'static, Found>>;

/// The resolver of one store.
#[derive(Default)]
pub(super) struct Resolver {
    /// The look-up under way; held to look at it, never while it waits.
    under_way: Mutex<Option<(String, LookUp)>>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let look_up = match under_way.as_ref() {
            Some((host, look_up)) if *host == name && look_up.peek().is_none() => look_up.clone(),
            _ => {
                let look_up = look_up(name.clone()).boxed().shared();
                *under_way = Some((name, look_up.clone()));
                look_up
            }
        };
        drop(under_way);
        async move {
            let found = look_up.await.map_err(|reason| std::io::Error::other(reason.to_string()))?;
            let found: Vec<SocketAddr> = found.iter().copied().collect();
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        }
        .boxed()
    }
}

async fn look_up(host: String) -> Found {
    let asked = tokio::task::spawn_blocking(move || {
        let found: Vec<SocketAddr> =
            (host.as_str(), 0).to_socket_addrs().map_err(|e| format!("cannot look up {host}: {e}"))?.collect();
        if found.is_empty() { Err(format!("{host} has no address")) } else { Ok(found) }
    });
    match asked.await {
        Ok(found) => found.map(Arc::from).map_err(Arc::from),
        Err(_) => Err("the look-up of the name was ended".into()),
    }
}
