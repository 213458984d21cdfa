//! What a process does with single deliveries: claims them, keeps bodies for them, settles and replays them.

use std::time::Duration;

use atoms_relay::{
    model::{Attempt, DeadReason, Name, Order, Outcome, Timestamp, Verdict},
    store::{Claim, Replayed, Settled, Settlement, Store, embedded::Embedded},
};
use bytes::Bytes;

use super::Life;
use crate::{bench::LONG_LEASE, trials::Broken};

impl Life {
    /// In the order of calls, or in none: what is configured may have changed.
    pub(super) async fn claim(&mut self, store: &Embedded) -> Result<(), Broken> {
        let (name, max) = (self.destination(), self.dice.usize(1..5));
        let order = *self.dice.choice(&[Order::None, Order::Call]).unwrap();
        let claims = store.claim(&name, max, LONG_LEASE, order).await;
        let is_certain = claims.is_ok() && store.fault().is_none();
        // A claim that could not be read is no promise.
        let claims = claims.or_else(|_| self.excused("a claim failed").map(|()| Vec::new()))?;
        claims.iter().try_for_each(|claim| self.ledger.check_claim(claim))?;
        let (first, is_all) = (self.claims.len(), claims.len() < max);
        self.claims.extend(claims);
        match order {
            Order::Call if is_certain => self.check_order(store, &name, first).await?,
            Order::Call => self.ledger.note_what_may_be_behind(&name, self.now()),
            Order::None => {}
        }
        // A claim that failed has left leases that nobody knows of.
        if order == Order::Call && is_all && !self.disk.has_failed() {
            self.ledger.check_nothing_is_left(&name, &self.claims, self.now())?;
        }
        Ok(())
    }

    /// Whether the claims from `first` on respect the order of calls, and nothing else changed than what that asks for.
    async fn check_order(&mut self, store: &Embedded, destination: &Name, first: usize) -> Result<(), Broken> {
        self.claims[first..].iter().try_for_each(|claim| self.ledger.check_order(claim))?;
        self.ledger.note_what_was_put_behind(store, destination, self.now()).await
    }

    pub(super) async fn keep_body(&mut self, store: &Embedded) -> Result<(), Broken> {
        if self.claims.is_empty() {
            return Ok(());
        }
        let claim = &self.claims[self.dice.usize(0..self.claims.len())];
        let (id, token) = (claim.id(), claim.token);
        let body = Bytes::from(vec![b'x'; self.dice.usize(0..2_000)]);
        self.ledger.note_body(&id, body.clone());
        let kept = store.keep_body(&id, token, body).await;
        if self.acknowledged(kept)? == Some(Settled::Recorded) {
            self.ledger.bind_body(&id);
            self.ledger.make_durable();
        }
        Ok(())
    }

    pub(super) async fn settle(&mut self, store: &Embedded) -> Result<(), Broken> {
        let now = self.now();
        let mut settlements = Vec::new();
        for _ in 0..self.dice.usize(0..4).min(self.claims.len()) {
            let claim = self.claims.swap_remove(self.dice.usize(0..self.claims.len()));
            settlements.push(self.settlement(&claim, now));
        }
        let settled = store.settle(settlements.clone()).await;
        let settled = self.acknowledged(settled)?;
        let is_dead = |settlement: &Settlement| matches!(settlement.verdict, Verdict::Dead(_));
        let recorded = settled.iter().flatten().zip(&settlements).filter(|(settled, _)| **settled == Settled::Recorded);
        let is_durable = recorded.map(|(_, settlement)| settlement).any(is_dead);
        for (place, settlement) in settlements.iter().enumerate() {
            let counts = settled.as_ref().is_none_or(|settled| settled[place] == Settled::Recorded);
            let state = self.ledger.state(&settlement.id.event, &settlement.id.destination);
            let after = state.and_then(|state| state.after(settlement.verdict, now).ok());
            after.filter(|_| counts).into_iter().for_each(|after| self.ledger.note(&settlement.id, after));
        }
        if is_durable {
            self.ledger.make_durable();
        }
        Ok(())
    }

    fn settlement(&mut self, claim: &Claim, now: Timestamp) -> Settlement {
        let verdict = match self.dice.u8(0..8) {
            0..3 => Verdict::Done,
            3..5 => Verdict::RetryAt(now.plus(Duration::from_secs(3600))),
            5 => Verdict::Expired,
            6 => Verdict::Dead(DeadReason::Rejected),
            _ => Verdict::Release,
        };
        let number = claim.delivery.attempts + 1;
        let outcome = Outcome::Answered { status: 500, excerpt: "no".into() };
        let attempt = Attempt { number, started_at: now, took: Duration::ZERO, request: "POST".into(), outcome };
        let attempt = (verdict != Verdict::Release).then_some(attempt);
        Settlement { id: claim.id(), token: claim.token, verdict, attempt }
    }

    pub(super) async fn replay(&mut self, store: &Embedded) -> Result<(), Broken> {
        let (ids, now) = (self.some_deliveries(), self.now());
        let replayed = store.replay(ids.clone()).await;
        let replayed = self.acknowledged(replayed)?;
        for (place, id) in ids.iter().enumerate() {
            match replayed.as_ref().map(|replayed| replayed[place]) {
                Some(Replayed::Due) => self.ledger.replayed(id, now),
                Some(Replayed::Unknown) if self.ledger.may_be_gone(&id.event) => {}
                Some(Replayed::Unknown) => return Err(Broken::Lost(format!("{} isn't there to replay", id.event))),
                None => self.ledger.replayed_perhaps(id, now),
            }
        }
        if replayed.is_some_and(|replayed| replayed.contains(&Replayed::Due)) {
            self.ledger.make_durable();
        }
        Ok(())
    }
}
