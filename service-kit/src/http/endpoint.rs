//! Routes that answer OPTIONS with the methods of the path, and other methods with 405.

use std::cell::Cell;
use std::rc::Rc;

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::guard;
use actix_web::http::{Method, header};
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, ResponseError, web};

use super::media_types::{ACCEPT_PATCH, accepted_patches};
use super::problem::{Problem, ProblemType};

/// A path and its methods. GET answers HEAD too.
pub struct Endpoint {
    resource: Resource,
    allow: Vec<&'static str>,
}

/// An endpoint at `path`, which may have variable parts (`/v1/rooms/{room}`).
#[must_use]
pub fn endpoint(path: &'static str) -> Endpoint {
    let note = guard::fn_guard(move |context| {
        if let Some(matched) = context.req_data().get::<MatchedRoute>() {
            matched.0.set(path);
        }
        true
    });
    Endpoint { resource: web::resource(path).guard(note), allow: Vec::new() }
}

/// The path pattern of the matched endpoint, which sets it. The framework would match the path a second time. Clones share the
/// pattern.
#[derive(Clone)]
pub(crate) struct MatchedRoute(pub(crate) Rc<Cell<&'static str>>);

macro_rules! methods {
    ($($name:ident $method:ident;)+) => {
        impl Endpoint {
            $(
                /// Answers this method with `handler`.
                #[must_use]
                pub fn $name<F, Args>(self, handler: F) -> Self
                where
                    F: Handler<Args>,
                    Args: FromRequest + 'static,
                    F::Output: Responder + 'static,
                {
                    let route = web::route().method(Method::$method).to(handler);
                    self.with(stringify!($method), route)
                }
            )+
        }
    };
}

methods! {
    post POST;
    put PUT;
    patch PATCH;
    delete DELETE;
}

impl Endpoint {
    /// Answers GET and HEAD with `handler`.
    #[must_use]
    pub fn get<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let route = web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(handler);
        self.with("GET, HEAD", route)
    }

    /// Answers QUERY, the safe method with a body, with `handler`.
    #[must_use]
    pub fn query<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let is_query = guard::fn_guard(|context| context.head().method.as_str() == "QUERY");
        self.with("QUERY", web::route().guard(is_query).to(handler))
    }

    fn with(mut self, methods: &'static str, route: actix_web::Route) -> Self {
        self.allow.push(methods);
        Self { resource: self.resource.route(route), allow: self.allow }
    }
}

impl HttpServiceFactory for Endpoint {
    fn register(self, config: &mut AppService) {
        let methods = self.allow.join(", ");
        let allow = format!("{methods}, OPTIONS");
        let patches = self.allow.contains(&"PATCH").then(accepted_patches);
        let otherwise = move |request: HttpRequest| {
            std::future::ready(if request.method() == Method::OPTIONS {
                let mut answer = HttpResponse::NoContent();
                answer.insert_header((header::ALLOW, allow.as_str()));
                if let Some(patches) = &patches {
                    answer.insert_header((ACCEPT_PATCH, patches.as_str()));
                }
                answer.finish()
            } else {
                let detail = format!("this address knows {methods}");
                Problem::new(ProblemType::MethodNotAllowed, detail).allow(allow.clone()).error_response()
            })
        };
        self.resource.default_service(web::to(otherwise)).register(config);
    }
}

/// Answers requests without an endpoint.
pub(crate) fn unknown_route() -> std::future::Ready<Problem> {
    std::future::ready(Problem::new(ProblemType::NotFound, "there is no such address"))
}
