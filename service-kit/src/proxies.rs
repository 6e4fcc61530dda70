//! Finds a client's address behind trusted proxies.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;

/// The networks of trusted proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let one = |text: &str| {
            let address = text.parse().map(|address: IpAddr| address.into());
            address
                .or_else(|_| text.parse())
                .map_err(|_| format!("{text:?} is neither an address nor a network like 10.0.0.0/8"))
        };
        text.split(',').map(str::trim).map(one).collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    /// Whether the address is a trusted proxy's.
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address of the client behind `peer`, from the values of `Forwarded` and `X-Forwarded-For`.
    ///
    /// It is the last address that is not a trusted proxy's. If both headers are there and differ, it is `peer`: most proxies
    /// set one of them and pass the client's own value of the other.
    pub(crate) fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl Iterator<Item = &'a str>,
        x_forwarded_for: impl Iterator<Item = &'a str>,
    ) -> IpAddr {
        if !self.contain(peer) {
            return peer;
        }
        let forwarded = self.last(peer, forwarded, for_node);
        match (forwarded, self.last(peer, x_forwarded_for, node)) {
            (Some(one), Some(other)) if one != other => peer,
            (one, other) => one.or(other).unwrap_or(peer),
        }
    }

    /// The last address of the lists that is not a trusted proxy's. A text that is no address hides all before it.
    fn last<'a>(
        &self,
        peer: IpAddr,
        lists: impl Iterator<Item = &'a str>,
        read: fn(&str) -> Option<IpAddr>,
    ) -> Option<IpAddr> {
        let texts = lists.flat_map(|list| list.split(',')).map(str::trim).filter(|text| !text.is_empty());
        let found = texts.fold(None, |before: Option<Option<IpAddr>>, text| {
            let read = read(text).map(|address| address.to_canonical());
            Some(match read {
                Some(address) if self.contain(address) => before.flatten().or(read),
                _ => read,
            })
        });
        found.map(|client| client.unwrap_or(peer))
    }
}

/// The address of `for=` in an element of `Forwarded` (RFC 7239).
fn for_node(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    node(value.trim().trim_matches('"'))
}

/// An address with or without a port.
fn node(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    text.parse().ok().or_else(with_port).or_else(bracketed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], x_forwarded_for: &[&str]) -> String {
        let trusted: TrustedProxies = "10.0.0.0/8, 192.0.2.7, fd00::/8".parse().unwrap();
        let peer = peer.parse().unwrap();
        trusted.client(peer, forwarded.iter().copied(), x_forwarded_for.iter().copied()).to_string()
    }

    #[test]
    fn a_trusted_proxy_names_the_client() {
        for (forwarded, x_forwarded_for, expected) in [
            (&[][..], &["198.51.100.1"][..], "198.51.100.1"),
            (&[], &["198.51.100.1:4711"], "198.51.100.1"),
            (&[], &["[2001:db8::1]:4711"], "2001:db8::1"),
            (&[], &["[2001:db8::1]"], "2001:db8::1"),
            (&[], &["198.51.100.1, 10.1.1.1, 192.0.2.7"], "198.51.100.1"),
            (&[], &["198.51.100.1", "10.1.1.1"], "198.51.100.1"),
            (&["for=198.51.100.1;proto=https"], &[], "198.51.100.1"),
            (&["proto=https; For=\"[2001:db8::1]:4711\""], &[], "2001:db8::1"),
            (&["for=198.51.100.1"], &["198.51.100.1"], "198.51.100.1"),
            (&[], &["10.2.2.2"], "10.2.2.2"),
        ] {
            assert_eq!(
                client("10.0.0.1", forwarded, x_forwarded_for),
                expected,
                "{forwarded:?} {x_forwarded_for:?}"
            );
        }
        assert_eq!(client("::ffff:10.0.0.1", &[], &["::ffff:198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("192.0.2.7", &[], &["198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn a_client_cannot_name_an_address_itself() {
        let invented = ["203.0.113.9, 198.51.100.1", "203.0.113.9,, 198.51.100.1", "for=\", 198.51.100.1"];
        for list in invented {
            assert_eq!(client("10.0.0.1", &[], &[list]), "198.51.100.1", "{list}");
        }
        assert_eq!(client("10.0.0.1", &["for=\"203.0.113.9, for=198.51.100.1"], &[]), "198.51.100.1");
        for peer in ["198.51.100.1", "192.0.2.8", "2001:db8::1"] {
            assert_eq!(client(peer, &["for=203.0.113.9"], &["203.0.113.9"]), peer, "it is no trusted proxy");
        }
        // The proxy sets one header and passes the other.
        assert_eq!(client("10.0.0.1", &["for=203.0.113.9"], &["198.51.100.1"]), "10.0.0.1");
        for unreadable in ["unknown", "203.0.113.9, _hidden", "203.0.113.9, \u{7f}", ";"] {
            assert_eq!(client("10.0.0.1", &[], &[unreadable]), "10.0.0.1", "{unreadable}");
            assert_eq!(client("10.0.0.1", &[unreadable], &[]), "10.0.0.1", "{unreadable}");
        }
        assert_eq!(client("10.0.0.1", &[], &[]), "10.0.0.1");
    }

    #[test]
    fn what_is_no_network_is_refused_by_its_text() {
        let refused = "10.0.0.0/8, proxy".parse::<TrustedProxies>().unwrap_err();
        assert_eq!(refused, "\"proxy\" is neither an address nor a network like 10.0.0.0/8");
        assert!("10.0.0.0/33".parse::<TrustedProxies>().is_err());
    }
}
