//! What `cargo test` counted, read from its closing lines.

#[derive(Default)]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
    /// The closing lines of the test programs that ran any test.
    pub lines: Vec<String>,
}

impl Counts {
    /// Lines look like `test result: ok. 12 passed; 0 failed; 0 ignored; …`.
    pub fn of(log: &str) -> Self {
        let mut counts = Self::default();
        for line in log.lines().filter(|line| line.starts_with("test result: ")) {
            let (passed, failed) = (number_before(line, " passed"), number_before(line, " failed"));
            counts.passed += passed;
            counts.failed += failed;
            if passed + failed > 0 {
                counts.lines.push(line.to_owned());
            }
        }
        counts
    }

    pub fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.lines.extend(other.lines.iter().cloned());
    }
}

fn number_before(line: &str, word: &str) -> usize {
    let before = line.split(word).next().unwrap_or_default();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn closing_lines_add_up() {
        let log = "running 3 tests\ntest result: FAILED. 2 passed; 1 failed; 0 ignored\ntest result: ok. 40 passed; 0 failed; 0 ignored\n";
        let counts = Counts::of(log);
        assert_eq!((counts.passed, counts.failed, counts.lines.len()), (42, 1, 2));
    }
}
