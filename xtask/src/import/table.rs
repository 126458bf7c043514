//! A CSV file as lines of cells: byte order mark, quoted line breaks, CRLF, and what is wrong with the file itself.

use std::path::Path;

use anyhow::{Context, Result, bail};
use crm_kernel::FieldError;
use csv::{ByteRecord, ReaderBuilder};

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";
const UTF16_MARKS: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];

pub struct Table {
    pub header: Vec<String>,
    pub rows: Vec<Record>,
}

/// One row; the cells of one that cannot be read are left out.
pub struct Record {
    /// Where it begins in the file, counted from 1; a quoted cell may reach over several lines.
    pub line: u64,
    pub cells: Vec<String>,
    pub problem: Option<FieldError>,
}

impl Table {
    pub fn read(file: &Path) -> Result<Self> {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        if UTF16_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
            bail!("{} is UTF-16: save it as CSV in UTF-8", file.display());
        }
        Self::parse(bytes.strip_prefix(UTF8_MARK).unwrap_or(&bytes)).with_context(|| format!("cannot use {}", file.display()))
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        let mut records = reader.byte_records();
        let header = records.next().context("it is empty")??;
        let header = texts(&header).map_err(|column| anyhow::anyhow!("the name of column {column} is not UTF-8"))?;
        if let [only] = &header[..]
            && only.contains([';', '\t'])
        {
            bail!("its cells are not separated by commas: save it so");
        }
        let mut lines = Lines { bytes, at: 0, line: 1 };
        let rows = records.map(|record| Ok(self::record(&record?, &header, &mut lines))).collect::<Result<_>>()?;
        Ok(Self { header, rows })
    }
}

/// Counts lines as an editor does. The reader's own count is one short after CRLF, whose second half it skips only with the next record.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line on which the record that the reader found at `offset` begins: behind what is left of line ends and blank lines.
    fn of(&mut self, offset: usize) -> u64 {
        let rest = self.bytes.get(offset..).unwrap_or_default();
        let begin = offset + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = self.bytes.get(self.at..begin).unwrap_or_default();
        self.line += passed.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        self.at = begin;
        self.line
    }
}

fn record(record: &ByteRecord, header: &[String], lines: &mut Lines<'_>) -> Record {
    let offset = record.position().map(csv::Position::byte).unwrap_or_default();
    let line = lines.of(usize::try_from(offset).unwrap_or(usize::MAX));
    let problem =
        |code: &str, message: String| Record { line, cells: Vec::new(), problem: Some(FieldError::new("", code, message)) };
    if record.len() != header.len() {
        return problem("ragged", format!("{} cells where the header has {}", record.len(), header.len()));
    }
    match texts(record) {
        Ok(cells) => Record { line, cells, problem: None },
        Err(column) => problem("encoding", format!("cell {column} is not UTF-8")),
    }
}

/// The cells as text, or the number of the first that is none.
fn texts(record: &ByteRecord) -> Result<Vec<String>, usize> {
    let text = |(index, cell): (usize, &[u8])| String::from_utf8(cell.to_vec()).map_err(|_| index + 1);
    record.iter().enumerate().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::Table;

    fn lines(text: &[u8]) -> Vec<(u64, Vec<String>, Option<String>)> {
        let table = Table::parse(text).expect("a table");
        table.rows.into_iter().map(|row| (row.line, row.cells, row.problem.map(|problem| problem.code))).collect()
    }

    #[test]
    fn line_breaks_in_quotes_and_crlf_keep_cells_and_line_numbers_right() {
        let found = lines(b"name,website\r\n\"Two\r\nlines\",x\r\n\"Quote \"\"d\"\", and comma\",y\r\n");
        assert_eq!(
            found,
            [
                (2, vec!["Two\r\nlines".to_owned(), "x".into()], None),
                (4, vec!["Quote \"d\", and comma".to_owned(), "y".into()], None),
            ]
        );
    }

    #[test]
    fn blank_lines_count_and_are_no_rows() {
        let found: Vec<u64> = lines(b"a,b\n\n\n1,2\r\n\r\n\"3\n\n\",4\n5,6").into_iter().map(|(line, ..)| line).collect();
        assert_eq!(found, [4, 6, 9]);
    }

    #[test]
    fn a_row_of_another_length_and_one_in_another_encoding_are_named() {
        let found = lines(b"name,website\na\nb,c,d\nM\xFCller,x\n");
        let codes: Vec<_> = found.into_iter().map(|(line, _, code)| (line, code.unwrap_or_default())).collect();
        assert_eq!(codes, [(2, "ragged".to_owned()), (3, "ragged".into()), (4, "encoding".into())]);
    }
}
