//! A commit, which goes on when nobody waits for it any more.
//!
//! Nearly every commit ends while its request waits, so the request drives it itself: a task for each would be made, woken and
//! thrown away for nothing. Only one that is let go of before its end gets a task of its own, among those that a stop awaits.
//!
//! A panic goes to whoever waits, and ends the commit: there is no rest to go on with.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio_util::task::TaskTracker;

/// A commit that its request waits for.
pub(super) struct Commit<'a, T: Send + 'static> {
    /// `None` once it has ended.
    rest: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    let_go: &'a TaskTracker,
}

impl<'a, T: Send + 'static> Commit<'a, T> {
    /// The commit that `work` is. When it is let go of, it goes on among `let_go`.
    pub(super) fn new(work: impl Future<Output = T> + Send + 'static, let_go: &'a TaskTracker) -> Self {
        Self { rest: Some(Box::pin(work)), let_go }
    }
}

impl<T: Send + 'static> Future for Commit<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Taken out meanwhile, so that a panic ends it. After its end there is nothing to wait for.
        let Some(mut rest) = self.rest.take() else { return Poll::Pending };
        let end = rest.as_mut().poll(context);
        if end.is_pending() {
            self.rest = Some(rest);
        }
        end
    }
}

impl<T: Send + 'static> Drop for Commit<'_, T> {
    fn drop(&mut self) {
        if let Some(rest) = self.rest.take() {
            self.let_go.spawn(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        panic::{AssertUnwindSafe, catch_unwind},
        task::Waker,
        time::Duration,
    };

    use tokio::{sync::oneshot, time::timeout};

    use super::*;

    /// Longer than any test takes.
    const DEADLINE: Duration = Duration::from_secs(20);

    async fn ended(let_go: &TaskTracker) {
        let_go.close();
        timeout(DEADLINE, let_go.wait()).await.unwrap();
    }

    #[tokio::test]
    async fn who_waits_gets_what_it_comes_to() {
        let let_go = TaskTracker::new();
        assert_eq!(Commit::new(async { 7 }, &let_go).await, 7);
        assert!(let_go.is_empty());
    }

    #[tokio::test]
    async fn let_go_of_it_goes_on_to_its_end() {
        let let_go = TaskTracker::new();
        let (go, gone) = oneshot::channel();
        let (end, mut ended_with) = oneshot::channel();
        let mut commit = Commit::new(async move { end.send(gone.await) }, &let_go);
        let is_waiting = poll_fn(|context| Poll::Ready(Pin::new(&mut commit).poll(context).is_pending())).await;
        assert!(is_waiting);
        drop(commit);
        assert_eq!(let_go.len(), 1);
        go.send("on").unwrap();
        ended(&let_go).await;
        assert_eq!(ended_with.try_recv(), Ok(Ok("on")));
    }

    #[tokio::test]
    async fn a_panic_meets_who_waits_and_is_the_end() {
        let let_go = TaskTracker::new();
        let mut commit = Commit::new(poll_fn(|_| -> Poll<()> { panic!("this panic is the test's") }), &let_go);
        let mut context = Context::from_waker(Waker::noop());
        catch_unwind(AssertUnwindSafe(|| Pin::new(&mut commit).poll(&mut context))).unwrap_err();
        drop(commit);
        assert!(let_go.is_empty());
    }
}
