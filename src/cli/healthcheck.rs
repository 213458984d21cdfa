//! `healthcheck`: whether a running relay takes events, for what looks after containers. The exit code says it.
//!
//! It asks `GET /readyz`, which needs no token: an image of the relay has no other client to ask with.

use super::{
    Session,
    failure::{Exit, Failure},
    status,
};

/// Runs `healthcheck`.
pub(super) async fn run(session: &Session) -> Result<(), Failure> {
    let readiness = session.admin().readiness().await?;
    session.console.show(&readiness, status::readiness)?;
    if readiness.ready { Ok(()) } else { Err(Failure::told(Exit::Unavailable)) }
}
