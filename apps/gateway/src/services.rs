//! What the handlers call: every service behind its trait, and what is needed to read a token.

use std::sync::Arc;

use crm_activities::{Activities, PgActivities};
use crm_campaigns::{CampaignContacts, Campaigns, PgCampaignContacts, PgCampaigns};
use crm_companies::{Companies, PgCompanies};
use crm_contacts::{Contacts, PgContacts};
use crm_deals::{Deals, ExchangeRates, PgDeals, PgExchangeRates, PgPipelines, PgProducts, Pipelines, Products};
use crm_kernel::Result;
use crm_notes::{Notes, PgNotes};
use crm_projects::{PgProjects, Projects};
use crm_tasks::{PgTasks, Tasks};
use crm_tenancy::{
    CustomFieldDefinitions, Db, Identity, Members, Organizations, PgCustomFieldDefinitions, PgIdentity, PgMembers,
    PgOrganizations, PgTeams, Teams,
    identity::{
        IdentityOptions,
        accounts::{AccountOptions, Accounts, PgAccounts},
        api_tokens::{ApiTokens, PgApiTokens},
        external::{ExternalIdentities, ExternalTokens, PgExternalIdentities},
        invitations::{Invitations, PgInvitations},
        second_factor::{PgSecondFactors, SecondFactors},
        service_users::{PgServiceUsers, ServiceUsers},
        sessions::{PgSessions, Sessions},
    },
    sealing::SealingKeys,
    token::{KeyRing, Policy},
};

use tokio::sync::Notify;

use crate::{
    address::TrustedProxies,
    limits::Limits,
    metrics::Metrics,
    policy,
    server::{Front, Readiness},
};

/// The keys that services need.
#[derive(Debug)]
pub struct Secrets {
    /// Sign and verify tokens.
    pub token_keys: KeyRing,
    /// Seal what is kept secret.
    pub sealing_keys: SealingKeys,
}

/// What configuration says to services.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Sign-up and mail.
    pub accounts: AccountOptions,
    /// Told whenever a letter waits.
    pub letters_queued: Arc<Notify>,
    /// Whose tokens are exchanged for sessions.
    pub external_tokens: Arc<ExternalTokens>,
}

/// Every service of the gateway. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// For readiness.
    pub db: Db,
    /// Who someone is.
    pub identity: Arc<dyn Identity>,
    /// Signing up, passwords, addresses.
    pub accounts: Arc<dyn Accounts>,
    /// Tokens of programs.
    pub api_tokens: Arc<dyn ApiTokens>,
    /// Members that are programs.
    pub service_users: Arc<dyn ServiceUsers>,
    /// Identities at external providers.
    pub external_identities: Arc<dyn ExternalIdentities>,
    /// Who is asked in.
    pub invitations: Arc<dyn Invitations>,
    /// Where someone is logged in.
    pub sessions: Arc<dyn Sessions>,
    /// What someone proves oneself with beside the password.
    pub second_factors: Arc<dyn SecondFactors>,
    /// Who belongs to the organisation.
    pub members: Arc<dyn Members>,
    /// The organisation itself.
    pub organizations: Arc<dyn Organizations>,
    /// Teams of the organisation.
    pub teams: Arc<dyn Teams>,
    /// Companies.
    pub companies: Arc<dyn Companies>,
    /// Contacts.
    pub contacts: Arc<dyn Contacts>,
    /// Deals.
    pub deals: Arc<dyn Deals>,
    /// What deals consist of.
    pub products: Arc<dyn Products>,
    /// What other currencies are worth.
    pub exchange_rates: Arc<dyn ExchangeRates>,
    /// Projects.
    pub projects: Arc<dyn Projects>,
    /// Notes.
    pub notes: Arc<dyn Notes>,
    /// Tasks.
    pub tasks: Arc<dyn Tasks>,
    /// Campaigns.
    pub campaigns: Arc<dyn Campaigns>,
    /// Members of campaigns.
    pub campaign_contacts: Arc<dyn CampaignContacts>,
    /// Pipelines and what stands in them.
    pub pipelines: Arc<dyn Pipelines>,
    /// What the organisation defines beside the fields of its records.
    pub custom_fields: Arc<dyn CustomFieldDefinitions>,
    /// The log.
    pub activities: Arc<dyn Activities>,
    /// The table of roles.
    pub policy: Policy,
    /// Verify tokens.
    pub token_keys: KeyRing,
    /// Whose word about a client's address counts; nobody's unless it is said.
    pub trusted_proxies: TrustedProxies,
    /// How much is too much; nothing is, unless it is said.
    pub limits: Limits,
    /// What is counted for those who watch over it.
    pub metrics: Metrics,
    /// What clients meet before any route.
    pub front: Front,
    /// Whether new requests should come here.
    pub readiness: Readiness,
}

impl std::fmt::Debug for Services {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Services").field("db", &self.db).finish_non_exhaustive()
    }
}

impl Services {
    /// All of them on one database, as they are when configuration says nothing.
    ///
    /// # Errors
    /// `Internal` when the policy does not compile.
    pub fn new(db: &Db, secrets: Secrets) -> Result<Self> {
        Self::with(db, secrets, Settings::default())
    }

    /// All of them on one database.
    ///
    /// # Errors
    /// `Internal` when the policy does not compile.
    pub fn with(db: &Db, secrets: Secrets, settings: Settings) -> Result<Self> {
        let Secrets { token_keys, sealing_keys } = secrets;
        let Settings { accounts, letters_queued, external_tokens } = settings;
        let identity = PgIdentity::new(db.clone(), token_keys.clone(), sealing_keys.clone(), IdentityOptions::default());
        let identity = Arc::new(identity.announcing(Arc::clone(&letters_queued)));
        Ok(Self {
            db: db.clone(),
            external_identities: Arc::new(PgExternalIdentities::new(
                db.clone(),
                Arc::clone(&identity),
                Arc::clone(&external_tokens),
            )),
            invitations: Arc::new(PgInvitations::new(
                db.clone(),
                Arc::clone(&identity),
                sealing_keys.clone(),
                external_tokens,
                Arc::clone(&letters_queued),
            )),
            accounts: Arc::new(PgAccounts::new(
                db.clone(),
                Arc::clone(&identity),
                sealing_keys.clone(),
                accounts,
                Arc::clone(&letters_queued),
            )),
            identity,
            api_tokens: Arc::new(PgApiTokens::new(db.clone(), token_keys.clone())),
            service_users: Arc::new(PgServiceUsers::new(db.clone())),
            sessions: Arc::new(PgSessions::new(db.clone())),
            second_factors: Arc::new(PgSecondFactors::new(db.clone(), sealing_keys, letters_queued)),
            members: Arc::new(PgMembers::new(db.clone())),
            organizations: Arc::new(PgOrganizations::new(db.clone())),
            teams: Arc::new(PgTeams::new(db.clone())),
            companies: Arc::new(PgCompanies::new(db.clone())),
            contacts: Arc::new(PgContacts::new(db.clone())),
            products: Arc::new(PgProducts::new(db.clone())),
            exchange_rates: Arc::new(PgExchangeRates::new(db.clone())),
            deals: Arc::new(PgDeals::new(db.clone())),
            projects: Arc::new(PgProjects::new(db.clone())),
            notes: Arc::new(PgNotes::new(db.clone())),
            tasks: Arc::new(PgTasks::new(db.clone())),
            campaigns: Arc::new(PgCampaigns::new(db.clone())),
            campaign_contacts: Arc::new(PgCampaignContacts::new(db.clone())),
            pipelines: Arc::new(PgPipelines::new(db.clone())),
            custom_fields: Arc::new(PgCustomFieldDefinitions::new(db.clone())),
            activities: Arc::new(PgActivities::new(db.clone())),
            policy: policy::compile()?,
            token_keys,
            trusted_proxies: TrustedProxies::default(),
            limits: Limits::default(),
            metrics: Metrics::default(),
            front: Front::default(),
            readiness: Readiness::default(),
        })
    }
}
