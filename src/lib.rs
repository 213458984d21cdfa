//! The relay between Smallest.ai Atoms and the systems of the people who run it.
//!
//! # The journey of an event
//!
//! ```text
//! bytes ─ ingest ─▶ verified ─ parse ─▶ event ─ route ─▶ deliveries ─ ONE durable commit ─▶ 200
//!                                                                        │
//!    settle ◀─ verdict ◀─ outcome ◀─ send ◀─ transform ◀─ admit ◀─ claim ─┘      (per destination)
//! ```
//!
//! Rooms stand below in the order of that journey. They form four layers, and imports go downhill only:
//! nouns ([`model`]), decisions (pure: no clock, no dice, no IO), hands (each owns one foreign library) and flows.
//! [`relay`] puts them together and [`cli`] is what people type. `tests/architecture.rs` holds the table of imports,
//! `ARCHITECTURE.md` the invariants.

pub mod model;

pub mod verify;
pub mod phone;
pub mod template;
pub mod route;
pub mod transform;
pub mod auth;
pub mod address;
pub mod outcome;
pub mod retry;
pub mod rate;
pub mod breaker;
pub mod alert;
pub mod config;

pub mod clock;
pub mod telemetry;
pub mod service;
pub mod store;
pub mod send;
pub mod audit;

pub mod ingest;
pub mod dispatch;
pub mod alerts;
pub mod admin;

pub mod relay;

pub mod cli;
