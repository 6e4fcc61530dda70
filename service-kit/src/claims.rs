//! The claims of a token, by the names that its issuer gives them.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::refusal::Refusal;

const OBJECT: &str = "they must be a JSON object that names nothing twice";
const EXPIRY: &str = "exp must be a number";
const NOT_BEFORE: &str = "nbf must be a number";
const USER: &str = "the claim of the user must be a text";
const ROLES: &str = "the claim of the roles must be a text, a list of texts or null";

/// The name of a claim, or the path to it, such as `realm_access.roles`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

impl FromStr for ClaimPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Dots in a URL, as some issuers name claims, are no path.
        let names: Vec<_> = match text.contains('/') {
            true => vec![text.to_owned()],
            false => text.split('.').map(str::to_owned).collect(),
        };
        if names.iter().any(String::is_empty) {
            return Err("must be a claim, or the path to one such as realm_access.roles".to_owned());
        }
        Ok(Self(names))
    }
}

impl ClaimPath {
    fn one(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }

    /// Whether the claim is a list with spaces (RFC 8693, 4.2).
    fn is_scope(&self) -> bool {
        self.0.last().is_some_and(|name| matches!(name.as_str(), "scope" | "scp"))
    }
}

/// The claims that name the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimNames {
    /// The user.
    pub user: ClaimPath,
    /// The roles.
    pub roles: ClaimPath,
    /// The e-mail address.
    pub email: ClaimPath,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self { user: ClaimPath::one("sub"), roles: ClaimPath::one("roles"), email: ClaimPath::one("email") }
    }
}

/// The claims of a token.
#[derive(Debug)]
pub(crate) struct Claims(Map<String, Value>);

impl Claims {
    /// The user.
    pub(crate) fn user(&self, path: &ClaimPath) -> Result<&str, Refusal> {
        self.find(path)?.and_then(Value::as_str).ok_or(Refusal::Claims(USER))
    }

    /// The roles: a text is one role, but in a scope each of its words is one.
    pub(crate) fn roles(&self, path: &ClaimPath) -> Result<Vec<&str>, Refusal> {
        match self.find(path).map_err(|_| Refusal::Claims(ROLES))? {
            None => Ok(Vec::new()),
            Some(Value::String(scope)) if path.is_scope() => Ok(scope.split_ascii_whitespace().collect()),
            Some(Value::String(role)) => Ok(vec![role]),
            Some(Value::Array(roles)) => {
                roles.iter().map(|role| role.as_str().ok_or(Refusal::Claims(ROLES))).collect()
            }
            Some(_) => Err(Refusal::Claims(ROLES)),
        }
    }

    /// The e-mail address, if the issuer says outright that it is verified (OpenID Connect Core, 5.1). Few services need it, and
    /// no token is refused for it.
    pub(crate) fn email(&self, path: &ClaimPath) -> Option<String> {
        let is_verified = self.0.get("email_verified") == Some(&Value::Bool(true));
        let email = self.find(path).ok().flatten().filter(|_| is_verified)?;
        email.as_str().map(str::to_owned)
    }

    /// The time from which the token is no longer accepted, in seconds since the epoch.
    pub(crate) fn expires(&self) -> Result<f64, Refusal> {
        self.0.get("exp").and_then(Value::as_f64).ok_or(Refusal::Claims(EXPIRY))
    }

    /// The time before which the token is not accepted.
    pub(crate) fn not_before(&self) -> Result<Option<f64>, Refusal> {
        match self.0.get("nbf") {
            None | Some(Value::Null) => Ok(None),
            Some(time) => time.as_f64().map(Some).ok_or(Refusal::Claims(NOT_BEFORE)),
        }
    }

    /// The claim at a path. Null counts as absent.
    fn find(&self, path: &ClaimPath) -> Result<Option<&Value>, Refusal> {
        let mut found = None;
        let mut within = Some(&self.0);
        for name in &path.0 {
            let Some(object) = within else { return Err(Refusal::Claims(USER)) };
            found = object.get(name).filter(|value| !value.is_null());
            match found {
                None => return Ok(None),
                Some(value) => within = value.as_object(),
            }
        }
        Ok(found)
    }
}

impl From<jsonwebtoken::errors::Error> for Refusal {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        use jsonwebtoken::errors::ErrorKind;
        match error.kind() {
            ErrorKind::InvalidSignature => Self::Signature,
            ErrorKind::InvalidAlgorithm => Self::Algorithm,
            ErrorKind::InvalidIssuer => Self::Issuer,
            ErrorKind::InvalidAudience => Self::Audience,
            ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
                match claim.as_str() {
                    "iss" => Self::Issuer,
                    "aud" => Self::Audience,
                    "nbf" => Self::Claims(NOT_BEFORE),
                    _ => Self::Claims(EXPIRY),
                }
            }
            ErrorKind::Json(_) => Self::Claims(OBJECT),
            _ => Self::Malformed,
        }
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Once::deserialize(deserializer)? {
            Once(Value::Object(claims)) => Ok(Self(claims)),
            Once(_) => Err(D::Error::custom(OBJECT)),
        }
    }
}

/// A JSON value in which nothing is named twice: two readers would understand it differently.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Self)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Once(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Once(value))) = members.next_entry::<String, Once>()? {
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom(OBJECT));
            }
        }
        Ok(object.into())
    }
}
