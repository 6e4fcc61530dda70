//! Digests by which equal things are found again.

use sha2::{Digest, Sha256};

/// The first `N` bytes of SHA-256 over all parts, each after its length.
pub(crate) fn digest<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut first = [0; N];
    first.iter_mut().zip(hash.finalize()).for_each(|(byte, hashed)| *byte = hashed);
    first
}
