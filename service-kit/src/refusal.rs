//! The reasons for refusing a token, and the accepted algorithms.

use std::str::FromStr;

use jsonwebtoken::Algorithm;

/// The reason why a request has no caller. The client reads the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither a token nor a trusted header.
    #[error("the request names nobody: send Authorization: Bearer with a token")]
    Nobody,
    /// The `Authorization` header is not one bearer token.
    #[error("the Authorization header must be Bearer and one token")]
    Scheme,
    /// Not a signed token.
    #[error("the token is no JSON Web Token that is understood here")]
    Malformed,
    /// The algorithm is not accepted, or is not the key's.
    #[error("the token is signed with an algorithm that is not accepted")]
    Algorithm,
    /// No key has the token's key id.
    #[error("the token is signed with a key that is not known")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the token's signature is wrong")]
    Signature,
    /// `exp` is past.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iss` is missing or another issuer.
    #[error("the token is from another issuer")]
    Issuer,
    /// `aud` is missing or does not name this service.
    #[error("the token is for another audience")]
    Audience,
    /// A claim is missing or of the wrong type: the reason.
    #[error("the token's claims can't be used: {0}")]
    Claims(&'static str),
    /// The user's name is empty, too long or has control characters.
    #[error("a user's name has 1 to 200 characters and no control characters")]
    User,
}

/// The accepted signature algorithms.
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
