//! Secrets of the links in letters: derived when the link's row is written, and again when its letter is.
//!
//! Does not live here: the keys (`sealing`), the queue of letters, and the rows that the links open.
//! Must stay true: the database gets the hash of a secret and never the secret; a secret belongs to one purpose and one id, so the
//! secret of an invitation resets no password.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use crm_kernel::{Error, Result};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::sealing::SealingKeys;

/// Characters of a secret: 256 bits as base64 without padding.
const SECRET_LENGTH: usize = 43;

/// The secret that belongs to an id for one purpose, and the hash under which it is stored. A fast hash is right: there is nothing
/// to guess.
///
/// # Errors
/// `Internal` when it cannot be derived.
pub(crate) fn link_secret(keys: &SealingKeys, purpose: &str, id: Uuid) -> Result<(String, Vec<u8>)> {
    let derived = keys.derive(purpose, id)?;
    let secret = derived.first().ok_or_else(|| Error::internal("there is no key"))?;
    let text = URL_SAFE_NO_PAD.encode(secret);
    let hash = Sha256::digest(&text).to_vec();
    Ok((text, hash))
}

/// The token that a link carries: the id of its row, and the secret that proves that its letter was received.
///
/// # Errors
/// `Internal` when the secret cannot be derived.
pub fn link_token(keys: &SealingKeys, purpose: &str, id: Uuid) -> Result<String> {
    let (secret, _) = link_secret(keys, purpose, id)?;
    Ok(format!("{}.{secret}", id.simple()))
}

/// The id of a token's row, and the hash that its secret must have; `None` for text that no link ever carried.
pub(crate) fn parse_link_token(token: &str) -> Option<(Uuid, Vec<u8>)> {
    let (id, secret) = token.split_once('.')?;
    // One spelling alone, so that a token is the same text wherever it is compared.
    let id = Uuid::try_parse(id).ok().filter(|parsed| parsed.simple().to_string() == id)?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (secret.len() == SECRET_LENGTH && secret.bytes().all(known)).then(|| (id, Sha256::digest(secret).to_vec()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn a_token_opens_the_row_that_it_was_made_for() {
        let keys = SealingKeys::generate().unwrap();
        let id = Uuid::now_v7();
        let (secret, hash) = link_secret(&keys, "reset_password", id).unwrap();
        let token = link_token(&keys, "reset_password", id).unwrap();
        assert_eq!(token, format!("{}.{secret}", id.simple()));
        assert_eq!(parse_link_token(&token), Some((id, hash)));
    }

    #[test]
    fn a_secret_belongs_to_its_purpose_id_and_key() {
        let keys = SealingKeys::generate().unwrap();
        let (id, other) = (Uuid::now_v7(), Uuid::now_v7());
        let secret = link_secret(&keys, "invitation", id).unwrap();
        assert_eq!(secret, link_secret(&keys, "invitation", id).unwrap(), "the letter gets the secret that the row knows");
        assert_ne!(secret, link_secret(&keys, "reset_password", id).unwrap());
        assert_ne!(secret, link_secret(&keys, "invitation", other).unwrap());
        assert_ne!(secret, link_secret(&SealingKeys::generate().unwrap(), "invitation", id).unwrap());
    }

    #[test]
    fn what_no_link_carried_is_no_token() {
        let keys = SealingKeys::generate().unwrap();
        let id = Uuid::now_v7();
        let token = link_token(&keys, "invitation", id).unwrap();
        let (_, secret) = token.split_once('.').unwrap();
        let changed = [
            String::new(),
            ".".into(),
            id.simple().to_string(),
            format!("{}.", id.simple()),
            format!(".{secret}"),
            format!("{id}.{secret}"),
            format!("{}.{secret}", id.simple().to_string().to_uppercase()),
            format!("{token}="),
            format!("{token}.{secret}"),
            format!(" {token}"),
            format!("{}.{}", id.simple(), secret.replace(|_: char| true, "é")),
            token.chars().take(token.len() - 1).collect(),
        ];
        for text in changed {
            assert_eq!(parse_link_token(&text), None, "{text:?}");
        }
    }
}
