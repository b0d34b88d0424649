//! Every kernel and the whole walk against plain references: in emulation where there is a C++ compiler, and by the same
//! tests on a card where there is one.

mod emulator;
mod head;
mod network;
mod norm;
mod optimiser;
mod pool;
mod support;

/// Makes each generic check a test in emulation and a test on the first card. Checks take a reference to the device, or,
/// after `shared:`, to the shared device that a session wants.
macro_rules! on_each_device {
    (shared: $($check:ident),* $(,)?) => {
        mod emulated {
            $(#[test]
            fn $check() {
                if let Some(emulator) = $crate::cuda::tests::emulator::Emulator::new() {
                    super::$check(&std::rc::Rc::new(emulator));
                }
            })*
        }
        mod on_the_card {
            $(#[test]
            fn $check() {
                match $crate::cuda::card::Card::open(0, None) {
                    Ok(card) => super::$check(&std::rc::Rc::new(card)),
                    Err(reason) => eprintln!("skipped: {reason}"),
                }
            })*
        }
    };
    ($($check:ident),* $(,)?) => {
        mod checks {
            $(pub(super) fn $check<E: $crate::cuda::engine::Engine>(engine: &std::rc::Rc<E>) {
                super::$check(&**engine);
            })*
        }
        mod devices {
            use super::checks::*;
            $crate::cuda::tests::on_each_device!(shared: $($check),*);
        }
    };
}
pub(crate) use on_each_device;
