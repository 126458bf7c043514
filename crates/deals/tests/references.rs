//! What a deal refers to is of its own organisation, and nothing tells a foreign record from one that never was.

mod parents;

use crm_deals::{DealChanges, Deals, NewDeal, PgDeals, PgPipelines, Pipelines, StageStep};
use crm_kernel::{CampaignId, CompanyId, ContactId, Error, Expected, PipelineId};
use crm_testkit::{TestDatabase, refusals};

fn new() -> NewDeal {
    NewDeal { name: "x".into(), ..NewDeal::default() }
}

fn same(foreign: &Error, never: &Error) {
    assert_eq!(format!("{foreign:?}"), format!("{never:?}"), "a foreign record must be refused exactly like one that never was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_company_or_contact_is_refused_like_one_that_never_was() {
    let database = TestDatabase::create().await;
    let (acme, umbrella) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let (db, deals) = (database.db(), PgDeals::new(database.db()));
    let their_company = parents::company(&db, &umbrella.member).await.expect("theirs");
    let their_contact = parents::contact(&db, &umbrella.member).await.expect("theirs");

    let with_company = |id| NewDeal { company_id: Some(id), ..new() };
    let never = deals.create(&acme.member, with_company(CompanyId::generate())).await;
    let never = refusals::invalid(never, "/company_id", "reference", "an unknown company");
    let foreign = deals.create(&acme.member, with_company(their_company)).await;
    same(&refusals::invalid(foreign, "/company_id", "reference", "a foreign company"), &never);

    let with_contact = |id| NewDeal { primary_contact_id: Some(id), ..new() };
    let never = deals.create(&acme.member, with_contact(ContactId::generate())).await;
    let never = refusals::invalid(never, "/primary_contact_id", "reference", "an unknown contact");
    let foreign = deals.create(&acme.member, with_contact(their_contact)).await;
    same(&refusals::invalid(foreign, "/primary_contact_id", "reference", "a foreign contact"), &never);

    let with_campaign = |id| NewDeal { campaign_id: Some(id), ..new() };
    let unknown = deals.create(&acme.member, with_campaign(CampaignId::generate())).await;
    let unknown = refusals::invalid(unknown, "/campaign_id", "reference", "an unknown campaign");
    let their_campaign = parents::campaign(&db, &umbrella.member).await.expect("theirs");
    let foreign = deals.create(&acme.member, with_campaign(their_campaign)).await;
    same(&refusals::invalid(foreign, "/campaign_id", "reference", "a foreign campaign"), &unknown);

    let deal = deals.create(&acme.member, new()).await.expect("a deal");
    let changes = DealChanges { primary_contact_id: Some(Some(their_contact)), ..DealChanges::default() };
    let foreign = deals.update(&acme.member, deal.id, &Expected::Any, &changes).await;
    same(&refusals::invalid(foreign, "/primary_contact_id", "reference", "a foreign contact"), &never);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_pipeline_is_refused_like_one_that_never_was() {
    let database = TestDatabase::create().await;
    let (acme, umbrella) = (database.tenant("Acme").await, database.tenant("Umbrella").await);
    let (deals, pipelines) = (PgDeals::new(database.db()), PgPipelines::new(database.db()));
    let theirs = pipelines.list(&umbrella.member).await.expect("a list").data[0].id;
    assert!(pipelines.list(&acme.member).await.expect("a list").data.iter().all(|own| own.id != theirs), "it is not listed");

    let within = |id| NewDeal { pipeline_id: Some(id), ..new() };
    let never = deals.create(&acme.member, within(PipelineId::generate())).await;
    let never = refusals::invalid(never, "/pipeline_id", "reference", "an unknown pipeline");
    let foreign = deals.create(&acme.member, within(theirs)).await;
    same(&refusals::invalid(foreign, "/pipeline_id", "reference", "a foreign pipeline"), &never);

    let deal = deals.create(&acme.member, new()).await.expect("a deal");
    let step = |id| StageStep { stage: "proposal".into(), pipeline_id: Some(id), ..StageStep::default() };
    let never = deals.move_to(&acme.member, deal.id, &Expected::Any, &step(PipelineId::generate())).await;
    let never = refusals::invalid(never, "/pipeline_id", "reference", "an unknown pipeline");
    let foreign = deals.move_to(&acme.member, deal.id, &Expected::Any, &step(theirs)).await;
    same(&refusals::invalid(foreign, "/pipeline_id", "reference", "a foreign pipeline"), &never);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_pipeline_takes_no_more_deals() {
    let database = TestDatabase::create().await;
    let acme = database.tenant("Acme").await;
    let (deals, pipelines) = (PgDeals::new(database.db()), PgPipelines::new(database.db()));
    let renewals: PipelineId = database.pipeline(&acme).await;
    let within = NewDeal { pipeline_id: Some(renewals), ..new() };
    let deal = deals.create(&acme.member, within.clone()).await.expect("it lives");
    assert_eq!((deal.stage.as_str(), deal.probability), ("due", 60), "its first stage");
    let unknown = NewDeal { stage: Some("proposal".into()), ..within.clone() };
    refusals::invalid(deals.create(&acme.member, unknown).await, "/stage", "reference", "a stage of another pipeline");

    deals.delete(&acme.member, deal.id, &Expected::Any).await.expect("its own");
    pipelines.delete(&acme.owner, renewals, &Expected::Any, None).await.expect("nothing living is in it");
    assert_eq!(pipelines.list(&acme.member).await.expect("a list").data.len(), 1, "a deleted pipeline is not listed");
    refusals::invalid(deals.create(&acme.member, within).await, "/pipeline_id", "parent_deleted", "it is deleted");
    let nowhere = deals.restore(&acme.member, deal.id).await;
    refusals::invalid(nowhere, "/pipeline_id", "parent_deleted", "it would live where nothing lives");
    pipelines.restore(&acme.owner, renewals).await.expect("an owner brings it back");
    deals.restore(&acme.member, deal.id).await.expect("from the bin, into the stage where it stood");
    let step = StageStep { stage: "renewed".into(), amount: Some("1".parse().expect("a decimal")), ..StageStep::default() };
    let won = deals.move_to(&acme.member, deal.id, &Expected::Any, &step).await.expect("it moves on");
    assert_eq!(won.probability, 100);
}

trait Renewals {
    async fn pipeline(&self, tenant: &crm_testkit::Tenant) -> PipelineId;
}

impl Renewals for TestDatabase {
    /// A second pipeline of three stages.
    async fn pipeline(&self, tenant: &crm_testkit::Tenant) -> PipelineId {
        let (id, organization) = (PipelineId::generate(), tenant.organization_id);
        let pipeline = format!(
            "INSERT INTO crm_pipelines (organization_id, id, name, position) VALUES ('{organization}', '{id}', 'Renewals', 1)"
        );
        self.execute(&pipeline).await;
        let stages = [("due", 60, "open"), ("renewed", 100, "won"), ("cancelled", 0, "lost")];
        for (position, (key, probability, outcome)) in stages.into_iter().enumerate() {
            let values = format!("'{organization}', '{id}', '{key}', '{key}', {position}, {probability}, '{outcome}'");
            let columns = "organization_id, pipeline_id, key, label, position, probability, outcome";
            self.execute(&format!("INSERT INTO crm_pipeline_stages ({columns}) VALUES ({values})")).await;
        }
        id
    }
}
