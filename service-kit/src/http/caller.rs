//! Extracts the caller of a request, and checks the caller's roles.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::{Either, FutureExt, LocalBoxFuture};

use super::dev_headers;
use super::limits::Limits;
use super::problem::{Problem, ProblemType};
use crate::auth::{Authenticator, Caller, Refusal};

const USER: &str = "X-User";
const ROLES: &str = "X-Roles";
const EMAIL: &str = "X-Email";

/// The application's data must hold an [`Authenticator`], as `server::app` provides.
impl FromRequest for Caller {
    type Error = Problem;
    type Future = Either<Ready<Result<Self, Problem>>, LocalBoxFuture<'static, Result<Self, Problem>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let now = |outcome: Result<Self, Problem>| Either::Left(ready(outcome));
        let limits = Limits::of(request);
        let admit = move |caller: Self| match &limits {
            Some(limits) => limits.admit(&caller).map(|()| caller),
            None => Ok(caller),
        };
        let Some(authenticator) = request.app_data::<Authenticator>() else {
            return now(Err(Problem::defect("no authenticator in the application's data")));
        };
        if !request.headers().contains_key(header::AUTHORIZATION) {
            let caller = by_headers(authenticator, request);
            return now(caller.map_err(|problem| refused(request, problem)).and_then(admit));
        }
        let Some(token) = bearer(request) else {
            return now(Err(refused(request, Refusal::Scheme.into())));
        };
        if let Some(caller) = authenticator.remembered(token) {
            return now(admit(caller));
        }
        let (authenticator, token, request) = (authenticator.clone(), token.to_owned(), request.clone());
        Either::Right(
            async move {
                match authenticator.check(&token).await {
                    Ok(caller) => admit(caller),
                    Err(refusal) => Err(refused(&request, refusal.into())),
                }
            }
            .boxed_local(),
        )
    }
}

/// The problem of an unknown caller: the refusal, or too many requests.
fn refused(request: &HttpRequest, refusal: Problem) -> Problem {
    admit_stranger(request).err().unwrap_or(refusal)
}

/// Counts a refused request for its address, because its sender is unknown.
///
/// # Errors
/// `too-many-requests`.
pub fn admit_stranger(request: &HttpRequest) -> Result<(), Problem> {
    Limits::of(request).map_or(Ok(()), |limits| limits.admit_stranger(request))
}

/// The token of the only `Authorization` header.
fn bearer(request: &HttpRequest) -> Option<&str> {
    let mut values = request.headers().get_all(header::AUTHORIZATION);
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("Bearer") && !token.is_empty() && !token.contains(' ')).then_some(token)
}

/// The caller that the development headers name, where they are trusted.
fn by_headers(authenticator: &Authenticator, request: &HttpRequest) -> Result<Caller, Problem> {
    let user = request.headers().get(USER).filter(|_| authenticator.dev_headers()).ok_or(Refusal::Nobody)?;
    dev_headers::check(request)?;
    // Names may have more than ASCII characters: the header is UTF-8.
    let user = std::str::from_utf8(user.as_bytes()).map_err(|_| Refusal::User)?;
    let roles = request.headers().get_all(ROLES).filter_map(|roles| roles.to_str().ok());
    let mut caller = Caller::new(user, roles.flat_map(|roles| roles.split(',')))?;
    let email = request.headers().get(EMAIL).map(|email| std::str::from_utf8(email.as_bytes()));
    caller.email = email.transpose().map_err(|_| Refusal::User)?.map(str::to_owned);
    Ok(caller)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let problem = Self::new(ProblemType::Unauthenticated, refusal.to_string());
        match refusal {
            // The token is good but for its form: the operator has to change a setting here or there.
            Refusal::Claims(_) => problem.caused_by(&refusal),
            _ => problem,
        }
    }
}

impl Caller {
    /// Counts a request as `weight` requests of its caller.
    ///
    /// # Errors
    /// `too-many-requests`.
    pub fn charge(&self, request: &HttpRequest, weight: u32) -> Result<(), Problem> {
        Limits::of(request).map_or(Ok(()), |limits| limits.charge(self, weight))
    }

    /// Counts a request with several commands as as many requests of its caller.
    ///
    /// # Errors
    /// `too-many-requests`; `too-large` if it has more than a caller may send at once.
    pub fn charge_each(&self, request: &HttpRequest, commands: u32) -> Result<(), Problem> {
        Limits::of(request).map_or(Ok(()), |limits| limits.charge_each(self, commands))
    }

    /// Requires an administrator.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require_admin(&self) -> Result<(), Problem> {
        self.require(self.admin, "this is for administrators")
    }

    /// Requires an administrator or another service.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require_admin_or_service(&self) -> Result<(), Problem> {
        self.require(self.admin || self.service, "this is for administrators and services")
    }

    /// Requires an administrator or an eraser.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require_admin_or_eraser(&self) -> Result<(), Problem> {
        self.require(self.admin || self.eraser, "this is for administrators and erasers")
    }

    /// Requires an administrator or the owner.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require_owner_or_admin(&self, owner: &str) -> Result<(), Problem> {
        self.require(self.admin || self.user == owner, "this is for its owner and administrators")
    }

    fn require(&self, allowed: bool, detail: &str) -> Result<(), Problem> {
        if allowed { Ok(()) } else { Err(Problem::new(ProblemType::Forbidden, detail)) }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use actix_web::test::TestRequest;
    use actix_web::web::Data;

    use super::super::problem::Answered;
    use super::*;
    use crate::auth::TokenRules;
    use crate::clock::Clock;
    use crate::dev_key::DevKey;
    use crate::jwks::{Jwks, Source};
    use crate::kit_settings::ServerSettings;

    fn headers_only(trusted: bool) -> Authenticator {
        Authenticator::new(None, TokenRules::default(), trusted, Clock::system())
    }

    async fn extract(
        authenticator: Authenticator,
        headers: &[(&'static str, &str)],
    ) -> Result<Caller, Problem> {
        let request =
            headers.iter().fold(TestRequest::default(), |request, header| request.append_header(*header));
        Caller::extract(&request.app_data(authenticator).to_http_request()).await
    }

    #[actix_web::test]
    async fn headers_name_the_caller_where_they_are_trusted() {
        let headers = [("X-User", "Zoë"), ("X-Roles", "admin, service")];
        let caller = extract(headers_only(true), &headers).await.unwrap();
        assert_eq!(caller, Caller::new("Zoë", ["admin", "service"]).unwrap());
        assert!(caller.admin && caller.service);
        let problem = extract(headers_only(false), &headers).await.unwrap_err();
        assert_eq!(problem.kind(), ProblemType::Unauthenticated);
    }

    #[actix_web::test]
    async fn a_request_that_names_nobody_is_refused() {
        for headers in
            [&[][..], &[("X-Roles", "admin")], &[("X-User", "")], &[("Authorization", "Basic YTpi")]]
        {
            let problem = extract(headers_only(true), headers).await.unwrap_err();
            assert_eq!(problem.kind(), ProblemType::Unauthenticated, "{headers:?}");
        }
    }

    #[actix_web::test]
    async fn a_token_names_the_caller_and_a_bad_one_does_not_fall_back_to_headers() {
        let folder = tempfile::tempdir().unwrap();
        let token =
            DevKey::ensure(folder.path()).unwrap().token("ann", &["admin"], 1, &Clock::system()).unwrap();
        let jwks =
            Jwks::new(Source::File(folder.path().join("jwks.json")), "EdDSA".parse().unwrap(), None).unwrap();
        let authenticator = Authenticator::new(Some(jwks), TokenRules::default(), true, Clock::system());
        for scheme in ["Bearer", "bearer"] {
            let value = format!("{scheme} {token}");
            let caller = extract(authenticator.clone(), &[("Authorization", &value)]).await.unwrap();
            let expires_ms = caller.expires_ms;
            assert!(expires_ms.is_some());
            assert_eq!(caller, Caller { expires_ms, ..Caller::new("ann", ["admin"]).unwrap() });
        }
        let bad = [("Authorization", "Bearer a.b.c"), ("X-User", "ann")];
        assert!(extract(authenticator.clone(), &bad).await.is_err());
        let value = format!("Bearer {token}");
        let twice = [("Authorization", value.as_str()), ("Authorization", "Bearer a.b.c")];
        assert!(extract(authenticator, &twice).await.is_err());
    }

    #[actix_web::test]
    async fn bogus_tokens_leave_the_good_ones_of_their_address_alone() {
        let folder = tempfile::tempdir().unwrap();
        let key = DevKey::ensure(folder.path()).unwrap();
        let jwks =
            Jwks::new(Source::File(folder.path().join("jwks.json")), "EdDSA".parse().unwrap(), None).unwrap();
        let authenticator = Authenticator::new(Some(jwks), TokenRules::default(), false, Clock::system());
        let settings = ServerSettings::on("127.0.0.1:0".parse().unwrap());
        let limits = Limits::start(&ServerSettings { rate_per_second: NonZeroU32::MIN, ..settings });
        let answer = async |token: &str| {
            let request = TestRequest::default().peer_addr("192.0.2.1:1".parse().unwrap());
            let request = request.append_header(("Authorization", format!("Bearer {token}")));
            let request = request.app_data(authenticator.clone()).app_data(Data::from(Arc::clone(&limits)));
            Caller::extract(&request.to_http_request())
                .await
                .map_or_else(|problem| problem.kind().slug(), |_| "good")
        };
        let good = async |user: &str| answer(&key.token(user, &[], 1, &Clock::system()).unwrap()).await;
        let bogus = async || {
            let token = key.token("ann", &[], 1, &Clock::system()).unwrap();
            answer(&format!("{}AAAA", &token[..token.len() - 4])).await
        };
        for user in ["ann", "ben", "cleo", "dora"] {
            assert_eq!(good(user).await, "good", "first checks of good tokens are not counted");
        }
        assert_eq!([bogus().await, bogus().await], ["unauthenticated"; 2]);
        assert_eq!(bogus().await, "too-many-requests");
        for user in ["ann", "eve", "finn", "gina"] {
            assert_eq!(good(user).await, "good", "{user}");
        }
    }

    #[test]
    fn the_log_has_the_reason_against_the_claims_of_a_good_token() {
        let cause = |refusal: Refusal| {
            let response = actix_web::ResponseError::error_response(&Problem::from(refusal));
            response.extensions().get::<Answered>().unwrap().cause.clone()
        };
        assert_eq!(cause(Refusal::Claims("a reason")).unwrap(), "the token's claims can't be used: a reason");
        assert_eq!(cause(Refusal::Signature), None);
    }

    #[test]
    fn what_is_not_allowed_is_forbidden() {
        let caller = |admin, service| Caller { admin, service, ..Caller::new("ann", []).unwrap() };
        assert!(caller(true, false).require_admin().is_ok());
        assert_eq!(caller(false, true).require_admin().unwrap_err().kind(), ProblemType::Forbidden);
        assert!(caller(false, true).require_admin_or_service().is_ok());
        assert!(caller(true, false).require_admin_or_eraser().is_ok());
        assert!(caller(false, true).require_admin_or_eraser().is_err());
        let eraser = Caller { eraser: true, ..caller(false, false) };
        assert!(eraser.require_admin_or_eraser().is_ok());
        assert!(eraser.require_admin_or_service().is_err());
        assert!(caller(false, false).require_owner_or_admin("ann").is_ok());
        assert!(caller(false, false).require_owner_or_admin("bob").is_err());
    }
}
