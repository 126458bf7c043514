//! How much of a fault is tried, and where its counts go.

/// As many rounds as `cargo xtask faults` wants, or the few of every day.
pub fn rounds<N>(few: N, full: N) -> N {
    if is_full() { full } else { few }
}

/// Whether `cargo xtask faults` runs, whose counts are published: what it cannot try must fail.
#[expect(clippy::disallowed_methods, reason = "the size of a test is given by whoever starts it")]
pub fn is_full() -> bool {
    std::env::var("CRM_FAULTS").is_ok_and(|size| size == "full")
}

/// A line of the report: what broke, and what was counted.
#[expect(clippy::print_stdout, reason = "the report is made of these lines")]
pub fn report(fault: &str, counted: &str) {
    println!("fault: {fault}: {counted}");
}
