//! What a list of `N` in an order of its own is narrowed to, and which page of it: filters, `limit` and `cursor`.

use std::marker::PhantomData;

use crm_kernel::{Filter, Result, query::DEFAULT_LIMIT};

use super::{Noun, limit, read_filter};
use crate::{caller::Caller, services::Services};

/// Filters and a page, not yet understood.
#[derive(Debug)]
pub struct Paged<N> {
    pub(super) pairs: Vec<(String, String)>,
    pub(super) noun: PhantomData<N>,
}

impl<N: Noun> Paged<N> {
    /// Understands it for this caller: the filter, how much, and where to go on.
    ///
    /// # Errors
    /// `Malformed` with every bad parameter.
    pub async fn read(&self, services: &Services, caller: &Caller) -> Result<(Filter, u16, Option<&str>)> {
        let mut most = DEFAULT_LIMIT;
        let page = |name: &str, value: &str| match name {
            "limit" => Some(limit(value).map(|limit| most = limit)),
            "cursor" => Some(Ok(())),
            _ => None,
        };
        let filter = read_filter::<N>(services, caller, &self.pairs, &["limit", "cursor"], page).await?;
        let cursor = self.pairs.iter().find(|(name, _)| name == "cursor").map(|(_, value)| value.as_str());
        Ok((filter, most, cursor))
    }
}
