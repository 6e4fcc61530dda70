use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;
use crate::dev_key::DevKey;
use crate::jwks::Source;

struct Setup {
    folder: tempfile::TempDir,
    key: DevKey,
    clock: Clock,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = DevKey::ensure(folder.path()).unwrap();
        Self { folder, key, clock: Clock::system() }
    }

    fn authenticator(&self, rules: TokenRules) -> Authenticator {
        let source = Source::File(self.folder.path().join("jwks.json"));
        let jwks = Jwks::new(source, Algorithms(vec![Algorithm::EdDSA]), None).unwrap();
        Authenticator::new(Some(jwks), rules, false, self.clock.clone())
    }

    fn sign(&self, claims: &Value) -> String {
        self.key.sign(claims).unwrap()
    }

    fn claims(&self) -> Value {
        json!({"sub": "ann", "exp": self.clock.now().timestamp() + 600, "roles": ["admin", "other"]})
    }
}

/// Any refusal of claims.
const CLAIMS: Refusal = Refusal::Claims("");

/// Why a token is refused. All refusals of claims are [`CLAIMS`].
async fn refused(authenticator: &Authenticator, token: &str) -> Option<Refusal> {
    authenticator.check(token).await.err().map(|refusal| match refusal {
        Refusal::Claims(_) => CLAIMS,
        refusal => refusal,
    })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn a_good_token_names_user_and_roles_and_is_remembered() {
    let setup = Setup::new();
    let authenticator = setup.authenticator(TokenRules::default());
    let claims = setup.claims();
    let token = setup.sign(&claims);
    assert_eq!(authenticator.remembered(&token), None);
    let caller = authenticator.check(&token).await.unwrap();
    let expires_ms = Some((claims["exp"].as_i64().unwrap() + 30) * 1000);
    let expected = Caller { expires_ms, ..Caller::new("ann", ["admin", "other"]).unwrap() };
    assert_eq!(caller, expected);
    assert_eq!(authenticator.remembered(&token), Some(caller));
}

#[tokio::test]
async fn an_expired_token_is_refused_even_if_remembered() {
    let setup = Setup::new();
    let authenticator = setup.authenticator(TokenRules::default());
    let token = setup.sign(&setup.claims());
    authenticator.check(&token).await.unwrap();
    setup.clock.advance(TimeDelta::seconds(625));
    assert!(authenticator.remembered(&token).is_some(), "clocks may be 30 s apart");
    setup.clock.advance(TimeDelta::seconds(10));
    assert_eq!(authenticator.remembered(&token), None);
    assert_eq!(authenticator.check(&token).await, Err(Refusal::Expired));
}

#[tokio::test]
async fn a_token_too_many_is_remembered_in_place_of_the_oldest_alone() {
    let setup = Setup::new();
    let authenticator = setup.authenticator(TokenRules::default());
    let token = setup.sign(&setup.claims());
    authenticator.check(&token).await.unwrap();
    let verified = authenticator.0.remembered.read().unwrap().verified[token.as_str()].clone();
    for number in 1..MAX_REMEMBERED {
        authenticator.remember(&number.to_string(), verified.clone());
    }
    // Verified again by another request at the same time: it has one place.
    authenticator.remember("1", verified.clone());
    assert!(authenticator.remembered(&token).is_some());
    authenticator.remember("one too many", verified);
    assert!(authenticator.remembered(&token).is_none());
    let remembered = |token: &str| authenticator.remembered(token).is_some();
    assert!((1..MAX_REMEMBERED).all(|number| remembered(&number.to_string())) && remembered("one too many"));
    let cache = authenticator.0.remembered.read().unwrap();
    assert_eq!((cache.verified.len(), cache.order.len()), (MAX_REMEMBERED, MAX_REMEMBERED));
}

#[tokio::test]
async fn a_token_must_expire() {
    let setup = Setup::new();
    let authenticator = setup.authenticator(TokenRules::default());
    let token = setup.sign(&json!({"sub": "ann"}));
    assert_eq!(refused(&authenticator, &token).await, Some(CLAIMS));
}

#[tokio::test]
async fn a_token_of_the_future_is_refused() {
    let setup = Setup::new();
    let authenticator = setup.authenticator(TokenRules::default());
    let soon = setup.clock.now().timestamp() + 300;
    let token = setup.sign(&with(setup.claims(), "nbf", soon.into()));
    assert_eq!(authenticator.check(&token).await, Err(Refusal::NotYetValid));
}

#[tokio::test]
async fn other_algorithms_and_none_are_refused() {
    let setup = Setup::new();
    let authenticator = setup.authenticator(TokenRules::default());
    // A public key taken for a shared secret is the classic confusion.
    let secret = EncodingKey::from_secret(&std::fs::read(setup.folder.path().join("jwks.json")).unwrap());
    let token = encode(&Header::new(Algorithm::HS256), &setup.claims(), &secret).unwrap();
    assert_eq!(authenticator.check(&token).await, Err(Refusal::Algorithm));
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let none = format!("{}.{}.", part(&json!({"alg": "none", "typ": "JWT"})), part(&setup.claims()));
    assert_eq!(authenticator.check(&none).await, Err(Refusal::Algorithm));
}

#[tokio::test]
async fn another_key_is_refused_with_its_own_id_and_with_a_stolen_one() {
    let (setup, other) = (Setup::new(), Setup::new());
    let authenticator = setup.authenticator(TokenRules::default());
    let token = other.sign(&setup.claims());
    assert_eq!(authenticator.check(&token).await, Err(Refusal::UnknownKey));
    let header = setup.sign(&setup.claims()).split_once('.').unwrap().0.to_owned();
    let (_, rest) = token.split_once('.').unwrap();
    assert_eq!(authenticator.check(&format!("{header}.{rest}")).await, Err(Refusal::Signature));
}

#[tokio::test]
async fn changed_claims_are_refused() {
    let setup = Setup::new();
    let authenticator = setup.authenticator(TokenRules::default());
    let token = setup.sign(&setup.claims());
    let mut parts: Vec<&str> = token.split('.').collect();
    let changed = BASE64_URL_SAFE_NO_PAD.encode(with(setup.claims(), "sub", "bob".into()).to_string());
    parts[1] = &changed;
    assert_eq!(authenticator.check(&parts.join(".")).await, Err(Refusal::Signature));
}

#[tokio::test]
async fn issuer_and_audience_are_checked_where_configured() {
    let setup = Setup::new();
    let rules = TokenRules {
        issuer: Some("idp".to_owned()),
        audience: Some("rooms".to_owned()),
        ..TokenRules::default()
    };
    let authenticator = setup.authenticator(rules);
    let with_issuer = with(setup.claims(), "iss", "idp".into());
    let with_audience = with(setup.claims(), "aud", "rooms".into());
    let cases = [
        (with_audience.clone(), Some(Refusal::Issuer)),
        (with(with_audience, "iss", "other".into()), Some(Refusal::Issuer)),
        (with_issuer.clone(), Some(Refusal::Audience)),
        (with(with_issuer.clone(), "aud", "desks".into()), Some(Refusal::Audience)),
        (with(with_issuer, "aud", json!(["desks", "rooms"])), None),
    ];
    for (claims, expected) in cases {
        assert_eq!(authenticator.check(&setup.sign(&claims)).await.err(), expected, "{claims}");
    }
}

#[tokio::test]
async fn claims_of_the_wrong_type_and_unusable_names_are_refused() {
    let setup = Setup::new();
    let authenticator = setup.authenticator(TokenRules::default());
    let cases = [
        ("roles", json!(7), CLAIMS),
        ("roles", json!({"admin": true}), CLAIMS),
        ("roles", json!(["user", null]), CLAIMS),
        ("exp", json!("tomorrow"), CLAIMS),
        ("sub", json!(7), CLAIMS),
        ("sub", json!(""), Refusal::User),
        ("sub", json!("a\nb"), Refusal::User),
        ("sub", json!("x".repeat(201)), Refusal::User),
    ];
    for (name, value, expected) in cases {
        let token = setup.sign(&with(setup.claims(), name, value));
        assert_eq!(refused(&authenticator, &token).await, Some(expected), "{name}");
    }
}

#[tokio::test]
async fn roles_are_one_text_a_list_or_none() {
    let setup = Setup::new();
    let authenticator = setup.authenticator(TokenRules::default());
    for (roles, admin, service) in [
        (json!("admin"), true, false),
        (json!(["service", "admin"]), true, true),
        (json!([]), false, false),
        (Value::Null, false, false),
        (json!(""), false, false),
        (json!("admin service"), false, false),
        (json!("admin,service"), false, false),
    ] {
        let caller =
            authenticator.check(&setup.sign(&with(setup.claims(), "roles", roles.clone()))).await.unwrap();
        assert_eq!((caller.admin, caller.service), (admin, service), "{roles}");
    }
}

#[tokio::test]
async fn claims_have_the_names_that_the_issuer_gives_them() {
    let setup = Setup::new();
    let rules = |user: &str, roles: &str, email: &str| {
        let claims = ClaimNames {
            user: user.parse().unwrap(),
            roles: roles.parse().unwrap(),
            email: email.parse().unwrap(),
        };
        setup.authenticator(TokenRules { claims, ..TokenRules::default() })
    };
    let exp = setup.clock.now().timestamp() + 600;
    let keycloak = json!({
        "sub": "f81d4fae", "preferred_username": "ann", "realm_access": {"roles": ["admin", "offline_access"]},
        "scope": "openid service", "scp": ["eraser"], "https://rooms.example/roles": "eraser",
        "contact": {"mail": "ann@example.org"}, "email_verified": true, "exp": exp, "none": {"roles": null}, "n": 7
    });
    let token = setup.sign(&keycloak);
    for (roles, expected) in [
        ("realm_access.roles", [true, false, false]),
        ("scope", [false, true, false]),
        ("scp", [false, false, true]),
        ("https://rooms.example/roles", [false, false, true]),
        ("none.roles", [false; 3]),
        ("missing.roles", [false; 3]),
        ("none.roles.admin", [false; 3]),
    ] {
        let caller = rules("preferred_username", roles, "contact.mail").check(&token).await.unwrap();
        assert_eq!([caller.admin, caller.service, caller.eraser], expected, "{roles}");
        assert_eq!((caller.user.as_str(), caller.email.as_deref()), ("ann", Some("ann@example.org")));
    }
    for (user, roles, reason) in [
        ("missing", "roles", "the user"),
        ("n", "roles", "the user"),
        ("n.name", "roles", "the user"),
        ("realm_access", "roles", "the user"),
        ("sub", "n", "the roles"),
        ("sub", "n.roles", "the roles"),
        ("sub", "realm_access", "the roles"),
    ] {
        let refusal = rules(user, roles, "n.mail").check(&token).await.unwrap_err();
        assert!(refusal.to_string().contains(reason), "{user} {roles}: {refusal}");
    }
    for bad in ["", ".", "a.", ".a", "a..b"] {
        assert!(bad.parse::<ClaimPath>().is_err(), "{bad}");
    }
}

#[tokio::test]
async fn an_address_counts_if_the_issuer_says_outright_that_it_is_verified() {
    let setup = Setup::new();
    let authenticator = setup.authenticator(TokenRules::default());
    let address = json!("ann@example.org");
    for (email, verified, expected) in [
        (address.clone(), json!(true), Some("ann@example.org")),
        (address.clone(), json!(false), None),
        (address.clone(), json!("true"), None),
        (address.clone(), json!(1), None),
        (address, Value::Null, None),
        (json!(["ann@example.org"]), json!(true), None),
        (Value::Null, json!(true), None),
    ] {
        let claims = with(with(setup.claims(), "email", email), "email_verified", verified);
        let caller = authenticator.check(&setup.sign(&claims)).await.unwrap();
        assert_eq!(caller.email.as_deref(), expected, "{claims}");
    }
    let without = authenticator.check(&setup.sign(&setup.claims())).await.unwrap();
    assert_eq!(without.email, None);
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let setup = Setup::new();
    let authenticator = setup.authenticator(TokenRules::default());
    for text in ["", ".", "a.b.c", "....", &"x".repeat(100_000)] {
        assert!(authenticator.check(text).await.is_err());
    }
}

/// A token with any header and claims, signed with the key of the setup.
fn signed(setup: &Setup, header: &str, claims: &str) -> String {
    let pem = std::fs::read(setup.folder.path().join("signing-key.pem")).unwrap();
    let key = EncodingKey::from_ed_pem(&pem).unwrap();
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", part(header), part(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

#[tokio::test]
async fn a_header_that_must_be_understood_or_brings_its_own_key_is_refused() {
    let setup = Setup::new();
    let authenticator = setup.authenticator(TokenRules::default());
    let claims = setup.claims().to_string();
    let good = signed(&setup, r#"{"alg": "EdDSA"}"#, &claims);
    assert!(authenticator.check(&good).await.is_ok());
    for header in [
        r#"{"alg": "EdDSA", "crit": ["b64"], "b64": false}"#,
        r#"{"alg": "EdDSA", "crit": []}"#,
        r#"{"alg": "EdDSA", "alg": "none"}"#,
        r#"{"alg": ["EdDSA"]}"#,
        r#"{"kid": "a"}"#,
        r#"{"alg": "eddsa"}"#,
        "[]",
    ] {
        assert!(authenticator.check(&signed(&setup, header, &claims)).await.is_err(), "{header}");
    }
    // Signed by another one, who sends the fitting key along or says where it is.
    let other = Setup::new();
    let jwks: Value =
        serde_json::from_slice(&std::fs::read(other.folder.path().join("jwks.json")).unwrap()).unwrap();
    for header in [
        json!({"alg": "EdDSA", "jwk": jwks["keys"][0]}),
        json!({"alg": "EdDSA", "jku": "http://127.0.0.1:1/jwks.json"}),
        json!({"alg": "EdDSA", "x5u": "http://127.0.0.1:1/", "x5c": ["AAAA"]}),
    ] {
        let refusal = authenticator.check(&signed(&other, &header.to_string(), &claims)).await;
        assert_eq!(refusal, Err(Refusal::Signature), "{header}");
    }
}

#[tokio::test]
async fn claims_that_say_a_thing_twice_or_strangely_are_refused() {
    let setup = Setup::new();
    let authenticator = setup.authenticator(TokenRules::default());
    let exp = setup.clock.now().timestamp() + 600;
    for (claims, expected) in [
        (format!(r#"{{"sub": "ann", "exp": {exp}, "sub": "bob"}}"#), CLAIMS),
        (format!(r#"{{"sub": "ann", "exp": 1, "exp": {exp}}}"#), CLAIMS),
        (format!(r#"{{"sub": "ann", "exp": {exp}, "roles": [], "roles": ["admin"]}}"#), CLAIMS),
        (format!(r#"{{"sub": "ann", "exp": {exp}, "roles": {{"admin": true}}}}"#), CLAIMS),
        (format!(r#"{{"sub": "ann", "exp": {exp}, "roles": [["admin"]]}}"#), CLAIMS),
        (format!(r#"{{"sub": ["ann"], "exp": {exp}}}"#), CLAIMS),
        (r#"{"sub": "ann", "exp": 1e400}"#.to_owned(), CLAIMS),
        (r#"{"sub": "ann", "exp": NaN}"#.to_owned(), CLAIMS),
        (r#"{"sub": "ann", "exp": null}"#.to_owned(), CLAIMS),
        (format!(r#"{{"sub": "ann", "exp": {exp}, "a": {{"b": [{{"c": 1, "c": 1}}]}}}}"#), CLAIMS),
        (r#"{"sub": "ann", "exp": "1e308"}"#.to_owned(), CLAIMS),
        (r#"{"sub": "ann", "exp": -1e308}"#.to_owned(), CLAIMS),
        (format!(r#"{{"sub": "ann", "exp": {exp}, "nbf": 1e308}}"#), Refusal::NotYetValid),
        (format!(r#"{{"sub": "ann", "exp": {exp}, "nbf": "0"}}"#), CLAIMS),
        (format!("[\"ann\", {exp}]"), CLAIMS),
        ("7".to_owned(), CLAIMS),
    ] {
        let token = signed(&setup, r#"{"alg": "EdDSA"}"#, &claims);
        assert_eq!(refused(&authenticator, &token).await, Some(expected), "{claims}");
    }
}

#[tokio::test]
async fn roles_that_only_resemble_an_administrators_are_none() {
    let setup = Setup::new();
    let authenticator = setup.authenticator(TokenRules::default());
    let roles = json!(["Admin", "ADMIN", "admins", "admin,service", "adm\u{131}n", "", "service admin"]);
    let token = setup.sign(&with(setup.claims(), "roles", roles));
    let caller = authenticator.check(&token).await.unwrap();
    let (admin, service, eraser) = (caller.admin, caller.service, caller.eraser);
    assert_eq!((admin, service, eraser, caller.delegate), (false, false, false, false));
    assert_eq!(caller.roles.len(), 6, "rooms may be bookable by them");
}

#[tokio::test]
async fn a_remembered_token_is_refused_once_its_key_is_taken_out() {
    let (setup, other) = (Setup::new(), Setup::new());
    let authenticator = setup.authenticator(TokenRules::default());
    let token = setup.sign(&setup.claims());
    authenticator.check(&token).await.unwrap();
    assert!(authenticator.remembered(&token).is_some());
    std::fs::copy(other.folder.path().join("jwks.json"), setup.folder.path().join("jwks.json")).unwrap();
    authenticator.jwks().unwrap().read().await.unwrap();
    assert_eq!(authenticator.remembered(&token), None);
    assert_eq!(authenticator.check(&token).await, Err(Refusal::UnknownKey));
}

#[tokio::test]
async fn a_token_that_is_too_long_is_refused_unread() {
    let setup = Setup::new();
    let authenticator = setup.authenticator(TokenRules::default());
    let token = setup.sign(&with(setup.claims(), "padding", "x".repeat(MAX_TOKEN_BYTES).into()));
    assert_eq!(authenticator.check(&token).await, Err(Refusal::Malformed));
}
