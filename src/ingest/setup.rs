//! What requests are treated by, as a whole: a reload replaces it, and no request sees half of one and half of another.

use std::sync::Arc;

use super::{Settings, Source, body::Memory, count::Counts};
use crate::{route::Routes, telemetry::Metrics};

/// The sources, the routes and the bounds that belong together.
pub(super) struct Setup {
    /// The bounds.
    pub(super) settings: Settings,
    /// Who may send events.
    pub(super) sources: Vec<Source>,
    /// Where they go.
    pub(super) routes: Arc<Routes>,
    /// What bodies may take.
    pub(super) memory: Arc<Memory>,
    /// What is counted of them, in series that are there from now on.
    pub(super) counts: Counts,
}

impl Setup {
    /// A setup with a memory of its own.
    pub(super) fn new(settings: Settings, sources: Vec<Source>, routes: Arc<Routes>, metrics: &Metrics) -> Self {
        let memory = Arc::new(Memory::for_bodies_up_to(settings.max_body));
        let counts = Counts::new(&sources, metrics);
        Self { settings, sources, routes, memory, counts }
    }

    /// The same, in the memory of `former`, unless it is for bodies of another length. Then those that are on their way still
    /// have their shares of the other one.
    pub(super) fn after(self, former: &Self) -> Self {
        if self.settings.max_body == former.settings.max_body {
            Self { memory: Arc::clone(&former.memory), ..self }
        } else {
            self
        }
    }
}
