//! Many people who change one record at the same moment, each from the version that all of them saw.

use futures_util::future::join_all;
use serde_json::json;

use super::support::{
    App,
    document::example,
    faults::{report, rounds},
};

const WRITERS: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn of_24_writers_with_the_same_version_one_wins_each_round_and_no_change_is_lost() {
    let app = App::start().await;
    let tenant = app.database.tenant("Acme").await;
    let owner = app.login(&tenant.email("owner")).await;
    let record = owner.post("companies", &example("NewCompany", "one")).await.expect(201);
    let path = format!("companies/{}", record.body["id"].as_str().unwrap());
    let rounds = rounds(5, 100);
    let (mut tag, mut won) = (record.header("etag").to_owned(), Vec::new());
    for round in 0..rounds {
        let change = |writer: usize| {
            let body = json!({ "industry": format!("{round}-{writer}") });
            owner.call("PATCH", &path).header("if-match", &tag).json(&body).send()
        };
        let answers = join_all((0..WRITERS).map(change)).await;
        let mut winners = answers.iter().filter(|answer| answer.status == 200);
        let winner = winners.next().expect("one wins");
        assert!(winners.next().is_none(), "only one wins");
        let stale = answers.iter().filter(|answer| answer.status == 412).count();
        assert_eq!(stale, WRITERS - 1, "all others are told that they were too late");
        won.push(winner.body["industry"].as_str().unwrap().to_owned());
        tag = winner.header("etag").to_owned();
    }
    let last = owner.get(&path).await.expect(200);
    assert_eq!(
        (last.body["version"].as_u64().unwrap(), &last.body["industry"]),
        (rounds as u64 + 1, &json!(won.last().unwrap()))
    );
    let id = record.body["id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap();
    let logged = app.database.activities_of("company", id).await;
    let changes = logged.iter().filter_map(|row| row.change("industry")).skip(1);
    let logged: Vec<String> = changes.map(|(_, new)| new.as_str().unwrap().to_owned()).collect();
    assert_eq!(logged, won, "the log has every winner, in order");
    report(
        "24 writers of one record with If-Match",
        &format!("{rounds} rounds, {rounds} won, {} told 412, 0 lost updates", rounds * (WRITERS - 1)),
    );
}
