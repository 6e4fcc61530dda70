//! The certificate and key of the service's own port. They are read again when their files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::Error;
use crate::telemetry::with_causes;

/// Shortest time between two reads of the files. New connections cause them.
const PAUSE: Duration = Duration::from_secs(1);
/// Gauge: 1 while the files hold something else than the certificate in use.
const UNUSABLE: &str = "tls_certificate_unusable";

/// The TLS configuration of a port, from a PEM file of certificates, the server's own first, and one with the key.
///
/// # Errors
/// If a file can't be read or holds something else, or the key doesn't match.
pub(crate) fn server_config(certificates: &Path, key: &Path) -> Result<ServerConfig, Error> {
    let own = OwnCertificate::load(certificates.to_owned(), key.to_owned())?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions()?;
    Ok(config.with_no_client_auth().with_cert_resolver(Arc::new(own)))
}

/// The certificate for each new connection. Established connections keep theirs.
#[derive(Debug)]
struct OwnCertificate {
    certificates: PathBuf,
    key: PathBuf,
    kept: Mutex<Kept>,
}

struct Kept {
    in_use: Arc<CertifiedKey>,
    /// The content of both files at the last read. `None`: one could not be read.
    content: Option<Content>,
    read_at: Instant,
}

/// Shows no key.
impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("read_at", &self.read_at).finish_non_exhaustive()
    }
}

#[derive(PartialEq, Eq)]
struct Content {
    certificates: Vec<u8>,
    key: Vec<u8>,
}

impl Content {
    fn read(certificates: &Path, key: &Path) -> Result<Self, Error> {
        Ok(Self { certificates: std::fs::read(certificates)?, key: std::fs::read(key)? })
    }

    fn certified(&self) -> Result<Arc<CertifiedKey>, Error> {
        let not_pem = |error: rustls::pki_types::pem::Error| Error::NotPem(error.to_string());
        let chain = CertificateDer::pem_slice_iter(&self.certificates).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(not_pem)?;
        if chain.is_empty() {
            return Err(Error::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(not_pem)?;
        Ok(Arc::new(CertifiedKey::from_der(chain, key, &default_provider())?))
    }
}

impl OwnCertificate {
    fn load(certificates: PathBuf, key: PathBuf) -> Result<Self, Error> {
        let content = Content::read(&certificates, &key)?;
        let kept = Kept { in_use: content.certified()?, content: Some(content), read_at: Instant::now() };
        metrics::describe_gauge!(UNUSABLE, "1 while the files of certificate and key can't be used.");
        Ok(Self { certificates, key, kept: Mutex::new(kept) })
    }

    /// Reads the files again. What can't be used changes nothing: the other file may come a moment later.
    fn read_again(&self, kept: &mut Kept) {
        kept.read_at = Instant::now();
        let content = Content::read(&self.certificates, &self.key);
        if content.as_ref().ok() == kept.content.as_ref() {
            return;
        }
        let (content, certified) = match content {
            Ok(content) => {
                let certified = content.certified();
                (Some(content), certified)
            }
            Err(error) => (None, Err(error)),
        };
        kept.content = content;
        match certified {
            Ok(certified) => {
                kept.in_use = certified;
                metrics::gauge!(UNUSABLE).set(0);
                tracing::info!("new connections get the certificate that is in TLS_CERT_FILE now");
            }
            Err(error) => {
                metrics::gauge!(UNUSABLE).set(1);
                let error = with_causes(&error);
                tracing::error!(error, "TLS_CERT_FILE and TLS_KEY_FILE can't be used, the certificate stays");
            }
        }
    }

    fn current(&self) -> Arc<CertifiedKey> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.read_at.elapsed() >= PAUSE {
            self.read_again(&mut kept);
        }
        Arc::clone(&kept.in_use)
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::generate_simple_self_signed;

    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.path(name), text).unwrap();
        }
    }

    /// Certificate and key as PEM, and the certificate as DER.
    fn pair() -> (String, String, Vec<u8>) {
        let pair = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (pair.cert.pem(), pair.signing_key.serialize_pem(), pair.cert.der().to_vec())
    }

    #[test]
    fn a_new_certificate_is_used_once_its_key_is_there_too() {
        let files = Files(tempfile::tempdir().unwrap());
        let [(cert, key, first), (new_cert, new_key, second)] = [pair(), pair()];
        files.write("cert", &cert);
        files.write("key", &key);
        let own = OwnCertificate::load(files.path("cert"), files.path("key")).unwrap();
        let read_again = || {
            let mut kept = own.kept.lock().unwrap();
            own.read_again(&mut kept);
            kept.in_use.cert[0].to_vec()
        };
        assert_eq!(read_again(), first);
        for half in ["", "-----BEGIN CERTIFICATE-----", &*new_cert] {
            files.write("cert", half);
            assert_eq!(read_again(), first, "{half}");
        }
        std::fs::remove_file(files.path("key")).unwrap();
        assert_eq!(read_again(), first, "a file is missing for a moment");
        files.write("cert", &cert);
        files.write("key", &key);
        assert_eq!(read_again(), first);
        files.write("cert", &new_cert);
        files.write("key", &new_key);
        assert_eq!(read_again(), second);
    }

    #[test]
    fn a_file_that_is_missing_or_holds_something_else_is_refused_with_the_reason() {
        let files = Files(tempfile::tempdir().unwrap());
        let [(cert, key, _), (_, other_key, _)] = [pair(), pair()];
        files.write("cert", &cert);
        files.write("key", &key);
        files.write("other key", &other_key);
        let config = |cert: &str, key: &str| server_config(&files.path(cert), &files.path(key));
        assert!(config("cert", "key").is_ok());
        assert!(matches!(config("cert", "other key"), Err(Error::Unusable(_))));
        assert!(matches!(config("key", "key"), Err(Error::NoCertificate)));
        assert!(matches!(config("cert", "cert"), Err(Error::NotPem(_))));
        assert!(matches!(config("none", "key"), Err(Error::Unreadable(_))));
    }
}
