//! The config as it runs, and reading it again.

use http::StatusCode;

use super::{
    Admin, NotReloaded,
    answer::{Answer, Problem, json},
};

impl Admin {
    /// Shows the config that runs, without its secrets.
    pub(super) fn show_config(&self) -> Result<Answer, Problem> {
        json(StatusCode::OK, &(self.controls.config)())
    }

    /// Reads the config again and answers when the relay works by it, or why it doesn't.
    pub(super) async fn reload(&self) -> Result<Answer, Problem> {
        match (self.controls.reload)().await {
            Ok(done) => json(StatusCode::OK, &done),
            Err(NotReloaded::Refused(problems)) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, problems)),
            Err(NotReloaded::Unread(reason)) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason)),
        }
    }
}
