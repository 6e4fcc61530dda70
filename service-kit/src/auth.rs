//! Who is asking: checks JSON Web Tokens, or, for development on loopback, headers.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;

use crate::clock::Clock;
use crate::jwks::Jwks;
pub use crate::refusal::{Algorithms, Refusal};

/// How far the clocks of issuer and service may be apart, in seconds.
const LEEWAY_SECONDS: i64 = 30;
/// Longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Longest user name, in characters.
const MAX_USER_CHARS: usize = 200;
/// Tokens whose check is remembered. A signature takes longer to check than most requests to answer.
const MAX_REMEMBERED: usize = 4096;

/// The one who sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name: 1 to 200 characters, none of them a control character.
    pub user: String,
    /// May do what administrators may.
    pub admin: bool,
    /// Is another service, which may read the feed.
    pub service: bool,
}

impl Caller {
    /// A caller with the given roles; unknown roles mean nothing here.
    ///
    /// # Errors
    ///
    /// [`Refusal::User`] where the name is empty, too long or has control characters.
    pub fn new<'a>(user: &str, roles: impl IntoIterator<Item = &'a str>) -> Result<Self, Refusal> {
        if user.is_empty() || user.chars().count() > MAX_USER_CHARS || user.chars().any(char::is_control) {
            return Err(Refusal::User);
        }
        let mut caller = Self { user: user.to_owned(), admin: false, service: false };
        for role in roles {
            match role.trim() {
                "admin" => caller.admin = true,
                "service" => caller.service = true,
                _ => {}
            }
        }
        Ok(caller)
    }
}

/// What is accepted of a token beside its signature.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenRules {
    /// The `iss` that a token must have.
    pub issuer: Option<String>,
    /// The `aud` that a token must name.
    pub audience: Option<String>,
}

/// Recognises callers. Clones share keys and memory.
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    jwks: Option<Jwks>,
    rules: TokenRules,
    dev_headers: bool,
    clock: Clock,
    remembered: RwLock<HashMap<String, Verified>>,
}

/// A token that was found good under one generation of keys.
#[derive(Clone)]
struct Verified {
    caller: Caller,
    validity: Validity,
    generation: u64,
}

/// When a token is good, in seconds since the epoch.
#[derive(Clone, Copy)]
struct Validity {
    not_before: Option<f64>,
    expires: f64,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: f64,
    nbf: Option<f64>,
    #[serde(default)]
    roles: Vec<String>,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("dev_headers", &self.0.dev_headers).finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Recognises tokens signed with a key of `jwks`, and the development headers if `dev_headers`, which the
    /// caller must only switch on for a service that listens on loopback.
    #[must_use]
    pub fn new(jwks: Option<Jwks>, rules: TokenRules, dev_headers: bool, clock: Clock) -> Self {
        Self(Arc::new(Inner { jwks, rules, dev_headers, clock, remembered: RwLock::default() }))
    }

    /// The keys, to be kept fresh by a task of their own.
    #[must_use]
    pub fn jwks(&self) -> Option<&Jwks> {
        self.0.jwks.as_ref()
    }

    /// Whether the development headers are switched on.
    #[must_use]
    pub fn dev_headers(&self) -> bool {
        self.0.dev_headers
    }

    /// The caller of a token that was checked before and is still good; `None` says nothing.
    #[must_use]
    pub fn remembered(&self, token: &str) -> Option<Caller> {
        let jwks = self.0.jwks.as_ref()?;
        let remembered = self.0.remembered.read().unwrap_or_else(PoisonError::into_inner);
        let verified = remembered.get(token).filter(|verified| verified.generation == jwks.generation())?;
        verified.validity.check(&self.0.clock).ok()?;
        Some(verified.caller.clone())
    }

    /// Checks a token. Reads the keys anew if it names one that is not known, seldom enough that strangers
    /// can't make this a burden.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] that says what is wrong with it.
    pub async fn check(&self, token: &str) -> Result<Caller, Refusal> {
        let jwks = self.0.jwks.as_ref().ok_or(Refusal::UnknownKey)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::Malformed);
        }
        let header = decode_header(token).map_err(|error| match error.kind() {
            // Names that the library does not know, "none" among them, fail in the header's JSON.
            jsonwebtoken::errors::ErrorKind::Json(_) => Refusal::Algorithm,
            _ => Refusal::Malformed,
        })?;
        // Extensions that must be understood: none is understood here (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(Refusal::Malformed);
        }
        if !jwks.accepts(header.alg) {
            return Err(Refusal::Algorithm);
        }
        let (key, generation) = jwks.find(header.kid.as_deref(), header.alg).await?;
        let claims = decode::<Claims>(token, &key, &self.validation(header.alg)).map_err(refusal)?.claims;
        let validity = Validity { not_before: claims.nbf, expires: claims.exp };
        validity.check(&self.0.clock)?;
        let caller = Caller::new(&claims.sub, claims.roles.iter().map(String::as_str))?;
        self.remember(token, Verified { caller: caller.clone(), validity, generation });
        Ok(caller)
    }

    /// The rules for the library. Times are not its business: it would ask the system's clock.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = self.0.rules.audience.is_some();
        let mut required = vec!["exp", "sub"];
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
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(token.to_owned(), verified);
    }
}

impl Validity {
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

fn refusal(error: jsonwebtoken::errors::Error) -> Refusal {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidSignature => Refusal::Signature,
        ErrorKind::InvalidAlgorithm => Refusal::Algorithm,
        ErrorKind::InvalidIssuer => Refusal::Issuer,
        ErrorKind::InvalidAudience => Refusal::Audience,
        ErrorKind::MissingRequiredClaim(claim) => match claim.as_str() {
            "iss" => Refusal::Issuer,
            "aud" => Refusal::Audience,
            _ => Refusal::Claims,
        },
        ErrorKind::Json(_) | ErrorKind::InvalidClaimFormat(_) => Refusal::Claims,
        _ => Refusal::Malformed,
    }
}

#[cfg(test)]
mod tests;
