//! Refuses connections of an address that has too many, and closes those without a request.
//!
//! The framework limits the time for a connection's first head, and the silence after an answer. It has no limit for later heads
//! or the unread rest of a body. A client could hold a connection for ever with a byte now and then.

use std::any::Any;
use std::collections::HashMap;
use std::net::{IpAddr, Shutdown};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use socket2::{SockRef, Socket};

use super::limits::network;
use super::problem::{Problem, ProblemType};
use super::upkeep::{millis, while_it_lives};
use crate::kit_settings::{ServerSettings, TrustedProxies};

/// Looks for such connections in the time that a client may be slow.
const LOOKS: u32 = 4;

/// The connections of a server.
#[derive(Debug)]
pub(super) struct Connections {
    open: Mutex<Vec<Weak<Connection>>>,
    started: Instant,
    /// Longest time of a connection without a request.
    patience: Duration,
    /// The connections of each address: as many as there are places.
    places: Mutex<HashMap<IpAddr, Weak<()>>>,
    per_address: usize,
    trusted_proxies: TrustedProxies,
}

/// A connection. Dropped with the framework's part of it.
#[derive(Debug)]
struct Connection {
    socket: Socket,
    /// Its place among the connections of its address. `None`: it is one too many.
    place: Option<Arc<()>>,
    requests: AtomicU32,
    /// End of the last request, in milliseconds since `started`.
    idle_since: AtomicU64,
    started: Instant,
}

impl Connections {
    /// Watches connections until it is dropped. Must be called within a tokio runtime.
    pub(super) fn start(settings: &ServerSettings) -> Arc<Self> {
        let connections = Arc::new(Self {
            open: Mutex::default(),
            started: Instant::now(),
            patience: settings.keep_alive + settings.slow_client,
            places: Mutex::default(),
            per_address: settings.max_connections_per_address,
            trusted_proxies: settings.trusted_proxies.clone(),
        });
        while_it_lives(&connections, settings.slow_client / LOOKS, Self::cut_off);
        connections
    }

    /// Watches an accepted connection. One too many of its address is closed: what it already sent gets 429.
    pub(super) fn watch(&self, io: &dyn Any, data: &mut Extensions) {
        let plain = || io.downcast_ref::<TcpStream>();
        let stream = io.downcast_ref::<TlsStream<TcpStream>>().map(|tls| tls.get_ref().0).or_else(plain);
        let socket = stream.map(|stream| SockRef::from(stream).try_clone());
        let Some(Ok(socket)) = socket else { return };
        let place = self.place(&socket);
        if place.is_none() {
            // It may be closed already.
            drop(socket.shutdown(Shutdown::Read));
        }
        let connection = Arc::new(Connection {
            socket,
            place,
            requests: AtomicU32::new(0),
            idle_since: AtomicU64::new(millis(self.started)),
            started: self.started,
        });
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&connection));
        data.insert(connection);
    }

    fn place(&self, socket: &Socket) -> Option<Arc<()>> {
        let peer = socket.peer_addr().ok().and_then(|peer| Some(peer.as_socket()?.ip()));
        let Some(address) = peer.filter(|address| !self.trusted_proxies.contain(*address)) else {
            return Some(Arc::default());
        };
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let known = places.entry(network(address)).or_default();
        let place = known.upgrade().unwrap_or_default();
        *known = Arc::downgrade(&place);
        (Arc::strong_count(&place) <= self.per_address).then_some(place)
    }

    fn cut_off(&self) {
        self.places
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, places| places.strong_count() > 0);
        let now = millis(self.started);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|connection| {
            let Some(connection) = connection.upgrade() else { return false };
            let idle = now.saturating_sub(connection.idle_since.load(Ordering::Relaxed));
            let cut = connection.requests.load(Ordering::Relaxed) == 0
                && u128::from(idle) > self.patience.as_millis();
            if cut {
                tracing::debug!("a connection without a request is closed");
                // It may be closed already.
                drop(connection.socket.shutdown(Shutdown::Both));
            }
            !cut
        });
    }
}

/// A request in progress. Its connection stays open.
#[derive(Debug)]
pub(super) struct InProgress(Option<Arc<Connection>>);

impl InProgress {
    pub(super) fn of(request: &ServiceRequest) -> Self {
        let connection = request.conn_data::<Arc<Connection>>().cloned();
        if let Some(connection) = &connection {
            connection.requests.fetch_add(1, Ordering::Relaxed);
        }
        Self(connection)
    }

    /// Refuses a request of a connection too many.
    ///
    /// # Errors
    /// `too-many-requests`.
    pub(super) fn check(&self) -> Result<(), Problem> {
        match &self.0 {
            Some(connection) if connection.place.is_none() => {
                Err(Problem::new(ProblemType::TooManyRequests, "this address has too many connections"))
            }
            _ => Ok(()),
        }
    }

    /// Extends the request to the end of an answer that is a stream.
    pub(super) fn until_sent(self, response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        match response.response().body().size() {
            BodySize::Stream => response.map_body(|_, body| BoxBody::new(Sent { body, _request: self })),
            _ => response,
        }
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.idle_since.store(millis(connection.started), Ordering::Relaxed);
            connection.requests.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The body of a streamed answer.
struct Sent {
    body: BoxBody,
    _request: InProgress,
}

impl MessageBody for Sent {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}
