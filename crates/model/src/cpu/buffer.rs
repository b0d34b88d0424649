//! Memory: large buffers that live as long as a workspace, and small ones that belong to a thread.

use std::cell::RefCell;

/// A large buffer of `f32`, page-aligned, zero at first, on huge pages where the system gives them.
///
/// Fresh pages are dear (a fault and 4 KiB of zeros each), so that buffers are kept from step to step.
#[derive(Debug)]
pub(crate) struct Buffer {
    map: Option<memmap2::MmapMut>,
}

impl Buffer {
    /// A buffer of `len` zeros.
    pub(crate) fn zeros(len: usize) -> std::io::Result<Self> {
        if len == 0 {
            return Ok(Self { map: None });
        }
        let bytes = len.checked_mul(size_of::<f32>()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        let map = memmap2::MmapMut::map_anon(bytes)?;
        // Only a hint: a kernel without huge pages refuses it, and nothing is lost.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Ok(Self { map: Some(map) })
    }

    /// The elements.
    pub(crate) fn slice(&self) -> &[f32] {
        self.map.as_deref().map_or(&[], bytemuck::cast_slice)
    }

    /// The elements, to be changed.
    pub(crate) fn slice_mut(&mut self) -> &mut [f32] {
        self.map.as_deref_mut().map_or(&mut [], bytemuck::cast_slice_mut)
    }
}

/// Elements of a cache line.
const LINE: usize = 16;

thread_local! {
    static SCRATCH: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Calls `f` with two buffers of this thread, aligned to cache lines and at least as long as `lens`; what they hold is
/// left over from the last use.
pub(crate) fn with_scratch<R>(lens: [usize; 2], f: impl FnOnce([&mut [f32]; 2]) -> R) -> R {
    SCRATCH.with_borrow_mut(|buffers| {
        for (buffer, len) in buffers.iter_mut().zip(lens) {
            if buffer.len() < len + LINE {
                buffer.resize(len + LINE, 0.0);
            }
        }
        f(buffers.each_mut().map(|buffer| {
            let offset = buffer.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
            &mut buffer[offset..]
        }))
    })
}
