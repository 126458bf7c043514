//! The keys of tokens: one signs, all that are in the ring verify.
//!
//! Keys are sorted by name. A name that begins with a moment (`20260131T093000Z`) is that of a key which signs from then on: so a
//! key can be given to every node before the first of them signs with it.
//! Must stay true: a token names its key; the name is a digest of the public key, so that two rings never disagree about it; a
//! ring is exchanged as a whole, under requests that go on.

use std::{
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use biscuit_auth::{Algorithm, Biscuit, KeyPair, PrivateKey, PublicKey, RootKeyProvider, UnverifiedBiscuit, error::Format};
use crm_kernel::{Error, Result};
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, macros::format_description};

use super::{
    attenuation::{MOST_BLOCKS, refused},
    claims::{Claims, IssuedToken, Limits},
};

/// A key that signs tokens.
pub struct TokenKey {
    pair: KeyPair,
}

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TokenKey(secret)")
    }
}

impl TokenKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self { pair: KeyPair::new_with_algorithm(Algorithm::Ed25519) }
    }

    /// From PKCS#8 PEM.
    ///
    /// # Errors
    /// `Internal` when the text is no such key.
    pub fn from_pem(text: &str) -> Result<Self> {
        let private = PrivateKey::from_pem(text).map_err(Error::internal)?;
        Ok(Self { pair: KeyPair::from(&private) })
    }

    /// As PKCS#8 PEM, to be kept secret.
    ///
    /// # Errors
    /// `Internal` when the key cannot be written.
    pub fn to_pem(&self) -> Result<String> {
        self.pair.to_private_key_pem().map(|pem| pem.to_string()).map_err(Error::internal)
    }

    /// What tokens call it: the beginning of a digest of its public half.
    #[must_use]
    pub fn id(&self) -> u32 {
        let digest = Sha256::digest(self.pair.public().to_bytes());
        digest.iter().take(4).fold(0, |id, byte| (id << 8) | u32::from(*byte))
    }

    /// The name of a file for it in a ring of files, when it is to sign after this time.
    ///
    /// # Errors
    /// `Internal` when that moment has no name, which takes thousands of years.
    pub fn file_name(&self, signs_after: Duration) -> Result<String> {
        Ok(format!("{}-{:08x}.pem", moment(OffsetDateTime::now_utc() + signs_after)?, self.id()))
    }
}

/// Which installation tokens belong to: one of a test system is none in production, even where a key was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment(Arc<str>);

impl Default for Environment {
    fn default() -> Self {
        Self("default".into())
    }
}

impl FromStr for Environment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        let fits = (1..=64).contains(&text.len()) && text.chars().all(plain);
        if fits { Ok(Self(text.into())) } else { Err("1 to 64 characters of a to z, 0 to 9 and -".to_owned()) }
    }
}

impl Environment {
    pub(super) fn name(&self) -> &str {
        &self.0
    }
}

/// The keys of one environment. Clones share them.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<RwLock<Vec<NamedKey>>>,
    environment: Environment,
}

struct NamedKey {
    name: String,
    id: u32,
    key: TokenKey,
}

/// What a key of a ring does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Signs new tokens, and verifies.
    Signs,
    /// Signed once; its tokens still count.
    Verifies,
    /// Will sign, and verifies already what other nodes sign with it.
    Waits,
}

/// A key of a ring, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKey {
    /// What tokens call it, in hexadecimal digits.
    pub id: String,
    /// Its name in the ring: that of its file.
    pub name: String,
    /// What it does now.
    pub state: KeyState,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("KeyRing").field("keys", &self.list()).field("environment", &self.environment).finish()
    }
}

impl From<TokenKey> for KeyRing {
    /// One key, in the default environment.
    fn from(key: TokenKey) -> Self {
        let only = NamedKey { name: String::new(), id: key.id(), key };
        Self { keys: Arc::new(RwLock::new(vec![only])), environment: Environment::default() }
    }
}

impl KeyRing {
    /// These keys, each with its name.
    ///
    /// # Errors
    /// `Internal` when there is none, or one is there twice.
    pub fn new(keys: Vec<(String, TokenKey)>, environment: Environment) -> Result<Self> {
        Ok(Self { keys: Arc::new(RwLock::new(sorted(keys)?)), environment })
    }

    /// Puts these keys in place of those that are there, for every clone of the ring.
    ///
    /// # Errors
    /// As [`KeyRing::new`]; the ring stays what it was.
    pub fn replace(&self, keys: Vec<(String, TokenKey)>) -> Result<()> {
        let keys = sorted(keys)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// What verifies the tokens of each key, oldest first: the 32 bytes of an Ed25519 key as hexadecimal digits. No secret.
    #[must_use]
    pub fn public_keys(&self) -> Vec<String> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().map(|key| key.key.pair.public().to_bytes_hex()).collect()
    }

    /// The keys, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<ListedKey> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let signing = signing(&keys);
        let listed = keys.iter().enumerate().map(|(place, key)| ListedKey {
            id: format!("{:08x}", key.id),
            name: key.name.clone(),
            state: match place.cmp(&signing) {
                std::cmp::Ordering::Less => KeyState::Verifies,
                std::cmp::Ordering::Equal => KeyState::Signs,
                std::cmp::Ordering::Greater => KeyState::Waits,
            },
        });
        listed.collect()
    }

    /// A token with these claims that lives this long.
    ///
    /// # Errors
    /// `Internal` when it cannot be signed.
    pub fn issue(&self, claims: &Claims, lifetime: Duration) -> Result<String> {
        self.issue_limited(claims, &Limits::default(), SystemTime::now() + lifetime).map(|issued| issued.token)
    }

    /// A token with these claims that can do no more than the limits say.
    ///
    /// # Errors
    /// `Internal` when it cannot be signed.
    pub fn issue_limited(&self, claims: &Claims, limits: &Limits, expiry: SystemTime) -> Result<IssuedToken> {
        let builder = claims.block(limits, &self.environment, expiry)?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let signing = keys.get(signing(&keys)).ok_or_else(|| Error::internal("there is no key"))?;
        let token = builder.root_key_id(signing.id).build(&signing.key.pair).map_err(Error::internal)?;
        IssuedToken::new(&token)
    }

    /// Reads a token that one of the keys has signed.
    pub(super) fn read(&self, token: &str) -> Result<Biscuit> {
        let invalid = || Error::unauthenticated("the token is not valid");
        let said = token;
        let token = UnverifiedBiscuit::from_base64(said).map_err(|_| invalid())?;
        // A token has one spelling: one that was written twice over reads the same, as bytes of this format do.
        let one_spelling = token.to_base64().map_err(|_| invalid())?;
        if one_spelling.trim_end_matches('=') != said.trim_end_matches('=') {
            return Err(invalid());
        }
        // Before the signatures are looked at: each block has one.
        if token.block_count() > 1 + MOST_BLOCKS {
            return Err(refused("there are more than 4 further blocks"));
        }
        token.verify(self).map_err(|_| invalid())
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }
}

impl RootKeyProvider for &KeyRing {
    fn choose(&self, id: Option<u32>) -> Result<PublicKey, Format> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let named = keys.iter().find(|key| Some(key.id) == id);
        named.map(|key| key.key.pair.public()).ok_or(Format::UnknownPublicKey)
    }
}

fn sorted(keys: Vec<(String, TokenKey)>) -> Result<Vec<NamedKey>> {
    let mut named: Vec<NamedKey> = keys.into_iter().map(|(name, key)| NamedKey { name, id: key.id(), key }).collect();
    named.sort_by(|left, right| left.name.cmp(&right.name));
    if named.is_empty() {
        return Err(Error::internal("there is no key"));
    }
    for (place, key) in named.iter().enumerate() {
        if let Some(same) = named.iter().skip(place + 1).find(|other| other.id == key.id) {
            return Err(Error::internal(format!("{} and {} are the same key", key.name, same.name)));
        }
    }
    Ok(named)
}

/// The place of the newest key whose time has come; the first one where none has.
fn signing(keys: &[NamedKey]) -> usize {
    // A moment without a name cannot be compared: no key waits then.
    let now = moment(OffsetDateTime::now_utc()).unwrap_or_else(|_| "~".to_owned());
    keys.iter().rposition(|key| begins(&key.name).is_none_or(|begin| begin <= now.as_str())).unwrap_or(0)
}

/// The moment that a name begins with.
fn begins(name: &str) -> Option<&str> {
    let begin = name.get(..MOMENT.len())?;
    let same_form = |(letter, form): (char, char)| if form == '0' { letter.is_ascii_digit() } else { letter == form };
    begin.chars().zip(MOMENT.chars()).all(same_form).then_some(begin)
}

const MOMENT: &str = "00000000T000000Z";

fn moment(moment: OffsetDateTime) -> Result<String> {
    let form = format_description!("[year][month][day]T[hour][minute][second]Z");
    moment.to_offset(time::UtcOffset::UTC).format(&form).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    fn states(names: &[&str]) -> Vec<(String, KeyState)> {
        let keys = names.iter().map(|name| ((*name).to_owned(), TokenKey::generate())).collect();
        let ring = KeyRing::new(keys, Environment::default()).unwrap();
        ring.list().into_iter().map(|key| (key.name, key.state)).collect()
    }

    #[test]
    fn the_newest_key_whose_time_has_come_signs() {
        let found = states(&["29990101T000000Z-later.pem", "20260101T000000Z-b.pem", "00000000T000000Z-first.pem"]);
        let expected = [
            ("00000000T000000Z-first.pem".to_owned(), KeyState::Verifies),
            ("20260101T000000Z-b.pem".to_owned(), KeyState::Signs),
            ("29990101T000000Z-later.pem".to_owned(), KeyState::Waits),
        ];
        assert_eq!(found, expected);
        assert_eq!(states(&["token-key.pem"]), [("token-key.pem".to_owned(), KeyState::Signs)]);
        assert_eq!(states(&["29990101T000000Z.pem"]), [("29990101T000000Z.pem".to_owned(), KeyState::Signs)]);
    }

    #[test]
    fn a_ring_has_keys_and_none_twice() {
        KeyRing::new(Vec::new(), Environment::default()).unwrap_err();
        let pem = TokenKey::generate().to_pem().unwrap();
        let twice = ["a", "b"].map(|name| (name.to_owned(), TokenKey::from_pem(&pem).unwrap()));
        KeyRing::new(twice.into(), Environment::default()).unwrap_err();
        let ring = KeyRing::from(TokenKey::generate());
        let before = ring.list();
        ring.replace(Vec::new()).unwrap_err();
        assert_eq!(ring.list(), before, "what cannot be read changes nothing");
    }

    #[test]
    fn a_file_is_named_after_the_moment_from_which_its_key_signs() {
        let key = TokenKey::generate();
        let (now, later) = (key.file_name(Duration::ZERO).unwrap(), key.file_name(Duration::from_secs(3600)).unwrap());
        assert!(now < later && begins(&now).is_some() && now.ends_with(&format!("-{:08x}.pem", key.id())), "{now} {later}");
    }

    #[test]
    fn names_of_environments_are_plain() {
        for good in ["default", "production-2", "a", &"x".repeat(64)] {
            good.parse::<Environment>().unwrap();
        }
        for bad in ["", "Production", "a b", "ä", "a_b", &"x".repeat(65)] {
            bad.parse::<Environment>().unwrap_err();
        }
    }
}
