//! The media types of bodies.

use actix_web::http::header::HeaderName;

/// Of all bodies.
pub(crate) const JSON: &str = "application/json";
/// Of a PATCH, too (RFC 7396).
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";
/// The header with the media types of a PATCH (RFC 5789).
pub(crate) const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// The value of [`ACCEPT_PATCH`].
pub(crate) fn accepted_patches() -> String {
    [JSON, MERGE_PATCH].join(", ")
}
