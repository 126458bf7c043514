//! What a deal consists of and who takes part in it, with the products of crm-sales-opportunities.
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

mod parents;

use crm_deals::{
    Deal, DealChanges, DealContactsRequest, Deals, LineItemList, LineItemsRequest, NewDeal, NewDealContact, NewLineItem,
    NewProduct, PgDeals, PgProducts, Product, ProductChanges, Products, StageStep,
};
use crm_kernel::{Error, Expected, FieldError, LineItemId, Money, Result};
use crm_testkit::{Tenant, TestDatabase, refusals};
use diesel::{ExpressionMethods, QueryDsl};
use tokio::task::JoinSet;

mod tables {
    diesel::table! {
        crm_deals (id) {
            id -> Uuid,
            amount -> Nullable<Numeric>,
        }
    }
}

struct Bench {
    database: TestDatabase,
    tenant: Tenant,
    deals: PgDeals,
    products: PgProducts,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let (deals, products) = (PgDeals::new(database.db()), PgProducts::new(database.db()));
        Self { database, tenant, deals, products }
    }

    async fn product(&self, name: &str, price: &str) -> Product {
        let unit_price = Some(price.parse().expect("a price"));
        let new = NewProduct { name: name.into(), sku: Some(name.to_lowercase()), unit_price, ..NewProduct::default() };
        self.products.create(&self.tenant.admin, new).await.expect("an admin keeps products")
    }

    async fn deal(&self) -> Deal {
        let new = NewDeal { name: "Forty workstations".into(), ..NewDeal::default() };
        self.deals.create(&self.tenant.member, new).await.expect("a member creates")
    }

    async fn put(&self, deal: &Deal, data: Vec<NewLineItem>) -> Result<LineItemList> {
        self.deals.replace_line_items(&self.tenant.member, deal.id, &Expected::Any, &LineItemsRequest { data }).await
    }

    async fn again(&self, deal: &Deal) -> Deal {
        self.deals.get(&self.tenant.viewer, deal.id).await.expect("everybody reads")
    }
}

fn of(product: &Product, quantity: &str) -> NewLineItem {
    NewLineItem { product_id: Some(product.id), quantity: Some(quantity.parse().expect("a number")), ..NewLineItem::default() }
}

fn own(name: &str, unit_price: &str) -> NewLineItem {
    NewLineItem { name: Some(name.into()), unit_price: Some(unit_price.parse().expect("a price")), ..NewLineItem::default() }
}

fn as_sent(list: &LineItemList) -> Vec<NewLineItem> {
    let sent = |line: &crm_deals::LineItem| NewLineItem {
        id: Some(line.id),
        product_id: line.product_id,
        name: Some(line.name.clone()),
        quantity: Some(line.quantity.clone()),
        unit_price: Some(line.unit_price.clone()),
        discount_percent: Some(line.discount_percent.clone()),
    };
    list.data.iter().map(sent).collect()
}

fn amounts(list: &LineItemList) -> (Vec<String>, Option<String>) {
    (list.data.iter().map(|line| line.amount.to_string()).collect(), list.total.as_ref().map(ToString::to_string))
}

fn faults(answer: Result<LineItemList>) -> Vec<String> {
    let Err(Error::Invalid(fields)) = answer else { unreachable!("expected Invalid, got {answer:?}") };
    fields.iter().map(|FieldError { pointer, code, .. }| format!("{pointer} {code}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_with_lines_is_worth_their_exact_sum() {
    let bench = Bench::new().await;
    let (pro, special) = (bench.product("GTX Pro", "4821").await, bench.product("MG Special", "55").await);
    let deal = bench.deal().await;
    let discounted = NewLineItem { discount_percent: Some("12.5".parse().unwrap()), ..of(&pro, "3") };
    let list = bench.put(&deal, vec![discounted, of(&special, "0.333"), own("Delivery", "19.995")]).await.unwrap();
    assert_eq!(amounts(&list), (["12655.13", "18.32", "20.00"].map(String::from).to_vec(), Some("12693.45".into())));
    assert_eq!(list.data[0].name, "GTX Pro", "a line takes name and price from its product");
    let worth = bench.again(&deal).await;
    assert_eq!((worth.amount.as_ref(), worth.base_amount.as_ref()), (list.total.as_ref(), list.total.as_ref()));
    assert_eq!((worth.version, list.version), (2, 2), "one change, one version");

    let same = bench.put(&deal, as_sent(&list)).await.unwrap();
    assert_eq!(same, list, "the same lines once more change nothing, the version neither");

    let turned: Vec<NewLineItem> = as_sent(&list).into_iter().rev().collect();
    let turned = bench.put(&deal, turned).await.unwrap();
    assert_eq!(turned.data.iter().map(|line| line.name.as_str()).collect::<Vec<_>>(), ["Delivery", "MG Special", "GTX Pro"]);
    assert_eq!((turned.version, &turned.total), (3, &list.total), "their order is a change too");

    let fewer = bench.put(&deal, as_sent(&turned).into_iter().skip(2).collect()).await.unwrap();
    assert_eq!(amounts(&fewer), (vec!["12655.13".into()], Some("12655.13".into())));
    let none = bench.put(&deal, Vec::new()).await.unwrap();
    assert_eq!((none.data.len(), none.total, bench.again(&deal).await.amount), (0, None, fewer.total), "the amount stays");
    let by_hand = DealChanges { amount: Some(Some("1".parse().unwrap())), ..DealChanges::default() };
    bench.deals.update(&bench.tenant.member, deal.id, &Expected::Any, &by_hand).await.expect("without lines it is set by hand");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_there_are_lines_neither_amount_nor_currency_is_set_by_hand() {
    let bench = Bench::new().await;
    let deal = bench.deal().await;
    bench.put(&deal, vec![own("Licence", "100")]).await.unwrap();
    let member = &bench.tenant.member;
    let change = async |changes: DealChanges| bench.deals.update(member, deal.id, &Expected::Any, &changes).await;
    let amount = |amount: &str| DealChanges { amount: Some(Some(amount.parse().unwrap())), ..DealChanges::default() };
    refusals::invalid(change(amount("99")).await, "/amount", "line_items", "it is worth their sum");
    change(amount("100.00")).await.expect("what it is worth may be said");
    let euro = DealChanges { currency: Some("EUR".into()), ..DealChanges::default() };
    refusals::invalid(change(euro).await, "/currency", "line_items", "the prices are in the deal's currency");
    let step = |amount: &str| StageStep { stage: "closed_won".into(), amount: amount.parse().ok(), ..StageStep::default() };
    let refused = bench.deals.move_to(member, deal.id, &Expected::Any, &step("99")).await;
    refusals::invalid(refused, "/amount", "line_items", "a step sets no other amount either");
    bench.deals.move_to(member, deal.id, &Expected::Any, &step("100")).await.expect("the deal is won for what it is worth");
    // Also for programs that do not ask the service.
    let mut tx = bench.database.db().begin(member).await.unwrap();
    let five: Option<Money> = "5".parse().ok();
    let five = diesel::update(tables::crm_deals::table.find(deal.id)).set(tables::crm_deals::amount.eq(five));
    let around = diesel_async::RunQueryDsl::execute(five, &mut tx).await;
    assert!(around.unwrap_err().to_string().contains("worth their sum"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_keeps_its_name_its_price_and_its_product() {
    let bench = Bench::new().await;
    let (gtk, basic) = (bench.product("GTK 500", "26768").await, bench.product("GTX Basic", "550").await);
    let deal = bench.deal().await;
    let list = bench.put(&deal, vec![of(&gtk, "2")]).await.unwrap();

    let dearer = ProductChanges {
        unit_price: Some(Some("30000".parse().unwrap())),
        name: Some("GTK 600".into()),
        ..ProductChanges::default()
    };
    bench.products.update(&bench.tenant.admin, gtk.id, &Expected::OneOf(vec![1]), &dearer).await.unwrap();
    let id_alone = NewLineItem { id: Some(list.data[0].id), ..of(&gtk, "2") };
    assert_eq!(bench.put(&deal, vec![id_alone.clone()]).await.unwrap(), list, "what was offered stays");

    bench.products.delete(&bench.tenant.owner, gtk.id, &Expected::Any).await.unwrap();
    let three = NewLineItem { quantity: "3".parse().ok(), ..id_alone.clone() };
    let three = bench.put(&deal, vec![three]).await.expect("a line of a deleted product is still a line");
    assert_eq!(amounts(&three).1.as_deref(), Some("80304.00"));
    assert_eq!(faults(bench.put(&deal, vec![of(&gtk, "1")]).await), ["/data/0/product_id reference"], "and there is no new one");
    let other = NewLineItem { product_id: Some(basic.id), ..id_alone };
    assert_eq!(faults(bench.put(&deal, vec![other]).await), ["/data/0/product_id fixed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_wrong_with_lines_is_named_at_once() {
    let bench = Bench::new().await;
    let pro = bench.product("GTX Pro", "4821").await;
    let new = NewDeal { name: "In euro".into(), currency: Some("EUR".into()), ..NewDeal::default() };
    let deal = bench.deals.create(&bench.tenant.member, new).await.unwrap();
    let foreign = bench.database.tenant("Umbrella").await;
    let theirs = NewProduct { name: "Theirs".into(), ..NewProduct::default() };
    let theirs = bench.products.create(&foreign.owner, theirs).await.unwrap();
    let nobody = NewLineItem { id: Some(LineItemId::generate()), ..own("Nobody's", "1") };
    let wrong = bench.put(&deal, vec![of(&pro, "1"), of(&theirs, "1"), nobody, NewLineItem::default()]).await;
    let expected = [
        "/data/0/unit_price required",
        "/data/1/product_id reference",
        "/data/2/id reference",
        "/data/3/name required",
        "/data/3/unit_price required",
    ];
    assert_eq!(faults(wrong), expected);
    let values = NewLineItem {
        name: Some(" ".into()),
        quantity: "0".parse().ok(),
        unit_price: "-1".parse().ok(),
        discount_percent: "100.001".parse().ok(),
        ..NewLineItem::default()
    };
    let expected =
        ["/data/0/discount_percent range", "/data/0/name required", "/data/0/quantity range", "/data/0/unit_price range"];
    assert_eq!(faults(bench.put(&deal, vec![values]).await), expected);
    let vast = || NewLineItem { quantity: "999999999999999".parse().ok(), ..own("Vast", "1") };
    bench.put(&deal, vec![vast()]).await.expect("15 digits fit");
    assert_eq!(faults(bench.put(&deal, vec![vast(), own("One more", "1")]).await), ["/data/1/quantity range"]);
    let squared = NewLineItem { unit_price: "999999999999999".parse().ok(), ..vast() };
    assert_eq!(faults(bench.put(&deal, vec![squared]).await), ["/data/0/quantity range"]);
    let many = (0..201).map(|number| own(&format!("Line {number}"), "1")).collect();
    assert_eq!(faults(bench.put(&deal, many).await), ["/data too_many"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_the_deals_holders_to_write_and_nobody_elses_to_see() {
    let bench = Bench::new().await;
    let deal = bench.deal().await;
    let request = LineItemsRequest { data: vec![own("Licence", "100")] };
    let put = async |context: &crm_kernel::Context, expected: Expected| {
        bench.deals.replace_line_items(context, deal.id, &expected, &request).await
    };
    refusals::forbidden(put(&bench.tenant.viewer, Expected::Any).await, "a viewer reads");
    refusals::forbidden(put(&bench.tenant.colleague, Expected::Any).await, "a member writes what it owns or created");
    refusals::stale(put(&bench.tenant.member, Expected::OneOf(vec![7])).await, "the version of the deal counts");
    let foreign = bench.database.tenant("Umbrella").await;
    refusals::not_found(put(&foreign.owner, Expected::Any).await, "another organisation's deal is not there");
    refusals::not_found(bench.deals.line_items(&foreign.owner, deal.id).await, "nor are its lines");
    put(&bench.tenant.admin, Expected::OneOf(vec![1])).await.expect("an admin writes");
    bench.deals.line_items(&bench.tenant.viewer, deal.id).await.expect("a viewer reads");
    let log = bench
        .database
        .texts(&format!(
            "SELECT entity_type || ' ' || activity_type FROM crm_activities WHERE subject_id = '{}' ORDER BY seq",
            deal.id
        ))
        .await;
    assert_eq!(log, ["deal created", "deal_line_item created", "deal updated"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_of_lines_never_lose_the_sum() {
    let bench = Bench::new().await;
    let deal = bench.deal().await;
    let write = |number: usize| {
        let (deals, member, id) = (bench.deals.clone(), bench.tenant.member.clone(), deal.id);
        async move {
            let data = (0..=number).map(|line| own(&format!("{number}.{line}"), "1.25")).collect();
            deals.replace_line_items(&member, id, &Expected::Any, &LineItemsRequest { data }).await
        }
    };
    for written in (0..12).map(write).collect::<JoinSet<_>>().join_all().await {
        written.expect("one after the other");
    }
    let (list, worth) = (bench.deals.line_items(&bench.tenant.viewer, deal.id).await.unwrap(), bench.again(&deal).await);
    assert_eq!((worth.amount, worth.version), (list.total.clone(), 13));
    let names: Vec<_> = list.data.iter().map(|line| line.name.split('.').next().unwrap().to_owned()).collect();
    assert!(names.iter().all(|writer| *writer == names[0]), "one writer's lines are there, all of them: {names:?}");
    assert_eq!(names.len(), names[0].parse::<usize>().unwrap() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn products_are_kept_by_owners_and_admins() {
    let bench = Bench::new().await;
    let pro = bench.product("GTX Pro", "4821").await;
    assert_eq!(
        (pro.unit_price.as_ref().unwrap().to_string().as_str(), pro.currency.as_str(), pro.is_active),
        ("4821.00", "USD", true)
    );
    let new = || NewProduct { name: "Other".into(), sku: Some("gtx pro".into()), ..NewProduct::default() };
    refusals::forbidden(bench.products.create(&bench.tenant.member, new()).await, "members sell, they do not set prices");
    refusals::conflict(bench.products.create(&bench.tenant.admin, new()).await, "/sku", "one number, one product");
    let none = ProductChanges::default();
    let update = async |context, version| bench.products.update(context, pro.id, &Expected::OneOf(vec![version]), &none).await;
    refusals::forbidden(update(&bench.tenant.member, 1).await, "members do not change them");
    refusals::stale(update(&bench.tenant.admin, 2).await, "changed since");
    assert_eq!(update(&bench.tenant.admin, 1).await.unwrap(), pro);
    let foreign = bench.database.tenant("Umbrella").await;
    refusals::not_found(bench.products.get(&foreign.owner, pro.id).await, "another organisation's product is not there");
    refusals::not_found(bench.products.restore(&foreign.owner, pro.id).await, "nor can it be restored");

    bench.products.delete(&bench.tenant.admin, pro.id, &Expected::Any).await.unwrap();
    refusals::not_found(bench.products.get(&bench.tenant.admin, pro.id).await, "it is in the bin");
    let other = bench.products.create(&bench.tenant.admin, new()).await.expect("its number is free");
    refusals::conflict(bench.products.restore(&bench.tenant.admin, pro.id).await, "/sku", "the number is taken by now");
    bench.products.delete(&bench.tenant.admin, other.id, &Expected::Any).await.unwrap();
    refusals::forbidden(bench.products.restore(&bench.tenant.member, pro.id).await, "members restore none");
    assert_eq!(bench.products.restore(&bench.tenant.admin, pro.id).await.unwrap().version, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_take_part_with_a_role_and_once() {
    let bench = Bench::new().await;
    let (db, member) = (bench.database.db(), &bench.tenant.member);
    let (ada, grace) = (parents::contact(&db, member).await.unwrap(), parents::contact(&db, member).await.unwrap());
    let company_id = parents::company(&db, member).await.ok();
    let campaign_id = parents::campaign(&db, member).await.ok();
    let new = NewDeal { name: "Forty workstations".into(), company_id, campaign_id, ..NewDeal::default() };
    let deal = bench.deals.create(member, new).await.unwrap();
    let person = |contact_id, role: &str| NewDealContact { contact_id, role: Some(role.into()) };
    let put = async |data| bench.deals.replace_contacts(member, deal.id, &Expected::Any, &DealContactsRequest { data }).await;
    let list = put(vec![person(ada, "decides"), person(grace, "uses it")]).await.unwrap();
    let seen: Vec<_> = list.data.iter().map(|person| (person.contact_id, person.role.as_deref().unwrap())).collect();
    assert_eq!(seen, [(ada, "decides"), (grace, "uses it")]);
    assert_eq!((list.version, list.data[0].name.as_deref()), (2, Some("Ada Lovelace")));
    assert_eq!(put(vec![person(ada, "decides"), person(grace, "uses it")]).await.unwrap().version, 2, "nothing changed");
    refusals::invalid(put(vec![person(ada, "a"), person(ada, "b")]).await, "/data/1/contact_id", "duplicate", "once");

    bench.database.execute(&format!("UPDATE crm_contacts SET deleted_at = now() WHERE id = '{grace}'")).await;
    let kept = put(vec![person(ada, "advises"), person(grace, "uses it no more")]).await.expect("who is there stays");
    assert!(kept.data[1].is_deleted);
    let alone = put(vec![person(ada, "advises")]).await.unwrap();
    assert_eq!((alone.data.len(), alone.version), (1, 4));
    refusals::invalid(put(vec![person(grace, "again")]).await, "/data/0/contact_id", "reference", "no new one from the bin");
    let foreign = bench.database.tenant("Umbrella").await;
    let theirs = parents::contact(&db, &foreign.member).await.unwrap();
    refusals::invalid(put(vec![person(theirs, "spies")]).await, "/data/0/contact_id", "reference", "no such person here");
    refusals::not_found(bench.deals.contacts(&foreign.owner, deal.id).await, "another organisation's deal is not there");
}
