//! The public keys of tokens, from a JWKS document in a file or at a URL.
//!
//! A failed read keeps the keys. A key missing from a newer document stops working at once. A token with an unknown key id
//! causes a read, at most once in `MISS_PAUSE`.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::readiness::Component;
use crate::refusal::{Algorithms, Refusal};
use crate::retry::{Backoff, Stopped, until_it_succeeds};
use crate::telemetry::with_causes;
use crate::tls::{Authorities, http_client};

/// Shortest time between two reads that unknown key ids cause.
const MISS_PAUSE: Duration = Duration::from_secs(10);
/// Interval between reads. A withdrawn key works until the next one.
const REFRESH: Duration = Duration::from_secs(300);
/// Longest wait for the document.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// Largest accepted document, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// The place of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A URL (http or https).
    Url(String),
}

/// The error of reading the document.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("can't read the JWKS file {0}")]
    File(PathBuf, #[source] std::io::Error),
    /// The request to the URL failed.
    #[error("can't fetch the keys")]
    Fetch(#[source] reqwest::Error),
    /// The URL answers with an error or a redirect.
    #[error("the keys' URL answers with status {0}; redirects are not followed")]
    Status(StatusCode),
    /// The document is too large.
    #[error("the JWKS document exceeds {MAX_BYTES} bytes")]
    TooLarge,
    /// The document is not a JWKS.
    #[error("the document is not a JWKS")]
    Format(#[source] serde_json::Error),
    /// The document has no usable key.
    #[error("the JWKS document has no key for the accepted algorithms")]
    NoKey,
}

/// The keys. Clones share them.
#[derive(Clone)]
pub struct Jwks(Arc<Inner>);

struct Inner {
    source: Source,
    algorithms: Vec<Algorithm>,
    client: reqwest::Client,
    current: RwLock<KeySet>,
    /// Time of the last read. A reader holds the lock.
    last_read: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default)]
struct KeySet {
    /// Number of changes of the document.
    generation: u64,
    document: Vec<u8>,
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// The document. Keys of unknown kinds are allowed: they are skipped later.
#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl Jwks {
    /// The keys of `source` for these algorithms, not read yet. The server's certificate may be signed by a public authority or
    /// one of `authorities`.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(
        source: Source,
        algorithms: Algorithms,
        authorities: Option<&Authorities>,
    ) -> Result<Self, Error> {
        warn_of_open_ways(&source);
        // A redirect would let others choose the keys.
        let client = http_client(authorities).timeout(FETCH_TIMEOUT).redirect(Policy::none());
        let client = client.build().map_err(Error::Fetch)?;
        Ok(Self(Arc::new(Inner {
            source,
            algorithms: algorithms.0,
            client,
            current: RwLock::default(),
            last_read: tokio::sync::Mutex::new(None),
        })))
    }

    /// Whether `algorithm` is accepted.
    pub(crate) fn accepts(&self, algorithm: Algorithm) -> bool {
        self.0.algorithms.contains(&algorithm)
    }

    /// Number of changes of the keys. A token verified under another generation must be verified again.
    pub(crate) fn generation(&self) -> u64 {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).generation
    }

    /// The key for a token, and its generation. Without a key id, the key must be the only one of its algorithm.
    ///
    /// # Errors
    /// [`Refusal::UnknownKey`], or [`Refusal::Algorithm`] if the key has another algorithm.
    pub(crate) async fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<(DecodingKey, u64), Refusal> {
        match self.known(id, algorithm) {
            Err(Refusal::UnknownKey) => {
                self.read_after_miss().await;
                self.known(id, algorithm)
            }
            found => found,
        }
    }

    fn known(&self, id: Option<&str>, algorithm: Algorithm) -> Result<(DecodingKey, u64), Refusal> {
        let current = self.0.current.read().unwrap_or_else(PoisonError::into_inner);
        let key = match id {
            // Keys for different algorithms may share an id (RFC 7517, 4.5).
            Some(id) => {
                let mut named = current.keys.iter().filter(|key| key.id.as_deref() == Some(id)).peekable();
                let first = named.peek().copied();
                named.find(|key| key.algorithm == algorithm).or(first)
            }
            None => {
                let mut fitting = current.keys.iter().filter(|key| key.algorithm == algorithm);
                fitting.next().filter(|_| fitting.next().is_none())
            }
        };
        let key = key.ok_or(Refusal::UnknownKey)?;
        if key.algorithm != algorithm {
            return Err(Refusal::Algorithm);
        }
        Ok((key.key.clone(), current.generation))
    }

    async fn read_after_miss(&self) {
        let mut last_read = self.0.last_read.lock().await;
        if last_read.is_some_and(|last| last.elapsed() < MISS_PAUSE) {
            return;
        }
        *last_read = Some(Instant::now());
        if let Err(error) = self.read_now().await {
            tracing::warn!(error = with_causes(&error), "can't read the keys of tokens");
        }
    }

    /// Reads the document.
    ///
    /// # Errors
    /// The keys stay as they were, except after [`Error::NoKey`], which removes all.
    pub async fn read(&self) -> Result<(), Error> {
        let mut last_read = self.0.last_read.lock().await;
        *last_read = Some(Instant::now());
        self.read_now().await
    }

    async fn read_now(&self) -> Result<(), Error> {
        let document = match &self.0.source {
            Source::File(path) => {
                tokio::fs::read(path).await.map_err(|error| Error::File(path.clone(), error))?
            }
            Source::Url(url) => self.fetch(url).await?,
        };
        if document.len() > MAX_BYTES {
            return Err(Error::TooLarge);
        }
        let known = {
            let current = self.0.current.read().unwrap_or_else(PoisonError::into_inner);
            current.document == document && !current.keys.is_empty()
        };
        if known {
            return Ok(());
        }
        let parsed: Document = serde_json::from_slice(&document).map_err(Error::Format)?;
        let keys: Vec<Key> = parsed.keys.into_iter().filter_map(|key| self.usable(key)).collect();
        let number = keys.len();
        let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
        // An empty set too: keys missing from the document must stop working.
        *current = KeySet { generation: current.generation + 1, document, keys };
        drop(current);
        if number == 0 {
            return Err(Error::NoKey);
        }
        tracing::info!(keys = number, "read the keys of tokens");
        Ok(())
    }

    async fn fetch(&self, url: &str) -> Result<Vec<u8>, Error> {
        let mut answer = self.0.client.get(url).send().await.map_err(Error::Fetch)?;
        if !answer.status().is_success() {
            return Err(Error::Status(answer.status()));
        }
        let mut document = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(Error::Fetch)? {
            document.extend_from_slice(&chunk);
            if document.len() > MAX_BYTES {
                return Err(Error::TooLarge);
            }
        }
        Ok(document)
    }

    fn usable(&self, key: serde_json::Value) -> Option<Key> {
        let jwk: Jwk = serde_json::from_value(key).ok()?;
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let operations = jwk.common.key_operations.as_deref();
        if operations.is_some_and(|operations| !operations.contains(&KeyOperations::Verify)) {
            return None;
        }
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                Algorithm::EdDSA
            }
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
                Algorithm::ES256
            }
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            _ => return None,
        };
        let named = match jwk.common.key_algorithm {
            None => Some(algorithm),
            Some(KeyAlgorithm::EdDSA) => Some(Algorithm::EdDSA),
            Some(KeyAlgorithm::ES256) => Some(Algorithm::ES256),
            Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
            Some(_) => None,
        };
        if named != Some(algorithm) || !self.accepts(algorithm) {
            return None;
        }
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Key { id: jwk.common.key_id, algorithm, key: decoding })
    }

    /// Reads the document until it succeeds, then every five minutes, until `stop`.
    pub(crate) async fn keep_fresh(self, component: Component, stop: CancellationToken) {
        let first = until_it_succeeds(&component, &stop, Backoff::for_server(), || self.read());
        if first.await == Err(Stopped) {
            return;
        }
        while stop.run_until_cancelled(tokio::time::sleep(REFRESH)).await.is_some() {
            if let Err(error) = self.read().await {
                tracing::warn!(
                    error = with_causes(&error),
                    "can't read the keys of tokens again, keeping the old ones"
                );
            }
        }
    }
}

/// Logs a warning if keys come over the network without TLS.
fn warn_of_open_ways(source: &Source) {
    let Source::Url(url) = source else { return };
    let Ok(url) = Url::parse(url) else { return };
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "http" && !loopback {
        tracing::warn!(
            host = url.host_str(),
            "the keys of tokens are fetched without TLS: others on the network can forge them"
        );
    }
}

#[cfg(test)]
mod tests;
