//! Shards to checkpoints.
//!
//! The loop is in `training`, to be read from top to bottom. Around it: `loader` assembles shuffled batches beside the
//! step, `validation` judges each epoch, `checkpoint` saves and resumes, `folder` keeps the former artifact until the new
//! one is complete, `backup` names what is set aside, `history` and `events` tell how it went, `stage` runs it all
//! for each run.
//!
//! # Resuming
//! Everything that a step depends on is either in the checkpoint `last` (weights, running statistics, Adam's moments, the
//! position in the epoch) or derived from the seed and that position (shuffles, augmentation). So an interrupted and
//! resumed training gives bit for bit what an uninterrupted one gives.

pub mod augment;
mod backup;
mod checkpoint;
mod config;
mod error;
mod events;
mod folder;
mod history;
mod identity;
pub mod loader;
pub mod order;
mod rate;
mod replacement;
mod stage;
mod stop;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod training;
mod unread;
mod validation;

pub use config::{Augment, Blur, Config, Jpeg};
pub use error::Error;
pub use rate::rate;
pub use stage::Train;
