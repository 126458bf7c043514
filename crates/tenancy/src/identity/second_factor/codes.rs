//! The arithmetic of codes: what a seed's code is at a time, what a recovery code looks like. No database, no clock.
//!
//! Must stay true: SHA-1, six digits, thirty seconds, as every authenticator has them; a code counts one step before and after its
//! own, and which step it was of is told, so that it can be used up.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use crm_kernel::{Error, Result};
use sha2::{Digest, Sha256};
use totp_rs::{Algorithm, Secret, TOTP};

const DIGITS: usize = 6;
const STEP_SECONDS: i64 = 30;
/// Steps around now that count: clocks differ, and people type slowly.
const SKEW: i64 = 1;
/// Bytes of a seed: the length that RFC 4226 recommends.
const SEED_BYTES: usize = 20;
/// Bytes of a recovery code: too many to guess, whatever the hash.
const RECOVERY_BYTES: usize = 15;
/// Characters of a recovery code in base32.
const RECOVERY_LETTERS: usize = 24;
/// How many recovery codes there are.
const RECOVERY_CODES: usize = 10;
/// Who shows up in the authenticator.
const ISSUER: &str = "Ascendore CRM";

/// A code, as the database can use it up: one of the two, or neither when it is wrong beyond doubt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::identity) struct Given {
    /// The time step that it is the code of.
    pub step: Option<i64>,
    /// The hash of a recovery code, which may or may not be one of this person's.
    pub recovery: Option<Vec<u8>>,
}

impl Given {
    /// Whether it is wrong beyond doubt.
    pub fn is_wrong(&self) -> bool {
        self.step.is_none() && self.recovery.is_none()
    }
}

/// A new seed.
pub(super) fn new_seed() -> Result<Vec<u8>> {
    random::<SEED_BYTES>().map(|seed| seed.to_vec())
}

/// The seed as text and as an address for authenticators.
pub(super) fn shown(seed: &[u8], email: &str) -> Result<(String, String)> {
    // The address has a colon between issuer and account, and may have no other.
    let account = email.replace(':', "_");
    let (issuer, period) = (Some(ISSUER.to_owned()), STEP_SECONDS.unsigned_abs());
    let totp = TOTP::new(Algorithm::SHA1, DIGITS, 1, period, seed.to_vec(), issuer, account);
    let totp = totp.map_err(|error| Error::internal(error.to_string()))?;
    Ok((totp.get_secret_base32(), totp.get_url()))
}

/// What this text is at this time (seconds since 1970), for a person with this seed.
pub(super) fn judge(seed: &[u8], text: &str, now: i64) -> Result<Given> {
    let plain: String = text.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').collect();
    if plain.len() == DIGITS && plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Given { step: step_of(seed, &plain, now)?, recovery: None });
    }
    let is_recovery = plain.len() == RECOVERY_LETTERS && plain.is_ascii();
    Ok(Given { step: None, recovery: is_recovery.then(|| recovery_hash(&plain)) })
}

fn step_of(seed: &[u8], code: &str, now: i64) -> Result<Option<i64>> {
    let current = now.div_euclid(STEP_SECONDS);
    let (issuer, period) = (Some(ISSUER.to_owned()), STEP_SECONDS.unsigned_abs());
    let totp = TOTP::new(Algorithm::SHA1, DIGITS, 0, period, seed.to_vec(), issuer, String::new());
    let totp = totp.map_err(|error| Error::internal(error.to_string()))?;
    let mut found = None;
    for step in current - SKEW..=current + SKEW {
        let right = totp.generate((step * STEP_SECONDS).unsigned_abs());
        if verify_slices_are_equal(right.as_bytes(), code.as_bytes()).is_ok() {
            found = Some(step);
        }
    }
    Ok(found)
}

/// New recovery codes, and the hashes under which they are stored. A fast hash is right: there is nothing to guess.
pub(super) fn new_recovery_codes() -> Result<(Vec<String>, Vec<Vec<u8>>)> {
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    let mut hashes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let Secret::Encoded(plain) = Secret::Raw(random::<RECOVERY_BYTES>()?.to_vec()).to_encoded() else {
            return Err(Error::internal("base32 cannot be written"));
        };
        hashes.push(recovery_hash(&plain));
        let groups: Vec<String> = plain.as_bytes().chunks(4).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
        codes.push(groups.join("-"));
    }
    Ok((codes, hashes))
}

fn recovery_hash(plain: &str) -> Vec<u8> {
    Sha256::digest(plain.to_ascii_uppercase()).to_vec()
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES]> {
    let mut random = [0_u8; BYTES];
    getrandom::fill(&mut random).map_err(|error| Error::internal(error.to_string()))?;
    Ok(random)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    /// The seed of RFC 6238, appendix B, and the last six digits of its codes.
    const SEED: &[u8] = b"12345678901234567890";
    const VECTORS: [(i64, &str); 5] = [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
    ];

    #[test]
    fn codes_are_those_of_the_standard() {
        for (time, code) in VECTORS {
            assert_eq!(judge(SEED, code, time).unwrap().step, Some(time / 30), "{time}");
        }
    }

    #[test]
    fn a_code_counts_one_step_before_and_after_its_own_to_the_second() {
        let (time, code) = (1_111_111_111_i64, "050471");
        let first = time / 30 * 30;
        for (now, counts) in
            [(first - 31, false), (first - 30, true), (first, true), (first + 29, true), (first + 59, true), (first + 60, false)]
        {
            assert_eq!(judge(SEED, code, now).unwrap().step.is_some(), counts, "{}", now - first);
        }
    }

    #[test]
    fn codes_are_read_as_people_write_them_and_nothing_else_is_one() {
        assert!(judge(SEED, " 050 471 ", 1_111_111_111).unwrap().step.is_some());
        for wrong in ["050472", "05047", "0504711", "", "٠٥٠٤٧١", "no code"] {
            assert!(judge(SEED, wrong, 1_111_111_111).unwrap().is_wrong(), "{wrong}");
        }
        let (codes, hashes) = new_recovery_codes().unwrap();
        assert_eq!((codes.len(), hashes.len()), (10, 10));
        for (code, hash) in codes.iter().zip(hashes) {
            assert_eq!(judge(SEED, &code.to_lowercase().replace('-', " "), 0).unwrap().recovery, Some(hash));
        }
    }

    #[test]
    fn an_authenticator_is_told_all_it_needs() {
        let (text, uri) = shown(SEED, "some:one@example.com").unwrap();
        assert_eq!(text, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert!(uri.starts_with("otpauth://totp/Ascendore%20CRM:some_one%40example.com?"), "{uri}");
        assert!(uri.contains(&format!("secret={text}")) && uri.contains("issuer=Ascendore%20CRM"), "{uri}");
    }
}
