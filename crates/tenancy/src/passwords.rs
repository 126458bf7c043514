//! Passwords: argon2id, on threads of their own that step back for everybody else, few at a time.
//!
//! Must stay true: a thousand logins at once must not starve other requests, so hashing has half of the cores at most, gives way
//! to every other thread, and has a queue that ends, of which nobody takes all; an unknown account costs the same time as a wrong password.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version,
    password_hash::{SaltString, rand_core::OsRng},
};
use crm_kernel::{Error, Result, UserId};
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

use crate::identity::throttle::{network, normalized};

/// Memory in KiB, passes and lanes: the first recommendation of OWASP's Password Storage Cheat Sheet for argon2id.
const PARAMETERS: (u32, u32, u32) = (19 * 1024, 2, 1);

/// How many may wait, those at work included. Whoever comes then is told to come back: an unbounded queue would make everyone wait
/// behind an attacker. The last of these waits for some five seconds on two cores, which a person prefers to being sent away.
static QUEUE: Semaphore = Semaphore::const_new(PLACES);
const PLACES: usize = 128;

/// How many of them one subject may have at once: the rest is for everybody else.
const PLACES_OF_ACCOUNT: usize = 4;
const PLACES_OF_ADDRESS: usize = 32;

/// Who has how many places now. No more entries than there are places have shares.
static TAKEN: LazyLock<Mutex<HashMap<[u8; 32], usize>>> = LazyLock::new(Mutex::default);

/// When it is worth coming back: by then the queue has moved on.
const LIMITED: Error = Error::Limited { retry_after_seconds: 2 };

/// What an unknown account is compared with; made once, of a random password that nobody knows.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).ok()?;
    hash_now(&random).ok()
});

type Job = Box<dyn FnOnce() + Send>;

/// The way to the threads that hash; none when the system gave no thread.
static WORKERS: LazyLock<Option<Sender<Job>>> = LazyLock::new(|| start().ok());

/// Whose place it is. What does not exist has a share as well: how full it is tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    key: [u8; 32],
    places: usize,
}

impl Subject {
    /// An account at the door, by the address of mail that was said.
    #[must_use]
    pub fn account(email: &str) -> Self {
        Self::of("account", &normalized(email), PLACES_OF_ACCOUNT)
    }

    /// An account as it is asked for from this address: who asks for somebody else's takes nothing from its owner elsewhere.
    #[must_use]
    pub fn account_at(email: &str, ip: Option<IpAddr>) -> Self {
        Self::of("account at", &format!("{} {}", normalized(email), place_of(ip)), PLACES_OF_ACCOUNT)
    }

    /// A person who is in.
    #[must_use]
    pub fn person(user: UserId) -> Self {
        Self::of("person", &user.to_string(), PLACES_OF_ACCOUNT)
    }

    /// All who come from this address, or this network of IPv6; without an address, as in a program that embeds this crate, nobody
    /// in particular.
    #[must_use]
    pub fn address(ip: Option<IpAddr>) -> Self {
        Self::of("address", &place_of(ip), if ip.is_some() { PLACES_OF_ADDRESS } else { PLACES })
    }

    /// The same name in another database is somebody else.
    #[must_use]
    pub fn of_database(self, number: u64) -> Self {
        Self { key: Sha256::new().chain_update(number.to_be_bytes()).chain_update(self.key).finalize().into(), ..self }
    }

    fn of(kind: &str, subject: &str, places: usize) -> Self {
        Self { key: Sha256::digest(format!("{kind} {subject}")).into(), places }
    }
}

fn place_of(ip: Option<IpAddr>) -> String {
    ip.map_or_else(|| "none".to_owned(), network)
}

/// Part of a share, given back when it is dropped.
#[derive(Debug)]
struct Share([u8; 32]);

impl Share {
    fn take(subject: Subject) -> Result<Self> {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let places = taken.entry(subject.key).or_default();
        if *places >= subject.places {
            return Err(LIMITED);
        }
        *places += 1;
        Ok(Self(subject.key))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut places) = taken.entry(self.0) {
            *places.get_mut() -= 1;
            if *places.get() == 0 {
                places.remove();
            }
        }
    }
}

/// A place in the queue. Take it before anything else is done for a login: what is turned away then has cost nothing, and has not
/// been counted as a try.
#[derive(Debug)]
pub struct Place {
    shares: Vec<Share>,
    _permit: SemaphorePermit<'static>,
}

/// A place in the queue, of the shares of all these.
///
/// # Errors
/// `Limited` when one of them has its share already, or too many wait.
pub fn queue(subjects: impl IntoIterator<Item = Subject>) -> Result<Place> {
    let shares = subjects.into_iter().map(Share::take).collect::<Result<Vec<_>>>()?;
    QUEUE.try_acquire().map(|_permit| Place { shares, _permit }).map_err(|_| LIMITED)
}

/// The hash to store, as a PHC string.
///
/// # Errors
/// `Limited` when too many wait already; `Internal` when hashing fails.
pub async fn hash(password: String) -> Result<String> {
    queue([])?.hash(password).await
}

impl Place {
    /// The same place, of the share of this one, too.
    ///
    /// # Errors
    /// `Limited` when it has its share already.
    pub fn shared(mut self, subject: Subject) -> Result<Self> {
        self.shares.push(Share::take(subject)?);
        Ok(self)
    }

    /// As [`hash`], for who has a place already.
    ///
    /// # Errors
    /// `Internal` when hashing fails.
    pub async fn hash(self, password: String) -> Result<String> {
        self.work(move || hash_now(password.as_bytes())).await
    }

    /// Whether the password belongs to the hash; `None` for an unknown account, which takes as long and is never right.
    ///
    /// # Errors
    /// `Internal` when hashing fails.
    pub async fn verify(self, password: String, stored: Option<String>) -> Result<bool> {
        self.work(move || {
            let known = stored.is_some();
            let Some(stored) = stored.or_else(|| NOBODY.clone()) else { return Ok(false) };
            let parsed = PasswordHash::new(&stored).map_err(|error| Error::internal(error.to_string()))?;
            let matches = argon2()?.verify_password(password.as_bytes(), &parsed).is_ok();
            Ok(matches && known)
        })
        .await
    }

    async fn work<T: Send + 'static>(self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let workers = WORKERS.as_ref().ok_or_else(|| Error::unavailable("no thread to hash on"))?;
        let (answer, answered) = oneshot::channel();
        let job = move || {
            let done = (!answer.is_closed()).then(work);
            // The place goes along: a client that leaves does not make room for another before its work is out of the queue. And it
            // is given back before the answer, so that who asks one thing after the other has one place at most.
            drop(self);
            if let Some(done) = done {
                // Nobody waits any more if this fails.
                let _ = answer.send(done);
            }
        };
        workers.send(Box::new(job)).map_err(|_| Error::internal("the threads that hash have ended"))?;
        answered.await.map_err(Error::internal)?
    }
}

fn start() -> std::io::Result<Sender<Job>> {
    let (sender, receiver) = channel::<Job>();
    let jobs = Arc::new(Mutex::new(receiver));
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for number in 1..=(cores / 2).max(1) {
        let jobs = Arc::clone(&jobs);
        thread::Builder::new().name(format!("password-{number}")).spawn(move || run(&jobs))?;
    }
    Ok(sender)
}

fn run(jobs: &Mutex<Receiver<Job>>) {
    step_back();
    // Before the first login, so that the first unknown account does not take twice as long.
    LazyLock::force(&NOBODY);
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A job that panics has dropped its answer, which its caller sees; the thread is for the next one.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

/// The lowest priority for this thread alone: hashing takes what the other threads leave.
#[cfg(target_os = "linux")]
fn step_back() {
    const LOWEST: i32 = 19;
    // On Linux a priority belongs to a thread, and no id means the one that asks. Refused, hashing is merely less polite.
    let _ = rustix::process::setpriority_process(None, LOWEST);
}

#[cfg(not(target_os = "linux"))]
fn step_back() {}

fn hash_now(password: &[u8]) -> Result<String> {
    let salt = SaltString::generate(&mut OsRng);
    let hash = argon2()?.hash_password(password, &salt).map_err(|error| Error::internal(error.to_string()))?;
    Ok(hash.to_string())
}

fn argon2() -> Result<Argon2<'static>> {
    let (memory, passes, lanes) = PARAMETERS;
    let parameters = Params::new(memory, passes, lanes, None).map_err(|error| Error::internal(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}
