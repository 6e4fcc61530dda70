//! Authenticates callers by JSON Web Tokens. For development on loopback, it trusts headers.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};

use crate::claims::Claims;
pub use crate::claims::{ClaimNames, ClaimPath};
use crate::clock::Clock;
use crate::jwks::Jwks;
pub use crate::refusal::{Algorithms, Refusal};

/// Largest difference between the clocks of issuer and service, in seconds.
const LEEWAY_SECONDS: i64 = 30;
/// Longest accepted token, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Longest user name, in characters.
const MAX_USER_CHARS: usize = 200;
/// Most verified tokens in the cache. Verifying a signature takes longer than answering most requests.
const MAX_REMEMBERED: usize = 4096;

/// The caller of a request: the token's subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's name: 1 to 200 characters without control characters.
    pub user: String,
    /// Has the role of an administrator.
    pub admin: bool,
    /// Has the role of a service, which may read the feed.
    pub service: bool,
    /// Has the role of an eraser, which may erase persons.
    pub eraser: bool,
    /// All roles, those that a service does not know too.
    pub roles: Vec<String>,
    /// Has the role of a delegate, who may reserve for others.
    pub delegate: bool,
    /// The user's e-mail address, if the issuer has verified it.
    pub email: Option<String>,
    /// Time from which the token is no longer accepted, in milliseconds since the epoch. The development headers have none.
    pub expires_ms: Option<i64>,
}

impl Caller {
    /// A caller with these roles. Unknown roles are ignored.
    ///
    /// # Errors
    /// [`Refusal::User`] if the name is empty, too long or has control characters.
    pub fn new<'a>(user: &str, roles: impl IntoIterator<Item = &'a str>) -> Result<Self, Refusal> {
        if user.is_empty() || user.chars().count() > MAX_USER_CHARS || user.chars().any(char::is_control) {
            return Err(Refusal::User);
        }
        let mut caller = Self {
            user: user.to_owned(),
            admin: false,
            service: false,
            eraser: false,
            roles: Vec::new(),
            delegate: false,
            email: None,
            expires_ms: None,
        };
        for role in roles.into_iter().map(str::trim).filter(|role| !role.is_empty()) {
            caller.roles.push(role.to_owned());
            match role {
                "admin" => caller.admin = true,
                "service" => caller.service = true,
                "eraser" => caller.eraser = true,
                "delegate" => caller.delegate = true,
                _ => {}
            }
        }
        Ok(caller)
    }
}

/// The claims that a token must have beside `exp`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenRules {
    /// The required issuer (`iss`).
    pub issuer: Option<String>,
    /// The required audience (`aud`).
    pub audience: Option<String>,
    /// The claims that name the caller.
    pub claims: ClaimNames,
}

/// Authenticates callers. Clones share keys and cache.
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    jwks: Option<Jwks>,
    rules: TokenRules,
    dev_headers: bool,
    clock: Clock,
    remembered: RwLock<Remembered>,
}

/// The cache of verified tokens.
#[derive(Default)]
struct Remembered {
    verified: HashMap<Arc<str>, Verified>,
    /// The tokens, the oldest first.
    order: VecDeque<Arc<str>>,
}

/// The result of verifying a token under one generation of keys.
#[derive(Clone)]
struct Verified {
    caller: Caller,
    validity: Validity,
    generation: u64,
}

/// The time span in which a token is valid, in seconds since the epoch.
#[derive(Clone, Copy)]
struct Validity {
    not_before: Option<f64>,
    expires: f64,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("dev_headers", &self.0.dev_headers).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Accepts tokens signed with a key of `jwks`. `dev_headers` also trusts the development headers: only for a service that
    /// listens on loopback.
    #[must_use]
    pub fn new(jwks: Option<Jwks>, rules: TokenRules, dev_headers: bool, clock: Clock) -> Self {
        Self(Arc::new(Inner { jwks, rules, dev_headers, clock, remembered: RwLock::default() }))
    }

    /// The keys. A task of the service keeps them fresh.
    pub(crate) fn jwks(&self) -> Option<&Jwks> {
        self.0.jwks.as_ref()
    }

    /// Whether the development headers are trusted.
    pub(crate) fn dev_headers(&self) -> bool {
        self.0.dev_headers
    }

    /// The caller of a cached token that is still valid. After `None`, [`Authenticator::check`] decides.
    pub(crate) fn remembered(&self, token: &str) -> Option<Caller> {
        let jwks = self.0.jwks.as_ref()?;
        let remembered = self.0.remembered.read().unwrap_or_else(PoisonError::into_inner);
        let verified =
            remembered.verified.get(token).filter(|verified| verified.generation == jwks.generation())?;
        verified.validity.check(&self.0.clock).ok()?;
        Some(verified.caller.clone())
    }

    /// Verifies a token. An unknown key id makes the keys be read again, with a limit on how often.
    ///
    /// # Errors
    /// The reason why the token is refused.
    pub async fn check(&self, token: &str) -> Result<Caller, Refusal> {
        let jwks = self.0.jwks.as_ref().ok_or(Refusal::UnknownKey)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::Malformed);
        }
        let header = decode_header(token).map_err(|error| match error.kind() {
            // An algorithm that the library does not know, such as "none", is an error in the header's JSON.
            jsonwebtoken::errors::ErrorKind::Json(_) => Refusal::Algorithm,
            _ => Refusal::Malformed,
        })?;
        // `crit` names extensions that must be understood (RFC 7515, 4.1.11). None is supported.
        if header.crit.is_some() {
            return Err(Refusal::Malformed);
        }
        if !jwks.accepts(header.alg) {
            return Err(Refusal::Algorithm);
        }
        let (key, generation) = jwks.find(header.kid.as_deref(), header.alg).await?;
        let claims = decode::<Claims>(token, &key, &self.validation(header.alg))?.claims;
        let names = &self.0.rules.claims;
        let validity = Validity { not_before: claims.not_before()?, expires: claims.expires()? };
        let (user, roles) = (claims.user(&names.user)?, claims.roles(&names.roles)?);
        validity.check(&self.0.clock)?;
        let mut caller = Caller::new(user, roles)?;
        caller.email = claims.email(&names.email);
        caller.expires_ms = Some(validity.ends_ms());
        self.remember(token, Verified { caller: caller.clone(), validity, generation });
        Ok(caller)
    }

    /// The library's rules. They leave out times, for which the library would read the system's clock.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = self.0.rules.audience.is_some();
        let mut required = vec!["exp"];
        if let Some(issuer) = &self.0.rules.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if let Some(audience) = &self.0.rules.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation
    }

    fn remember(&self, token: &str, verified: Verified) {
        let mut remembered = self.0.remembered.write().unwrap_or_else(PoisonError::into_inner);
        let token: Arc<str> = token.into();
        if remembered.verified.insert(Arc::clone(&token), verified).is_none() {
            remembered.order.push_back(token);
        }
        if remembered.order.len() > MAX_REMEMBERED
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.verified.remove(&oldest);
        }
    }
}

impl Validity {
    /// The end with the leeway, in milliseconds since the epoch.
    fn ends_ms(self) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "a token that never ends ends with the calendar")]
        let expires = self.expires.ceil() as i64;
        expires.saturating_add(LEEWAY_SECONDS).saturating_mul(1000)
    }

    fn check(self, clock: &Clock) -> Result<(), Refusal> {
        #[expect(clippy::cast_precision_loss, reason = "seconds of this era fit into 53 bits")]
        let (now, leeway) = (clock.now().timestamp() as f64, LEEWAY_SECONDS as f64);
        if now >= self.expires + leeway {
            return Err(Refusal::Expired);
        }
        match self.not_before {
            Some(not_before) if not_before > now + leeway => Err(Refusal::NotYetValid),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
