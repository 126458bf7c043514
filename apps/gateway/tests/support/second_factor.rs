//! A person with an authenticator.

use crm_testkit::PASSWORD;
use serde_json::json;
use totp_rs::{Algorithm, Secret, TOTP};

use super::Caller;

/// Where the second factor lives.
pub const FACTOR: &str = "/api/v1/auth/second-factor";

/// What shows codes, and the codes on paper.
pub struct Authenticator {
    totp: TOTP,
    pub recovery_codes: Vec<String>,
}

impl Authenticator {
    fn new(seed: &str) -> Self {
        let seed = Secret::Encoded(seed.to_owned()).to_bytes().unwrap();
        let totp = TOTP::new(Algorithm::SHA1, 6, 0, 30, seed, None, "test".into()).unwrap();
        Self { totp, recovery_codes: Vec::new() }
    }

    /// The code of the step that is so many later than now.
    pub fn code(&self, later: u64) -> String {
        self.totp.generate(now() + later * 30)
    }

    /// None that counts now.
    pub fn wrong(&self) -> String {
        let right: Vec<String> = (0..5).map(|later| self.totp.generate(now() - 60 + later * 30)).collect();
        (0..).map(|number: u32| format!("{number:06}")).find(|code| !right.contains(code)).unwrap()
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// Begins, and waits for the first code.
pub async fn enroll(caller: &Caller) -> Authenticator {
    let answer = caller.post(FACTOR, &json!({ "password": PASSWORD })).await.expect(200);
    Authenticator::new(answer.body["seed"].as_str().unwrap())
}

/// Turns it on.
pub async fn enable(caller: &Caller) -> Authenticator {
    let authenticator = enroll(caller).await;
    let answer = caller.post(&format!("{FACTOR}/confirm"), &json!({ "code": authenticator.code(0) })).await.expect(200);
    let codes = answer.body["recovery_codes"].as_array().unwrap().iter();
    let recovery_codes = codes.map(|code| code.as_str().unwrap().to_owned()).collect();
    Authenticator { recovery_codes, ..authenticator }
}
