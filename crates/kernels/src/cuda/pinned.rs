//! Pinned host memory, which the card accesses by DMA, and readbacks into it.

use std::cell::RefCell;
use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaEvent, result};
use rayon::prelude::*;

use super::error::{Result, driver};

/// Bytes per task of [`copy_parallel`]. Copying them takes much longer than waking a thread.
const CHUNK: usize = 1 << 20;

/// A buffer of pinned memory.
pub(crate) struct PinnedBuffer {
    bytes: *mut u8,
    len: usize,
    context: Arc<CudaContext>,
}

/// A copy from the card to the host that is in flight.
pub struct Readback {
    /// The destination, at least `len` bytes.
    pub(crate) pinned: PinnedBuffer,
    /// Bytes to copy.
    pub(crate) len: usize,
    /// An event that is recorded after the copy.
    pub(crate) done: CudaEvent,
}

/// Finished readbacks, whose memory and events are reused.
#[derive(Default)]
pub(crate) struct ReadbackPool(RefCell<Vec<Readback>>);

impl std::fmt::Debug for Readback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Readback of {} bytes", self.len)
    }
}

impl ReadbackPool {
    /// Fills the pool to `count` readbacks of at least `len` bytes, not counting those in flight.
    pub(crate) fn reserve(&self, context: &Arc<CudaContext>, count: usize, len: usize) -> Result<()> {
        let mut pool = self.0.borrow_mut();
        // Smaller readbacks are freed, because they would accumulate otherwise.
        pool.retain(|readback| readback.pinned.len() >= len);
        while pool.len() < count {
            pool.push(Readback::new(context, len)?);
        }
        Ok(())
    }

    /// Takes a readback of `len` bytes from the pool, or creates one if none is large enough.
    pub(crate) fn take(&self, context: &Arc<CudaContext>, len: usize) -> Result<Readback> {
        let mut pool = self.0.borrow_mut();
        match pool.iter().position(|readback| readback.pinned.len() >= len) {
            Some(i) => Ok(Readback { len, ..pool.swap_remove(i) }),
            None => Readback::new(context, len),
        }
    }

    /// Puts a finished readback back into the pool.
    pub(crate) fn recycle(&self, readback: Readback) {
        self.0.borrow_mut().push(readback);
    }
}

impl Readback {
    fn new(context: &Arc<CudaContext>, len: usize) -> Result<Self> {
        let done = context.new_event(None).map_err(driver("create an event"))?;
        Ok(Self { pinned: PinnedBuffer::new(context, len)?, len, done })
    }
}

impl PinnedBuffer {
    /// The size in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[expect(unsafe_code, reason = "the driver is a C library; the buffer owns its memory")]
mod calls {
    use super::*;

    impl PinnedBuffer {
        /// Allocates `len` bytes, or one byte if `len` is zero.
        pub(crate) fn new(context: &Arc<CudaContext>, len: usize) -> Result<Self> {
            context.bind_to_thread().map_err(driver("select the card"))?;
            let len = len.max(1);
            // SAFETY: the context is current.
            let bytes = unsafe { result::malloc_host(len, 0) }
                .map_err(|error| driver(&format!("allocate {len} bytes of pinned memory"))(error))?;
            // SAFETY: `len` bytes were allocated. They are zeroed, so that slices of them are initialised.
            unsafe { bytes.cast::<u8>().write_bytes(0, len) };
            Ok(Self { bytes: bytes.cast(), len, context: context.clone() })
        }

        /// The whole buffer.
        pub(crate) fn slice_mut(&mut self) -> &mut [u8] {
            // SAFETY: the bytes are initialised and owned by `self`. Callers wait for copies by the card first.
            unsafe { std::slice::from_raw_parts_mut(self.bytes, self.len) }
        }
    }

    impl Drop for PinnedBuffer {
        fn drop(&mut self) {
            // Errors are ignored, since drop cannot report them.
            let _ = self.context.bind_to_thread().and_then(|()| self.context.synchronize());
            // SAFETY: allocated by `malloc_host`, and all copies from and to it are done.
            let _ = unsafe { result::free_host(self.bytes.cast()) };
        }
    }
}

/// Copies `from` to `to`, which has the same length. Uses several threads if the slices are large. One thread cannot
/// use the whole memory bandwidth, and the card waits while this thread copies.
pub(crate) fn copy_parallel(from: &[u8], to: &mut [u8]) {
    if from.len() <= CHUNK {
        to.copy_from_slice(from);
    } else {
        to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK)).for_each(|(to, from)| to.copy_from_slice(from));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_every_byte_at_any_length() {
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5] {
            let from: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let mut to = vec![255; len];
            copy_parallel(&from, &mut to);
            assert!(to == from, "{len} bytes");
        }
    }
}
