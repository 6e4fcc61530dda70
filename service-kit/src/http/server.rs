//! The HTTP server: its listeners, endpoints and middleware.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web::{Data, PayloadConfig, ServiceConfig};
use actix_web::{App, Error, HttpServer, web};
use tokio_util::sync::CancellationToken;

use super::admin_metrics;
use super::connections::Connections;
use super::endpoint::unknown_route;
use super::health;
use super::heartbeat::Heartbeat;
use super::json::MAX_BODY_BYTES;
use super::limits::{self, Limits};
use super::log_level;
use super::middleware::middleware;
pub use super::parts::HttpParts;
use crate::kit_settings::ServerSettings;

/// Longest time for closing a connection.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Blocked time of the runtime after which `/health/live` answers 503.
const STUCK_AFTER: Duration = Duration::from_secs(20);

/// The common endpoints and those of `configure`. `/metrics` and the log level are there if `with_admin`.
pub fn endpoints<F: FnOnce(&mut ServiceConfig)>(
    with_admin: bool,
    configure: F,
) -> impl FnOnce(&mut ServiceConfig) + use<F> {
    move |config| {
        health::configure_health(config);
        if with_admin {
            configure_admin(config);
        }
        health::configure_description(config);
        admin_metrics::configure(config);
        configure(config);
    }
}

fn configure_admin(config: &mut ServiceConfig) {
    health::configure_metrics(config);
    log_level::configure(config);
}

/// An application with these endpoints and the middleware. Tests use it without a socket.
pub fn app<F: FnOnce(&mut ServiceConfig)>(
    parts: &HttpParts,
    endpoints: F,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = Error,
        InitError = (),
    > + use<F>,
> {
    App::new()
        .app_data(parts.authenticator.clone())
        .app_data(Data::new(parts.clone()))
        .app_data(PayloadConfig::new(MAX_BODY_BYTES))
        .configure(endpoints)
        .default_service(web::to(unknown_route))
        .wrap(from_fn(middleware))
}

/// A listening server.
pub struct HttpService {
    /// The address. Its port is never 0.
    pub address: SocketAddr,
    /// The address of the listener for administration, if there is one. Its port is never 0.
    pub admin_address: Option<SocketAddr>,
    server: Server,
    admin: Option<Server>,
}

impl HttpService {
    /// Listens. [`HttpService::run`] answers. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If it can't listen. The error names the address.
    pub fn bind(
        parts: HttpParts,
        settings: &ServerSettings,
        configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    ) -> io::Result<Self> {
        let parts = HttpParts { request_timeout: settings.request_timeout, ..parts };
        let workers = match settings.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        let heartbeat = Data::from(Heartbeat::start(STUCK_AFTER));
        let limits = Data::from(Limits::start(settings));
        let origins = Data::new(settings.origins.clone());
        let connections = Connections::start(settings);
        let (admin_parts, admin_heartbeat, admin_limits) = (parts.clone(), heartbeat.clone(), limits.clone());
        let with_admin = settings.admin.is_none();
        let server = HttpServer::new(move || {
            app(&parts, endpoints(with_admin, configure.clone()))
                .app_data(heartbeat.clone())
                .app_data(limits.clone())
                .app_data(origins.clone())
        })
        .on_connect(move |io, data| connections.watch(io, data))
        .workers(workers)
        .max_connections(settings.max_connections.div_ceil(workers))
        .keep_alive(settings.keep_alive)
        .client_request_timeout(settings.slow_client)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .disable_signals()
        .shutdown_timeout(settings.shutdown_timeout.as_secs());
        let listener = limits::listener(settings.listen, settings.slow_client)?;
        let server = match settings.tls.clone() {
            Some(tls) => server.listen_rustls_0_23(listener, tls)?,
            None => server.listen(listener)?,
        };
        let address = server.addrs().first().copied().unwrap_or(settings.listen);
        let admin = settings.admin.map(|listen| {
            let endpoints = |config: &mut ServiceConfig| {
                health::configure_health(config);
                configure_admin(config);
            };
            // A worker of its own: metrics matter most when the others are busy.
            HttpServer::new(move || {
                app(&admin_parts, endpoints).app_data(admin_heartbeat.clone()).app_data(admin_limits.clone())
            })
            .workers(1)
            .client_request_timeout(settings.slow_client)
            .disable_signals()
            .shutdown_timeout(1)
            .listen(limits::listener(listen, settings.slow_client)?)
        });
        let admin = admin.transpose()?;
        let admin_address = admin.as_ref().and_then(|server| server.addrs().first().copied());
        Ok(Self { address, admin_address, server: server.run(), admin: admin.map(HttpServer::run) })
    }

    /// Answers requests until `stop`, then finishes those in progress, within a bound.
    ///
    /// # Errors
    /// If the server fails.
    pub async fn run(self, stop: CancellationToken) -> io::Result<()> {
        let admin = async {
            match self.admin {
                Some(admin) => until_stopped(admin, &stop).await,
                None => Ok(()),
            }
        };
        tokio::try_join!(until_stopped(self.server, &stop), admin).map(drop)
    }
}

async fn until_stopped(server: Server, stop: &CancellationToken) -> io::Result<()> {
    let handle = server.handle();
    let mut server = std::pin::pin!(server);
    tokio::select! {
        outcome = &mut server => outcome,
        () = stop.cancelled() => tokio::join!(server, handle.stop(true)).0,
    }
}

#[cfg(test)]
mod tests;
