//! Addresses that nothing may be sent to: neither a webhook nor a store must become a way into the metadata service of a
//! cloud or, where `deny_private` says so, into the private network.
//!
//! The check is made on the address that is connected to, so a name that changes its address is no way around it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The metadata services of clouds that do not lie in the link-local range.
const METADATA: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254))];

/// What an address is if nothing may be sent to it.
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

/// The address that a URL holds in the place of a name: it goes past every resolver.
pub fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(ip) => Some(ip.into()),
        Host::Ipv6(ip) => Some(ip.into()),
        Host::Domain(_) => None,
    }
}

/// Why a URL may not be asked for the address that stands in it.
pub fn refused(url: &Url, deny_private: bool) -> Option<String> {
    let address = literal(url)?;
    denied(address, deny_private).map(|what| format!("{address} is {what}: not allowed"))
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
    fn addresses_that_nothing_may_be_sent_to() {
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
}
