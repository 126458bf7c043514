//! A request with which nothing is wrong, for every operation of the document.
//!
//! The document says what a request looks like; here is what it cannot say: what must be in the database first. A new operation needs
//! a line here only when its address names a kind of thing that is new ([`THINGS`], [`World::thing`]), when its body must name
//! something that is there ([`World::good_body`]), or when no good request can be made ([`REFUSED`]).

use crm_kernel::{Context, Role};
use serde_json::{Value, json};

use super::{
    App, Call, Caller,
    document::{Operation, example},
    letters::external_token,
    second_factor,
    world::{NOUNS, World},
};

/// Every kind of thing with an id that an address, a filter or a body may name.
pub const THINGS: &[&str] = &[
    "companies",
    "contacts",
    "deals",
    "projects",
    "tasks",
    "notes",
    "campaigns",
    "activities",
    "pipelines",
    "products",
    "exchange-rates",
    "organizations",
    "members",
    "teams",
    "sessions",
    "tokens",
    "service-users",
    "invitations",
    "identities",
    "custom-fields",
];

/// Operations that refuse even a good request of someone who may, with the status they do it with, and why.
pub const REFUSED: &[(&str, u16, &str)] = &[
    ("DELETE /api/v1/organizations/current", 400, "the slug must be said, and then nothing is left to ask"),
    ("DELETE /api/v1/a-crm/campaigns/{id}/contacts", 400, "the query must say whom: tests/campaigns.rs"),
];

/// Someone of the world, and how they call.
#[derive(Clone)]
pub struct Person {
    pub caller: Caller,
    pub context: Context,
    pub email: String,
}

impl World {
    /// One of the people who are there from the beginning.
    pub fn person(&self, role: &str) -> Person {
        let tenant = &self.tenant;
        let context = match role {
            "owner" => &tenant.owner,
            "admin" => &tenant.admin,
            "member" => &tenant.member,
            _ => &tenant.viewer,
        };
        Person { caller: self.caller(role).clone(), context: context.clone(), email: tenant.email(role) }
    }

    /// Someone new of this role: what they end, change or lose is nobody else's.
    pub async fn newcomer(&self, app: &App, role: Role, label: &str) -> Person {
        let email = format!("{label}@newcomers.example.com");
        let context = app.database.add_member(self.tenant.organization_id, &email, role).await;
        Person { caller: app.login(&email).await, context, email }
    }

    /// The request by this person with which nothing is wrong but, perhaps, who calls. `label` must not have been used before.
    pub async fn request(&self, app: &App, operation: &Operation, person: &Person, label: &str) -> Call {
        let id = match operation.thing() {
            Some(kind) => self.thing(app, kind, person, label).await,
            None if operation.is_about_an_external_id() => label.to_owned(),
            None => String::new(),
        };
        self.known_elsewhere(operation, &id, label).await;
        self.request_at(app, operation, person, &operation.at(&id), label).await
    }

    /// Sees to it that a record of the member's has the name that the address has.
    pub async fn known_elsewhere(&self, operation: &Operation, id: &str, label: &str) {
        // Giving a name is the one thing that needs none.
        if !operation.is_about_an_external_id() || (operation.has_id() && operation.method == "PUT") {
            return;
        }
        let noun = operation.collection().unwrap_or_default();
        let record = if operation.has_id() { id.to_owned() } else { self.fresh(noun, label).await };
        self.owner().call("PUT", &format!("{noun}/{record}/external-ids/elsewhere/{id}")).send().await.expect(204);
    }

    /// The same at this address.
    pub async fn request_at(&self, app: &App, operation: &Operation, person: &Person, address: &str, label: &str) -> Call {
        let call = person.caller.call(&operation.method, address);
        match operation.body_schema() {
            None => call,
            Some("BulkRequest") => {
                let noun = operation.collection().unwrap_or_default();
                let new = NOUNS.iter().find(|(name, _)| *name == noun).map(|(_, schema)| example(schema, label));
                call.json(&json!({ "operations": [{ "op": "create", "data": new }] }))
            }
            Some("ProjectOfDeal") => {
                self.win(app, address.trim_end_matches("/projects")).await;
                call.json(&json!({}))
            }
            Some(schema) => call.json(&self.good_body(app, schema, person, label).await),
        }
    }

    /// Sees to it that the deal at this address is won and became no project yet, if it is one of ours.
    async fn win(&self, app: &App, deal: &str) {
        let id = deal.rsplit('/').next().unwrap_or_default();
        let Ok(id) = id.parse::<uuid::Uuid>() else { return };
        let organization = self.tenant.organization_id;
        let gone =
            format!("UPDATE crm_projects SET deleted_at = now() WHERE organization_id = '{organization}' AND deal_id = '{id}'");
        app.database.execute(&format!("{gone} AND deleted_at IS NULL")).await;
        self.owner().call("PUT", &format!("{deal}/stage")).json(&json!({ "stage": "closed_won" })).send().await;
    }

    /// Makes a contact with the id of this campaign a member of it: one id is enough for the address of a member.
    async fn join(&self, app: &App, campaign: &str) {
        let organization = self.tenant.organization_id;
        let joined = format!(
            "INSERT INTO crm_contacts (organization_id, id, first_name, last_name) VALUES ('{organization}', '{campaign}', 'Ada', 'Member');
             INSERT INTO crm_campaign_contacts (organization_id, campaign_id, contact_id)
             VALUES ('{organization}', '{campaign}', '{campaign}')"
        );
        app.database.execute(&joined).await;
    }

    /// A body of this schema that names only what is there.
    async fn good_body(&self, app: &App, schema: &str, person: &Person, label: &str) -> Value {
        match schema {
            "Credentials" => json!({ "email": person.email, "password": crm_testkit::PASSWORD }),
            "RefreshRequest" => json!({ "refresh_token": app.login(&person.email).await.refresh_token }),
            "EnrollmentRequest" | "UnlinkRequest" => json!({ "password": crm_testkit::PASSWORD }),
            // By a login of its own: the caller's token may be none with which that can be done.
            "FirstCodeRequest" => {
                let whole = app.login(&person.email).await;
                let code = second_factor::enroll(&whole).await.code(0);
                // It waits for a code of the login that began it.
                let callers = format!(
                    "UPDATE identity.second_factors AS factor
                        SET pending_login = (SELECT login_id FROM identity.sessions AS session
                                              WHERE session.user_id = factor.user_id AND ended_at IS NULL ORDER BY id LIMIT 1)
                      WHERE user_id = '{}'",
                    person.context.user_id
                );
                app.database.execute(&callers).await;
                json!({ "code": code })
            }
            "CodeRequest" => {
                json!({ "code": enabled_elsewhere(app, person).await.recovery_codes[0] })
            }
            "TurnOffRequest" => {
                json!({ "code": enabled_elsewhere(app, person).await.code(1), "password": crm_testkit::PASSWORD })
            }
            "SwitchRequest" => {
                json!({ "organization_id": self.tenant.organization_id, "refresh_token": person.caller.refresh_token })
            }
            "RegistrationConfirmation" => {
                let email = format!("{label}@nowhere.example.com");
                app.nobody().post("/api/v1/auth/register", &example("Registration", label)).await.expect(202);
                let password = example("Registration", label)["password"].clone();
                json!({ "token": app.letter_token("confirm_registration", &email).await, "password": password })
            }
            "PasswordChange" => json!({ "current_password": crm_testkit::PASSWORD, "new_password": "a password of my own" }),
            "PasswordReset" => {
                let email = json!({ "email": person.email });
                app.nobody().post("/api/v1/auth/password/forgot", &email).await.expect(202);
                let token = app.letter_token("reset_password", &person.email).await;
                json!({ "token": token, "password": "a password of my own" })
            }
            "LinkToken" => {
                let email = format!("{label}@elsewhere.example.com");
                let change = json!({ "email": email, "current_password": crm_testkit::PASSWORD });
                let person = app.login(&person.email).await;
                person.post("/api/v1/auth/email", &change).await.expect(202);
                json!({ "token": app.letter_token("confirm_email", &email).await })
            }
            "ExchangeRequest" => json!({ "token": app.linked(person.context.user_id, label).await }),
            "LinkRequest" => json!({ "token": external_token(label), "password": crm_testkit::PASSWORD }),
            "InvitationTokenRequest" => json!({ "token": app.invited_elsewhere(&person.email, label).await }),
            "JoinRequest" => {
                let token = app.invited_elsewhere(&person.email, label).await;
                json!({ "token": token, "refresh_token": person.caller.refresh_token })
            }
            "AcceptRequest" => {
                let token = app.invited_elsewhere(&format!("{}@invited.example.com", uuid::Uuid::now_v7().simple()), label).await;
                json!({ "token": token, "full_name": label, "password": crm_testkit::PASSWORD })
            }
            "NewInvitation" => {
                json!({ "email": format!("{}@invited.example.com", uuid::Uuid::now_v7().simple()), "role": "viewer" })
            }
            "MemberChanges" => json!({ "title": label }),
            "NewApiToken" => json!({ "name": label, "password": crm_testkit::PASSWORD }),
            "NewCustomField" => {
                self.keep_notes(app).await;
                json!({ "entity": "deal", "key": machine_name(label), "label": label, "field_type": "text" })
            }
            "CustomFieldChanges" => json!({ "label": label }),
            "ConversionRequest" => json!({ "field_type": "long_text" }),
            "ReassignRequest" => json!({ "to": self.tenant.colleague.user_id }),
            "ContactCompaniesRequest" => {
                json!({ "data": [{ "company_id": self.fresh("companies", label).await, "role": "adviser" }] })
            }
            "DealContactsRequest" => {
                json!({ "data": [{ "contact_id": self.fresh("contacts", label).await, "role": label }] })
            }
            "NewPipeline" => {
                self.forget_old_pipelines(app).await;
                json!({ "name": label })
            }
            "PipelineChanges" => json!({ "name": label }),
            schema => example(schema, label),
        }
    }

    /// The id of a thing of this kind that this person, if anybody, may use up.
    pub async fn thing(&self, app: &App, kind: &str, person: &Person, label: &str) -> String {
        let (organization, user) = (self.tenant.organization_id, person.context.user_id);
        let found = async |query: String| app.database.texts(&query).await.remove(0);
        match kind {
            "companies" | "contacts" | "deals" | "projects" | "tasks" | "notes" => self.fresh(kind, label).await,
            "campaigns" => {
                let id = self.fresh(kind, label).await;
                self.join(app, &id).await;
                id
            }
            "activities" => {
                let query = "SELECT id FROM crm_activities WHERE entity_type = 'company'";
                found(format!("{query} AND organization_id = '{organization}' LIMIT 1")).await
            }
            "pipelines" => {
                self.forget_old_pipelines(app).await;
                self.owner().post("pipelines", &json!({ "name": label })).await.expect(201).id()
            }
            "exchange-rates" => {
                let id = uuid::Uuid::now_v7();
                let values = format!("'{organization}', '{id}', 'CHF', date '1900-01-01' + (random() * 30000)::integer, 1.1");
                let columns = "organization_id, id, currency, valid_on, rate";
                app.database.execute(&format!("INSERT INTO crm_exchange_rates ({columns}) VALUES ({values})")).await;
                id.to_string()
            }
            "products" => self.owner().post("products", &example("NewProduct", label)).await.expect(201).id(),
            "organizations" => organization.to_string(),
            "members" => {
                let email = format!("{label}@members.example.com");
                app.database.add_member(organization, &email, Role::Viewer).await.user_id.to_string()
            }
            "teams" => {
                let team = example("NewTeam", label);
                self.owner().post("/api/v1/organizations/current/teams", &team).await.expect(201).id()
            }
            "sessions" => {
                app.login(&person.email).await;
                found(format!("SELECT id FROM identity.sessions WHERE user_id = '{user}' ORDER BY created_at DESC LIMIT 1")).await
            }
            "tokens" => {
                let columns = "organization_id, id, user_id, name, token_hash, created_by_id, expires_at";
                let id = uuid::Uuid::now_v7();
                let values =
                    format!("'{organization}', '{id}', '{user}', '{label}', sha256('{id}'), '{user}', now() + interval '1 day'");
                app.database.execute(&format!("INSERT INTO identity.api_tokens ({columns}) VALUES ({values})")).await;
                id.to_string()
            }
            "service-users" => {
                let body = json!({ "name": label, "role": "member" });
                self.owner().post("/api/v1/organizations/current/service-users", &body).await.expect(201).id()
            }
            "invitations" => {
                let body = json!({ "email": format!("{}@invited.example.com", uuid::Uuid::now_v7().simple()), "role": "viewer" });
                self.owner().post("/api/v1/organizations/current/invitations", &body).await.expect(201).id()
            }
            "identities" => {
                app.linked(user, label).await;
                found(format!("SELECT id FROM identity.external_identities WHERE subject = '{label}'")).await
            }
            "custom-fields" => {
                self.keep_notes(app).await;
                let columns = "organization_id, entity, key, label, field_type";
                let key = machine_name(label);
                let insert = format!(
                    "INSERT INTO crm_custom_fields ({columns}) VALUES ('{organization}', 'deal', '{key}', '{label}', 'text')"
                );
                app.database.execute(&insert).await;
                found(format!("SELECT id FROM crm_custom_fields WHERE organization_id = '{organization}' AND key = '{key}'"))
                    .await
            }
            unknown => panic!("say in tests/support/requests.rs how there is one of {unknown}"),
        }
    }
}

impl World {
    /// From the first definition on only defined keys can be written, and the records of this world have notes. Fields of requests
    /// before are retired, because there is an end to those in use.
    async fn keep_notes(&self, app: &App) {
        let organization = self.tenant.organization_id;
        app.database
            .execute(&format!(
                "UPDATE crm_custom_fields SET retired_at = now() WHERE organization_id = '{organization}' AND key LIKE 'f_%'
                    AND 90 < (SELECT count(*) FROM crm_custom_fields WHERE organization_id = '{organization}' AND retired_at IS NULL);
                 INSERT INTO crm_custom_fields (organization_id, entity, key, label, field_type)
                 VALUES ('{organization}', 'deal', 'note', 'Note', 'text') ON CONFLICT DO NOTHING"
            ))
            .await;
    }
}

impl World {
    /// There is an end to the number of pipelines, and requests make many: the empty ones before go to the bin.
    async fn forget_old_pipelines(&self, app: &App) {
        let organization = self.tenant.organization_id;
        app.database
            .execute(&format!(
                "UPDATE crm_pipelines AS pipeline SET deleted_at = now() WHERE organization_id = '{organization}' AND NOT is_default
                    AND 150 < (SELECT count(*) FROM crm_pipelines WHERE organization_id = '{organization}' AND deleted_at IS NULL)
                    AND NOT EXISTS (SELECT FROM crm_deals WHERE crm_deals.pipeline_id = pipeline.id)"
            ))
            .await;
    }
}

/// A key of a custom field that is as new as the label.
fn machine_name(label: &str) -> String {
    let plain: String =
        label.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' }).collect();
    let kept = plain.len().saturating_sub(45);
    format!("f_{}", &plain[kept..])
}

/// A second factor that was turned on by a login of its own. The caller's session, which ends with that, goes on here.
async fn enabled_elsewhere(app: &App, person: &Person) -> second_factor::Authenticator {
    let authenticator = second_factor::enable(&app.login(&person.email).await).await;
    let again = "UPDATE identity.sessions SET ended_at = NULL, ended_reason = NULL WHERE ended_reason = 'second_factor_enabled'";
    app.database.execute(again).await;
    authenticator
}
