//! Who is asking: checks JSON Web Tokens, or, for development on loopback, headers.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;

use crate::clock::Clock;
use crate::jwks::Jwks;

/// How far the clocks of issuer and service may be apart, in seconds.
const LEEWAY_SECONDS: i64 = 30;
/// Longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Longest user name, in characters.
pub const MAX_USER_CHARS: usize = 200;
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

/// Why nobody was recognised. The texts are meant for the one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No token, or no header in its place.
    #[error("the request names nobody: send Authorization: Bearer with a token")]
    Nobody,
    /// An `Authorization` header that is no bearer token.
    #[error("the Authorization header must be Bearer and one token")]
    Scheme,
    /// Not a signed token.
    #[error("the token is no JSON Web Token that is understood here")]
    Malformed,
    /// An algorithm that is not accepted, or not for this key.
    #[error("the token is signed with an algorithm that is not accepted")]
    Algorithm,
    /// No such key is known.
    #[error("the token is signed with a key that is not known")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the token's signature is wrong")]
    Signature,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` lies ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iss` is another one.
    #[error("the token is from another issuer")]
    Issuer,
    /// `aud` does not name this service.
    #[error("the token is for another audience")]
    Audience,
    /// A claim is missing or of the wrong type.
    #[error("the token needs the claims sub (text) and exp (number), and roles as a list of texts if any")]
    Claims,
    /// The user's name is not usable.
    #[error("a user's name has 1 to 200 characters and no control characters")]
    User,
}

/// The algorithms that tokens may be signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithms(pub Vec<Algorithm>);

impl FromStr for Algorithms {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let one = |name: &str| match name.trim() {
            "EdDSA" => Ok(Algorithm::EdDSA),
            "ES256" => Ok(Algorithm::ES256),
            "RS256" => Ok(Algorithm::RS256),
            other => Err(format!("{other:?} is none of EdDSA, ES256, RS256")),
        };
        text.split(',').map(one).collect::<Result<_, _>>().map(Self)
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
        // Written so that a NaN would be refused.
        if !(now < self.expires + leeway) {
            return Err(Refusal::Expired);
        }
        match self.not_before {
            Some(not_before) if !(not_before <= now + leeway) => Err(Refusal::NotYetValid),
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
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use chrono::TimeDelta;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    use super::*;
    use crate::dev_key::DevKey;
    use crate::jwks::Source;

    struct Setup {
        folder: tempfile::TempDir,
        key: DevKey,
        clock: Clock,
    }

    impl Setup {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let key = DevKey::ensure(folder.path()).unwrap();
            Self { folder, key, clock: Clock::system() }
        }

        fn authenticator(&self, rules: TokenRules) -> Authenticator {
            let source = Source::File(self.folder.path().join("jwks.json"));
            let jwks = Jwks::new(source, Algorithms(vec![Algorithm::EdDSA])).unwrap();
            Authenticator::new(Some(jwks), rules, false, self.clock.clone())
        }

        fn sign(&self, claims: &Value) -> String {
            self.key.sign(claims).unwrap()
        }

        fn claims(&self) -> Value {
            json!({"sub": "ann", "exp": self.clock.now().timestamp() + 600, "roles": ["admin", "other"]})
        }
    }

    fn with(mut claims: Value, name: &str, value: Value) -> Value {
        claims[name] = value;
        claims
    }

    #[tokio::test]
    async fn a_good_token_names_user_and_roles_and_is_remembered() {
        let setup = Setup::new();
        let authenticator = setup.authenticator(TokenRules::default());
        let token = setup.sign(&setup.claims());
        assert_eq!(authenticator.remembered(&token), None);
        let caller = authenticator.check(&token).await.unwrap();
        assert_eq!(caller, Caller { user: "ann".to_owned(), admin: true, service: false });
        assert_eq!(authenticator.remembered(&token), Some(caller));
    }

    #[tokio::test]
    async fn an_expired_token_is_refused_even_if_remembered() {
        let setup = Setup::new();
        let authenticator = setup.authenticator(TokenRules::default());
        let token = setup.sign(&setup.claims());
        authenticator.check(&token).await.unwrap();
        setup.clock.advance(TimeDelta::seconds(625));
        assert!(authenticator.remembered(&token).is_some(), "clocks may be 30 s apart");
        setup.clock.advance(TimeDelta::seconds(10));
        assert_eq!(authenticator.remembered(&token), None);
        assert_eq!(authenticator.check(&token).await, Err(Refusal::Expired));
    }

    #[tokio::test]
    async fn a_token_must_expire() {
        let setup = Setup::new();
        let authenticator = setup.authenticator(TokenRules::default());
        let token = setup.sign(&json!({"sub": "ann"}));
        assert_eq!(authenticator.check(&token).await, Err(Refusal::Claims));
    }

    #[tokio::test]
    async fn a_token_of_the_future_is_refused() {
        let setup = Setup::new();
        let authenticator = setup.authenticator(TokenRules::default());
        let soon = setup.clock.now().timestamp() + 300;
        let token = setup.sign(&with(setup.claims(), "nbf", soon.into()));
        assert_eq!(authenticator.check(&token).await, Err(Refusal::NotYetValid));
    }

    #[tokio::test]
    async fn other_algorithms_and_none_are_refused() {
        let setup = Setup::new();
        let authenticator = setup.authenticator(TokenRules::default());
        // A public key taken for a shared secret is the classic confusion.
        let secret = EncodingKey::from_secret(&std::fs::read(setup.folder.path().join("jwks.json")).unwrap());
        let token = encode(&Header::new(Algorithm::HS256), &setup.claims(), &secret).unwrap();
        assert_eq!(authenticator.check(&token).await, Err(Refusal::Algorithm));
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let none = format!("{}.{}.", part(&json!({"alg": "none", "typ": "JWT"})), part(&setup.claims()));
        assert_eq!(authenticator.check(&none).await, Err(Refusal::Algorithm));
    }

    #[tokio::test]
    async fn another_key_is_refused_with_its_own_id_and_with_a_stolen_one() {
        let (setup, other) = (Setup::new(), Setup::new());
        let authenticator = setup.authenticator(TokenRules::default());
        let token = other.sign(&setup.claims());
        assert_eq!(authenticator.check(&token).await, Err(Refusal::UnknownKey));
        let header = setup.sign(&setup.claims()).split_once('.').unwrap().0.to_owned();
        let (_, rest) = token.split_once('.').unwrap();
        assert_eq!(authenticator.check(&format!("{header}.{rest}")).await, Err(Refusal::Signature));
    }

    #[tokio::test]
    async fn changed_claims_are_refused() {
        let setup = Setup::new();
        let authenticator = setup.authenticator(TokenRules::default());
        let token = setup.sign(&setup.claims());
        let mut parts: Vec<&str> = token.split('.').collect();
        let changed = BASE64_URL_SAFE_NO_PAD.encode(with(setup.claims(), "sub", "bob".into()).to_string());
        parts[1] = &changed;
        assert_eq!(authenticator.check(&parts.join(".")).await, Err(Refusal::Signature));
    }

    #[tokio::test]
    async fn issuer_and_audience_are_checked_where_configured() {
        let setup = Setup::new();
        let rules = TokenRules { issuer: Some("idp".to_owned()), audience: Some("rooms".to_owned()) };
        let authenticator = setup.authenticator(rules);
        let with_issuer = with(setup.claims(), "iss", "idp".into());
        let cases = [
            (setup.claims(), Some(Refusal::Issuer)),
            (with(setup.claims(), "iss", "other".into()), Some(Refusal::Issuer)),
            (with_issuer.clone(), Some(Refusal::Audience)),
            (with(with_issuer.clone(), "aud", "desks".into()), Some(Refusal::Audience)),
            (with(with_issuer, "aud", json!(["desks", "rooms"])), None),
        ];
        for (claims, expected) in cases {
            assert_eq!(authenticator.check(&setup.sign(&claims)).await.err(), expected, "{claims}");
        }
    }

    #[tokio::test]
    async fn claims_of_the_wrong_type_and_unusable_names_are_refused() {
        let setup = Setup::new();
        let authenticator = setup.authenticator(TokenRules::default());
        let cases = [
            ("roles", json!("admin"), Refusal::Claims),
            ("exp", json!("tomorrow"), Refusal::Claims),
            ("sub", json!(7), Refusal::Claims),
            ("sub", json!(""), Refusal::User),
            ("sub", json!("a\nb"), Refusal::User),
            ("sub", json!("x".repeat(201)), Refusal::User),
        ];
        for (name, value, expected) in cases {
            let token = setup.sign(&with(setup.claims(), name, value));
            assert_eq!(authenticator.check(&token).await, Err(expected), "{name}");
        }
    }

    #[tokio::test]
    async fn what_is_no_token_is_refused() {
        let setup = Setup::new();
        let authenticator = setup.authenticator(TokenRules::default());
        for text in ["", ".", "a.b.c", "....", &"x".repeat(100_000)] {
            assert!(authenticator.check(text).await.is_err());
        }
    }
}
