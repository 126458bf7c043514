//! Sealing keys: for what must be kept secret and yet be read again, and for secrets that are derived instead of stored.
//!
//! A second factor's seed is sealed with them before the database sees it; a link's secret is derived from them, so that a stolen
//! copy of the database opens nothing. They are not the keys that sign tokens: those are replaced often, and what is sealed stays.
//! Must stay true: the first key seals, every key opens; a sealed value says which key it needs; nothing here is ever printed.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest, hkdf,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use crm_kernel::{Error, Result};
use uuid::Uuid;

/// Bytes of a key, and of a derived secret.
const KEY_BYTES: usize = 32;
/// Bytes in front of a sealed value that name its key.
const NAME_BYTES: usize = 4;

/// The keys, newest first.
#[derive(Clone)]
pub struct SealingKeys {
    keys: Vec<[u8; KEY_BYTES]>,
}

impl std::fmt::Debug for SealingKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SealingKeys({} secret)", self.keys.len())
    }
}

impl SealingKeys {
    /// One new key.
    ///
    /// # Errors
    /// `Internal` when the system gives no random numbers.
    pub fn generate() -> Result<Self> {
        let mut key = [0_u8; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|error| Error::internal(error.to_string()))?;
        Ok(Self { keys: vec![key] })
    }

    /// From text: a key on each line, base64 of 32 bytes, newest first; empty lines do not count.
    ///
    /// # Errors
    /// `Internal` when a line is no key or there is none.
    pub fn from_text(text: &str) -> Result<Self> {
        let key = |line: &str| -> Result<[u8; KEY_BYTES]> {
            let bytes = STANDARD.decode(line).map_err(|_| Error::internal("a line is not base64"))?;
            bytes.try_into().map_err(|_| Error::internal("a key has 32 bytes"))
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let keys = lines.map(key).collect::<Result<Vec<_>>>()?;
        if keys.is_empty() { Err(Error::internal("there is no key")) } else { Ok(Self { keys }) }
    }

    /// As text, to be kept secret.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.keys.iter().map(|key| STANDARD.encode(key) + "\n").collect()
    }

    /// Seals a value for one purpose and one owner; [`SealingKeys::open`] needs both again, so a sealed value cannot be moved to
    /// another row.
    ///
    /// # Errors
    /// `Internal` when it cannot be sealed.
    pub fn seal(&self, purpose: &str, owner: Uuid, value: &[u8]) -> Result<Vec<u8>> {
        let key = self.keys.first().ok_or_else(|| Error::internal("there is no key"))?;
        let sealing = sealing_key(key, purpose)?;
        let mut sealed = value.to_vec();
        let nonce = sealing.seal_in_place_append_tag(Aad::from(owner.as_bytes()), &mut sealed).map_err(Error::internal)?;
        Ok([name(key).as_slice(), nonce.as_ref(), &sealed].concat())
    }

    /// The value that was sealed.
    ///
    /// # Errors
    /// `Internal` when it was sealed for another purpose or owner, with a key that is gone, or was changed.
    pub fn open(&self, purpose: &str, owner: Uuid, sealed: &[u8]) -> Result<Vec<u8>> {
        let broken = || Error::internal(format!("a sealed value ({purpose}) cannot be opened"));
        let (wanted, rest) = sealed.split_at_checked(NAME_BYTES).ok_or_else(broken)?;
        let (nonce, rest) = rest.split_at_checked(NONCE_LEN).ok_or_else(broken)?;
        let key = self.keys.iter().find(|key| name(key) == wanted).ok_or_else(broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let mut value = rest.to_vec();
        let opened = sealing_key(key, purpose)?.open_in_place(nonce, Aad::from(owner.as_bytes()), &mut value);
        opened.map(|value| value.to_vec()).map_err(|_| broken())
    }

    /// The secrets that belong to an id, one for each key, newest first: whoever makes one takes the first; whoever checks one
    /// compares a stored hash, and needs none of them.
    ///
    /// # Errors
    /// `Internal` when it cannot be derived.
    pub fn derive(&self, purpose: &str, id: Uuid) -> Result<Vec<[u8; KEY_BYTES]>> {
        self.keys.iter().map(|key| expand(key, &[b"derive", purpose.as_bytes(), id.as_bytes()])).collect()
    }
}

fn sealing_key(key: &[u8; KEY_BYTES], purpose: &str) -> Result<RandomizedNonceKey> {
    let key = expand(key, &[b"seal", purpose.as_bytes()])?;
    RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(Error::internal)
}

fn expand(key: &[u8; KEY_BYTES], context: &[&[u8]]) -> Result<[u8; KEY_BYTES]> {
    let mut expanded = [0_u8; KEY_BYTES];
    let pseudorandom = hkdf::Salt::new(hkdf::HKDF_SHA256, b"ascendore-crm").extract(key);
    // Lengths in front, so that no two contexts read the same when put together.
    let lengths: Vec<u8> = context.iter().flat_map(|part| (part.len() as u64).to_be_bytes()).collect();
    let mut information: Vec<&[u8]> = vec![&lengths];
    information.extend(context);
    let output = pseudorandom.expand(&information, hkdf::HKDF_SHA256).map_err(Error::internal)?;
    output.fill(&mut expanded).map_err(Error::internal)?;
    Ok(expanded)
}

fn name(key: &[u8; KEY_BYTES]) -> [u8; NAME_BYTES] {
    let hash = digest::digest(&digest::SHA256, key);
    let mut name = [0_u8; NAME_BYTES];
    name.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    name
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_owner_alone() {
        let keys = SealingKeys::generate().unwrap();
        let (owner, other) = (Uuid::now_v7(), Uuid::now_v7());
        let sealed = keys.seal("seed", owner, b"secret").unwrap();
        assert_eq!(keys.open("seed", owner, &sealed).unwrap(), b"secret");
        assert_ne!(sealed, keys.seal("seed", owner, b"secret").unwrap(), "never twice the same");
        keys.open("seed", other, &sealed).unwrap_err();
        keys.open("letter", owner, &sealed).unwrap_err();
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        keys.open("seed", owner, &changed).unwrap_err();
        for length in 0..sealed.len() {
            keys.open("seed", owner, sealed.get(..length).unwrap()).unwrap_err();
        }
    }

    #[test]
    fn a_new_key_in_front_leaves_what_was_sealed_readable() {
        let old = SealingKeys::generate().unwrap();
        let new = SealingKeys::generate().unwrap();
        let owner = Uuid::now_v7();
        let sealed = old.seal("seed", owner, b"secret").unwrap();
        let both = SealingKeys::from_text(&(new.to_text() + &old.to_text())).unwrap();
        assert_eq!(both.open("seed", owner, &sealed).unwrap(), b"secret");
        assert_eq!(new.open("seed", owner, &both.seal("seed", owner, b"later").unwrap()).unwrap(), b"later");
        new.open("seed", owner, &sealed).unwrap_err();
        let (by_both, by_old) = (both.derive("letter", owner).unwrap(), old.derive("letter", owner).unwrap());
        assert_eq!(by_both.last(), by_old.first());
        assert_ne!(by_both.first(), by_old.first());
        assert_ne!(old.derive("letter", Uuid::now_v7()).unwrap(), by_old);
    }

    #[test]
    fn text_that_is_no_key_is_refused() {
        for text in ["", "\n", "c2hvcnQ=", "not base64!"] {
            SealingKeys::from_text(text).unwrap_err();
        }
    }
}
