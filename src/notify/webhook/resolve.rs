//! Finds the addresses of a receiver, and refuses those that no message may go to: a webhook must not become a way into
//! the metadata service of a cloud or, where `deny_private` says so, into the private network.
//!
//! The check is made on the address that is connected to, so a name that changes its address is no way around it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;
/// The metadata services of clouds that do not lie in the link-local range.
const METADATA: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254))];

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
    #[error("{host}: no answer within {}", crate::notify::human::span(*.limit))]
    Timeout {
        /// The name.
        host: String,
        /// The deadline.
        limit: Duration,
    },
    /// No message may go there.
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

/// What an address is if no message may go to it.
pub fn denied(address: IpAddr, deny_private: bool) -> Option<&'static str> {
    let address = plain(address);
    if METADATA.contains(&address) {
        return Some("a metadata service");
    }
    let always = match address {
        IpAddr::V4(ip) if ip.is_link_local() => Some("a link-local address"),
        // All of 0.0.0.0/8 means "this host".
        IpAddr::V4(ip) if ip.octets()[0] == 0 => Some("an unspecified address"),
        IpAddr::V4(ip) if ip.is_multicast() || ip.is_broadcast() => Some("a multicast address"),
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Some("a link-local address"),
        IpAddr::V6(ip) if ip.is_unspecified() => Some("an unspecified address"),
        IpAddr::V6(ip) if ip.is_multicast() => Some("a multicast address"),
        _ => None,
    };
    always.or_else(|| private(address).filter(|_| deny_private))
}

fn private(address: IpAddr) -> Option<&'static str> {
    match address {
        ip if ip.is_loopback() => Some("a loopback address"),
        IpAddr::V4(ip) if ip.is_private() => Some("a private address"),
        // Carrier-grade NAT, RFC 6598.
        IpAddr::V4(ip) if ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64 => Some("a shared address"),
        IpAddr::V6(ip) if ip.is_unique_local() => Some("a private address"),
        _ => None,
    }
}

/// The IPv4 address within an IPv6 address of a transition mechanism: mapped, compatible, NAT64, 6to4.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(ip) = address else { return address };
    let parts = ip.segments();
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match parts {
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

/// Finds addresses by the system's means.
#[derive(Debug)]
pub struct Resolver {
    /// Whether private addresses are refused too.
    pub deny_private: bool,
    /// Deadline of one search.
    pub limit: Duration,
    /// A name that stands for another host: the name of the certificate, and the host that is connected to.
    pub alias: Option<(String, String)>,
    /// What the last search found; held to write or copy it.
    pub found: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = match &self.alias {
            Some((alias, host)) if alias.eq_ignore_ascii_case(name.as_str()) => host.clone(),
            _ => name.as_str().to_owned(),
        };
        let (deny_private, limit, found) = (self.deny_private, self.limit, Arc::clone(&self.found));
        Box::pin(async move {
            let addresses = addresses(&host, deny_private, limit).await?;
            *found.lock().unwrap_or_else(PoisonError::into_inner) = addresses.clone();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

async fn addresses(host: &str, deny_private: bool, limit: Duration) -> Result<Vec<SocketAddr>, ResolveError> {
    let named = || host.to_owned();
    let search = tokio::net::lookup_host((host.trim_start_matches('[').trim_end_matches(']'), 0));
    let found = match tokio::time::timeout(limit, search).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            // "failed to lookup address information: Name or service not known"
            let text = error.to_string();
            let reason = text.rsplit(": ").next().unwrap_or(&text).to_owned();
            return Err(ResolveError::Lookup { host: named(), reason });
        }
        Err(_) => return Err(ResolveError::Timeout { host: named(), limit }),
    };
    let mut refused = None;
    let mut allowed = Vec::new();
    for address in found.take(ADDRESSES_MAX) {
        match denied(address.ip(), deny_private) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, always: Option<&str>, private: Option<&str>) {
        let ip: IpAddr = address.parse().unwrap();
        assert_eq!((denied(ip, false), denied(ip, true)), (always, private), "{address}");
    }

    #[test]
    fn addresses_that_no_message_may_go_to() {
        let link = Some("a link-local address");
        let metadata = Some("a metadata service");
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "fe80::1",
            "febf::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "::169.254.1.1",
        ] {
            check(address, link, link);
        }
        for address in ["100.100.100.200", "fd00:ec2::254", "::ffff:100.100.100.200"] {
            check(address, metadata, metadata);
        }
        for address in ["0.0.0.0", "0.1.2.3", "::"] {
            check(address, Some("an unspecified address"), Some("an unspecified address"));
        }
        for address in ["224.0.0.1", "255.255.255.255", "ff02::1"] {
            check(address, Some("a multicast address"), Some("a multicast address"));
        }
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            check(address, None, Some("a loopback address"));
        }
        for address in ["10.0.0.1", "172.16.0.1", "192.168.1.1", "fc00::1", "fd12::1", "::ffff:10.1.1.1"] {
            check(address, None, Some("a private address"));
        }
        check("100.64.0.1", None, Some("a shared address"));
        for address in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1", "169.253.1.1"] {
            check(address, None, None);
        }
    }

    #[tokio::test]
    async fn a_name_of_a_denied_address_is_refused_and_an_unknown_one_is_named() {
        let limit = Duration::from_secs(5);
        let denied = addresses("localhost", true, limit).await.unwrap_err();
        assert!(matches!(&denied, ResolveError::Denied { what: "a loopback address", .. }), "{denied}");
        assert!(addresses("localhost", false, limit).await.is_ok());
        let unknown = addresses("no-such-host.invalid", false, limit).await.unwrap_err();
        assert!(matches!(&unknown, ResolveError::Lookup { host, .. } if host == "no-such-host.invalid"), "{unknown}");
        let late = addresses("localhost", false, Duration::ZERO).await;
        assert!(late.is_ok() || matches!(late, Err(ResolveError::Timeout { .. })));
    }
}
