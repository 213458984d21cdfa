//! What the service manager is told: `sd_notify(3)`.

use std::time::Duration;

use sd_notify::NotifyState;

/// Tells the service manager how the service is. A message that doesn't arrive is logged and changes nothing else: the
/// manager notices by itself what it has to.
#[derive(Debug, Clone, Copy)]
pub struct Notifier {
    listener: Listener,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listener {
    /// Whoever reads the socket that `NOTIFY_SOCKET` names, if it names one.
    Manager,
    Nobody,
}

impl Notifier {
    /// Tells the manager of this process, if it has one that wants to know.
    #[must_use]
    pub const fn of_process() -> Self {
        Self { listener: Listener::Manager }
    }

    /// Tells nobody: for a relay that isn't the process's service.
    #[must_use]
    pub const fn silent() -> Self {
        Self { listener: Listener::Nobody }
    }

    /// The service has started, or its reload is over.
    pub fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// The configuration is read again from now on, until [`Self::ready`].
    pub fn reloading(&self) {
        // In one message: since version 253 systemd tells from the time which reload is meant.
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "there is no monotonic time"),
        }
    }

    /// The service has begun to stop.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// How the service is, in a line for people.
    pub fn status(&self, line: &str) {
        self.tell(&[NotifyState::Status(line)]);
    }

    /// The service makes progress; to be said again within [`Self::watchdog`].
    pub fn alive(&self) {
        self.tell(&[NotifyState::Watchdog]);
    }

    /// How long the manager waits for a sign of life before it ends the process; `None` when it waits for none.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        match self.listener {
            Listener::Manager => sd_notify::watchdog_enabled().filter(|patience| !patience.is_zero()),
            Listener::Nobody => None,
        }
    }

    fn tell(self, news: &[NotifyState<'_>]) {
        if self.listener == Listener::Nobody {
            return;
        }
        if let Err(error) = sd_notify::notify(news) {
            tracing::debug!(%error, "the service manager can't be told {news:?}");
        }
    }
}
