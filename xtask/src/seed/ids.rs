//! Ids of the demo records: UUID version 7 of the time of the record, so that newest first is right, and otherwise derived from
//! what the source calls it, so that every seed gives the same.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::{Builder, Uuid};

/// What the demo data call themselves wherever records say where they come from.
pub const SOURCE: &str = "crm-sales-opportunities";
const RANDOM_BYTES: usize = 10;

/// The id of the record that the source calls `name`.
pub fn of(noun: &str, name: &str, moment: OffsetDateTime) -> Uuid {
    let digest = Sha256::digest(format!("{SOURCE} {noun} {name}"));
    let mut instead_of_random = [0_u8; RANDOM_BYTES];
    instead_of_random.iter_mut().zip(digest).for_each(|(slot, byte)| *slot = byte);
    let millis = u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &instead_of_random).into_uuid()
}

/// A number below `bound` that is always the same for this name: chance without a die.
pub fn draw(what: &str, name: &str, bound: usize) -> usize {
    let digest = Sha256::digest(format!("{SOURCE} {what} {name}"));
    let number = digest.iter().take(size_of::<u32>()).fold(0_usize, |number, byte| (number << 8) | usize::from(*byte));
    number.checked_rem(bound).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::of;

    #[test]
    fn an_id_is_the_same_every_time_and_sorts_by_the_time_of_the_record() {
        let (earlier, later) = (datetime!(2016-10-20 0:00 UTC), datetime!(2017-12-27 0:00 UTC));
        assert_eq!(of("deal", "1C1I7A6R", earlier), of("deal", "1C1I7A6R", earlier));
        assert_ne!(of("deal", "1C1I7A6R", earlier), of("deal", "Z063OYW0", earlier));
        assert_ne!(of("deal", "1C1I7A6R", earlier), of("company", "1C1I7A6R", earlier));
        assert!(of("deal", "1C1I7A6R", earlier) < of("deal", "Z063OYW0", later));
        assert_eq!(of("deal", "1C1I7A6R", earlier).get_version_num(), 7);
    }
}
