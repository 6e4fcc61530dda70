use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn jwks(text: &str) -> (tempfile::TempDir, Jwks) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    std::fs::write(&path, text).unwrap();
    let jwks = Jwks::new(Source::File(path), "EdDSA,ES256".parse().unwrap(), None).unwrap();
    (folder, jwks)
}

const KEYS: &str = r#"{"keys": [
    {"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty": "OKP", "crv": "Ed25519", "kid": "enc", "use": "enc", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"},
    {"kty": "OKP", "crv": "Ed25519", "kid": "lies", "alg": "ES256", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty": "of tomorrow", "kid": "t"}
]}"#;

#[tokio::test]
async fn only_signing_keys_of_accepted_algorithms_are_used() {
    let (_folder, jwks) = jwks(KEYS);
    jwks.read().await.unwrap();
    assert!(jwks.find(Some("a"), Algorithm::EdDSA).await.is_ok());
    assert!(jwks.find(None, Algorithm::EdDSA).await.is_ok());
    assert_eq!(jwks.find(Some("a"), Algorithm::ES256).await.err(), Some(Refusal::Algorithm));
    for id in ["enc", "shared", "lies", "t", "nobody"] {
        assert_eq!(jwks.find(Some(id), Algorithm::EdDSA).await.err(), Some(Refusal::UnknownKey), "{id}");
    }
}

#[tokio::test]
async fn unknown_keys_make_the_document_be_read_again_but_seldom() {
    let (folder, jwks) = jwks(KEYS);
    assert!(jwks.find(Some("a"), Algorithm::EdDSA).await.is_ok(), "read at the first miss");
    std::fs::write(folder.path().join("jwks.json"), KEYS.replace("\"a\"", "\"b\"")).unwrap();
    assert_eq!(jwks.find(Some("b"), Algorithm::EdDSA).await.err(), Some(Refusal::UnknownKey));
    *jwks.0.last_read.lock().await = Instant::now().checked_sub(MISS_PAUSE);
    assert!(jwks.find(Some("b"), Algorithm::EdDSA).await.is_ok());
    assert_eq!(jwks.generation(), 2);
}

#[tokio::test]
async fn keys_stay_when_the_document_is_lost_or_broken() {
    let (folder, jwks) = jwks(KEYS);
    jwks.read().await.unwrap();
    let path = folder.path().join("jwks.json");
    for text in ["", "{\"keys\": 7}", "[]"] {
        std::fs::write(&path, text).unwrap();
        assert!(jwks.read().await.is_err());
    }
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(jwks.read().await, Err(Error::File(..))));
    assert!(jwks.find(Some("a"), Algorithm::EdDSA).await.is_ok());
}

#[tokio::test]
async fn a_document_without_keys_takes_all_keys_away() {
    let (folder, jwks) = jwks(KEYS);
    jwks.read().await.unwrap();
    std::fs::write(folder.path().join("jwks.json"), "{\"keys\": []}").unwrap();
    assert!(matches!(jwks.read().await, Err(Error::NoKey)));
    assert_eq!(jwks.find(Some("a"), Algorithm::EdDSA).await.err(), Some(Refusal::UnknownKey));
    assert_eq!(jwks.generation(), 2, "what was remembered under the old keys is forgotten");
}

#[tokio::test]
async fn of_keys_with_one_id_that_of_the_tokens_algorithm_is_taken() {
    let ec = r#"{"kty": "EC", "crv": "P-256", "kid": "a",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    let both = KEYS.replacen("[", &format!("[{ec},"), 1);
    let (_folder, jwks) = jwks(&both);
    jwks.read().await.unwrap();
    assert!(jwks.find(Some("a"), Algorithm::EdDSA).await.is_ok());
    assert!(jwks.find(Some("a"), Algorithm::ES256).await.is_ok());
    assert_eq!(jwks.find(Some("a"), Algorithm::RS256).await.err(), Some(Refusal::Algorithm));
}

/// Answers every connection with these bytes, and tells how many there were.
fn answering(bytes: Vec<u8>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            let (mut stream, bytes) = (stream.unwrap(), bytes.clone());
            let _ = stream.read(&mut [0; 4096]);
            // The other side may hang up before it has read everything.
            let _ = stream.write_all(&bytes);
        }
    });
    (url, asked)
}

async fn fetched(answer: Vec<u8>) -> Result<(), Error> {
    let jwks = Jwks::new(Source::Url(answering(answer).0), "EdDSA".parse().unwrap(), None).unwrap();
    jwks.read().await
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}

#[tokio::test]
async fn keys_are_fetched_from_a_url() {
    fetched(ok(KEYS)).await.unwrap();
}

#[tokio::test]
async fn a_redirect_to_other_keys_is_not_followed() {
    let (elsewhere, asked) = answering(ok(KEYS));
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\n\r\n");
    assert!(matches!(fetched(redirect.into_bytes()).await, Err(Error::Status(StatusCode::FOUND))));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_document_without_end_is_cut_off() {
    let mut endless = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    endless.resize(MAX_BYTES * 8, b' ');
    assert!(matches!(fetched(endless).await, Err(Error::TooLarge)));
}

#[tokio::test]
async fn tokens_with_unknown_keys_ask_the_url_once() {
    let (url, asked) = answering(ok(KEYS));
    let jwks = Jwks::new(Source::Url(url), "EdDSA".parse().unwrap(), None).unwrap();
    let strangers = (0..50).map(|n| {
        let jwks = jwks.clone();
        async move { jwks.find(Some(&format!("stranger-{n}")), Algorithm::EdDSA).await.err() }
    });
    let refused = futures_util::future::join_all(strangers).await;
    assert!(refused.iter().all(|refusal| *refusal == Some(Refusal::UnknownKey)), "{refused:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
