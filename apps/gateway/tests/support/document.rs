//! The document of the API, as tests that must cover all of it read it.

use std::sync::LazyLock;

use crm_gateway::app;
use crm_testkit::PASSWORD;
use serde_json::{Value, json};

/// Made once for each test program.
static DOCUMENT: LazyLock<Document> = LazyLock::new(Document::of_the_application);

/// The document and its operations.
pub struct Document {
    pub value: Value,
}

/// One operation of the document.
#[derive(Clone)]
pub struct Operation {
    pub method: String,
    pub path: String,
    pub value: Value,
}

impl Document {
    pub fn of_the_application() -> Self {
        Self { value: app::document() }
    }

    pub fn operations(&self) -> Vec<Operation> {
        let mut all = Vec::new();
        for (path, item) in self.value["paths"].as_object().unwrap() {
            for (method, value) in item.as_object().unwrap() {
                all.push(Operation { method: method.to_uppercase(), path: path.clone(), value: value.clone() });
            }
        }
        assert!(all.len() > 25, "the document must have its operations");
        all
    }

    /// What a reference leads to; anything else is itself.
    pub fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let Some(reference) = schema["$ref"].as_str() else { return schema };
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads out of the document"));
        self.value.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }
}

impl Operation {
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub fn is_public(&self) -> bool {
        self.value.get("security").is_none()
    }

    pub fn has_id(&self) -> bool {
        self.path.contains("{id}")
    }

    /// The address with this id in it.
    pub fn at(&self, id: &str) -> String {
        // What another system calls a record: so that its name is as good as an id.
        let own = if id.is_empty() { "42" } else { id };
        // A member of a campaign has the id of its campaign: `World::thing` makes it so.
        let path = self.path.replace("{id}", id).replace("{contact_id}", id);
        path.replace("{source}", "elsewhere").replace("{external_id}", own).replace("{stage}", "prospecting")
    }

    /// Whether the address names a record, or a name of a record, as another system does.
    pub fn is_about_an_external_id(&self) -> bool {
        self.path.contains("{external_id}")
    }

    /// `companies`: what the id in the address is one of.
    pub fn thing(&self) -> Option<&str> {
        self.path.split("/{id}").next().filter(|_| self.has_id())?.rsplit('/').next()
    }

    /// `companies`, where the address leads to a noun of the CRM.
    pub fn collection(&self) -> Option<&str> {
        self.path.strip_prefix("/api/v1/a-crm/")?.split('/').next()
    }

    /// The name of the schema of the body it takes.
    pub fn body_schema(&self) -> Option<&str> {
        let reference = self.value.pointer("/requestBody/content/application~1json/schema/$ref")?.as_str()?;
        reference.rsplit('/').next()
    }

    /// The schema of what it answers with when all is well.
    pub fn answer_schema(&self) -> Option<&Value> {
        ["200", "202", "201"]
            .iter()
            .find_map(|status| self.value["responses"][status]["content"].get("application/json")?.get("schema"))
    }

    /// Its query parameters.
    pub fn query(&self) -> Vec<&Value> {
        self.value["parameters"].as_array().into_iter().flatten().filter(|parameter| parameter["in"] == "query").collect()
    }

    /// Whether it looks at a header of this name, by a parameter of its own.
    pub fn takes_header(&self, header: &str) -> bool {
        self.value["parameters"].as_array().into_iter().flatten().any(|parameter| parameter["name"] == header)
    }

    /// Whether it looks at a header of this name, which operations share.
    pub fn honours(&self, header: &str) -> bool {
        let reference = format!("#/components/parameters/{}", header.replace('-', ""));
        self.value["parameters"].as_array().into_iter().flatten().any(|parameter| parameter["$ref"] == reference.as_str())
    }

    pub fn takes(&self, parameter: &str) -> bool {
        self.query().iter().any(|known| known["name"] == parameter)
    }

    /// What it calls its filters; those that take any text, or an id.
    pub fn filters(&self) -> Vec<String> {
        let free =
            |parameter: &&&Value| parameter["schema"]["type"] == "array" && parameter["schema"]["items"].get("enum").is_none();
        self.query().iter().filter(free).map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// A body that is right in every field it has, of the schema of this name. `label` must not have been used before.
///
/// What the document says of the required fields is mostly enough. A line is for a body that should have more than those, or whose
/// good values only people know; what must be true in the database too is in `requests.rs`.
pub fn example(schema: &str, label: &str) -> Value {
    match schema {
        "NewCompany" => json!({
            "name": format!("Company {label}"), "industry": label, "website": format!("https://{label}.example.com"),
            "tags": [label], "custom_fields": { "note": label }, "billing_address": { "city": label },
        }),
        "NewContact" => json!({
            "first_name": "Contact", "last_name": label, "email": format!("{label}@contacts.example.com"), "title": label,
            "tags": [label], "custom_fields": { "note": label },
        }),
        "NewDeal" => {
            json!({ "name": format!("Deal {label}"), "amount": "1000.00", "tags": [label], "custom_fields": { "note": label } })
        }
        "NewNote" => json!({ "content": format!("Note {label}"), "tags": [label], "custom_fields": { "note": label } }),
        "NewTask" => {
            json!({ "title": format!("Task {label}"), "description": label, "tags": [label], "custom_fields": { "note": label } })
        }
        "NewProject" => {
            json!({ "name": format!("Project {label}"), "description": label, "tags": [label], "custom_fields": { "note": label } })
        }
        "NewProduct" => json!({ "name": format!("Product {label}"), "sku": label, "unit_price": "550.00" }),
        "ExchangeRatesRequest" => json!({ "data": [{ "currency": "CHF", "valid_on": "2026-01-02", "rate": "1.1" }] }),
        "ContactPointsRequest" => {
            let address = format!("{label}@points.example.com").to_lowercase();
            json!({ "data": [{ "kind": "email", "value": address, "label": "work" }] })
        }
        "ProductChanges" => json!({ "description": label }),
        "LineItemsRequest" => json!({ "data": [{ "name": label, "quantity": "2", "unit_price": "10.50" }] }),
        "NewCampaign" => {
            json!({ "name": format!("Campaign {label}"), "description": label, "tags": [label], "custom_fields": { "note": label } })
        }
        "CampaignChanges" => json!({ "description": label }),
        "CampaignContactChanges" => json!({ "status": "sent" }),
        "NewMembers" => json!({ "filter": "version >= 1", "dry_run": true }),
        "CompanyChanges" => json!({ "industry": label }),
        "ContactChanges" => json!({ "title": label }),
        "DealChanges" => json!({ "name": format!("Deal {label}") }),
        "NoteChanges" => json!({ "content": label }),
        "TaskChanges" => json!({ "description": label }),
        "ProjectChanges" => json!({ "description": label }),
        "BulkRequest" => json!({ "operations": [{ "op": "delete", "id": uuid::Uuid::now_v7() }] }),
        "SearchRequest" => {
            json!({ "where": { "not": { "field": "id", "op": "=", "value": uuid::Uuid::now_v7() } }, "count": true })
        }
        "NewInvitation" => json!({ "email": format!("{}@invited.example.com", uuid::Uuid::now_v7().simple()), "role": "viewer" }),
        "StageStep" => json!({ "stage": "negotiation" }),
        "Credentials" => json!({ "email": format!("{label}@nowhere.example.com"), "password": "wrong password" }),
        schema => required(&DOCUMENT.value["components"]["schemas"][schema], label),
    }
}

/// An object with all that must be there and nothing else.
fn required(schema: &Value, label: &str) -> Value {
    let names = schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap());
    Value::Object(names.map(|name| (name.to_owned(), value(name, &schema["properties"][name], label))).collect())
}

/// A value that a field of this name and schema takes.
fn value(name: &str, schema: &Value, label: &str) -> Value {
    let schema = DOCUMENT.resolve(schema["allOf"].get(0).unwrap_or(schema));
    if let Some(words) = schema["enum"].as_array() {
        return words[0].clone();
    }
    match (schema["type"].as_str().unwrap_or_else(|| panic!("{name} has no type")), schema["format"].as_str()) {
        ("string", Some("uuid")) => json!(uuid::Uuid::now_v7()),
        ("string", Some("date")) => json!("2031-01-31"),
        ("string", Some("date-time")) => json!("2031-01-31T12:00:00Z"),
        ("string", _) => match name {
            "email" => json!(format!("{label}@nowhere.example.com")),
            "password" | "current_password" => json!(PASSWORD),
            _ => json!(label),
        },
        ("integer" | "number", _) => json!(1),
        ("boolean", _) => json!(true),
        ("array", _) => json!([value(name, &schema["items"], label)]),
        _ => required(schema, label),
    }
}
