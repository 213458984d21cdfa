//! Who wants to hear that a destination has something new to do.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

use crate::model::Name;

/// One bell a destination.
#[derive(Default)]
pub(super) struct Wakes(Mutex<HashMap<Name, Arc<Notify>>>);

impl Wakes {
    /// The bell of a destination.
    pub(super) fn of(&self, destination: &Name) -> Arc<Notify> {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(bells.entry(destination.clone()).or_default())
    }

    /// Rings for these destinations. A bell that nobody hears rings when somebody comes to listen.
    pub(super) fn notify(&self, destinations: impl IntoIterator<Item = Name>) {
        let bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        destinations.into_iter().filter_map(|name| bells.get(&name)).for_each(|bell| bell.notify_one());
    }
}
