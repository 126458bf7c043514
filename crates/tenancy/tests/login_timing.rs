//! How long a refusal takes tells nobody whether an account exists: known accounts with a wrong password and unknown ones, measured
//! in turns so that whatever else the machine does meets both, and compared by rank.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "the numbers are worth seeing when the test passes, too")]

mod entrance;

use std::time::{Duration, Instant};

use crm_kernel::{Error, Role};
use entrance::{Entrance, elsewhere};

/// Accounts of each kind.
const ACCOUNTS: usize = 10;
/// Rounds over all accounts: as many as an account has tries.
const ROUNDS: usize = 10;

/// The chance that a try at a known account took longer than one at an unknown account: one half when they cannot be told apart.
fn longer(known: &[Duration], unknown: &[Duration]) -> f64 {
    let pairs = known.iter().flat_map(|one| unknown.iter().map(move |other| (one, other)));
    let score: f64 = pairs
        .map(|(one, other)| {
            if one > other {
                1.0
            } else if one == other {
                0.5
            } else {
                0.0
            }
        })
        .sum();
    score / (known.len() * unknown.len()) as f64
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2]
}

impl Entrance {
    /// One try, and how long it took.
    async fn timed(&self, email: &str, number: u32) -> (Duration, bool) {
        let began = Instant::now();
        let answer = self.with_password(email, "a wrong password", &elsewhere(number)).await;
        let limited = match answer {
            Err(Error::Unauthenticated(_)) => false,
            Err(Error::Limited { .. }) => true,
            other => panic!("a wrong password is refused: {other:?}"),
        };
        (began.elapsed(), limited)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn known_and_unknown_accounts_cannot_be_told_apart_by_time() {
    let entrance = Entrance::open().await;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for number in 0..ACCOUNTS {
        let email = format!("known-{number}@acme.example.com");
        entrance.database.add_member(entrance.tenant.organization_id, &email, Role::Member).await;
        known.push(email);
        unknown.push(format!("never-{number}@acme.example.com"));
    }
    for number in 0..4 {
        entrance.timed(&format!("warm-up-{number}@example.com"), number).await;
    }
    let mut addresses = 1_000..;
    // The first rounds are judged, the later ones are turned away unread.
    for (what, turned_away) in [("judged", false), ("turned away", true)] {
        let (mut of_known, mut of_unknown) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            for (one, other) in known.iter().zip(&unknown) {
                // Who goes first changes from round to round.
                let turns = if round % 2 == 0 { [(one, true), (other, false)] } else { [(other, false), (one, true)] };
                for (email, is_known) in turns {
                    let (time, limited) = entrance.timed(email, addresses.next().unwrap()).await;
                    assert_eq!(limited, turned_away, "{email} in round {round}");
                    if is_known { of_known.push(time) } else { of_unknown.push(time) }
                }
            }
        }
        let chance = longer(&of_known, &of_unknown);
        println!("{what}: {chance:.3}, medians {:?} and {:?}", median(&of_known), median(&of_unknown));
        assert!((0.4..=0.6).contains(&chance), "{what}: a known account takes longer with a chance of {chance:.3}");
        // No time passes for the counts between the first tries and the last ones.
        entrance
            .database
            .execute("UPDATE identity.throttles SET used = greatest(used, 10), counted_at = now() + interval '1 day'")
            .await;
    }
}
