//! A single query parameter of an operation that is no list: `confirm`, `reassign_to`.

use std::{
    future::{Ready, ready},
    marker::PhantomData,
};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use crm_kernel::{Error, Result};
use paperclip::{
    actix::OperationModifier,
    v2::{
        models::{DataType, DataTypeFormat, DefaultOperationRaw, Either},
        schema::Apiv2Schema,
    },
};

use super::{described::parameter, pairs};
use crate::problem::Problem;

/// A query parameter, as the document describes it.
pub trait QueryParameter: 'static {
    /// `confirm`
    const NAME: &'static str;
    /// A sentence for the document.
    const DESCRIPTION: &'static str;
    /// What is in its text beyond being one.
    const FORMAT: Option<DataTypeFormat>;
}

/// The parameter `P`, if it was given; everything else in the query string is refused by name.
#[derive(Debug)]
pub struct Given<P> {
    value: Option<String>,
    parameter: PhantomData<P>,
}

impl<P: QueryParameter> Given<P> {
    /// The text, which has to be there.
    ///
    /// # Errors
    /// `Malformed` when it is not.
    pub fn required(self) -> Result<String> {
        self.value.ok_or_else(|| Error::malformed(P::NAME, "required", "is required"))
    }

    /// What the text says, if it was given.
    ///
    /// # Errors
    /// `Malformed` when it says something else.
    pub fn parsed<T: std::str::FromStr>(&self, expected: &'static str) -> Result<Option<T>> {
        let parsed = self.value.as_deref().map(str::parse).transpose();
        parsed.map_err(|_| Error::malformed(P::NAME, "value", expected))
    }
}

impl<P: QueryParameter> FromRequest for Given<P> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(pairs(request).and_then(|pairs| {
            let mut value = None;
            for (name, text) in pairs {
                if name != P::NAME {
                    return Err(Problem(Error::malformed(name, "unknown", format!("allowed here: {}", P::NAME))));
                }
                if value.replace(text).is_some() {
                    return Err(Problem(Error::malformed(P::NAME, "repeated", "may be given once")));
                }
            }
            Ok(Self { value, parameter: PhantomData })
        }))
    }
}

impl<P> Apiv2Schema for Given<P> {}

impl<P: QueryParameter> OperationModifier for Given<P> {
    fn update_parameter(operation: &mut DefaultOperationRaw) {
        let mut described = parameter(P::NAME, P::DESCRIPTION, DataType::String);
        described.format = P::FORMAT;
        operation.parameters.push(Either::Right(described));
    }
}
