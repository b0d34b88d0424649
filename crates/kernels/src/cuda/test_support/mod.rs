//! Every kernel and the whole walk against plain references: in emulation where there is a C++ compiler, and by the same
//! tests on a card where there is one.

mod emulator;
mod support;

use std::io::Write;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use emulator::{Emulator, RecordingMode};
pub use support::{ELEMENTS, Tensor, assert_close, bytes, fixed_seed, random, rounded, tolerance};
use testing::Need;

use super::card::Card;
use super::error::Error;

/// Says something past the test harness, which shows nothing of a test that passes.
pub fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// Whether the machine has a driver, and so perhaps a card.
#[expect(unsafe_code, reason = "opens a library, as the card does")]
pub fn has_driver() -> bool {
    // SAFETY: running its initialisers is what loading a driver means.
    unsafe { cudarc::driver::sys::is_culib_present() }
}

/// A card, for one test at a time: they would share its context, and one that waits for all of it disturbs what another
/// records.
pub struct OnCard {
    card: Rc<Card>,
    _turn: MutexGuard<'static, ()>,
}

impl std::ops::Deref for OnCard {
    type Target = Rc<Card>;

    fn deref(&self) -> &Rc<Card> {
        &self.card
    }
}

/// The right to open a card; it is another's when this is dropped.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURNS: Mutex<()> = Mutex::new(());
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first card, or nothing where there is none.
///
/// # Panics
/// Where there is a card that cannot be used: then the checks must be made.
pub fn card() -> Option<OnCard> {
    let turn = turn();
    match Card::open(0, None) {
        Ok(card) => Some(OnCard { card: Rc::new(card), _turn: turn }),
        Err(reason @ (Error::NoDriver | Error::NoCard { .. })) => {
            testing::skip(Need::Cuda, reason);
            None
        }
        Err(reason) => panic!("there is a card, but: {reason}"),
    }
}

/// Makes each generic check a test in emulation and a test on the first card. Checks take a reference to the device, or,
/// after `shared:`, to the shared device that a session wants.
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
                if let Some(card) = $crate::cuda::test_support::card() {
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
