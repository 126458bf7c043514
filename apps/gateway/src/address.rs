//! Where a request comes from: the peer's address, or what proxies that we trust say of it.
//!
//! Must stay true: nobody chooses the own address. `Forwarded` and `X-Forwarded-For` are believed only as far as trusted proxies wrote
//! them: from the right, up to the first hop that is not one of them.

use std::{net::IpAddr, str::FromStr};

use actix_web::http::header::HeaderMap;

/// A range of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix: u32,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a network such as 10.0.0.0/8");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let first: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = bits(first).1;
        let prefix = prefix.map_or(Ok(bits), |prefix| prefix.parse().map_err(|_| wrong()))?;
        if prefix > bits { Err(wrong()) } else { Ok(Self { first, prefix }) }
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        let ((first, length), (address, other)) = (bits(self.first), bits(address));
        let ignored = length - self.prefix;
        // A shift by all bits would be refused: a prefix of nothing contains every address of its kind.
        length == other && (ignored == 128 || first >> ignored == address >> ignored)
    }
}

/// An address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// Proxies whose word counts; none unless configured.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<Network>);

impl FromStr for TrustedProxies {
    type Err = String;

    /// From a list with commas.
    fn from_str(text: &str) -> Result<Self, String> {
        let networks = text.split(',').map(str::trim).filter(|network| !network.is_empty());
        networks.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Who sent a request that came from this peer with these headers.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trust(peer) {
            return peer;
        }
        let (forwarded, common) = (hops(headers, "forwarded", forwarded_for), hops(headers, "x-forwarded-for", bare));
        match (forwarded.is_empty(), common.is_empty()) {
            (false, true) => self.outermost(peer, &forwarded),
            (true, _) => self.outermost(peer, &common),
            // A proxy writes one of them and may pass the other on as the client made it up: only what both say is believed.
            (false, false) => {
                let client = self.outermost(peer, &forwarded);
                if client == self.outermost(peer, &common) { client } else { peer }
            }
        }
    }

    /// From the right, the first that is no proxy of ours; a hop that cannot be read ends what can be believed.
    fn outermost(&self, peer: IpAddr, hops: &[Option<IpAddr>]) -> IpAddr {
        let mut client = peer;
        for hop in hops.iter().rev() {
            let Some(address) = hop else { return client };
            client = *address;
            if !self.trust(client) {
                return client;
            }
        }
        client
    }
}

/// The hops that all headers of this name list, in order.
fn hops(headers: &HeaderMap, name: &str, read: fn(&str) -> Option<IpAddr>) -> Vec<Option<IpAddr>> {
    let texts = headers.get_all(name).map(|value| value.to_str().unwrap_or_default());
    texts.flat_map(|text| text.split(',')).map(read).collect()
}

/// `for=192.0.2.60;proto=http`, of RFC 7239.
fn forwarded_for(hop: &str) -> Option<IpAddr> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"').to_owned())
    };
    bare(&hop.split(';').find_map(pair)?)
}

/// `192.0.2.60`, `192.0.2.60:4711`, `2001:db8::1`, `[2001:db8::1]:4711`.
fn bare(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let inside = hop.strip_prefix('[').and_then(|rest| rest.split(']').next());
    let address = inside.unwrap_or_else(|| match hop.split_once(':') {
        Some((address, port)) if !port.contains(':') => address,
        _ => hop,
    });
    address.parse().ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn client(trusted: &str, peer: &str, headers: &[(&'static str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        trusted.parse::<TrustedProxies>().unwrap().client(peer.parse().unwrap(), &map).to_string()
    }

    const COMMON: &str = "x-forwarded-for";

    #[test]
    fn a_stranger_cannot_choose_an_address() {
        for headers in [[(COMMON, "192.0.2.1")], [("forwarded", "for=192.0.2.1")]] {
            assert_eq!(client("", "203.0.113.9", &headers), "203.0.113.9");
            assert_eq!(client("10.0.0.0/8", "203.0.113.9", &headers), "203.0.113.9");
        }
    }

    #[test]
    fn of_what_trusted_proxies_say_the_rightmost_stranger_counts() {
        let trusted = "10.0.0.0/8, 2001:db8::/32";
        for (said, is) in [
            ("192.0.2.1", "192.0.2.1"),
            ("198.51.100.7, 192.0.2.1, 10.1.2.3", "192.0.2.1"),
            ("192.0.2.1:4711, [2001:db8::7]:80", "192.0.2.1"),
            ("nonsense, 10.1.2.3", "10.1.2.3"),
            ("10.9.9.9", "10.9.9.9"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(client(trusted, "10.0.0.1", &[(COMMON, said)]), is, "{said}");
        }
        let twice = [(COMMON, "198.51.100.7"), (COMMON, "192.0.2.1")];
        assert_eq!(client(trusted, "::ffff:10.0.0.1", &twice), "192.0.2.1", "the later header was written later");
    }

    #[test]
    fn the_header_of_the_standard_is_read_too() {
        for (said, is) in [
            ("for=192.0.2.1;proto=https;by=10.0.0.1", "192.0.2.1"),
            ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
            ("for=198.51.100.7, for=192.0.2.1", "192.0.2.1"),
            ("for=unknown", "10.0.0.1"),
            ("for=_hidden, for=192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[("forwarded", said)]), is, "{said}");
        }
    }

    #[test]
    fn two_headers_that_disagree_are_not_believed() {
        let both = |common| client("10.0.0.0/8", "10.0.0.1", &[("forwarded", "for=192.0.2.1"), (COMMON, common)]);
        assert_eq!(both("192.0.2.1"), "192.0.2.1");
        assert_eq!(both("192.0.2.2"), "10.0.0.1");
    }

    #[test]
    fn a_network_is_read_or_refused() {
        for wrong in ["10.0.0.0/33", "10.0.0/8", "::/129", "here", "10.0.0.0/", "10.0.0.0/-1"] {
            wrong.parse::<TrustedProxies>().unwrap_err();
        }
        assert_eq!(client("0.0.0.0/0", "203.0.113.9", &[(COMMON, "::1")]), "::1");
        assert_eq!(client("::/0", "::2", &[(COMMON, "::1, 192.0.2.1")]), "192.0.2.1");
    }
}
