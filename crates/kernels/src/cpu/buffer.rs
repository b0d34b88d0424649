//! Memory: large buffers that live as long as a workspace, and small ones that belong to a thread.

use std::cell::RefCell;
use std::io;

use crate::error::{Error, Result};

/// A large buffer of `f32`, page-aligned, zero at first, on huge pages where the system gives them.
///
/// Fresh pages are expensive (a fault and 4 KiB of zeros each), so buffers are kept from step to step.
#[derive(Debug)]
pub struct Buffer {
    map: Option<memmap2::MmapMut>,
}

impl Buffer {
    /// A buffer of `len` zeros.
    ///
    /// # Errors
    /// [`Error::Memory`] if the system has no memory of that size.
    pub fn zeros(len: usize) -> Result<Self> {
        if len == 0 {
            return Ok(Self { map: None });
        }
        let bytes = len.saturating_mul(size_of::<f32>());
        let failed = |source| Error::Memory { bytes, source };
        if bytes == usize::MAX {
            return Err(failed(io::ErrorKind::OutOfMemory.into()));
        }
        let map = memmap2::MmapMut::map_anon(bytes).map_err(failed)?;
        // Only a hint: a kernel without huge pages refuses it, and nothing is lost.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Self { map: Some(map) })
    }

    /// The elements.
    pub fn slice(&self) -> &[f32] {
        self.map.as_deref().map_or(&[], bytemuck::cast_slice)
    }

    /// The elements, to be changed.
    pub fn slice_mut(&mut self) -> &mut [f32] {
        self.map.as_deref_mut().map_or(&mut [], bytemuck::cast_slice_mut)
    }
}

/// Elements of a huge page of 2 MiB.
const HUGE_PAGE: usize = (2 << 20) / size_of::<f32>();

thread_local! {
    static SCRATCH: RefCell<[Buffer; 2]> = const { RefCell::new([Buffer { map: None }, Buffer { map: None }]) };
}

/// Calls `f` with two buffers of this thread, on huge pages where the system gives them and at least as long as `lens`;
/// what they hold is left over from the last use.
///
/// # Panics
/// If there is no memory for them, as for a vector.
pub(crate) fn with_scratch<R>(lens: [usize; 2], f: impl FnOnce([&mut [f32]; 2]) -> R) -> R {
    SCRATCH.with_borrow_mut(|buffers| {
        for (buffer, len) in buffers.iter_mut().zip(lens) {
            // Twice a huge page holds a whole one, wherever the system puts it.
            let len = len.next_multiple_of(HUGE_PAGE) + HUGE_PAGE;
            if buffer.slice().len() < len {
                *buffer = Buffer::zeros(len).expect("memory for a thread's packed operands");
            }
        }
        f(buffers.each_mut().map(|buffer| {
            let buffer = buffer.slice_mut();
            let offset = buffer.as_ptr().align_offset(HUGE_PAGE * size_of::<f32>()).min(HUGE_PAGE);
            &mut buffer[offset..]
        }))
    })
}
