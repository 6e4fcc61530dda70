//! The health check of containers: asks a service on this machine whether it is ready.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;

use crate::config::Settings;
use crate::kit_settings::{LISTEN, TLS_CERT_FILE};

/// Longest wait for the answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks the service with these settings on this machine.
///
/// # Errors
/// If the service does not answer in time or is not ready. The error names what is missing.
pub async fn ready_by(mut settings: Settings) -> anyhow::Result<()> {
    let (listen, tls) = (settings.read(&LISTEN), settings.read(&TLS_CERT_FILE).is_some());
    ready(listen.context("LISTEN can't be read")?, tls).await
}

/// Asks the service on `listen`, by HTTPS or HTTP. Errors are those of [`ready_by`].
pub(crate) async fn ready(listen: SocketAddr, tls: bool) -> anyhow::Result<()> {
    let url = format!("{}://{}/health/ready", if tls { "https" } else { "http" }, reachable(listen));
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        // The certificate is for this machine's public name. Nothing secret is sent.
        .danger_accept_invalid_certs(true);
    let answer = client.build()?.get(&url).send().await?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let body = answer.text().await.unwrap_or_default();
    anyhow::bail!("{status}: {body}")
}

/// The address to connect to: loopback if the service listens on all addresses.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, listen.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (Ipv6Addr::LOCALHOST, listen.port()).into(),
        _ => listen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_on_all_addresses_is_asked_over_loopback() {
        assert_eq!(reachable("0.0.0.0:1".parse().unwrap()), "127.0.0.1:1".parse().unwrap());
        assert_eq!(reachable("[::]:1".parse().unwrap()), "[::1]:1".parse().unwrap());
        assert_eq!(reachable("10.0.0.1:1".parse().unwrap()), "10.0.0.1:1".parse().unwrap());
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_not_ready() {
        assert!(ready("127.0.0.1:1".parse().unwrap(), false).await.is_err());
    }
}
