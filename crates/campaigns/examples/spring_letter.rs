//! A letter to many in a program of one's own: its own pool, its own runtime, no server beside it but PostgreSQL. The CRM knows
//! whom it goes to and what came of it; sending is the program's part.

use crm_campaigns::{
    Audience, CampaignChanges, CampaignContact, CampaignContactChanges, CampaignContacts, CampaignStatus, CampaignType,
    Campaigns, MEMBER_FIELDS, MemberStatus, NewCampaign, PgCampaignContacts, PgCampaigns, default_sort, within,
};
use crm_kernel::{CampaignId, Condition, Context, Error, Expected, Field, Filter, Kind, ListQuery, Moment};
use crm_kernel::{OrganizationId, Role, Timestamp, UserId, Vocabulary, fields};
use crm_tenancy::{ConnectOptions, Db, Tx};

/// What the audience below asks of contacts. Who embeds `crm-contacts` too passes `crm_contacts::FIELDS`.
static CONTACTS: &[Field] =
    &[Field::shown("department", Kind::Text).nullable(), Field::shown("contact_status", Kind::Text).filterable()];

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program tells what it did")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, organization, user] = arguments.as_slice() else {
        return Err("usage: spring_letter postgres://crm_app:...@host/database ORGANIZATION_ID USER_ID".into());
    };
    for line in run(url, organization.parse()?, user.parse()?).await? {
        println!("{line}");
    }
    Ok(())
}

/// Gives what it has to tell, line by line.
pub async fn run(url: &str, organization: OrganizationId, user: UserId) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut told = Vec::new();
    // The role of the application, never an administrator: the seal binds nobody who owns the tables.
    let db = Db::connect(url, ConnectOptions::default())?;
    let faults = crm_tenancy::seal::check(&db).await?;
    assert!(faults.is_empty(), "{faults:?}");

    let context = Context::new(organization, user, Role::Member);
    let (campaigns, members) = (PgCampaigns::new(db.clone()), PgCampaignContacts::new(db.clone()));

    let letter = NewCampaign {
        name: "Spring letter".into(),
        campaign_type: Some(CampaignType::Email),
        budget: Some("2500.00".parse()?),
        ..NewCampaign::default()
    };
    let letter = campaigns.create(&context, letter).await?;

    // Whoever the filter describes, up to 100,000: each once, however often this runs, and nobody who opted out.
    let filter = asked("contact_status = 'active' AND department = 'purchasing'", user)?;
    let audience = Audience { filter, fields: CONTACTS };
    let added = members.add_audience(&context, letter.id, &audience).await?;
    told.push(format!("{} are to get it, {} opted out", added.added, added.opted_out));

    // Only if nobody changed it since; otherwise `Error::Stale`. From here on it goes forward only.
    let active = CampaignChanges { status: Some(CampaignStatus::Active), ..CampaignChanges::default() };
    let letter = campaigns.update(&context, letter.id, &Expected::OneOf(vec![letter.version]), &active).await?;

    // Page by page, each in one transaction: a page that was sent is written down as sent, whatever becomes of the next one.
    let mut reached = Vec::new();
    loop {
        let pending = of(letter.id, MemberStatus::Pending, &context)?;
        let page = members.list(&context, &pending).await?.data;
        if page.is_empty() {
            break;
        }
        // Here the program sends its letters, and learns from its mail server what became of them.
        let mut tx = db.begin(&context).await?;
        for member in &page {
            step(&mut tx, member, MemberStatus::Delivered).await?;
        }
        tx.commit().await?;
        reached.extend(page);
    }

    // What came back: one opened it and one followed a link, which nobody does who has not opened it. The third wants no more of
    // them, neither from this campaign nor from another.
    let [first, second, third] = reached.as_slice() else { return Err("three were to be reached".into()) };
    let mut tx = db.begin(&context).await?;
    step(&mut tx, first, MemberStatus::Opened).await?;
    step(&mut tx, second, MemberStatus::Clicked).await?;
    step(&mut tx, third, MemberStatus::Unsubscribed).await?;
    tx.commit().await?;
    let back = CampaignContactChanges { status: Some(MemberStatus::Sent) };
    match members.update(&context, letter.id, second.contact_id, &Expected::Any, &back).await {
        Err(Error::Invalid(fields)) => told.extend(fields.iter().map(|field| format!("not back: {}", field.code))),
        other => return Err(format!("a member went back: {other:?}").into()),
    }

    let done = CampaignChanges {
        status: Some(CampaignStatus::Completed),
        actual_cost: Some(Some("1830.50".parse()?)),
        ..CampaignChanges::default()
    };
    campaigns.update(&context, letter.id, &Expected::OneOf(vec![letter.version]), &done).await?;
    let metrics = campaigns.metrics(&context, letter.id).await?;
    told.push(format!("{} of {} opened it: {}", metrics.opened, metrics.delivered, metrics.open_rate.unwrap_or_default()));
    told.push(format!("{} unsubscribed, {} were won", metrics.unsubscribed, metrics.conversions));
    told.push(format!("{} of the budget was spent", metrics.budget_used.unwrap_or_default()));
    Ok(told)
}

/// Says how far a member of the campaign has come, in a transaction with others.
async fn step(tx: &mut Tx, member: &CampaignContact, status: MemberStatus) -> crm_kernel::Result<CampaignContact> {
    let changes = CampaignContactChanges { status: Some(status) };
    within::update_member(tx, member.campaign_id, member.contact_id, &Expected::Any, &changes).await
}

/// The members of a campaign that have come this far.
fn of(campaign: CampaignId, status: MemberStatus, context: &Context) -> Result<ListQuery, String> {
    let field = |name| fields::find(MEMBER_FIELDS, name).ok_or_else(|| format!("no field {name}"));
    let mut filter = Filter::default().and_id(field("campaign_id")?, campaign);
    filter.add(context, field("status")?, status.as_str()).map_err(|error| error.message)?;
    Ok(ListQuery { filter, limit: 200, ..ListQuery::all(default_sort()) })
}

/// A filter of contacts in the text of the language; `me` and `now()` would be this person and this moment.
fn asked(text: &str, caller: UserId) -> Result<Filter, String> {
    let condition = Condition::parse(text, &Vocabulary { fields: CONTACTS, parents: &[] }).map_err(|error| error.message)?;
    Filter::default().and(condition, &Moment::utc(caller, Timestamp::now())).map_err(|error| error.message)
}
