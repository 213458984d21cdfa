//! How do the relay and a destination know each other?
//!
//! Here is what has to be known for that, and what is right to conclude from it: which token to ask for and what the answer
//! says ([`Grant`]), whose certificates to believe and which one to show ([`Authorities`], [`Identity`]), and until when
//! that one is valid ([`Validity`]). Constant
//! credentials (a bearer token, a password, a header) need no thought: `config` makes a header of them. [`crate::send`] asks
//! and connects, and keeps what it got.

mod certificates;
mod grant;
mod validity;

pub use self::{
    certificates::{Authorities, CertificateFlaw, Identity},
    grant::{Grant, NoToken, Token},
    validity::{Concern, Validity},
};
