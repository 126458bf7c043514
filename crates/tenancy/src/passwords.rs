//! Passwords: argon2id, off the runtime's threads, few at a time.
//!
//! Must stay true: a thousand logins at once must not starve other requests, so hashing waits for a permit; an unknown
//! account costs the same time as a wrong password.

use std::sync::LazyLock;

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version,
    password_hash::{SaltString, rand_core::OsRng},
};
use crm_kernel::{Error, Result};
use tokio::sync::Semaphore;

/// Memory in KiB, passes and lanes: the first recommendation of OWASP's Password Storage Cheat Sheet for argon2id.
const PARAMETERS: (u32, u32, u32) = (19 * 1024, 2, 1);

/// How many hashes are computed at once. Each takes 19 MiB and one core.
static PERMITS: Semaphore = Semaphore::const_new(2);

/// How many may wait for that, those at work included. Whoever comes then is told to come back: an unbounded queue would make everyone
/// wait behind an attacker.
static QUEUE: Semaphore = Semaphore::const_new(64);

/// What an unknown account is compared with; made once, of a random password that nobody knows.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).ok()?;
    hash_now(&random).ok()
});

/// The hash to store, as a PHC string.
///
/// # Errors
/// `Limited` when too many wait already; `Internal` when hashing fails.
pub async fn hash(password: String) -> Result<String> {
    off_thread(move || hash_now(password.as_bytes())).await
}

/// Whether the password belongs to the hash; `None` for an unknown account, which takes as long and is never right.
///
/// # Errors
/// `Limited` when too many wait already; `Internal` when hashing fails.
pub async fn verify(password: String, stored: Option<String>) -> Result<bool> {
    off_thread(move || {
        let known = stored.is_some();
        let Some(stored) = stored.or_else(|| NOBODY.clone()) else { return Ok(false) };
        let parsed = PasswordHash::new(&stored).map_err(|error| Error::internal(error.to_string()))?;
        let matches = argon2()?.verify_password(password.as_bytes(), &parsed).is_ok();
        Ok(matches && known)
    })
    .await
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let _place = QUEUE.try_acquire().map_err(|_| Error::Limited { retry_after_seconds: 2 })?;
    let _permit = PERMITS.acquire().await.map_err(Error::internal)?;
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

fn hash_now(password: &[u8]) -> Result<String> {
    let salt = SaltString::generate(&mut OsRng);
    let hash = argon2()?.hash_password(password, &salt).map_err(|error| Error::internal(error.to_string()))?;
    Ok(hash.to_string())
}

fn argon2() -> Result<Argon2<'static>> {
    let (memory, passes, lanes) = PARAMETERS;
    let parameters = Params::new(memory, passes, lanes, None).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}
