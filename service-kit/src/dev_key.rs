//! Makes a signing key for development and signs tokens with it.
//!
//! In production an identity provider signs tokens, and `JWKS_URL` names its keys.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::json;

use crate::auth::{Caller, Refusal};
use crate::clock::Clock;
use crate::ids::new_id;

/// File name of the private key.
const KEY_FILE: &str = "signing-key.pem";
/// File name of the public key.
pub const JWKS_FILE: &str = "jwks.json";

/// The error of making or using the development key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file can't be read or written.
    #[error("can't read or write {0}")]
    File(PathBuf, #[source] io::Error),
    /// The private key's file holds something else.
    #[error("{0} is not an Ed25519 key in PKCS#8 form")]
    Key(PathBuf),
    /// The key can't be written or used.
    #[error("can't encode or sign: {0}")]
    Sign(String),
    /// The user's name is not usable.
    #[error("no token for this user")]
    User(#[from] Refusal),
}

/// Arguments of the subcommand that makes the key.
#[derive(Debug, Clone, clap::Args)]
pub struct DevKeyArgs {
    /// Folder of the key; made where it is missing.
    #[arg(long, env = "DEV_KEY_DIR", default_value = "dev-key")]
    pub dir: PathBuf,
}

/// Arguments of the subcommand that prints a token.
#[derive(Debug, Clone, clap::Args)]
pub struct TokenArgs {
    /// Name of the user.
    #[arg(long)]
    pub user: String,
    /// With the role of an administrator.
    #[arg(long)]
    pub admin: bool,
    /// With the role of a service, which may read the feed.
    #[arg(long)]
    pub service: bool,
    /// With the role of an eraser, which may erase persons.
    #[arg(long)]
    pub eraser: bool,
    /// With the role of a delegate, who may reserve for others.
    #[arg(long)]
    pub delegate: bool,
    /// Hours until the token expires.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=87_600))]
    pub hours: u32,
    /// The key.
    #[command(flatten)]
    pub key: DevKeyArgs,
}

impl TokenArgs {
    /// Signs the token. Makes the key where it is missing.
    ///
    /// # Errors
    /// If the key can't be read or made, or the user's name is refused.
    pub fn token(&self, clock: &Clock) -> Result<String, Error> {
        let roles = [
            (self.admin, "admin"),
            (self.service, "service"),
            (self.eraser, "eraser"),
            (self.delegate, "delegate"),
        ];
        let roles: Vec<&str> = roles.iter().filter(|(given, _)| *given).map(|(_, role)| *role).collect();
        DevKey::ensure(&self.key.dir)?.token(&self.user, &roles, self.hours, clock)
    }
}

/// The private key.
pub struct DevKey {
    id: String,
    key: EncodingKey,
}

impl std::fmt::Debug for DevKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl DevKey {
    /// Reads the key in `folder`. Makes it and its JWKS document where they are missing; concurrent processes get the same key.
    ///
    /// # Errors
    /// If files can't be read or written, or the key's file holds something else.
    pub fn ensure(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(KEY_FILE);
        fs::create_dir_all(folder).map_err(|error| Error::File(folder.to_owned(), error))?;
        if !path.exists() {
            let key = SigningKey::from_bytes(&rand::random());
            let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| Error::Sign(error.to_string()))?;
            place_once(&path, pem.as_bytes(), 0o600)?;
        }
        let pem = fs::read_to_string(&path).map_err(|error| Error::File(path.clone(), error))?;
        let key = SigningKey::from_pkcs8_pem(&pem).map_err(|_| Error::Key(path.clone()))?;
        let x = BASE64_URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes());
        // Half of the public key serves as a stable id.
        let id: String = x.chars().take(22).collect();
        let jwks = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": id, "x": x}
        ]});
        place_once(&folder.join(JWKS_FILE), format!("{jwks:#}\n").as_bytes(), 0o644)?;
        let key = EncodingKey::from_ed_pem(pem.as_bytes()).map_err(|error| Error::Sign(error.to_string()))?;
        Ok(Self { id, key })
    }

    /// A token for `user` with `roles` that expires after `hours`.
    ///
    /// # Errors
    /// If the user's name is refused, or the library can't sign.
    pub fn token(&self, user: &str, roles: &[&str], hours: u32, clock: &Clock) -> Result<String, Error> {
        let caller = Caller::new(user, roles.iter().copied())?;
        let now = clock.now().timestamp();
        let expires = now + i64::from(hours) * 3600;
        self.sign(&json!({"sub": caller.user, "roles": roles, "iat": now, "exp": expires}))
    }

    /// Signs any claims.
    ///
    /// # Errors
    /// If the library can't sign.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, Error> {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, claims, &self.key).map_err(|error| Error::Sign(error.to_string()))
    }
}

/// Writes a file as a whole, unless it exists.
fn place_once(path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt;
    if path.exists() {
        return Ok(());
    }
    let draft = path.with_extension(format!("{}.tmp", new_id()));
    let written =
        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
    // Unlike a rename, a link never replaces the file of another process.
    let placed = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    });
    let removed = fs::remove_file(&draft);
    placed.and(removed).map_err(|error| Error::File(path.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("made/on/the/way");
        let ids: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| DevKey::ensure(&folder).unwrap().id)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
        assert_eq!(fs::metadata(folder.join(KEY_FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        let files = fs::read_dir(&folder).unwrap().count();
        assert_eq!(files, 2, "no drafts are left");
        let jwks = fs::read_to_string(folder.join(JWKS_FILE)).unwrap();
        assert!(jwks.contains(&ids[0]) && !jwks.contains("\"d\""), "{jwks}");
    }

    #[test]
    fn a_file_that_holds_no_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(KEY_FILE), "nonsense").unwrap();
        assert!(matches!(DevKey::ensure(folder.path()), Err(Error::Key(_))));
    }

    #[test]
    fn a_token_needs_a_usable_name() {
        let folder = tempfile::tempdir().unwrap();
        let key = DevKey::ensure(folder.path()).unwrap();
        assert!(key.token("", &[], 1, &Clock::system()).is_err());
        assert!(key.token("ann", &["admin"], 1, &Clock::system()).is_ok());
    }
}
