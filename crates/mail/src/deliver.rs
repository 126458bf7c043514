//! The worker that delivers: takes what is due from the queue, writes it, hands it over, says what became of it.
//!
//! Must stay true: it ends between two letters and never within one; whatever fails is said once in the log, without names and
//! addresses of ours, and tried again when the queue says so.

use std::{sync::Arc, time::Duration};

use crm_kernel::Result;
use crm_tenancy::identity::letters::{Failure, Letter, Letters};
use futures_util::future::join_all;
use tokio::sync::Notify;

use crate::{Composer, Mailer};

/// Letters under way at once.
const AT_ONCE: u16 = 8;
/// How long a claimed letter is ours: longer than handing it over may take.
const LEASE: Duration = Duration::from_secs(120);
/// How long a letter waits at most for one that nobody announced here: of another process, or a further try.
const LOOK: Duration = Duration::from_secs(5);

/// Delivers letters.
pub struct Delivery {
    letters: Arc<dyn Letters>,
    composer: Composer,
    mailer: Arc<dyn Mailer>,
    queued: Arc<Notify>,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Delivery").field("composer", &self.composer).finish_non_exhaustive()
    }
}

impl Delivery {
    /// From this queue to this mailer; `queued` announces new letters.
    #[must_use]
    pub fn new(letters: Arc<dyn Letters>, composer: Composer, mailer: Arc<dyn Mailer>, queued: Arc<Notify>) -> Self {
        Self { letters, composer, mailer, queued }
    }

    /// Delivers until `stop` is ready, and then finishes what it has begun.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut queue_is_away = false;
        loop {
            let outcome = self.deliver_due().await;
            if let Err(error) = &outcome
                && !queue_is_away
            {
                tracing::warn!(%error, "letters wait: the queue cannot be read");
            }
            queue_is_away = outcome.is_err();
            let pause = if outcome.is_ok_and(|count| count >= usize::from(AT_ONCE)) { Duration::ZERO } else { LOOK };
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = self.queued.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Delivers what is due now, a few letters at most; says how many it tried.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn deliver_due(&self) -> Result<usize> {
        let claimed = self.letters.claim(AT_ONCE, LEASE).await?;
        for (letter, reason) in &claimed.given_up {
            tracing::error!(letter = %letter.id, kind = letter.kind, attempts = letter.attempts, reason, "a letter was given up");
        }
        join_all(claimed.letters.iter().map(|letter| self.deliver(letter))).await;
        Ok(claimed.letters.len() + claimed.given_up.len())
    }

    async fn deliver(&self, letter: &Letter) {
        let outcome = match self.composer.compose(letter) {
            Ok(message) => self.mailer.send(message).await,
            Err(failure) => Err(failure),
        };
        let noted = match &outcome {
            Ok(()) => self.letters.sent(letter.id).await.map(|()| false),
            Err(failure) => self.letters.failed(letter.id, failure).await,
        };
        let (id, kind, attempts) = (letter.id, &letter.kind, letter.attempts);
        match (outcome, noted) {
            (Ok(()), Ok(_)) => tracing::info!(letter = %id, kind, "a letter was sent"),
            (Err(Failure::Temporary(reason) | Failure::Permanent(reason)), Ok(false)) => {
                tracing::warn!(letter = %id, kind, attempts, reason, "a letter could not be sent and is tried again later");
            }
            (Err(Failure::Temporary(reason) | Failure::Permanent(reason)), Ok(true)) => {
                tracing::error!(letter = %id, kind, attempts, reason, "a letter was given up");
            }
            // Its lease ends, and somebody takes it again.
            (_, Err(error)) => tracing::warn!(letter = %id, kind, attempts, %error, "what became of a letter cannot be noted"),
        }
    }
}
