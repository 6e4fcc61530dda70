//! The settings of the page.

use reqwest::Url;
use service_kit::{
    config::{Key, Settings},
    declare,
    kit_settings::AuthSettings,
};

declare! {
    /// How people sign in to the page.
    pub KEYS:
    /// The page's client id at the OpenID provider `JWT_ISSUER`, which then signs people in (authorization code with PKCE).
    /// Without it, people choose a user with `DEV_HEADERS`, and else paste a token.
    PAGE_CLIENT_ID: String = Key::optional();
    /// The scopes that the page asks the provider for.
    PAGE_SCOPE: String = Key::default("openid offline_access");
}

/// The page for people, and what it needs to know.
#[derive(Debug, Clone)]
pub struct Page {
    /// The command service, as browsers reach it.
    pub commands: Url,
    /// How people sign in.
    pub sign_in: SignIn,
}

/// How people sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignIn {
    /// They choose a user, on this machine alone.
    Development,
    /// They paste a token, which the page keeps until it is left.
    Token,
    /// At an OpenID provider.
    Oidc {
        /// The provider.
        issuer: String,
        /// The page's id there.
        client_id: String,
        /// What the page asks for.
        scope: String,
    },
}

impl SignIn {
    /// Reads the settings. `None` after a mistake.
    pub fn read(settings: &mut Settings, auth: &AuthSettings) -> Option<Self> {
        let scope = settings.read(&PAGE_SCOPE);
        let Some(client_id) = settings.read(&PAGE_CLIENT_ID) else {
            return Some(if auth.dev_headers { Self::Development } else { Self::Token });
        };
        let issuer = auth.rules.issuer.clone();
        if issuer.is_none() {
            settings.mistake(&PAGE_CLIENT_ID, "needs JWT_ISSUER: the provider where people sign in");
        }
        Some(Self::Oidc { issuer: issuer?, client_id, scope: scope? })
    }
}
