//! Who is asking: tokens and the documents of keys that they are checked with.

use hostile_input::{Witness, cases, hostile};
use service_kit::{
    auth::{Algorithms, Authenticator, Caller, TokenRules},
    clock::Clock,
    dev_key::DevKey,
    jwks::{Jwks, Source},
};
use shared_events::UserId;

fn algorithms() -> Algorithms {
    "EdDSA,ES256,RS256".parse().unwrap()
}

#[tokio::test]
async fn any_token_but_a_signed_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let key = DevKey::ensure(folder.path()).unwrap();
    let clock = Clock::system();
    let good = [key.token("ann", &["admin"], 1, &clock).unwrap(), key.token("bob", &[], 1, &clock).unwrap()];
    let jwks = Jwks::new(Source::File(folder.path().join("jwks.json")), algorithms(), None).unwrap();
    let authenticator = Authenticator::new(Some(jwks), TokenRules::default(), false, clock);
    let bytes = good.each_ref().map(|token| token.as_bytes());
    let mut accepted = 0;
    // A signature takes longer to check than all else that is read here.
    for number in 0..cases() / 10 {
        let input = hostile(&bytes, number);
        let _witness = Witness { decoder: "a token", number, input: &input };
        let token = String::from_utf8_lossy(&input);
        let outcome = authenticator.check(&token).await;
        // The last bits of base64 are refused where they are not zero, so there is one form of each token.
        assert_eq!(outcome.is_ok(), good.iter().any(|good| *good == token), "{outcome:?}");
        accepted += u64::from(outcome.is_ok());
    }
    assert!(accepted > 0, "the good ones are accepted");
}

#[test]
fn every_caller_is_a_user_of_the_contract_and_nobody_else_is() {
    let longest = "\u{1f3e8}".repeat(200);
    let mut callers = 0;
    for number in 0..cases() {
        let input = hostile(&["Zo\u{eb}".as_bytes(), longest.as_bytes()], number);
        let _witness = Witness { decoder: "a user's name", number, input: &input };
        let Ok(name) = std::str::from_utf8(&input) else { continue };
        let caller = Caller::new(name, []);
        assert_eq!(caller.is_ok(), UserId::new(name).is_ok());
        callers += u64::from(caller.is_ok());
    }
    assert!(callers > 0, "the good ones are callers");
}

#[tokio::test]
async fn any_document_of_keys_is_refused_or_gives_keys() {
    const DOCUMENT: &str = r#"{"keys": [
        {"kty": "OKP", "crv": "Ed25519", "kid": "a", "use": "sig", "alg": "EdDSA", "key_ops": ["verify"],
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty": "EC", "crv": "P-256", "kid": "b", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
        {"kty": "RSA", "kid": "c", "e": "AQAB", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86z"}
    ]}"#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let jwks = Jwks::new(Source::File(path.clone()), algorithms(), None).unwrap();
    let mut read = 0;
    // A file for each.
    for number in 0..cases() / 10 {
        let input = hostile(&[DOCUMENT.as_bytes()], number);
        let _witness = Witness { decoder: "a document of keys", number, input: &input };
        std::fs::write(&path, &input).unwrap();
        read += u64::from(jwks.read().await.is_ok());
    }
    assert!(read > 0, "the good one is read");
}
