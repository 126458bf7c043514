//! Who was found to be in a short while ago: sessions and API tokens whose requests count for their organisation.
//!
//! Not here: whether somebody is let in. That is the database's, in every transaction; what is remembered here opens nothing.
//! Must stay true: the memory is bounded; an answer that somebody is out is remembered too, so that a token which was taken away costs
//! a look at the database once in a while, and not with every request.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crm_kernel::{Context, Error, Result};
use uuid::Uuid;

/// How long it is believed that somebody is in: so long may the tokens of somebody who was put out still count for the organisation.
const BELIEVED_IN: Duration = Duration::from_secs(10);
/// How long that somebody is out, who may be let in again.
const BELIEVED_OUT: Duration = Duration::from_secs(1);
/// More sessions and tokens than a process serves in that time; beyond it the memory begins again.
const MOST: usize = 20_000;

/// What was found, and when.
#[derive(Debug, Default)]
pub(super) struct Entrances {
    known: Mutex<HashMap<(Uuid, Uuid), (Instant, bool)>>,
}

impl Entrances {
    /// Whether the session or token of this caller is in, as was found lately, or as `enters` says.
    ///
    /// # Errors
    /// `Unauthenticated` for who is out. What else `enters` says is the request's own to find out.
    pub(super) async fn check(&self, context: &Context, enters: impl Future<Output = Result<()>>) -> Result<()> {
        let proof = context.token_id.map(|token| token.uuid()).or(context.session_id.map(|session| session.uuid()));
        let caller = (context.organization_id.uuid(), proof.unwrap_or_else(|| context.user_id.uuid()));
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&caller).copied();
        let is_in = match known.filter(|(since, is_in)| since.elapsed() < if *is_in { BELIEVED_IN } else { BELIEVED_OUT }) {
            Some((_, is_in)) => is_in,
            None => match enters.await {
                Ok(()) => self.found(caller, true),
                Err(Error::Unauthenticated(_)) => self.found(caller, false),
                Err(_) => true,
            },
        };
        if is_in { Ok(()) } else { Err(Error::unauthenticated("the session or token has ended")) }
    }

    fn found(&self, caller: (Uuid, Uuid), is_in: bool) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(caller, (Instant::now(), is_in));
        is_in
    }
}
