//! The disk of the database is full, and has room again.
//!
//! A small disk must be mounted, which not every account may. What PostgreSQL says when a table finds no room is therefore tried by itself,
//! everywhere; the disk is filled wherever one can be mounted. Where none can, the test says so and why, and `cargo xtask faults` fails.
//! A bound on the size of PostgreSQL's files would need no account of its own, but what it says then (EFBIG) is another error than that of a
//! full disk, and proves nothing about it.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use crm_testkit::{OwnServer, TestDatabase};

use super::{
    load::{Load, is_honest, verify},
    support::{
        faults::{is_full, report, rounds},
        log_in,
        process::{Gateway, KeyFile},
    },
};

const FAULT: &str = "the database's disk is full";
const RECOVERY: Duration = Duration::from_secs(5);

/// A small disk, gone with the value.
struct Disk(PathBuf);

impl Disk {
    /// What the system says where this account may not mount one.
    fn mount() -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("crm-small-disk-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&folder).unwrap();
        let disk = Self(folder);
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=128m", "tmpfs"]).arg(&disk.0).output();
        match mounted {
            Ok(output) if output.status.success() => Ok(disk),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Fills it but for a few pages.
    fn fill(&self) -> PathBuf {
        let ballast = self.0.join("ballast");
        let mut file = File::create(&ballast).unwrap();
        let block = vec![0_u8; 64 * 1024];
        while file.write_all(&block).is_ok() {}
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Nothing of it outlives the machine.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_finds_no_room_is_a_503_and_reads_go_on() {
    let (database, keys) = (TestDatabase::create().await, KeyFile::generate().await);
    let tenant = database.tenant("Acme").await;
    let gateway = Gateway::on(&database, &keys, &[]).await;
    let member = log_in(&gateway.nobody(), &tenant.email("member")).await;
    let load = Load::begin(&member);
    load.writes(20).await;
    let says = "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'";
    let function =
        format!("CREATE FUNCTION public.no_room() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {}; END'", says.replace('\'', "''"));
    let trigger = "CREATE TRIGGER zz_no_room BEFORE INSERT ON crm_companies FOR EACH ROW EXECUTE FUNCTION public.no_room()";
    database.execute(&format!("{function}; GRANT EXECUTE ON FUNCTION public.no_room() TO PUBLIC; {trigger}")).await;
    load.refusals(20).await;
    member.get("companies?limit=1").await.expect(200);
    database.execute("DROP TRIGGER zz_no_room ON crm_companies").await;
    load.writes(20).await;
    let acknowledged = load.end().await;
    verify(&database, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_a_503_until_it_has_room_and_loses_nothing() {
    let disk = match Disk::mount() {
        Ok(disk) => disk,
        Err(reason) => {
            assert!(
                !is_full(),
                "needs to mount a small disk ({reason}): run it as root, in a container with --cap-add SYS_ADMIN"
            );
            report(FAULT, &format!("NOT TRIED, only what PostgreSQL says then: mount -t tmpfs -o size=128m failed: {reason}"));
            return;
        }
    };
    // Restarted by itself after a crash, as every production server is.
    let settings = ["min_wal_size=4MB", "max_wal_size=8MB", "shared_buffers=16MB", "restart_after_crash=on"];
    let mut own = OwnServer::start_in(disk.0.join("cluster"), &settings).await;
    let database = TestDatabase::create_on(&own).await;
    let (tenant, keys) = (database.tenant("Acme").await, KeyFile::generate().await);
    let gateway = Gateway::on(&database, &keys, &[]).await;
    let member = log_in(&gateway.nobody(), &tenant.email("member")).await;
    let (rounds, mut refused, mut restarts, mut slowest) = (rounds(1, 5), 0, 0, Duration::ZERO);
    let mut all = std::collections::BTreeSet::new();
    for _ in 0..rounds {
        let load = Load::begin(&member);
        load.writes(50).await;
        let ballast = disk.fill();
        load.refusals(50).await;
        let read = member.get("companies?limit=1").await;
        if read.status != 200 {
            is_honest(read);
        }
        let (ended, took) = give_room(&mut own, &ballast, &load).await;
        restarts += ended;
        slowest = slowest.max(took);
        refused += load.refused();
        all.extend(load.end().await);
    }
    verify(&database, &all).await;
    assert!(slowest < RECOVERY, "{slowest:?} until the next write");
    let counted = format!(
        "{rounds} rounds, {} writes acknowledged, 0 lost, {refused} answered 503 with Retry-After, 0 answered otherwise; next write at most \
         {} ms after there was room and a server ({restarts} times PostgreSQL had ended by itself and was started again)",
        all.len(),
        slowest.as_millis()
    );
    report(FAULT, &counted);
}

/// PostgreSQL may have ended, when its log of changes found no room, or end a moment later: then its keeper starts it again.
async fn give_room(own: &mut OwnServer, ballast: &Path, load: &Load) -> (usize, Duration) {
    fs::remove_file(ballast).unwrap();
    let (mut begun, mut ended) = (Instant::now(), 0);
    let before = load.written();
    while load.written() == before {
        if own.has_ended() {
            own.start_again().await;
            (begun, ended) = (Instant::now(), ended + 1);
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "no write after there is room");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = begun.elapsed();
    load.writes(50).await;
    (ended, took)
}
