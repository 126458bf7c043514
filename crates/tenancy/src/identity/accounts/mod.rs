//! Accounts: signing up, passwords that were forgotten or are changed, and what people say of themselves.
//!
//! Does not live here: logging in and sessions (`identity`), invitations, and sending the letters (`crm_mail`).
//! Must stay true: nobody learns here whether an address has an account, neither from the answer nor from its time: for both cases a
//! password is hashed, the same rows are written and one letter is queued. A link works once.

mod model;
mod service;
mod store;

pub(in crate::identity) use model::mail_address;
pub use model::{
    Accepted, AccountOptions, Delivery, EmailChange, ForgottenPassword, LinkToken, PasswordChange, PasswordReset, PasswordSet,
    ProfileChanges, Registered, Registration, RegistrationConfirmation, SignUp,
};
pub use service::{Accounts, PgAccounts};
