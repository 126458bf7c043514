//! What is asked of the large organisation: every declared filter with values that many, few and none have, every order both ways, what
//! no index answers, and the twenty questions of docs/QUERY.md.

use anyhow::{Context as _, Result};
use crm_kernel::{Condition, Context, Direction, Field, Filter, Kind, ListQuery, Moment, Sort, Timestamp, Vocabulary, fields};
use tokio_postgres::Client;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    Companies,
    Contacts,
    Deals,
    Projects,
    Tasks,
    Notes,
    Campaigns,
}

impl Noun {
    pub const ALL: [Self; 7] =
        [Self::Companies, Self::Contacts, Self::Deals, Self::Projects, Self::Tasks, Self::Notes, Self::Campaigns];

    pub fn name(self) -> &'static str {
        match self {
            Self::Companies => "companies",
            Self::Contacts => "contacts",
            Self::Deals => "deals",
            Self::Projects => "projects",
            Self::Tasks => "tasks",
            Self::Notes => "notes",
            Self::Campaigns => "campaigns",
        }
    }

    pub fn view(self) -> &'static str {
        match self {
            Self::Companies => "q_companies",
            Self::Contacts => "q_contacts",
            Self::Deals => "q_deals",
            Self::Projects => "q_projects",
            Self::Tasks => "q_tasks",
            Self::Notes => "q_notes",
            Self::Campaigns => "q_campaigns",
        }
    }

    fn table(self) -> &'static str {
        match self {
            Self::Companies => "crm_companies",
            Self::Contacts => "crm_contacts",
            Self::Deals => "crm_deals",
            Self::Projects => "crm_projects",
            Self::Tasks => "crm_tasks",
            Self::Notes => "crm_notes",
            Self::Campaigns => "crm_campaigns",
        }
    }

    fn vocabulary(self) -> Vocabulary {
        match self {
            Self::Companies => crm_companies::VOCABULARY,
            Self::Contacts => crm_contacts::VOCABULARY,
            Self::Deals => crm_deals::VOCABULARY,
            Self::Projects => crm_projects::VOCABULARY,
            Self::Tasks => crm_tasks::VOCABULARY,
            Self::Notes => crm_notes::VOCABULARY,
            Self::Campaigns => crm_campaigns::VOCABULARY,
        }
    }

    pub fn fields(self) -> &'static [Field] {
        self.vocabulary().fields
    }

    fn default_sort(self) -> Sort {
        match self {
            Self::Companies => crm_companies::default_sort(),
            Self::Contacts => crm_contacts::default_sort(),
            Self::Deals => crm_deals::default_sort(),
            Self::Projects => crm_projects::default_sort(),
            Self::Tasks => crm_tasks::default_sort(),
            Self::Notes => crm_notes::default_sort(),
            Self::Campaigns => crm_campaigns::default_sort(),
        }
    }
}

/// What a row of the table is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A declared filter, in the default order.
    Filter(&'static str),
    /// A declared order, without a filter.
    Order(&'static str),
    /// A filter in the words of the language.
    Language(String),
    /// Many conditions joined by OR, described.
    Many(String),
    /// One of the twenty questions.
    Numbered(usize),
}

#[derive(Debug)]
pub struct Question {
    pub noun: Noun,
    pub about: About,
    pub query: ListQuery,
}

impl Question {
    /// The column of the view that the order is that of.
    pub fn order_column(&self) -> &'static str {
        let field = self.query.sort.field;
        match (self.noun, field.name) {
            (_, "created_at") => "id",
            (Noun::Contacts, "last_name") => "name_key",
            (_, name) => field.key.unwrap_or(name),
        }
    }
}

pub async fn all(admin: &Client, context: &Context) -> Result<Vec<Question>> {
    let mut questions = Vec::new();
    for noun in Noun::ALL {
        let all = || ListQuery::all(noun.default_sort());
        for field in noun.vocabulary().fields {
            if field.filterable {
                for texts in values(admin, context, noun, field).await? {
                    let mut query = all();
                    for text in &texts {
                        query.filter.add(context, field, text).map_err(|error| anyhow::anyhow!("{error:?}"))?;
                    }
                    questions.push(Question { noun, about: About::Filter(field.name), query });
                }
            }
            for direction in [Direction::Ascending, Direction::Descending].into_iter().filter(|_| field.sortable) {
                let query = ListQuery { sort: Sort { field, direction }, ..all() };
                questions.push(Question { noun, about: About::Order(field.name), query });
            }
        }
    }
    for (noun, text, sort) in LANGUAGE {
        questions.push(asked(context, noun, About::Language(format!("`{text}`")), text, sort)?);
    }
    for noun in Noun::ALL {
        for (about, text) in many(noun) {
            questions.push(asked(context, noun, About::Many(about), &text, "")?);
        }
    }
    for (number, noun, text) in twenty()? {
        questions.push(asked(context, noun, About::Numbered(number), &text, "")?);
    }
    Ok(questions)
}

/// Ranges in the order of their field and in the default one, and what no index answers.
const LANGUAGE: [(Noun, &str, &str); 18] = [
    (Noun::Companies, "last_activity_at < now() - 30d", "-last_activity_at"),
    (Noun::Companies, "last_activity_at < now() - 30d", ""),
    (Noun::Contacts, "last_activity_at < now() - 30d", "-last_activity_at"),
    (Noun::Contacts, "last_activity_at < now() - 30d", ""),
    (Noun::Contacts, "updated_at > \"2026-10-25\"", ""),
    (Noun::Contacts, "created_at < \"2021-01-01\"", ""),
    (Noun::Contacts, "created_at > \"2026-10-01\"", ""),
    (Noun::Companies, "annual_revenue > 1999999000", ""),
    (Noun::Companies, "name ~ \"nowhere\"", ""),
    (Noun::Contacts, "last_name ~ \"nowhere\"", ""),
    (Noun::Contacts, "company.industry = \"shipbuilding\"", ""),
    (Noun::Contacts, "NOT contact_status = \"active\" AND title = \"Nobody\"", ""),
    (Noun::Contacts, "custom_fields.source_id = \"P77\"", ""),
    (Noun::Contacts, "custom_fields.language ~ \"xx\"", ""),
    (Noun::Projects, "open_due_date < today()", "open_due_date"),
    (Noun::Projects, "open_due_date < today() AND project_manager_id = me", ""),
    (Noun::Deals, "owner.team_name = \"Team 3\" AND amount > 999999", ""),
    (Noun::Deals, "expected_close_date >= quarter_start() AND expected_close_date < quarter_start(1)", "expected_close_date"),
];

/// Texts that nobody has, so that every record is read; and the same asked of parents, beside a condition of the record's own.
fn many(noun: Noun) -> Vec<(String, String)> {
    let (text, key, hop) = match noun {
        Noun::Companies => ("website", "custom_fields.region", "parent.industry"),
        Noun::Contacts => ("title", "custom_fields.language", "company.industry"),
        Noun::Deals => ("name", "custom_fields.product", "company.industry"),
        Noun::Projects => ("name", "custom_fields.source_id", "company.industry"),
        Noun::Tasks => ("description", "custom_fields.source_id", "assigned_to.team_name"),
        Noun::Notes => ("content", "custom_fields.source_id", "owner.team_name"),
        Noun::Campaigns => ("name", "custom_fields.source_id", "owner.team_name"),
    };
    let joined = |of: &dyn Fn(usize) -> String, count: usize| (0..count).map(of).collect::<Vec<_>>().join(" OR ");
    let mut many = Vec::new();
    for count in [1, 3, 10, 30, 100] {
        for name in [text, key] {
            let of = |number| format!("{name} ~ \"qq{number}\"");
            many.push((format!("`{name} ~ …`, {count} joined by OR"), joined(&of, count)));
        }
    }
    for count in [1, 3, 10, 30] {
        let of = |number| format!("{hop} = \"branch {number}\"");
        many.push((format!("`{hop} = …`, {count} joined by OR"), joined(&of, count)));
        let own = format!("({}) OR {text} = \"nowhere\"", joined(&of, count));
        many.push((format!("`{hop} = …`, {count} joined by OR, or `{text} = …`"), own));
    }
    many
}

fn asked(context: &Context, noun: Noun, about: About, text: &str, sort: &str) -> Result<Question> {
    let broken = |error| anyhow::anyhow!("{text}: {error:?}");
    let condition = Condition::parse(text, &noun.vocabulary()).map_err(broken)?;
    let moment = Moment::utc(context.user_id, Timestamp::now()).with_team(vec![context.user_id]);
    let mut query = ListQuery::all(noun.default_sort());
    query.filter = Filter::default().and(condition, &moment).map_err(broken)?;
    let (name, direction) = match sort.strip_prefix('-') {
        Some(name) => (name, Direction::Descending),
        None => (sort, Direction::Ascending),
    };
    if let Some(field) = fields::find(noun.vocabulary().fields, name) {
        query.sort = Sort { field, direction };
    }
    Ok(Question { noun, about, query })
}

/// The table of docs/QUERY.md; questions to other lists are not asked here.
fn twenty() -> Result<Vec<(usize, Noun, String)>> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/QUERY.md");
    let document = std::fs::read_to_string(path).context("docs/QUERY.md cannot be read")?;
    let rows = document.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, _, list, filter] = cells.as_slice() else { return None };
        let noun = Noun::ALL.into_iter().find(|noun| noun.name() == *list)?;
        Some((number.parse().ok()?, noun, filter.trim_matches('`').to_owned()))
    });
    Ok(rows.collect())
}

/// What to ask a field for: the value that most have, one that few have, both, one that nobody has, and null.
async fn values(admin: &Client, context: &Context, noun: Noun, field: &Field) -> Result<Vec<Vec<String>>> {
    let value = match field.kind {
        Kind::Tags => format!("jsonb_array_elements_text({})", field.name),
        // The last change was the last activity, as these records were made.
        Kind::Timestamp => "to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')".to_owned(),
        _ => format!("{}::text", field.name),
    };
    // Names of our own; one in twenty pages tells enough.
    let query = format!(
        "SELECT value FROM (SELECT {value} AS value FROM {} TABLESAMPLE SYSTEM (5) REPEATABLE (7)
                             WHERE organization_id = $1::text::uuid AND deleted_at IS NULL) AS sample
          WHERE value IS NOT NULL GROUP BY value ORDER BY count(*) DESC, value",
        noun.table()
    );
    let found = admin.query(&query, &[&context.organization_id.to_string()]).await?;
    let nothing = || format!("no {} has a value of {}", noun.name(), field.name);
    let most: String = found.first().with_context(nothing)?.try_get(0)?;
    let few: String = found.last().with_context(nothing)?.try_get(0)?;
    let mut asked = vec![vec![most.clone()], vec![few.clone()], vec![most, few]];
    match field.kind {
        Kind::Text | Kind::Caseless | Kind::Tags => asked.push(vec!["nobody's".into()]),
        Kind::Id | Kind::Member => asked.push(vec!["01890000-0000-7000-8000-000000000001".into()]),
        Kind::Date => asked.push(vec!["1901-01-01".into()]),
        _ => {}
    }
    if field.nullable && !matches!(field.kind, Kind::Text | Kind::Caseless) {
        asked.push(vec!["null".into()]);
    }
    Ok(asked)
}
