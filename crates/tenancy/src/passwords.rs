//! Passwords: argon2id, on threads of their own that step back for everybody else, few at a time.
//!
//! Must stay true: a thousand logins at once must not starve other requests, so hashing has half of the cores at most, gives way
//! to every other thread, and has a queue that ends; an unknown account costs the same time as a wrong password.

use std::{
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
use crm_kernel::{Error, Result};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

/// Memory in KiB, passes and lanes: the first recommendation of OWASP's Password Storage Cheat Sheet for argon2id.
const PARAMETERS: (u32, u32, u32) = (19 * 1024, 2, 1);

/// How many may wait, those at work included. Whoever comes then is told to come back: an unbounded queue would make everyone wait
/// behind an attacker.
static QUEUE: Semaphore = Semaphore::const_new(64);

/// When it is worth coming back: by then the queue has moved on.
const RETRY_AFTER_SECONDS: u64 = 2;

/// What an unknown account is compared with; made once, of a random password that nobody knows.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| {
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).ok()?;
    hash_now(&random).ok()
});

type Job = Box<dyn FnOnce() + Send>;

/// The way to the threads that hash; none when the system gave no thread.
static WORKERS: LazyLock<Option<Sender<Job>>> = LazyLock::new(|| start().ok());

/// A place in the queue. Take it before anything else is done for a login: what is turned away then has cost nothing, and has not
/// been counted as a try.
#[derive(Debug)]
pub struct Place {
    _permit: SemaphorePermit<'static>,
}

/// A place in the queue.
///
/// # Errors
/// `Limited` when too many wait already.
pub fn queue() -> Result<Place> {
    let limited = Error::Limited { retry_after_seconds: RETRY_AFTER_SECONDS };
    QUEUE.try_acquire().map(|_permit| Place { _permit }).map_err(|_| limited)
}

/// The hash to store, as a PHC string.
///
/// # Errors
/// `Limited` when too many wait already; `Internal` when hashing fails.
pub async fn hash(password: String) -> Result<String> {
    queue()?.work(move || hash_now(password.as_bytes())).await
}

/// Whether the password belongs to the hash; `None` for an unknown account, which takes as long and is never right.
///
/// # Errors
/// `Limited` when too many wait already; `Internal` when hashing fails.
pub async fn verify(password: String, stored: Option<String>) -> Result<bool> {
    queue()?.verify(password, stored).await
}

impl Place {
    /// As [`verify`], for who has a place already.
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
            // The place goes along: a client that leaves does not make room for another before its work is out of the queue.
            let _place = self;
            if !answer.is_closed() {
                // Nobody waits any more if this fails.
                let _ = answer.send(work());
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
