//! What templates see of one attempt: the normalized document, `vars`, `auth` and `delivery`.
//!
//! It is made when the first template asks for it. A destination without templates costs nothing here.

use std::cell::OnceCell;

use serde::Serialize;

use super::{Occasion, Target, identity};
use crate::{
    model::{DeliveryId, Normalized},
    template::Scope,
};

/// What an attempt's templates are rendered with.
pub(super) struct Rendering<'a> {
    target: &'a Target,
    occasion: &'a Occasion<'a>,
    document: OnceCell<Normalized>,
    scope: OnceCell<Scope>,
}

/// `delivery` in templates.
#[derive(Serialize)]
struct DeliveryView {
    id: String,
    attempt: u32,
    idempotency_key: String,
}

impl<'a> Rendering<'a> {
    pub(super) fn new(target: &'a Target, occasion: &'a Occasion<'a>) -> Self {
        Self { target, occasion, document: OnceCell::new(), scope: OnceCell::new() }
    }

    /// The attempt.
    pub(super) fn occasion(&self) -> &'a Occasion<'a> {
        self.occasion
    }

    /// The normalized document.
    pub(super) fn document(&self) -> &Normalized {
        self.document.get_or_init(|| Normalized::of(self.occasion.event))
    }

    /// All that templates see.
    pub(super) fn scope(&self) -> &Scope {
        self.scope.get_or_init(|| self.scope_with(&self.target.vars))
    }

    /// What the template of a body sees that is kept on disk: no secret, whatever the template says.
    pub(super) fn scope_without_secrets(&self) -> Scope {
        self.scope_with(&self.target.vars.without_secrets())
    }

    /// What came with the credentials.
    pub(super) fn captured(&self, name: &str) -> Option<&'a str> {
        self.occasion.auth.get(name).map(String::as_str)
    }

    fn scope_with(&self, vars: &super::Vars) -> Scope {
        let id = self.delivery_id();
        let delivery = DeliveryView {
            idempotency_key: identity::idempotency_key(&id, self.occasion.delivery.round),
            attempt: self.occasion.attempt,
            id: id.to_string(),
        };
        let auth = self.occasion.auth.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Scope::of_document(self.document())
            .with_trusted("vars", vars.exposed())
            .with_trusted("auth", auth)
            .with("delivery", &delivery)
    }

    fn delivery_id(&self) -> DeliveryId {
        DeliveryId { event: self.occasion.event.id, destination: self.occasion.delivery.destination.clone() }
    }
}
