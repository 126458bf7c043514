//! People at the door: a tenant, the identity services on its database, and what a login gives. Several tests stand here.
#![allow(dead_code, reason = "each test program uses only a part of this")]

use std::{net::IpAddr, sync::Arc, time::Duration};

use crm_kernel::{Context, Result};
use crm_tenancy::{
    Db, Identity, PgIdentity,
    identity::{
        Credentials, IdentityOptions, Origin, Tokens,
        second_factor::{EnrollmentRequest, FirstCodeRequest, PgSecondFactors, SecondFactors},
        sessions::PgSessions,
    },
    sealing::SealingKeys,
    token::{KeyRing, Policy, Proof, TokenKey, Use},
};
use crm_testkit::{PASSWORD, Tenant, TestDatabase};
use tokio::{sync::Notify, time::timeout};
use totp_rs::{Algorithm, Secret, TOTP};

pub struct Entrance {
    pub database: TestDatabase,
    pub tenant: Tenant,
    pub db: Db,
    pub keys: SealingKeys,
    pub identity: PgIdentity,
    pub sessions: PgSessions,
    pub second_factors: PgSecondFactors,
    token_keys: KeyRing,
    letters_queued: Arc<Notify>,
}

impl Entrance {
    pub async fn open() -> Self {
        let database = TestDatabase::create().await;
        let letters_queued = Arc::new(Notify::new());
        let (tenant, db, token_keys) = (database.tenant("Acme").await, database.db(), KeyRing::from(TokenKey::generate()));
        let keys = SealingKeys::generate().unwrap();
        let identity = PgIdentity::new(db.clone(), token_keys.clone(), keys.clone(), IdentityOptions::default());
        let identity = identity.announcing(Arc::clone(&letters_queued));
        let (sessions, second_factors) =
            (PgSessions::new(db.clone()), PgSecondFactors::new(db.clone(), keys.clone(), Arc::clone(&letters_queued)));
        Self { database, tenant, db, keys, identity, sessions, second_factors, token_keys, letters_queued }
    }

    pub fn credentials(&self, who: &str) -> Credentials {
        Credentials { email: self.tenant.email(who), password: PASSWORD.to_owned(), ..Credentials::default() }
    }

    pub async fn login(&self, who: &str) -> Tokens {
        self.identity.login(&self.credentials(who), &Origin::default()).await.expect("the right password opens")
    }

    pub async fn enter(&self, who: &str) -> Context {
        self.context(&self.login(who).await)
    }

    /// The context that the gateway makes of an access token.
    pub fn context(&self, tokens: &Tokens) -> Context {
        let policy = Policy::new("allow if true").unwrap();
        let wanted = Use { operation: "test", entity: "test", access: "read", resource: None };
        let decision = policy.decide(&tokens.access_token, &self.token_keys, &wanted).expect("our own token is valid");
        let claims = decision.claims;
        let Proof::Session(session) = claims.proof else { panic!("a login gives a session") };
        Context { session_id: Some(session), ..Context::new(claims.organization_id, claims.user_id, claims.role) }
    }

    pub async fn with_password(&self, email: &str, password: &str, origin: &Origin) -> Result<Tokens> {
        let credentials = Credentials { email: email.into(), password: password.into(), ..Credentials::default() };
        self.identity.login(&credentials, origin).await
    }

    /// Turns a second factor on and gives its authenticator and recovery codes.
    pub async fn enable(&self, context: &Context) -> (Authenticator, Vec<String>) {
        let shown = self.second_factors.enroll(context, &with_password(PASSWORD)).await.expect("a seed");
        let authenticator = Authenticator::new(&shown.seed);
        let code = FirstCodeRequest { code: authenticator.first() };
        let codes = self.second_factors.confirm(context, &code).await.expect("the code of the seed confirms it");
        (authenticator, codes.recovery_codes)
    }

    /// What was refused, as the log of this person's organisations has it: `type entity`, in the order of their writing. Waits for as many
    /// as are wanted, since the door writes beside its answer.
    pub async fn refusals(&self, user: crm_kernel::UserId, wanted: usize) -> Vec<String> {
        let query = format!(
            "SELECT activity_type || ' ' || entity_type FROM crm_activities
              WHERE entity_id = '{user}' AND activity_type IN ('login_refused', 'proof_refused') ORDER BY seq"
        );
        crm_testkit::waiting::until("the refusals are in the log", async || self.database.texts(&query).await.len() >= wanted)
            .await;
        self.database.texts(&query).await
    }

    /// Whether whoever sends letters has been told of one since this was last asked.
    pub async fn was_announced(&self) -> bool {
        timeout(Duration::from_millis(20), self.letters_queued.notified()).await.is_ok()
    }

    /// As if the code that was used had been used long ago: a test does not wait for the next half minute.
    pub async fn let_time_pass(&self) {
        self.database.execute("UPDATE identity.second_factors SET last_step = 0").await;
    }
}

/// What shows codes to a person.
pub struct Authenticator {
    totp: TOTP,
    first: String,
}

impl Authenticator {
    pub fn new(seed: &str) -> Self {
        let seed = Secret::Encoded(seed.to_owned()).to_bytes().expect("base32");
        assert_eq!(seed.len(), 20, "160 bits");
        let totp = TOTP::new(Algorithm::SHA1, 6, 0, 30, seed, None, "test".into()).unwrap();
        let first = totp.generate(now());
        Self { totp, first }
    }

    /// The code that it showed first. Once it has been used it is of no use for ever, whatever the half minute is by then.
    pub fn first(&self) -> String {
        self.first.clone()
    }

    /// The code of the step that is so many later than now.
    pub fn code(&self, later: i64) -> String {
        self.totp.generate(now().checked_add_signed(later * 30).unwrap())
    }

    /// None that counts now.
    pub fn wrong(&self) -> String {
        let right: Vec<String> = (-3..=3).map(|later| self.code(later)).collect();
        (0..).map(|number: u32| format!("{number:06}")).find(|code| !right.contains(code)).unwrap()
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// What beginning a second factor takes of who has this password.
pub fn with_password(password: &str) -> EnrollmentRequest {
    EnrollmentRequest { password: Some(password.to_owned()) }
}

/// From this address.
pub fn from(ip: &str) -> Origin {
    Origin { ip: Some(ip.parse::<IpAddr>().unwrap()), user_agent: Some("test".into()), ..Origin::default() }
}

/// An address of its own for each number.
pub fn elsewhere(number: u32) -> Origin {
    let [_, b, c, d] = number.to_be_bytes();
    from(&format!("10.{b}.{c}.{d}"))
}
