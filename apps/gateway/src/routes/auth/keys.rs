//! `/auth/keys`: what verifies access tokens. No secret: a holder's library asks for it before it narrows a token, and another
//! service can read a token without asking this one.

use actix_web::web::Data;
use paperclip::actix::{Apiv2Schema, api_v2_operation, web};
use serde::Serialize;

use crate::{answer::Plain, problem::Answer, services::Services};

/// The routes of this file.
pub fn routes(configuration: &mut web::ServiceConfig) {
    configuration.route("/keys", web::get().to(list));
}

/// The keys that verify access tokens.
#[derive(Debug, Serialize, Apiv2Schema)]
pub struct VerificationKeys {
    /// Each token is signed with one of them.
    pub data: Vec<VerificationKey>,
}

/// A key that verifies.
#[derive(Debug, Serialize, Apiv2Schema)]
pub struct VerificationKey {
    /// `Ed25519`.
    pub algorithm: String,
    /// The key's 32 bytes as hexadecimal digits.
    pub public_key: String,
}

/// List the public keys of access tokens
#[api_v2_operation(operation_id = "listKeys", tags("Session"))]
async fn list(services: Data<Services>) -> Answer<Plain<VerificationKeys>> {
    let keys = services.token_keys.public_keys().into_iter();
    let data = keys.map(|public_key| VerificationKey { algorithm: "Ed25519".into(), public_key }).collect();
    Ok(Plain(VerificationKeys { data }))
}
