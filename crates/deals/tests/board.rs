//! The board: cards stand as people place them, and none is lost.
#![allow(clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

use crm_deals::{
    Board, BoardStage, CardList, CardsQuestion, Deal, Deals, FIELDS, NewDeal, NewPipeline, NewStage, PgDeals, PgPipelines,
    PipelineChanges, Pipelines, StageOutcome, StageStep, VOCABULARY, default_sort,
};
use crm_kernel::{Condition, Cursor, DealId, Error, Expected, Filter, ListQuery, Result, Timestamp, fields, filter::Moment};
use crm_testkit::{Tenant, TestDatabase, refusals};
use serde_json::json;
use tokio::task::JoinSet;

struct Bench {
    database: TestDatabase,
    tenant: Tenant,
    deals: PgDeals,
    pipelines: PgPipelines,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let tenant = database.tenant("Acme").await;
        let (deals, pipelines) = (PgDeals::new(database.db()), PgPipelines::new(database.db()));
        Self { database, tenant, deals, pipelines }
    }

    async fn deal(&self, name: &str) -> Deal {
        let new = NewDeal { name: name.into(), amount: "10".parse().ok(), ..NewDeal::default() };
        self.deals.create(&self.tenant.member, new).await.expect("the deal is right")
    }

    async fn place(&self, deal: &Deal, stage: &str, below_id: Option<Option<DealId>>) -> Result<Deal> {
        let step = StageStep { stage: stage.into(), below_id, ..StageStep::default() };
        self.deals.move_to(&self.tenant.member, deal.id, &Expected::Any, &step).await
    }

    async fn board(&self, filter: &Filter) -> Board {
        self.pipelines.board(&self.tenant.viewer, filter).await.expect("a viewer reads")
    }

    async fn column(&self, stage: &str) -> BoardStage {
        let board = self.board(&Filter::default()).await;
        board.stages.into_iter().find(|column| column.stage == stage).expect("the stage is there")
    }

    async fn cards(&self, stage: &str, filter: &Filter, cursor: &str) -> Result<CardList> {
        let question = CardsQuestion::new(stage, filter.clone(), 50)?.continue_after(cursor)?;
        self.pipelines.cards(&self.tenant.viewer, &question).await
    }

    /// What deals this condition finds.
    async fn asked(&self, text: &str) -> Vec<String> {
        let moment = Moment::utc(self.tenant.viewer.user_id, Timestamp::now());
        let condition = Condition::parse(text, &VOCABULARY).expect("a condition");
        let filter = Filter::default().and(condition, &moment).expect("within the calendar");
        let query = ListQuery { filter, ..ListQuery::all(default_sort()) };
        let page = self.deals.list(&self.tenant.viewer, &query).await.expect("a viewer reads");
        page.data.into_iter().map(|deal| deal.name).collect()
    }

    async fn names(&self, stage: &str) -> Vec<String> {
        self.column(stage).await.data.into_iter().map(|card| card.deal.name).collect()
    }
}

fn names_of(list: &CardList) -> Vec<String> {
    list.data.iter().map(|card| card.deal.name.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_stand_where_they_are_placed() {
    let bench = Bench::new().await;
    let (a, b, c) = (bench.deal("a").await, bench.deal("b").await, bench.deal("c").await);
    assert_eq!(bench.names("prospecting").await, ["c", "b", "a"], "who comes stands on top");
    bench.place(&c, "prospecting", Some(Some(a.id))).await.unwrap();
    assert_eq!(bench.names("prospecting").await, ["b", "a", "c"]);
    bench.place(&a, "prospecting", Some(None)).await.unwrap();
    assert_eq!(bench.names("prospecting").await, ["a", "b", "c"]);
    bench.place(&c, "prospecting", Some(Some(a.id))).await.unwrap();
    assert_eq!(bench.names("prospecting").await, ["a", "c", "b"]);
    let before = bench.deals.get(&bench.tenant.member, a.id).await.unwrap();
    assert_eq!(bench.place(&a, "prospecting", None).await.unwrap(), before, "nothing asked, nothing done");

    bench.place(&b, "proposal", None).await.unwrap();
    bench.place(&a, "proposal", None).await.unwrap();
    assert_eq!(
        (bench.names("proposal").await, bench.names("prospecting").await),
        (vec!["a".into(), "b".into()], vec!["c".into()])
    );
    bench.place(&c, "proposal", Some(Some(a.id))).await.unwrap();
    assert_eq!(bench.names("proposal").await, ["a", "c", "b"], "into another stage and to its place in one step");
    bench.place(&c, "negotiation", Some(None)).await.unwrap();
    assert_eq!(bench.names("negotiation").await, ["c"], "the top of an empty stage");
    let column = bench.column("proposal").await;
    assert_eq!(
        (column.count, column.amount.to_string(), column.weighted_amount.to_string()),
        (2, "20.00".into(), "10.00".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_later_stands_above_those_that_were_dragged_to_the_top() {
    let bench = Bench::new().await;
    let (a, b) = (bench.deal("a").await, bench.deal("b").await);
    for _ in 0..40 {
        bench.place(&a, "prospecting", Some(None)).await.unwrap();
        bench.place(&b, "prospecting", Some(None)).await.unwrap();
    }
    let c = bench.deal("c").await;
    assert_eq!(bench.names("prospecting").await, ["c", "b", "a"]);
    // As it was where people had dragged cards before: far above the clock.
    for place in ["4", "0000000000000000000001"] {
        bench.database.execute(&format!("UPDATE crm_deals SET board_position = '{place}' WHERE id = '{}'", a.id)).await;
        assert_eq!(bench.names("prospecting").await[0], "a");
        let new = bench.deal("new").await;
        bench.place(&c, "proposal", None).await.unwrap();
        bench.place(&c, "prospecting", None).await.unwrap();
        assert_eq!(bench.names("prospecting").await[..3], ["c", "new", "a"]);
        bench.deals.delete(&bench.tenant.member, new.id, &Expected::Any).await.unwrap();
    }
    // Many who come at once, while one is dragged to the top, and one after them.
    let mut people = JoinSet::new();
    for number in 0..12 {
        let (deals, who, card) = (bench.deals.clone(), bench.tenant.member.clone(), b.id);
        people.spawn(async move {
            if number % 3 == 0 {
                let step = StageStep { stage: "prospecting".into(), below_id: Some(None), ..StageStep::default() };
                deals.move_to(&who, card, &Expected::Any, &step).await.expect("it is moved");
            } else {
                let new = NewDeal { name: format!("{number:02}"), ..NewDeal::default() };
                deals.create(&who, new).await.expect("it comes");
            }
        });
    }
    people.join_all().await;
    bench.deal("last").await;
    assert_eq!(bench.names("prospecting").await[0], "last");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_named_by_a_living_deal_of_the_stage() {
    let bench = Bench::new().await;
    let (a, b) = (bench.deal("a").await, bench.deal("b").await);
    let umbrella = bench.database.tenant("Umbrella").await;
    let new = NewDeal { name: "theirs".into(), ..NewDeal::default() };
    let theirs = bench.deals.create(&umbrella.member, new).await.unwrap();
    for (stage, below) in
        [("proposal", b.id), ("prospecting", a.id), ("prospecting", theirs.id), ("prospecting", DealId::generate())]
    {
        let refused = bench.place(&a, stage, Some(Some(below))).await;
        refusals::invalid(refused, "/below_id", "reference", "it stands nowhere there");
    }
    bench.deals.delete(&bench.tenant.member, b.id, &Expected::Any).await.unwrap();
    refusals::invalid(bench.place(&a, "prospecting", Some(Some(b.id))).await, "/below_id", "reference", "it is in the bin");
    assert_eq!(bench.names("prospecting").await, ["a"]);

    let field = fields::find(FIELDS, "pipeline_id").unwrap();
    let own = bench.board(&Filter::default()).await.pipeline_id.expect("the default one");
    let foreign = bench.pipelines.board(&umbrella.owner, &Filter::default().and_id(field, own.uuid())).await.unwrap();
    assert_eq!((foreign.pipeline_id, foreign.stages.len()), (None, 0), "another organisation's pipeline is not there");
    let question = CardsQuestion::new("prospecting", Filter::default().and_id(field, own.uuid()), 50).unwrap();
    let theirs = bench.pipelines.cards(&umbrella.owner, &question).await.unwrap();
    assert_eq!((theirs.data.len(), theirs.page.has_more), (0, false), "nor are its cards");
    let nowhere = CardsQuestion::new("nowhere", Filter::default(), 50).unwrap();
    refusals::not_found(bench.pipelines.cards(&bench.tenant.viewer, &nowhere).await, "it has no such stage");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_begins_with_25_cards_of_each_stage_and_goes_on_below_the_last() {
    let bench = Bench::new().await;
    for number in 0..28 {
        bench.deal(&format!("{number:02}")).await;
    }
    let column = bench.column("prospecting").await;
    assert_eq!((column.data.len(), column.page.has_more, column.count), (25, true, 28));
    let cursor = column.page.next_cursor.unwrap();
    let rest = bench.cards("prospecting", &Filter::default(), &cursor).await.unwrap();
    assert_eq!((names_of(&rest), rest.page.next_cursor), (vec!["02".into(), "01".into(), "00".into()], None));

    let mut one = Filter::default();
    one.add(&bench.tenant.viewer, fields::find(FIELDS, "name").unwrap(), "07").unwrap();
    let board = bench.board(&one).await;
    assert_eq!((board.stages[0].count, board.stages[0].data.len(), board.stages[0].page.has_more), (1, 1, false));
    assert_eq!(board.stages[0].amount.to_string(), "10.00", "sums are of what matches");
    for (stage, filter) in [("prospecting", &one), ("proposal", &Filter::default())] {
        let refused = bench.cards(stage, filter, &cursor).await;
        assert!(matches!(refused, Err(Error::Malformed(_))), "a cursor goes on with what it was issued for: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_stage_go_on_there_whatever_becomes_of_the_last_card() {
    let bench = Bench::new().await;
    let mut cards = Vec::new();
    for number in 0..8 {
        cards.push(bench.deal(&format!("{number:02}")).await);
    }
    let elsewhere = bench.deal("elsewhere").await;
    bench.place(&elsewhere, "proposal", None).await.unwrap();
    let question = CardsQuestion::new("prospecting", Filter::default(), 3).unwrap();
    let first = bench.pipelines.cards(&bench.tenant.viewer, &question).await.unwrap();
    assert_eq!(names_of(&first), ["07", "06", "05"]);
    let cursor = first.page.next_cursor.unwrap();
    let next = async |cursor: &str| {
        let question = question.clone().continue_after(cursor).unwrap();
        bench.pipelines.cards(&bench.tenant.viewer, &question).await.unwrap()
    };
    // The last card of the page goes to another stage, another pipeline becomes the default, a card is deleted.
    bench.place(&cards[5], "proposal", None).await.unwrap();
    bench.deals.delete(&bench.tenant.member, cards[3].id, &Expected::Any).await.unwrap();
    let new = NewPipeline { name: "Renewals".into(), is_default: true, ..NewPipeline::default() };
    bench.pipelines.create(&bench.tenant.owner, new).await.unwrap();
    let second = next(&cursor).await;
    assert_eq!(names_of(&second), ["04", "02", "01"], "it goes on in its stage");
    bench.deals.delete(&bench.tenant.member, cards[5].id, &Expected::Any).await.unwrap();
    assert_eq!(next(&cursor).await, second, "also when the card is gone");
    let last = next(second.page.next_cursor.as_ref().unwrap()).await;
    assert_eq!((names_of(&last), last.page.has_more), (vec!["00".to_owned()], false));

    for key in [json!("8"), json!([elsewhere.pipeline_id, "\u{0}"]), json!([elsewhere.pipeline_id, "x"]), json!(["8", "8"])] {
        let mut forged = Cursor::decode(&cursor).unwrap();
        forged.position.key = key;
        let refused = question.clone().continue_after(&forged.encode());
        assert!(matches!(refused, Err(Error::Malformed(_))), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_move_cards_at_once_lose_none() {
    let bench = Bench::new().await;
    let mut cards = Vec::new();
    for number in 0..12 {
        cards.push(bench.deal(&format!("{number:02}")).await);
    }
    let mut people = JoinSet::new();
    for (person, who) in [&bench.tenant.owner, &bench.tenant.admin, &bench.tenant.member].into_iter().enumerate() {
        let (deals, who, cards) = (bench.deals.clone(), who.clone(), cards.clone());
        people.spawn(async move {
            for turn in 0..40 {
                let (card, other) = (&cards[(turn * 5 + person) % 12], &cards[(turn * 7 + person * 3) % 12]);
                let stage = ["prospecting", "proposal", "negotiation"][(turn + person) % 3];
                let below_id = [None, Some(None), Some(Some(other.id))][turn % 3];
                let step = StageStep { stage: stage.into(), below_id, ..StageStep::default() };
                match deals.move_to(&who, card.id, &Expected::Any, &step).await {
                    // The other one stands elsewhere by now, which is what the caller is told.
                    Ok(_) | Err(Error::Invalid(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
        });
    }
    people.join_all().await;
    let board = bench.board(&Filter::default()).await;
    let shown: Vec<DealId> = board.stages.iter().flat_map(|column| &column.data).map(|card| card.deal.id).collect();
    let (there, expected): (BTreeSet<_>, BTreeSet<_>) =
        (shown.iter().copied().collect(), cards.iter().map(|card| card.id).collect());
    assert_eq!((shown.len(), there), (12, expected), "each card is there once");
    assert!(board.stages.iter().all(|column| column.count == i64::try_from(column.data.len()).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_rots_when_it_stands_longer_than_its_stage_says() {
    let bench = Bench::new().await;
    let pipeline = bench.pipelines.list(&bench.tenant.viewer).await.unwrap().data.remove(0);
    let stage = |stage: &crm_deals::Stage| NewStage {
        key: stage.key.clone(),
        label: stage.label.clone(),
        outcome: stage.outcome,
        probability: Some(stage.probability),
        rotting_days: (stage.outcome == StageOutcome::Open).then_some(14),
        forecast_category: None,
    };
    let changes = PipelineChanges { stages: Some(pipeline.stages.iter().map(stage).collect()), ..PipelineChanges::default() };
    bench.pipelines.update(&bench.tenant.owner, pipeline.id, &Expected::Any, &changes).await.unwrap();
    let (old, new) = (bench.deal("old").await, bench.deal("new").await);
    let age = |deal: &Deal, days: &str| {
        format!(
            "SET session_replication_role = replica;
             UPDATE crm_deals SET stage_entered_at = stage_entered_at - interval '{days}' WHERE id = '{}'",
            deal.id
        )
    };
    bench.database.execute(&age(&old, "14 days")).await;
    bench.database.execute(&age(&new, "13 days 23 hours")).await;
    let rotting: Vec<_> =
        bench.column("prospecting").await.data.into_iter().map(|card| (card.deal.name, card.is_rotting)).collect();
    assert_eq!(rotting, [("new".to_owned(), false), ("old".to_owned(), true)]);
    assert_eq!(bench.asked("rots_at <= now()").await, ["old"], "what rots is one question");
    assert_eq!(bench.asked("rots_at > now() AND rots_at <= now() + 1d").await, ["new"], "and what will");
    assert_eq!(bench.asked("NOT rots_at <= now()").await, ["new"]);
    bench.place(&old, "prospecting", Some(None)).await.unwrap();
    assert!(bench.column("prospecting").await.data[0].is_rotting, "another place in the same stage is no step");
    bench.place(&old, "qualification", None).await.unwrap();
    assert!(!bench.column("qualification").await.data[0].is_rotting, "a step is");
    assert_eq!(bench.asked("rots_at <= now()").await, [""; 0]);

    // The days of a stage count for the deals that stand in it already, and are no change of them.
    let seen = bench.deals.get(&bench.tenant.viewer, new.id).await.unwrap();
    assert!(seen.rots_at.is_some());
    let mut never: Vec<NewStage> = pipeline.stages.iter().map(stage).collect();
    never[0].rotting_days = None;
    let changes = PipelineChanges { stages: Some(never.clone()), ..PipelineChanges::default() };
    bench.pipelines.update(&bench.tenant.owner, pipeline.id, &Expected::Any, &changes).await.unwrap();
    assert_eq!(bench.deals.get(&bench.tenant.viewer, new.id).await.unwrap(), Deal { rots_at: None, ..seen.clone() });
    never[0].rotting_days = Some(13);
    let changes = PipelineChanges { stages: Some(never), ..PipelineChanges::default() };
    bench.pipelines.update(&bench.tenant.owner, pipeline.id, &Expected::Any, &changes).await.unwrap();
    assert_eq!(bench.asked("rots_at <= now()").await, ["new"]);
    let step = StageStep { stage: "closed_won".into(), ..StageStep::default() };
    bench.deals.move_to(&bench.tenant.member, new.id, &Expected::Any, &step).await.unwrap();
    assert_eq!(bench.asked("rots_at = null").await, ["new"], "what is closed does not rot");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_of_everything_is_the_board_of_a_question_that_everything_answers() {
    let bench = Bench::new().await;
    let mut deals = Vec::new();
    for number in 0..28 {
        deals.push(bench.deal(&format!("GTX Pro {number}")).await);
    }
    for (number, deal) in deals.iter().enumerate().filter(|(number, _)| number % 9 == 0) {
        bench.place(deal, if number > 9 { "proposal" } else { "closed_won" }, None).await.unwrap();
    }
    bench.place(&deals[1], "prospecting", Some(Some(deals[20].id))).await.unwrap();
    bench.deals.delete(&bench.tenant.member, deals[2].id, &Expected::Any).await.unwrap();
    let moment = Moment::utc(bench.tenant.viewer.user_id, Timestamp::now());
    let condition = Condition::parse("created_at > now() - 1d", &VOCABULARY).unwrap();
    let asked = bench.board(&Filter::default().and(condition, &moment).unwrap()).await;
    let mut everything = bench.board(&Filter::default()).await;
    // A cursor is tied to what was asked.
    for (stage, like) in everything.stages.iter_mut().zip(&asked.stages) {
        assert_eq!(stage.page.next_cursor.is_some(), like.page.next_cursor.is_some());
        stage.page.next_cursor.clone_from(&like.page.next_cursor);
    }
    assert_eq!(everything, asked);
    let counts: Vec<i64> = asked.stages.iter().map(|stage| stage.count).collect();
    assert_eq!((counts.iter().sum::<i64>(), asked.stages.iter().filter(|stage| stage.count > 0).count()), (27, 3));
}
