//! TLS: the trusted authorities for other servers, and the certificate of the service's own port.
//!
//! Connections to other machines use TLS and verify certificates, unless a setting says otherwise.

use std::net::IpAddr;
use std::str::FromStr;

use reqwest::{Certificate, ClientBuilder};

mod own_certificate;

pub(crate) use own_certificate::server_config;

/// The error of a certificate or key. Holds no part of a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("{0}")]
    Unreadable(#[from] std::io::Error),
    /// The file is not PEM, or holds something else.
    #[error("it is not a PEM file of that kind: {0}")]
    NotPem(String),
    /// The file is PEM, but holds no certificate.
    #[error("it has no certificate")]
    NoCertificate,
    /// Certificate and key don't match, or their kind is unknown.
    #[error("certificate and key can't be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Trusted authorities from a PEM file.
#[derive(Debug, Clone)]
pub struct Authorities {
    path: String,
    certificates: Vec<Certificate>,
}

impl FromStr for Authorities {
    type Err = Error;

    /// Reads the file at `path`.
    fn from_str(path: &str) -> Result<Self, Error> {
        let pem = std::fs::read(path)?;
        let certificates =
            Certificate::from_pem_bundle(&pem).map_err(|error| Error::NotPem(error.to_string()))?;
        if certificates.is_empty() {
            return Err(Error::NoCertificate);
        }
        Ok(Self { path: path.to_owned(), certificates })
    }
}

impl Authorities {
    /// The path of the file, for clients that read it themselves.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The URL with the file's path as `parameter`, unless it has that parameter.
    #[must_use]
    pub fn in_url(&self, url: &str, parameter: &str) -> String {
        if url.contains(&format!("{parameter}=")) {
            return url.to_owned();
        }
        let path: String = form_urlencoded::byte_serialize(self.path.as_bytes()).collect();
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}{parameter}={path}")
    }
}

/// An HTTP client that trusts `authorities` and the public ones, ready to be built.
pub fn http_client(authorities: Option<&Authorities>) -> ClientBuilder {
    let certificates = authorities.map_or(&[][..], |authorities| &authorities.certificates);
    certificates.iter().cloned().fold(ClientBuilder::new(), ClientBuilder::add_root_certificate)
}

/// Whether a host's name or address is loopback.
#[must_use]
pub fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Logs a warning about a connection to another machine without TLS or verification.
pub fn warn_of_open_way(setting: &str, what: &str) {
    tracing::warn!(setting, "{what}: others on the network can read and change the traffic");
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    #[test]
    fn only_this_machine_may_be_reached_without_tls_unasked() {
        for own in ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"] {
            assert!(is_this_machine(own), "{own}");
        }
        for other in ["mysql", "10.0.0.1", "localhost.example.org", "[fd00::1]", ""] {
            assert!(!is_this_machine(other), "{other}");
        }
    }

    #[test]
    fn authorities_are_put_into_a_url_that_names_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own ca.pem");
        let CertifiedKey { cert, .. } = generate_simple_self_signed(["a".to_owned()]).unwrap();
        std::fs::write(&path, cert.pem()).unwrap();
        let authorities: Authorities = path.to_str().unwrap().parse().unwrap();
        let url = authorities.in_url("mysql://u:p@h/d?ssl-mode=REQUIRED", "ssl-ca");
        assert!(url.starts_with("mysql://u:p@h/d?ssl-mode=REQUIRED&ssl-ca=%2F"), "{url}");
        assert!(url.ends_with("own+ca.pem"), "{url}");
        assert_eq!(authorities.in_url("mysql://h/d?ssl-ca=/x", "ssl-ca"), "mysql://h/d?ssl-ca=/x");
    }

    #[test]
    fn a_file_without_authorities_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let authorities = |name: &str| folder.path().join(name).to_str().unwrap().parse::<Authorities>();
        let CertifiedKey { signing_key, .. } = generate_simple_self_signed(["a".to_owned()]).unwrap();
        std::fs::write(folder.path().join("key"), signing_key.serialize_pem()).unwrap();
        assert!(matches!(authorities("key"), Err(Error::NoCertificate)));
        assert!(matches!(authorities("none"), Err(Error::Unreadable(_))));
    }
}
