//! Host memory that the card copies from and to by itself, and readbacks into it.

use std::cell::RefCell;
use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaEvent, result};
use rayon::prelude::*;

use super::error::{Result, driver};

/// Bytes that one thread copies at a time: what a thread takes to wake is little beside it.
const CHUNK: usize = 1 << 20;

/// Pinned memory.
pub(crate) struct Pinned {
    bytes: *mut u8,
    len: usize,
    context: Arc<CudaContext>,
}

/// A copy to the host under way.
pub struct Readback {
    /// Where it arrives; there may be room for more.
    pub(crate) pinned: Pinned,
    /// Bytes of it.
    pub(crate) len: usize,
    /// Whether it has arrived.
    pub(crate) done: CudaEvent,
}

/// Readbacks that are not under way, whose memory and events serve others.
#[derive(Default)]
pub(crate) struct Readbacks(RefCell<Vec<Readback>>);

impl std::fmt::Debug for Readback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Readback of {} bytes", self.len)
    }
}

impl Readbacks {
    /// Makes `count` of `len` bytes ready, beside those that are under way.
    pub(crate) fn make_ready(&self, context: &Arc<CudaContext>, count: usize, len: usize) -> Result<()> {
        let mut ready = self.0.borrow_mut();
        // Those of smaller batches would pile up.
        ready.retain(|readback| readback.pinned.len() >= len);
        while ready.len() < count {
            ready.push(Readback::new(context, len)?);
        }
        Ok(())
    }

    /// One of `len` bytes, to be asked for; made where none is ready.
    pub(crate) fn take(&self, context: &Arc<CudaContext>, len: usize) -> Result<Readback> {
        let mut ready = self.0.borrow_mut();
        match ready.iter().position(|readback| readback.pinned.len() >= len) {
            Some(i) => Ok(Readback { len, ..ready.swap_remove(i) }),
            None => Readback::new(context, len),
        }
    }

    /// One that has arrived and been read.
    pub(crate) fn give_back(&self, readback: Readback) {
        self.0.borrow_mut().push(readback);
    }
}

impl Readback {
    fn new(context: &Arc<CudaContext>, len: usize) -> Result<Self> {
        let done = context.new_event(None).map_err(driver("make an event"))?;
        Ok(Self { pinned: Pinned::new(context, len)?, len, done })
    }
}

impl Pinned {
    /// Bytes of it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[expect(unsafe_code, reason = "the driver is C; memory lives as long as its owners")]
mod calls {
    use super::*;

    impl Pinned {
        /// `len` bytes of it, at least one.
        pub(crate) fn new(context: &Arc<CudaContext>, len: usize) -> Result<Self> {
            context.bind_to_thread().map_err(driver("select the card"))?;
            let len = len.max(1);
            // SAFETY: the memory is this structure's until it is dropped.
            let bytes =
                unsafe { result::malloc_host(len, 0) }.map_err(|error| driver(&format!("pin {len} bytes"))(error))?;
            // SAFETY: `len` bytes were allocated; they are zeroed so that slices of them are initialised.
            unsafe { bytes.cast::<u8>().write_bytes(0, len) };
            Ok(Self { bytes: bytes.cast(), len, context: context.clone() })
        }

        /// All of it.
        pub(crate) fn slice_mut(&mut self) -> &mut [u8] {
            // SAFETY: `len` initialised bytes that nobody else has; the owners wait for copies before they look.
            unsafe { std::slice::from_raw_parts_mut(self.bytes, self.len) }
        }
    }

    impl Drop for Pinned {
        fn drop(&mut self) {
            // SAFETY: allocated by `malloc_host`; copies from and to it are waited for. Failures leave nothing to do.
            let _ = self.context.bind_to_thread().and_then(|()| self.context.synchronize());
            let _ = unsafe { result::free_host(self.bytes.cast()) };
        }
    }
}

/// Copies `from` to `to`, of the same length, on several threads where there is enough for them: one does not fill the
/// memory's bandwidth, and the launching thread has the card to keep busy.
pub(crate) fn copy(from: &[u8], to: &mut [u8]) {
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
    fn every_byte_is_copied_whatever_the_length() {
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5] {
            let from: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let mut to = vec![255; len];
            copy(&from, &mut to);
            assert!(to == from, "{len} bytes");
        }
    }
}
