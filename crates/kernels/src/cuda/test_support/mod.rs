//! Support for tests that run on every available device: in emulation, which needs a C++ compiler, and on the first
//! card.

mod emulator;
mod plain_convolution;
mod tensor;
mod values;

use std::io::Write;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use emulator::{Emulator, RecordingMode};
pub use tensor::{Tensor, upload_bytes};
use testing::Need;
pub use values::{ELEMENT_TYPES, assert_close, fixed_seed, random, rounded, tolerance};

use super::card::Card;
use super::error::Error;

/// Prints a line to standard error that the test harness does not capture, so that it is visible when tests pass.
pub fn print_uncaptured(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether the machine has a CUDA driver, and so possibly a card.
#[expect(unsafe_code, reason = "loads a library")]
pub fn has_driver() -> bool {
    // SAFETY: only loads libcuda, whose initialisers are sound to run.
    unsafe { cudarc::driver::sys::is_culib_present() }
}

/// A card that only one test uses at a time. Tests share its context, so a test that waits for the context would break
/// the recording of another test.
pub struct LockedCard {
    card: Rc<Card>,
    _lock: MutexGuard<'static, ()>,
}

impl std::ops::Deref for LockedCard {
    type Target = Rc<Card>;

    fn deref(&self) -> &Rc<Card> {
        &self.card
    }
}

/// Locks the card for this test, until the guard is dropped.
pub fn lock_card() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the first card. Returns `None`, and reports the reason as a skipped test, if there is none.
///
/// # Panics
/// There is a card, but it cannot be used. Skipping the test would hide that.
pub fn open_card() -> Option<LockedCard> {
    let lock = lock_card();
    match Card::open(0, None) {
        Ok(card) => Some(LockedCard { card: Rc::new(card), _lock: lock }),
        Err(reason @ (Error::NoDriver | Error::NoCard { .. })) => {
            testing::skip(Need::Cuda, reason);
            None
        }
        Err(reason) => panic!("failed to open the card: {reason}"),
    }
}

/// Defines a test in emulation and a test on the first card for each generic function. The functions take a reference
/// to the engine, or to an `Rc` of it after `shared:`.
#[macro_export]
#[doc(hidden)]
macro_rules! on_each_device {
    (shared: $($check:ident),* $(,)?) => {
        mod emulated {
            $(#[test]
            fn $check() {
                if let Some(emulator) = $crate::cuda::test_support::Emulator::new() {
                    super::$check(&std::rc::Rc::new(emulator));
                }
            })*
        }
        mod on_the_card {
            $(#[test]
            fn $check() {
                if let Some(card) = $crate::cuda::test_support::open_card() {
                    super::$check(&card);
                }
            })*
        }
    };
    ($($check:ident),* $(,)?) => {
        mod checks {
            $(pub(super) fn $check<E: $crate::cuda::Engine>(engine: &std::rc::Rc<E>) {
                super::$check(&**engine);
            })*
        }
        mod devices {
            use super::checks::*;
            $crate::cuda::test_support::on_each_device!(shared: $($check),*);
        }
    };
}
pub use crate::on_each_device;
