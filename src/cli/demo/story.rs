//! What the demo tells: aligned lines, each with the time since the start, who does something, what, and how it ends.
//!
//! Several actors tell at once. Whoever has the floor finishes first, so that an event is told to be sent before it is
//! told to arrive.

use std::{sync::Arc, time::Instant};

use serde::Serialize;
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    cli::{console::Console, failure::Failure, table::Tone},
    config::Colour,
};

/// The teller. Clones tell the same story.
#[derive(Debug, Clone)]
pub(super) struct Story {
    console: Console,
    begun: Instant,
    floor: Arc<Mutex<()>>,
}

/// The right to tell.
pub(super) struct Floor<'s> {
    story: &'s Story,
    _alone: MutexGuard<'s, ()>,
}

/// Something that happens.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    /// Who does it.
    pub(super) who: String,
    /// What is done.
    pub(super) what: String,
    /// How it ends; may be empty.
    pub(super) end: String,
    /// Whether that is good.
    pub(super) tone: Tone,
}

#[derive(Serialize)]
struct Line<'a> {
    after_ms: u64,
    who: &'a str,
    what: &'a str,
    end: &'a str,
}

impl Story {
    /// Begins now.
    pub(super) fn begin(console: Console) -> Self {
        Self { console, begun: Instant::now(), floor: Arc::default() }
    }

    /// Waits until nobody else tells. Held for as long as a request to the relay takes at most.
    pub(super) async fn floor(&self) -> Floor<'_> {
        Floor { story: self, _alone: self.floor.lock().await }
    }

    /// Where it is told.
    pub(super) fn console(&self) -> Console {
        self.console
    }
}

impl Floor<'_> {
    /// Tells what has just happened.
    pub(super) fn tell(&self, scene: &Scene) -> Result<(), Failure> {
        let after = self.story.begun.elapsed();
        let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        let line = Line { after_ms, who: &scene.who, what: &scene.what, end: &scene.end };
        self.story.console.show_list(&[line], |_, colour| words(after.as_secs_f64(), scene, colour))
    }
}

fn words(seconds: f64, scene: &Scene, colour: Colour) -> String {
    let time = Tone::Faint.paint(&format!("{seconds:>6.2}s"), colour);
    let who = Tone::Strong.paint(&format!("{:<8}", scene.who), colour);
    format!("{time}  {who}  {:<36}  {}", scene.what, scene.tone.paint(&scene.end, colour))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_aligned() {
        let scene = Scene { who: "crm".into(), what: "receives it".into(), end: "200".into(), tone: Tone::Good };
        let wanted = "  0.12s  crm       receives it                           200";
        assert_eq!(words(0.123, &scene, Colour::Plain), wanted);
    }
}
