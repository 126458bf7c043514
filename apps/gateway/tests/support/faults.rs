//! How much of a fault is tried, and where its counts go.

/// As many rounds as `cargo xtask faults` wants, or the few of every day.
#[expect(clippy::disallowed_methods, reason = "the size of a test is given by whoever starts it")]
pub fn rounds(few: usize, full: usize) -> usize {
    if std::env::var("CRM_FAULTS").is_ok_and(|size| size == "full") { full } else { few }
}

/// A line of the report: what broke, and what was counted.
#[expect(clippy::print_stdout, reason = "the report is made of these lines")]
pub fn report(fault: &str, counted: &str) {
    println!("fault: {fault}: {counted}");
}
