//! The variable parts of a path.

use std::future::{Ready, ready};

use actix_web::dev::{self, Payload, Url};
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;

use super::decode;
use super::problem::{Problem, ProblemType};

/// The variable parts of the path, by name: `T` is a struct with a field for each.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned> FromRequest for Path<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request.match_info()).map(Self))
    }
}

/// Reads the variable parts of a matched path.
///
/// # Errors
/// `invalid-value` with the name of the part, `malformed` if it is no text.
pub fn read<T: DeserializeOwned>(path: &dev::Path<Url>) -> Result<T, Problem> {
    // The framework decodes percent-encoding. A query string in between gives the same problems as parameters.
    let values = path
        .load::<Vec<String>>()
        .map_err(|error| Problem::new(ProblemType::Malformed, "the path can't be read").caused_by(&error))?;
    let names = path.iter().map(|(name, _)| name);
    let pairs = names.zip(values.iter());
    decode::pairs(&form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use serde::Deserialize;
    use uuid::Uuid;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Parts {
        room: Uuid,
        kind: String,
    }

    #[test]
    fn an_id_that_is_none_is_named() {
        let id = "0190a5b0-0000-7000-8000-000000000001";
        let request = TestRequest::default().param("room", id).param("kind", "A%2FB").to_http_request();
        let parts: Parts = read(request.match_info()).unwrap();
        assert_eq!((parts.room.to_string().as_str(), parts.kind.as_str()), (id, "A/B"));
        let request = TestRequest::default().param("room", "seven").param("kind", "a").to_http_request();
        let problem = read::<Parts>(request.match_info()).unwrap_err();
        assert_eq!((problem.kind(), problem.named_field()), (ProblemType::InvalidValue, Some("room")));
    }
}
