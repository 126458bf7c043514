//! Minutes of meetings in a program of one's own: its own pool, its own runtime, no server beside it but PostgreSQL. They are
//! written in Markdown, shown as HTML, and say whom they are for.

use crm_kernel::{CompanyId, Condition, Context, Error, Expected, Filter, ListQuery, Moment, OrganizationId, Role};
use crm_kernel::{Tags, Timestamp, UserId};
use crm_notes::{NewNote, NoteChanges, Notes, PgNotes, RelatedType, VOCABULARY, default_sort, within};
use crm_tenancy::{ConnectOptions, Db};

/// What somebody typed, and what somebody else pasted in.
const MINUTES: &str = "## Pilot at *Acme*\n\n- two machines until **May**\n- price list: [draft](https://example.com/draft)\n\n<script>alert(1)</script>";

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program tells what it did")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, organization, user, company, colleague] = arguments.as_slice() else {
        return Err(
            "usage: meeting_minutes postgres://crm_app:...@host/database ORGANIZATION_ID USER_ID COMPANY_ID COLLEAGUE_ID".into(),
        );
    };
    for line in run(url, organization.parse()?, user.parse()?, company.parse()?, colleague.parse()?).await? {
        println!("{line}");
    }
    Ok(())
}

/// Gives what it has to tell, line by line.
pub async fn run(
    url: &str,
    organization: OrganizationId,
    user: UserId,
    company: CompanyId,
    colleague: UserId,
) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut told = Vec::new();
    // The role of the application, never an administrator: the seal binds nobody who owns the tables.
    let db = Db::connect(url, ConnectOptions::default())?;
    let faults = crm_tenancy::seal::check(&db).await?;
    assert!(faults.is_empty(), "{faults:?}");

    let context = Context::new(organization, user, Role::Member);
    let notes = PgNotes::new(db.clone());
    let about = |content: &str| NewNote {
        content: content.into(),
        related_to_type: Some(RelatedType::Company),
        related_to_id: Some(company.uuid()),
        ..NewNote::default()
    };

    // Whom a note mentions is an active member of the organisation, or the note is refused.
    let minutes = NewNote { mentions: Some(Tags(vec![colleague.to_string()])), ..about(MINUTES) };
    let minutes = match notes.create(&context, minutes).await {
        Ok(note) => note,
        // Every rule that it breaks, with its field.
        Err(Error::Invalid(fields)) => return Err(format!("{fields:?}").into()),
        Err(error) => return Err(error.into()),
    };
    // The text comes back to the letter; the HTML may be put into a page as it is: what was pasted in is shown, and does not run.
    assert_eq!(minutes.content, MINUTES);
    told.extend(notes.html(&context, minutes.id).await?.html.lines().map(str::to_owned));

    // A second note, and the first one pinned above it: both or neither. Only if nobody changed it since; otherwise `Error::Stale`.
    let mut tx = db.begin(&context).await?;
    let pinned = NoteChanges { is_pinned: Some(true), ..NoteChanges::default() };
    within::update(&mut tx, minutes.id, &Expected::OneOf(vec![minutes.version]), &pinned).await?;
    within::create(&mut tx, about("They called: **June** is as good.")).await?;
    tx.commit().await?;

    // The company's page: pinned notes first, the newest first among the others.
    let of_company =
        ListQuery { filter: asked(&format!("related_to_id = '{company}'"), user)?, ..ListQuery::all(default_sort()) };
    let mut query = of_company.clone();
    loop {
        let page = notes.list(&context, &query).await?;
        for note in &page.data {
            let first_line = note.content.lines().next().unwrap_or_default();
            told.push(format!("{}{first_line}", if note.is_pinned { "pinned: " } else { "" }));
        }
        let Some(cursor) = page.page.next_cursor else { break };
        query = of_company.clone().continue_after(&cursor)?;
    }

    // The colleague's inbox. Nobody is told of a mention: a program that wants to tell them asks.
    let caller = Context::new(organization, colleague, Role::Member);
    let mentioning =
        ListQuery { filter: asked(&format!("mentions : '{colleague}'"), colleague)?, ..ListQuery::all(default_sort()) };
    told.push(format!("{} for the colleague", notes.list(&caller, &mentioning).await?.data.len()));

    // Who is mentioned in a note does not own it: the colleague reads it and leaves it as it is.
    match notes
        .update(&caller, minutes.id, &Expected::Any, &NoteChanges { is_pinned: Some(false), ..NoteChanges::default() })
        .await
    {
        Err(Error::Forbidden(_)) => told.push("which is not theirs to change".into()),
        other => return Err(format!("a colleague changed it: {other:?}").into()),
    }

    notes.delete(&context, minutes.id, &Expected::Any).await?;
    notes.restore(&context, minutes.id).await?;
    Ok(told)
}

/// A filter in the text of the language; `me` and `now()` would be this person and this moment.
fn asked(text: &str, caller: UserId) -> Result<Filter, String> {
    let condition = Condition::parse(text, &VOCABULARY).map_err(|error| error.message)?;
    Filter::default().and(condition, &Moment::utc(caller, Timestamp::now())).map_err(|error| error.message)
}
