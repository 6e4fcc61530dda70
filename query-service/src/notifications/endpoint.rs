//! The endpoints of webhooks. Users name them, so nothing about them is trusted.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use reqwest::{
    Client, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::CONTENT_TYPE,
    redirect::Policy,
};
use service_kit::{clock::Clock, telemetry::with_causes};
use shared_events::Timestamp;

use super::{
    Answer, Delivery, Secrets,
    delivery::{Outcome, Verdict},
};

/// Most characters of an address.
const MOST_CHARACTERS: usize = 2_000;
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection stays open.
const IDLE: Duration = Duration::from_secs(30);

/// The address of an endpoint, whose path may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

/// Shows the host alone.
impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.0.host_str())
    }
}

/// Why a text can't be the address of an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidAddress {
    /// It is none.
    #[error(
        "it must be an https address with a host, of at most 2000 characters, without user, password and fragment"
    )]
    Form,
    /// It names a machine that must not be reached.
    #[error("it must name a public host")]
    Private,
}

impl Address {
    /// Reads an address. With `loopback`, one on this machine is allowed, by plain HTTP too.
    ///
    /// # Errors
    /// When it is no address, or can never be reached. A host's name is looked up at each attempt instead.
    pub fn read(text: &str, loopback: bool) -> Result<Self, InvalidAddress> {
        if text.chars().count() > MOST_CHARACTERS {
            return Err(InvalidAddress::Form);
        }
        let url = Url::parse(text).map_err(|_| InvalidAddress::Form)?;
        let named = !url.username().is_empty() || url.password().is_some() || url.fragment().is_some();
        if named || !matches!(url.scheme(), "https" | "http") {
            return Err(InvalidAddress::Form);
        }
        let is_of_this_machine = match (url.domain(), ip_of(&url)) {
            (Some(name), _) => matches!(name, "localhost" | "localhost."),
            (None, Some(ip)) if may_reach(ip, loopback) => ip.is_loopback(),
            (None, Some(_)) => return Err(InvalidAddress::Private),
            (None, None) => return Err(InvalidAddress::Form),
        };
        match (is_of_this_machine, url.scheme()) {
            (true, _) if !loopback => Err(InvalidAddress::Private),
            (false, "http") => Err(InvalidAddress::Form),
            _ => Ok(Self(url)),
        }
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The host, if it is an IP address.
fn ip_of(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// Whether endpoints may be at this IP address: a public one, or with `loopback` one of this machine.
fn may_reach(ip: IpAddr, loopback: bool) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip) || (loopback && ip.is_loopback()),
        IpAddr::V6(ip) => is_public_v6(ip) || (loopback && ip.is_loopback()),
    }
}

/// Whether it is none of the special-purpose addresses (RFC 6890).
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_of_protocols = a == 192 && b == 0 && c == 0;
    let is_of_benchmarks = a == 198 && (b == 18 || b == 19);
    let is_old_relay = a == 192 && b == 88 && c == 99;
    !(a == 0
        || a >= 224
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_documentation()
        || is_shared
        || is_of_protocols
        || is_of_benchmarks
        || is_old_relay)
}

/// Whether it is a global unicast address (2000::/3) that stands for no other address.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let is_global = a & 0xe000 == 0x2000;
    // 2001::/23 holds Teredo and other protocols, 2001:db8::/32 and 3fff::/20 are for documents, 2002::/16 is 6to4.
    let is_special =
        (a == 0x2001 && (b < 0x0200 || b == 0x0db8)) || a == 0x2002 || (a == 0x3fff && b < 0x1000);
    is_global && !is_special
}

/// Looks up the addresses of a name.
pub type Resolver = Arc<dyn Fn(String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The resolver of the machine.
#[must_use]
pub fn system_resolver() -> Resolver {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// Gives the client only addresses that it may reach. It connects to no others, so a name that leads elsewhere at the
/// next look-up leads nowhere.
struct Guard {
    resolver: Resolver,
    loopback: bool,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, loopback) = ((self.resolver)(name.as_str().to_owned()), self.loopback);
        Box::pin(async move {
            let allowed: Vec<SocketAddr> = found
                .await?
                .into_iter()
                .filter(|ip| may_reach(*ip, loopback))
                .map(|ip| SocketAddr::new(ip, 0))
                .collect();
            if allowed.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the host has no public address")]
struct NotPublic;

/// Sends messages to endpoints.
pub struct Endpoints {
    client: Client,
    clock: Clock,
    loopback: bool,
}

impl Endpoints {
    /// Endpoints that answer within `timeout`. Redirects are not followed, and no proxy is used.
    ///
    /// # Errors
    /// When the HTTP client can't be built.
    pub fn new(
        resolver: Resolver,
        timeout: Duration,
        loopback: bool,
        clock: Clock,
    ) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .dns_resolver(Arc::new(Guard { resolver, loopback }))
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .user_agent("room-reservations")
            .build()?;
        Ok(Self { client, clock, loopback })
    }

    /// Sends a message once. The body of the answer is not read.
    pub(super) async fn send(&self, address: &Address, secrets: &Secrets, delivery: &Delivery) -> Outcome {
        let status = self.attempt(address, secrets, delivery).await;
        let text = match &status {
            Ok(status) => format!("HTTP {}", status.as_u16()),
            Err(reason) => reason.clone(),
        };
        Outcome {
            answer: Answer { at: self.now(), text },
            verdict: match status {
                Ok(StatusCode::GONE) => Verdict::Gone,
                Ok(status) if status.is_success() => Verdict::Taken,
                _ => Verdict::Failed,
            },
        }
    }

    async fn attempt(
        &self,
        address: &Address,
        secrets: &Secrets,
        delivery: &Delivery,
    ) -> Result<StatusCode, String> {
        // The client asks no resolver about a host that is an IP address. A setting may have changed since.
        let Address(url) = address;
        Address::read(url.as_str(), self.loopback).map_err(|error| error.to_string())?;
        let now = self.now();
        let request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &delivery.id)
            .header("webhook-timestamp", now.epoch_millis().div_euclid(1000))
            .header("webhook-signature", secrets.sign(&delivery.id, now, &delivery.body))
            .body(delivery.body.clone());
        match request.send().await {
            Ok(answer) => Ok(answer.status()),
            Err(error) if error.is_timeout() => Err("no answer in time".to_owned()),
            // Without the address, whose path may hold a secret.
            Err(error) => Err(shortened(with_causes(&error.without_url()))),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_epoch_millis(self.clock.now_ms())
    }
}

fn shortened(text: String) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_reached_and_those_of_this_machine_where_a_setting_allows_them() {
        let refused = [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::7f00:1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "100::1",
        ];
        for ip in refused {
            assert!(!may_reach(ip.parse().unwrap(), false), "{ip}");
        }
        for ip in ["1.1.1.1", "8.8.8.8", "172.32.0.1", "192.169.0.1", "2606:4700::1111", "2a00:1450::1"] {
            assert!(may_reach(ip.parse().unwrap(), false), "{ip}");
        }
        for ip in ["127.0.0.1", "::1"] {
            assert!(may_reach(ip.parse().unwrap(), true), "{ip}");
        }
        for ip in ["10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1"] {
            assert!(!may_reach(ip.parse().unwrap(), true), "{ip}");
        }
    }

    #[test]
    fn an_address_is_public_and_by_https_or_it_is_refused() {
        use InvalidAddress::{Form, Private};
        let long = format!("https://example.org/{}", "x".repeat(2_000));
        for (text, expected) in [
            ("https://example.org/hook?k=1", Ok(())),
            ("https://example.org:8443/", Ok(())),
            ("https://[2606:4700::1111]/", Ok(())),
            ("http://example.org/", Err(Form)),
            ("ftp://example.org/", Err(Form)),
            ("file:///etc/passwd", Err(Form)),
            ("https://ann:secret@example.org/", Err(Form)),
            ("https://example.org/#part", Err(Form)),
            ("hook", Err(Form)),
            ("", Err(Form)),
            (long.as_str(), Err(Form)),
            ("https://localhost/", Err(Private)),
            ("https://LOCALHOST./", Err(Private)),
            ("https://127.0.0.1/", Err(Private)),
            ("https://2130706433/", Err(Private)),
            ("https://0x7f.1/", Err(Private)),
            ("https://[::1]/", Err(Private)),
            ("https://[::ffff:127.0.0.1]/", Err(Private)),
            ("https://169.254.169.254/latest/meta-data", Err(Private)),
        ] {
            assert_eq!(Address::read(text, false).map(drop), expected, "{text}");
        }
        for text in ["http://127.0.0.1:9/", "http://localhost:9/", "https://[::1]/", "https://example.org/"] {
            assert!(Address::read(text, true).is_ok(), "{text}");
        }
        for text in ["http://example.org/", "http://10.0.0.1/", "https://10.0.0.1/"] {
            assert!(Address::read(text, true).is_err(), "{text}");
        }
    }
}
