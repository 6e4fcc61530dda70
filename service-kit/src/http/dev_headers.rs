//! Tells which requests may carry the development headers: those of programs on this machine.
//!
//! A web page can name any host that resolves to this machine (DNS rebinding), and a proxy can pass the headers on. Browsers
//! and proxies add headers of their own, by which they are refused.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName};
use actix_web::web::Data;

use super::problem::{Problem, ProblemType};
use crate::origins::Origins;
use crate::tls::is_this_machine;

const SEC_FETCH_SITE: &str = "Sec-Fetch-Site";

/// Refuses a request that may come from another site's page, or through a proxy.
///
/// # Errors
/// `misdirected` for another host's name, else `forbidden`.
pub(super) fn check(request: &HttpRequest) -> Result<(), Problem> {
    let headers = request.headers();
    let texts = |name: HeaderName| headers.get_all(name).map(|value| value.to_str().unwrap_or_default());
    // Every browser sends `Host`. A target with a host replaces it.
    let names_others = |host: &str| !is_this_machine(without_port(host));
    if texts(header::HOST).any(names_others) || request.uri().host().is_some_and(names_others) {
        let detail = "X-User counts for localhost and loopback addresses alone; another Host needs a token";
        return Err(Problem::new(ProblemType::Misdirected, detail).field("Host"));
    }
    let forbidden = |name: &str, detail: &str| {
        let detail = format!("X-User does not count {detail}: send a token");
        Err(Problem::new(ProblemType::Forbidden, detail).field(name))
    };
    let host = texts(header::HOST).next();
    let origins = request.app_data::<Data<Origins>>();
    let is_own = |origin: &str| {
        let is_configured = origins.is_some_and(|origins| origins.have(origin));
        is_configured || host.is_some_and(|host| is_origin_of(origin, host))
    };
    if !texts(header::ORIGIN).all(is_own) {
        return forbidden("Origin", "for another site's page");
    }
    if headers.get_all(SEC_FETCH_SITE).any(|site| site.as_bytes().eq_ignore_ascii_case(b"cross-site")) {
        return forbidden(SEC_FETCH_SITE, "for another site's page");
    }
    match headers.keys().find(|name| is_of_proxy(name.as_str())) {
        Some(name) => forbidden(name.as_str(), "through a proxy"),
        None => Ok(()),
    }
}

/// The host of `host:port`. The port may be absent.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether the origin is the address that the request was sent to.
fn is_origin_of(origin: &str, host: &str) -> bool {
    origin.split_once("://").is_some_and(|(scheme, authority)| {
        matches!(scheme, "http" | "https") && authority.eq_ignore_ascii_case(host)
    })
}

fn is_of_proxy(name: &str) -> bool {
    matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded-")
}

#[cfg(test)]
mod tests {
    use actix_web::FromRequest;
    use actix_web::test::TestRequest;

    use crate::auth::{Authenticator, Caller, TokenRules};
    use crate::clock::Clock;

    /// The status and the named field of the answer to an administrator with development headers and these headers.
    async fn refused(uri: &str, headers: &[(&'static str, &'static str)]) -> Option<(u16, String)> {
        let authenticator = Authenticator::new(None, TokenRules::default(), true, Clock::system());
        let request = TestRequest::with_uri(uri).app_data(authenticator);
        let request = request.append_header(("X-User", "root")).append_header(("X-Roles", "admin"));
        let request = headers.iter().fold(request, |request, header| request.append_header(*header));
        let problem = Caller::extract(&request.to_http_request()).await.err()?;
        Some((problem.kind().status().as_u16(), problem.named_field().unwrap_or_default().to_owned()))
    }

    #[actix_web::test]
    async fn a_host_that_is_not_loopback_is_misdirected() {
        for own in [
            "localhost",
            "LOCALHOST:8081",
            "127.0.0.1:8081",
            "127.0.0.1",
            "[::1]:8082",
            "[::1]",
            "localhost:1",
        ] {
            assert_eq!(refused("/", &[("Host", own)]).await, None, "{own}");
        }
        for other in [
            "evil.example:8081",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8081",
            "localhost:8081.evil.example",
            "localhost@evil.example",
            "10.0.0.1:8081",
            "0.0.0.0:8081",
            "localhost.",
            "",
            ":8081",
        ] {
            assert_eq!(refused("/", &[("Host", other)]).await, Some((421, "Host".to_owned())), "{other}");
        }
        let twice = [("Host", "localhost"), ("Host", "evil.example")];
        assert_eq!(refused("/", &twice).await, Some((421, "Host".to_owned())));
        let absolute = refused("http://evil.example/v1/rooms", &[("Host", "localhost")]);
        assert_eq!(absolute.await, Some((421, "Host".to_owned())));
        assert_eq!(refused("http://localhost:8081/v1/rooms", &[("Host", "localhost:8081")]).await, None);
    }

    #[actix_web::test]
    async fn an_origin_other_than_the_address_itself_is_forbidden() {
        let with = |origin| [("Host", "localhost:8081"), ("Origin", origin)];
        for own in ["http://localhost:8081", "https://localhost:8081"] {
            assert_eq!(refused("/", &with(own)).await, None, "{own}");
        }
        for other in [
            "http://evil.example",
            "http://localhost:3000",
            "http://localhost",
            "http://127.0.0.1:8081",
            "http://localhost:8081.evil.example",
            "file://localhost:8081",
            "null",
            "",
        ] {
            assert_eq!(refused("/", &with(other)).await, Some((403, "Origin".to_owned())), "{other}");
        }
        let own = ("Origin", "http://localhost:8081");
        assert_eq!(refused("/", &[own]).await, Some((403, "Origin".to_owned())), "without a Host");
        let twice = [("Host", "localhost:8081"), own, ("Origin", "http://evil.example")];
        assert_eq!(refused("/", &twice).await, Some((403, "Origin".to_owned())));
    }

    #[actix_web::test]
    async fn a_request_of_another_sites_page_is_forbidden() {
        for site in ["cross-site", "Cross-Site"] {
            let answer = refused("/", &[("Host", "localhost"), ("Sec-Fetch-Site", site)]).await;
            assert_eq!(answer, Some((403, "Sec-Fetch-Site".to_owned())));
        }
        for site in ["same-origin", "none"] {
            assert_eq!(
                refused("/", &[("Host", "localhost"), ("Sec-Fetch-Site", site)]).await,
                None,
                "{site}"
            );
        }
    }

    #[actix_web::test]
    async fn a_request_that_came_through_a_proxy_is_forbidden() {
        for name in
            ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "via", "x-real-ip"]
        {
            assert_eq!(
                refused("/", &[("Host", "localhost"), (name, "")]).await,
                Some((403, name.to_owned()))
            );
        }
    }
}
