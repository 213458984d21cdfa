//! The service manager that started the process: what it is told, and the sockets that it passed.
//!
//! systemd's protocols, of which other managers speak parts. Where there is no manager nobody is told anything and nothing
//! was passed, and all else is the same.
//!
//! When there is something to tell isn't decided here, nor what proves that the relay lives.

mod inherited;
mod notifier;

pub use self::{
    inherited::{InheritError, Inherited},
    notifier::Notifier,
};
