//! The page for people: its files, which are compiled in, and its settings.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, HeaderValue,
        IF_NONE_MATCH, REFERRER_POLICY, VARY,
    },
    web::{Data, Json, ServiceConfig},
};
use serde::Serialize;
use service_kit::{
    http::{
        endpoint::endpoint,
        headers::{joined, names_tag},
        problem::{Problem, ProblemType},
    },
    tls::is_this_machine,
};

use crate::page::{Page, SignIn};

include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// A file of the page.
struct File {
    path: &'static str,
    media_type: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
}

/// Adds the page's endpoints.
pub fn configure(config: &mut ServiceConfig, page: Page) {
    config
        .app_data(Data::new(page))
        .service(endpoint("/").get(index))
        .service(endpoint("/config.json").get(settings))
        .service(endpoint("/page/{digest}/{file:.*}").get(file));
}

async fn index(request: HttpRequest, page: Data<Page>) -> Result<HttpResponse, Problem> {
    let tag = format!("\"{DIGEST}\"");
    let is_known =
        joined(request.headers(), IF_NONE_MATCH.as_str())?.is_some_and(|tags| names_tag(&tags, &tag));
    let mut answer = if is_known { HttpResponse::NotModified().finish() } else { INDEX.answer(&request)? };
    let commands = commands(&page, &request).origin().ascii_serialization();
    let issuer = match &page.sign_in {
        SignIn::Oidc { issuer, .. } => {
            reqwest::Url::parse(issuer).map(|url| url.origin().ascii_serialization())
        }
        SignIn::Development | SignIn::Token => Ok(String::new()),
    };
    let issuer = issuer.unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src 'self' '{IMPORT_MAP}'; style-src 'self'; img-src 'self'; \
         connect-src 'self' {commands} {issuer}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    );
    let policy = HeaderValue::try_from(policy).map_err(|error| Problem::internal(&error))?;
    let tag = HeaderValue::try_from(tag).map_err(|error| Problem::internal(&error))?;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(ETAG, tag);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(answer)
}

/// Files never change under their address, which holds the digest of all of them.
async fn file(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let path = request.match_info();
    let found =
        FILES.iter().find(|file| path.get("file") == Some(file.path) && path.get("digest") == Some(DIGEST));
    let found = found.ok_or_else(|| Problem::new(ProblemType::NotFound, "the page has no such file"))?;
    let mut answer = found.answer(&request)?;
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    Ok(answer)
}

impl File {
    fn answer(&self, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let accepted = joined(request.headers(), ACCEPT_ENCODING.as_str())?.unwrap_or_default();
        let mut answer = HttpResponse::Ok();
        answer.content_type(self.media_type).insert_header((VARY, "Accept-Encoding"));
        Ok(if accepts_gzip(&accepted) {
            answer.insert_header((CONTENT_ENCODING, "gzip")).body(self.gzip)
        } else {
            answer.body(self.plain)
        })
    }
}

fn accepts_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_refused = |part: &str| part.strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0));
        is_gzip && !parts.any(is_refused)
    })
}

/// What the page needs to know.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageConfig {
    commands: String,
    auth: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

async fn settings(request: HttpRequest, page: Data<Page>) -> Json<PageConfig> {
    let commands = commands(&page, &request).as_str().trim_end_matches('/').to_owned();
    let of_any = |auth| PageConfig { commands, auth, issuer: None, client_id: None, scope: None };
    Json(match page.sign_in.clone() {
        SignIn::Development => of_any("development"),
        SignIn::Token => of_any("token"),
        SignIn::Oidc { issuer, client_id, scope } => PageConfig {
            issuer: Some(issuer),
            client_id: Some(client_id),
            scope: Some(scope),
            ..of_any("oidc")
        },
    })
}

/// The command service's address. On this machine it has the name by which the page was reached: other names are other
/// sites, from which development headers are refused.
fn commands(page: &Page, request: &HttpRequest) -> reqwest::Url {
    let mut url = page.commands.clone();
    let host = request.headers().get(actix_web::http::header::HOST).and_then(|host| host.to_str().ok());
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    if let Some(name) = name.filter(|name| is_this_machine(name))
        && url.host_str().is_some_and(is_this_machine)
    {
        _ = url.set_host(Some(name));
    }
    url
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Most bytes of the files that the first screen loads, compressed: 35 kB.
    const FIRST_SCREEN: usize = 35 * 1024;
    /// Most bytes of each further screen or language, compressed: 15 kB.
    const FURTHER: usize = 15 * 1024;

    fn weight(is_counted: impl Fn(&str) -> bool) -> usize {
        FILES.iter().filter(|file| is_counted(file.path)).map(|file| file.gzip.len()).sum()
    }

    /// Distinct parts of the files' paths, as screens or languages.
    fn distinct(part: impl Fn(&'static str) -> Option<&'static str>) -> BTreeSet<&'static str> {
        FILES.iter().filter_map(|file| part(file.path)).collect()
    }

    /// The modules that the first screen needs: what `main.js` and the day import, and what those import.
    fn first_modules() -> BTreeSet<String> {
        let is_vendored = |path: &&str| path.starts_with("vendor/") && path.ends_with(".js");
        let mut first: BTreeSet<String> =
            FILES.iter().map(|file| file.path).filter(is_vendored).map(str::to_owned).collect();
        let mut left = vec!["main.js".to_owned(), "screens/day/index.js".to_owned()];
        while let Some(wanted) = left.pop() {
            let module = FILES.iter().find(|file| file.path == wanted).expect(&wanted);
            // A static import ends with `from './NAME.js';`. Other names are vendored.
            let module = std::str::from_utf8(module.plain).unwrap();
            let imports = module.split(" from '").skip(1).filter_map(|rest| rest.split('\'').next());
            let near = imports.filter(|name| name.starts_with('.')).map(|name| resolved(&wanted, name));
            let near: Vec<_> = near.filter(|path| !first.contains(path)).collect();
            left.extend(near);
            first.insert(wanted);
        }
        first
    }

    /// The path of a module that another one imports by a relative name.
    fn resolved(from: &str, name: &str) -> String {
        let mut parts: Vec<&str> = from.split('/').collect();
        parts.pop();
        for part in name.split('/') {
            match part {
                "." => {}
                ".." => _ = parts.pop(),
                _ => parts.push(part),
            }
        }
        parts.join("/")
    }

    #[test]
    fn the_first_screen_each_further_one_and_each_language_stay_within_their_budgets() {
        let modules = first_modules();
        let is_first = |path: &str| {
            let others = ["style.css", "screens/day/style.css", "icon.svg", "words/en.js"];
            modules.contains(path) || others.contains(&path)
        };
        let first = weight(is_first) + INDEX.gzip.len();
        println!("first screen: {first} bytes");
        assert!(first <= FIRST_SCREEN, "the first screen has {first} bytes");

        // A screen in one language, with what forms share: it may be the first one that needs that.
        let is_shared = |path: &str| {
            let is_of_all = path.starts_with("lib/") || path.matches('/').count() == 1;
            is_of_all && path.ends_with(".js") && !path.starts_with("words/") && !is_first(path)
        };
        for screen in distinct(|path| path.strip_prefix("screens/")?.split_once('/').map(|(name, _)| name)) {
            let folder = format!("screens/{screen}/");
            let is_of_screen = |path: &str| {
                path.strip_prefix(&folder)
                    .is_some_and(|file| !file.starts_with("words/") || file == "words/en.js")
            };
            let bytes = weight(|path| is_of_screen(path) || is_shared(path));
            println!("{screen}: {bytes} bytes");
            assert!(bytes <= FURTHER, "the screen {screen} has {bytes} bytes");
        }

        for language in distinct(|path| path.strip_prefix("words/")) {
            let bytes = weight(|path| path.ends_with(&format!("words/{language}")));
            println!("{language}: {bytes} bytes");
            assert!(bytes <= FURTHER, "the language {language} has {bytes} bytes");
        }
    }

    #[test]
    fn types_and_block_comments_of_ours_are_not_sent() {
        let ours = FILES.iter().filter(|file| {
            !file.path.starts_with("vendor/") && (file.path.ends_with(".js") || file.path.ends_with(".css"))
        });
        let commented: Vec<_> = ours
            .filter(|file| std::str::from_utf8(file.plain).unwrap().contains("/*"))
            .map(|file| file.path)
            .collect();
        assert!(commented.is_empty(), "{commented:?}");
    }

    #[test]
    fn all_addresses_of_the_first_document_exist() {
        let document = std::str::from_utf8(INDEX.plain).unwrap();
        let start = format!("/page/{DIGEST}/");
        let named: Vec<_> =
            document.split(&start).skip(1).map(|rest| rest.split('"').next().unwrap_or_default()).collect();
        assert!(named.contains(&"main.js"), "{named:?}");
        for name in named {
            assert!(FILES.iter().any(|file| file.path == name), "{name}");
        }
    }

    #[test]
    fn gzip_is_sent_to_those_who_accept_it() {
        for accepted in ["gzip", "br, gzip;q=0.5", "GZIP", "gzip; q=1"] {
            assert!(accepts_gzip(accepted), "{accepted}");
        }
        for refused in ["", "br", "gzip;q=0", "gzip;q=0.0, br", "xgzip"] {
            assert!(!accepts_gzip(refused), "{refused}");
        }
    }
}
