//! Addresses and secrets are stored encrypted, by a key that is not in the database.

use std::{fmt, str::FromStr, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use uuid::Uuid;

/// The keys of stored secrets. The first one seals; all open. Without a key, nothing is sealed or opened.
#[derive(Clone, Default)]
pub struct Keys(Arc<Vec<LessSafeKey>>);

/// Shows nothing of the keys.
impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Keys")
    }
}

impl FromStr for Keys {
    type Err = &'static str;

    /// Reads keys of 32 bytes in base64, separated by commas.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let key = |text: &str| {
            let bytes = STANDARD.decode(text.trim()).ok()?;
            UnboundKey::new(&AES_256_GCM, &bytes).ok().map(LessSafeKey::new)
        };
        let keys: Option<Vec<_>> = text.split(',').map(key).collect();
        keys.map(|keys| Self(Arc::new(keys))).ok_or("must be keys of 32 bytes in base64, separated by commas")
    }
}

impl Keys {
    /// Encrypts the text for one document: another can't open it.
    pub(super) fn seal(&self, of: Uuid, text: &str) -> Option<Vec<u8>> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = text.as_bytes().to_vec();
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        self.0.first()?.seal_in_place_append_tag(nonce_used, Aad::from(of.as_bytes()), &mut sealed).ok()?;
        Some([nonce.as_slice(), &sealed].concat())
    }

    /// The text of a document.
    pub(super) fn open(&self, of: Uuid, sealed: &[u8]) -> Option<String> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        self.0.iter().find_map(|key| {
            let (nonce, mut text) = (Nonce::assume_unique_for_key(*nonce), sealed.to_vec());
            let text = key.open_in_place(nonce, Aad::from(of.as_bytes()), &mut text).ok()?;
            String::from_utf8(text.to_vec()).ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> String {
        STANDARD.encode([byte; 32])
    }

    #[test]
    fn a_text_is_opened_by_its_key_for_its_document_alone_and_an_older_key_still_opens() {
        let old: Keys = key(1).parse().unwrap();
        let (id, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let sealed = old.seal(id, "whsec_x").unwrap();
        assert!(!sealed.windows(5).any(|part| part == b"whsec"));
        assert_ne!(old.seal(id, "whsec_x").unwrap(), sealed, "each has a nonce of its own");
        let both: Keys = format!("{}, {}", key(2), key(1)).parse().unwrap();
        for keys in [&old, &both] {
            assert_eq!(keys.open(id, &sealed).as_deref(), Some("whsec_x"));
            assert_eq!(keys.open(other, &sealed), None);
        }
        let new: Keys = key(2).parse().unwrap();
        assert_eq!(new.open(id, &sealed), None);
        assert_eq!(new.open(id, &both.seal(id, "b").unwrap()).as_deref(), Some("b"));
        let mut changed = sealed;
        changed[20] ^= 1;
        assert_eq!(old.open(id, &changed), None);
        assert_eq!(old.open(id, &[0; 5]), None);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "x", "AAAA", &format!("{},", key(1))] {
            assert!(text.parse::<Keys>().is_err(), "{text}");
        }
    }
}
