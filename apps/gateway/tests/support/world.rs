//! A tenant with people of every role and records of every noun, all made through the API.

use std::collections::BTreeMap;

use crm_testkit::Tenant;
use serde_json::{Value, json};

use super::{App, Caller, document::example};

/// The nouns of the CRM: how addresses call them, and the schema of a new one.
pub const NOUNS: [(&str, &str); 7] = [
    ("companies", "NewCompany"),
    ("contacts", "NewContact"),
    ("deals", "NewDeal"),
    ("projects", "NewProject"),
    ("tasks", "NewTask"),
    ("notes", "NewNote"),
    ("campaigns", "NewCampaign"),
];

/// The text that every record of the noun has.
pub fn text_of(noun: &str) -> &'static str {
    match noun {
        "contacts" => "last_name",
        "tasks" => "title",
        "notes" => "content",
        _ => "name",
    }
}

/// The roles, as testkit calls its people.
pub const ROLES: [&str; 4] = ["owner", "admin", "member", "viewer"];

/// A tenant at work.
pub struct World {
    pub tenant: Tenant,
    callers: BTreeMap<&'static str, Caller>,
    /// Records of each noun: three that live (the second refers to the first ones) and one in the bin, last.
    pub records: BTreeMap<&'static str, Vec<Value>>,
}

impl World {
    pub async fn create(app: &App, name: &str) -> Self {
        let tenant = app.database.tenant(name).await;
        let mut callers = BTreeMap::new();
        for role in ROLES {
            callers.insert(role, app.login(&tenant.email(role)).await);
        }
        let mut world = Self { tenant, callers, records: BTreeMap::new() };
        for (noun, schema) in NOUNS {
            let mut records = Vec::new();
            for number in 1..=4 {
                let mut body = example(schema, &format!("{}-{noun}-{number}", world.tenant.slug));
                if number == 2 {
                    world.refer(noun, &mut body, &records);
                }
                records.push(world.member().post(noun, &body).await.expect(201).body);
            }
            world.member().delete(&format!("{noun}/{}", id(&records[3]))).await.expect(204);
            world.records.insert(noun, records);
        }
        world
    }

    fn refer(&self, noun: &str, body: &mut Value, earlier: &[Value]) {
        match noun {
            "companies" => body["parent_id"] = json!(id(&earlier[0])),
            "contacts" => body["company_id"] = json!(self.first("companies")),
            "tasks" | "notes" => {
                body["related_to_type"] = json!("company");
                body["related_to_id"] = json!(self.first("companies"));
            }
            "campaigns" => {}
            "projects" => {
                body["company_id"] = json!(self.first("companies"));
                body["deal_id"] = json!(self.first("deals"));
            }
            _ => {
                body["company_id"] = json!(self.first("companies"));
                body["primary_contact_id"] = json!(self.first("contacts"));
            }
        }
    }

    pub fn caller(&self, role: &str) -> &Caller {
        &self.callers[role]
    }

    pub fn owner(&self) -> &Caller {
        self.caller("owner")
    }

    pub fn member(&self) -> &Caller {
        self.caller("member")
    }

    /// The id of the first record of the noun.
    pub fn first(&self, noun: &str) -> String {
        id(&self.records[noun][0])
    }

    /// A fresh record of the noun, owned by the member.
    pub async fn fresh(&self, noun: &str, label: &str) -> String {
        let schema = NOUNS.iter().find(|(name, _)| *name == noun).unwrap().1;
        self.member().post(noun, &example(schema, label)).await.expect(201).id()
    }
}

pub fn id(record: &Value) -> String {
    record["id"].as_str().unwrap().to_owned()
}
