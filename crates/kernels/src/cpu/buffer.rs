//! Large buffers for a workspace, and scratch buffers for each thread.

use std::cell::RefCell;
use std::io;

use crate::error::{Error, Result};

/// A large, page-aligned buffer of `f32`, initially zero. It lies on huge pages if the system provides them.
///
/// Touching a new page is expensive: it costs a page fault, and the kernel zeroes 4 KiB. Workspaces therefore keep
/// their buffers between steps.
#[derive(Debug)]
pub struct Buffer {
    map: Option<memmap2::MmapMut>,
}

impl Buffer {
    /// Allocates a buffer of `len` zeros.
    ///
    /// # Errors
    /// [`Error::Memory`] if the system cannot provide the memory.
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
        // This is a hint. A system without huge pages returns an error, which does not matter.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Self { map: Some(map) })
    }

    /// The elements.
    pub fn slice(&self) -> &[f32] {
        self.map.as_deref().map_or(&[], bytemuck::cast_slice)
    }

    /// The elements, for writing.
    pub fn slice_mut(&mut self) -> &mut [f32] {
        self.map.as_deref_mut().map_or(&mut [], bytemuck::cast_slice_mut)
    }
}

/// The number of elements on a huge page of 2 MiB.
const HUGE_PAGE: usize = (2 << 20) / size_of::<f32>();

thread_local! {
    static SCRATCH: RefCell<[Buffer; 2]> = const { RefCell::new([Buffer { map: None }, Buffer { map: None }]) };
}

/// Calls `f` with two scratch buffers of this thread that have at least the lengths `lens`. They lie on huge pages if
/// the system provides them. Their content is undefined: it is left over from the last use.
///
/// # Panics
/// If the system cannot provide the memory, as for `Vec`.
pub(crate) fn with_scratch<R>(lens: [usize; 2], f: impl FnOnce([&mut [f32]; 2]) -> R) -> R {
    SCRATCH.with_borrow_mut(|buffers| {
        for (buffer, len) in buffers.iter_mut().zip(lens) {
            // One more huge page, so that the scratch buffer can start at a huge-page boundary.
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
