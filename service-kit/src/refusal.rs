//! Why a token is refused, and the algorithms that tokens may be signed with.

use std::str::FromStr;

use jsonwebtoken::Algorithm;

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
