//! Signatures and secrets of the Standard Webhooks specification.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use shared_events::Timestamp;
use std::{fmt, time::Duration};

use super::delivery::later;

/// How long the secret before a rotation signs too.
const OLD_SECRET_SIGNS: Duration = Duration::from_hours(24);

/// The key of a subscription's signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; Secret::BYTES]);

/// Shows nothing of the key.
impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

impl Secret {
    const BYTES: usize = 32;
    const PREFIX: &'static str = "whsec_";

    /// A new random secret.
    #[must_use]
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// The form in which receivers get it: `whsec_` and base64.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{}{}", Self::PREFIX, STANDARD.encode(self.0))
    }

    /// The secret of a text that [`Secret::reveal`] made.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(Self::PREFIX)?).ok()?;
        bytes.try_into().ok().map(Self)
    }

    fn sign(&self, id: &str, seconds: i64, body: &str) -> String {
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(format!("{id}.{seconds}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The present secret, and the one before it while that still signs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Secrets {
    /// Signs all messages.
    pub current: Secret,
    /// Signs beside it until this time.
    pub old: Option<(Secret, Timestamp)>,
}

impl Secrets {
    /// The first secret of a subscription.
    #[must_use]
    pub fn new() -> Self {
        Self { current: Secret::random(), old: None }
    }

    /// A new secret beside the present one. The one before that signs no longer.
    #[must_use]
    pub fn rotated(self, now: Timestamp) -> Self {
        Self { current: Secret::random(), old: Some((self.current, later(now, OLD_SECRET_SIGNS))) }
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, now: Timestamp, body: &str) -> String {
        let seconds = now.epoch_millis().div_euclid(1000);
        let mut signatures = self.current.sign(id, seconds, body);
        if let Some((old, until)) = &self.old
            && now < *until
        {
            signatures.push(' ');
            signatures.push_str(&old.sign(id, seconds, body));
        }
        signatures
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_signed_as_by_the_public_library_for_python() {
        let secret = Secret::read("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let secrets = Secrets { current: secret, old: None };
        let id = "0198c4f2-6a10-7c3e-9b61-0f2d3a4b5c6d:8:0198d3a7-1c44-7d20-a5f3-00003f97571e";
        let signature = secrets.sign(
            id,
            Timestamp::from_epoch_millis(1_800_000_000_999),
            "{\"type\":\"notifications.test\"}",
        );
        // `standardwebhooks` 1.1.0 made it.
        assert_eq!(signature, "v1,WJX53okvB8ZanRfNvbNS9Efm7jDP551d9HTBrzAtgfA=");
    }

    #[test]
    fn both_secrets_sign_for_a_day_after_a_rotation_and_then_the_new_one_alone() {
        let at = |hours: i64| Timestamp::from_epoch_millis(1_800_000_000_000 + hours * 3_600_000);
        let first = Secrets::new();
        let rotated = first.clone().rotated(at(0));
        let signed = |secrets: &Secrets, hours| secrets.sign("a:1:b", at(hours), "{}");
        let both = signed(&rotated, 23);
        assert_eq!(both.split(' ').count(), 2);
        assert_eq!(both.split(' ').nth(1).unwrap(), signed(&first, 23));
        assert_eq!(signed(&rotated, 24).split(' ').count(), 1);
        let again = rotated.clone().rotated(at(1));
        assert!(!signed(&again, 2).contains(&signed(&first, 2)), "two rotations leave the first secret out");
    }

    #[test]
    fn a_secret_is_read_back_as_it_was_shown_and_prints_nothing() {
        let secret = Secret::random();
        assert!(secret.reveal().starts_with("whsec_"));
        assert_eq!(Secret::read(&secret.reveal()), Some(secret.clone()));
        assert_eq!(format!("{secret:?}"), "Secret");
        for wrong in ["", "whsec_", "whsec_AAAA", &secret.reveal()[1..]] {
            assert_eq!(Secret::read(wrong), None, "{wrong}");
        }
    }
}
