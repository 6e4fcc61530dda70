//! Limits for clients: rate, size of the head, and slowness.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use actix_web::HttpRequest;
use actix_web::dev::RequestHead;
use actix_web::web::Data;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use socket2::{Domain, Socket, Type};

use super::problem::{Problem, ProblemType};
use super::upkeep::while_it_lives;
use crate::auth::Caller;
use crate::kit_settings::{ServerSettings, TrustedProxies};

/// Longest path with query, in bytes.
const MAX_ADDRESS_BYTES: usize = 8 * 1024;
/// Most bytes of all headers' names and values. The framework itself refuses a head above 128 KiB.
const MAX_HEADERS_BYTES: usize = 32 * 1024;
/// Most connections that wait to be accepted.
const BACKLOG: i32 = 2048;
/// Burst after a pause, as a multiple of the rate.
const BURST: u32 = 2;
/// Interval at which idle callers are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// Refuses a request with too large an address or headers.
///
/// # Errors
/// `uri-too-long`, `headers-too-large`.
pub(super) fn check_head(head: &RequestHead) -> Result<(), Problem> {
    let address = head.uri.path_and_query().map_or(0, |address| address.as_str().len());
    if address > MAX_ADDRESS_BYTES {
        let detail = format!("path and query have at most {MAX_ADDRESS_BYTES} bytes");
        return Err(Problem::new(ProblemType::UriTooLong, detail).with("limit", MAX_ADDRESS_BYTES));
    }
    let headers: usize =
        head.headers.iter().map(|(name, value)| name.as_str().len() + value.as_bytes().len()).sum();
    if headers > MAX_HEADERS_BYTES {
        let detail = format!("all headers together have at most {MAX_HEADERS_BYTES} bytes");
        return Err(Problem::new(ProblemType::HeadersTooLarge, detail).with("limit", MAX_HEADERS_BYTES));
    }
    Ok(())
}

/// A listening socket. It closes a connection whose client reads nothing for `slow_client`; the framework would wait for ever.
///
/// # Errors
/// If it can't listen. The error names the address.
pub(super) fn listener(address: SocketAddr, slow_client: Duration) -> io::Result<TcpListener> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        // Accepted connections inherit it.
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(slow_client))?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    listen().map_err(|error: io::Error| {
        io::Error::new(error.kind(), format!("can't listen on {address}: {error}"))
    })
}

/// The sender that a request counts for. The hash in place of the user's name has a fixed size and is not personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sender {
    Caller(u64),
    Stranger(IpAddr),
}

/// The recent requests of each caller. All connections of a server share them.
pub(super) struct Limits {
    recent: DefaultKeyedRateLimiter<Sender>,
    rate_per_second: NonZeroU32,
    slow_client: Duration,
    trusted_proxies: TrustedProxies,
    hashes: RandomState,
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").field("rate_per_second", &self.rate_per_second).finish_non_exhaustive()
    }
}

impl Limits {
    /// Limits that forget idle callers until they are dropped. Must be called within a tokio runtime.
    pub(super) fn start(settings: &ServerSettings) -> Arc<Self> {
        let rate = settings.rate_per_second;
        let burst = rate.saturating_mul(NonZeroU32::MIN.saturating_add(BURST - 1));
        let limits = Arc::new(Self {
            recent: DefaultKeyedRateLimiter::keyed(Quota::per_second(rate).allow_burst(burst)),
            rate_per_second: rate,
            slow_client: settings.slow_client,
            trusted_proxies: settings.trusted_proxies.clone(),
            hashes: RandomState::new(),
        });
        while_it_lives(&limits, FORGET_EVERY, Self::forget);
        limits
    }

    /// The limits of the request's server. An application without a socket has none.
    pub(super) fn of(request: &HttpRequest) -> Option<Data<Self>> {
        request.app_data::<Data<Self>>().cloned()
    }

    /// Longest time for a body.
    pub(super) const fn slow_client(&self) -> Duration {
        self.slow_client
    }

    /// Counts a request of a caller. Administrators and services have no limit, because they run imports and rebuilds.
    ///
    /// # Errors
    /// `too-many-requests`.
    pub(super) fn admit(&self, caller: &Caller) -> Result<(), Problem> {
        if caller.admin || caller.service {
            return Ok(());
        }
        self.count(self.sender(caller), NonZeroU32::MIN)
    }

    /// Counts a request that was admitted as `weight` requests, at most as many as a caller may send at once.
    ///
    /// # Errors
    /// `too-many-requests`.
    pub(super) fn charge(&self, caller: &Caller, weight: u32) -> Result<(), Problem> {
        let at_once = self.rate_per_second.get().saturating_mul(BURST);
        match NonZeroU32::new(weight.min(at_once).saturating_sub(1)) {
            Some(further) if !caller.admin && !caller.service => self.count(self.sender(caller), further),
            _ => Ok(()),
        }
    }

    /// Counts a request that was admitted as `commands` requests, none for free.
    ///
    /// # Errors
    /// `too-many-requests`; `too-large` for more than a caller may send at once.
    pub(super) fn charge_each(&self, caller: &Caller, commands: u32) -> Result<(), Problem> {
        let at_once = self.rate_per_second.get().saturating_mul(BURST);
        if commands > at_once && !caller.admin && !caller.service {
            let detail = format!("each command counts as a request; at most {at_once} go at once");
            return Err(Problem::new(ProblemType::TooLarge, detail).with("limit", at_once));
        }
        self.charge(caller, commands)
    }

    fn sender(&self, caller: &Caller) -> Sender {
        Sender::Caller(self.hashes.hash_one(&caller.user))
    }

    /// Counts a refused request of an unknown caller. Good tokens never count for their address.
    ///
    /// # Errors
    /// `too-many-requests`.
    pub(super) fn admit_stranger(&self, request: &HttpRequest) -> Result<(), Problem> {
        let address = request.peer_addr().map(|peer| self.client(peer.ip(), request));
        address.map_or(Ok(()), |address| self.count(Sender::Stranger(network(address)), NonZeroU32::MIN))
    }

    fn client(&self, peer: IpAddr, request: &HttpRequest) -> IpAddr {
        // A text that is no address stands for bytes that are none.
        let texts = |name: &str| request.headers().get_all(name).map(|value| value.to_str().unwrap_or("?"));
        self.trusted_proxies.client(peer, texts("forwarded"), texts("x-forwarded-for"))
    }

    fn count(&self, sender: Sender, requests: NonZeroU32) -> Result<(), Problem> {
        // No more are counted than a caller may send at once, so the capacity suffices.
        let Ok(checked) = self.recent.check_key_n(&sender, requests) else { return Ok(()) };
        checked.map_err(|until| {
            let detail = format!("at most {} requests a second", self.rate_per_second);
            Problem::new(ProblemType::TooManyRequests, detail)
                .with("limit", self.rate_per_second.get())
                .retry_after(until.wait_time_from(DefaultClock::default().now()))
        })
    }

    fn forget(&self) {
        self.recent.retain_recent();
        self.recent.shrink_to_fit();
    }
}

/// The address, or for IPv6 the network of 64 bits, which one subscriber has.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => address.into(),
            None => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn limits(rate: u32) -> Arc<Limits> {
        let settings = ServerSettings::on("127.0.0.1:0".parse().unwrap());
        Limits::start(&ServerSettings { rate_per_second: rate.try_into().unwrap(), ..settings })
    }

    fn caller(user: &str, roles: &[&str]) -> Caller {
        Caller::new(user, roles.iter().copied()).unwrap()
    }

    #[tokio::test]
    async fn one_caller_is_told_when_to_come_back_and_others_go_on() {
        let limits = limits(1);
        let (ann, ben) = (caller("ann", &[]), caller("ben", &[]));
        assert!(limits.admit(&ann).and_then(|()| limits.admit(&ann)).is_ok());
        assert_eq!(limits.admit(&ann).unwrap_err().kind(), ProblemType::TooManyRequests);
        limits.admit(&ben).unwrap();
    }

    #[tokio::test]
    async fn a_request_counts_as_many_as_it_costs_and_even_the_dearest_passes_after_a_pause() {
        let limits = limits(5);
        let ann = caller("ann", &[]);
        let ask = |weight| limits.admit(&ann).and_then(|()| limits.charge(&ann, weight));
        ask(4).and_then(|()| ask(4)).unwrap();
        assert_eq!(ask(4).unwrap_err().kind(), ProblemType::TooManyRequests, "10 at once");
        let ben = caller("ben", &[]);
        limits.admit(&ben).and_then(|()| limits.charge(&ben, 1_000_000)).unwrap();
        assert!(limits.admit(&ben).is_err(), "it took all");
        let root = caller("root", &["admin"]);
        assert!((0..100).all(|_| limits.charge(&root, 1_000_000).is_ok()));
    }

    #[tokio::test]
    async fn each_of_many_commands_counts_and_more_than_go_at_once_are_refused_whole() {
        let limits = limits(5);
        let ann = caller("ann", &[]);
        let send = |commands| limits.admit(&ann).and_then(|()| limits.charge_each(&ann, commands));
        send(6).unwrap();
        assert_eq!(send(4).and_then(|()| send(1)).unwrap_err().kind(), ProblemType::TooManyRequests);
        let ben = caller("ben", &[]);
        assert_eq!(limits.charge_each(&ben, 11).unwrap_err().kind(), ProblemType::TooLarge);
        limits.charge_each(&caller("root", &["admin"]), 1_000).unwrap();
    }

    #[tokio::test]
    async fn administrators_and_services_are_not_limited() {
        let limits = limits(1);
        for role in ["admin", "service"] {
            assert!((0..100).all(|_| limits.admit(&caller("root", &[role])).is_ok()));
        }
    }

    fn from(peer: &str) -> TestRequest {
        TestRequest::default().peer_addr(SocketAddr::new(peer.parse().unwrap(), 1))
    }

    #[tokio::test]
    async fn strangers_of_one_network_share_what_they_may_ask_for() {
        let limits = limits(1);
        let admitted = |peer: &str| limits.admit_stranger(&from(peer).to_http_request()).is_ok();
        assert_eq!(["2001:db8::1", "2001:db8::2", "2001:db8::3"].map(admitted), [true, true, false]);
        assert!(admitted("2001:db8:0:1::1") && admitted("192.0.2.1"));
    }

    #[tokio::test]
    async fn strangers_behind_a_trusted_proxy_count_for_their_own_addresses() {
        let settings = ServerSettings::on("127.0.0.1:0".parse().unwrap());
        let (rate_per_second, trusted_proxies) = (NonZeroU32::MIN, "10.0.0.0/8".parse().unwrap());
        let limits = Limits::start(&ServerSettings { rate_per_second, trusted_proxies, ..settings });
        let admitted = |proxy: &str, header: &'static str, value: &str| {
            let request = from(proxy).append_header((header, value)).to_http_request();
            limits.admit_stranger(&request).is_ok()
        };
        for (header, one, other) in
            [("X-Forwarded-For", "192.0.2.1", "192.0.2.2"), ("Forwarded", "for=192.0.2.3", "for=192.0.2.4")]
        {
            let one = || admitted("10.0.0.1", header, one);
            assert_eq!([one(), one(), one()], [true, true, false], "{header}");
            assert!(admitted("10.0.0.2", header, other), "{header}");
        }
        // Others can't get a new budget with each request.
        let invented = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
        let admitted = invented.map(|address| admitted("198.51.100.1", "X-Forwarded-For", address));
        assert_eq!(admitted, [true, true, false]);
    }

    #[tokio::test]
    async fn who_has_not_asked_for_a_while_is_forgotten() {
        let limits = limits(1_000_000);
        for user in 0..1000 {
            limits.admit(&caller(&user.to_string(), &[])).unwrap();
        }
        // At this rate a caller is idle at once.
        while !limits.recent.is_empty() {
            limits.forget();
        }
    }
}
