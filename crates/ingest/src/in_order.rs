//! Work on many files: on all cores, in order, with a bounded number of results in memory.

use std::sync::mpsc::sync_channel;
use std::thread;

use artifacts::progress::Progress;
use rayon::prelude::*;

use crate::Config;

/// Pixels in one chunk. Three chunks are alive at once: one that is made, one that waits, one that is taken.
const CHUNK_BYTES: usize = 8 << 20;

/// Files in one chunk, however small their pixels are.
const MAX_CHUNK: usize = 256;

/// Makes something of each of `files` and hands it to `take`, in order. The results of one chunk are taken while the next is
/// made; `take` runs on one thread.
pub(crate) fn in_order<'f, F: Sync, T: Send, E: Send>(
    what: &str,
    files: &'f [F],
    config: &Config,
    make: impl Fn(&'f F) -> T + Sync,
    take: impl FnMut(T) -> Result<(), E> + Send,
) -> Result<(), E> {
    let progress = Progress::new(what, "images", Some(files.len() as u64));
    let image_bytes = config.size as usize * config.size as usize * 3;
    let chunk = (CHUNK_BYTES / image_bytes).clamp(rayon::current_num_threads().min(MAX_CHUNK), MAX_CHUNK);
    let (sender, receiver) = sync_channel::<Vec<T>>(1);
    let taken = thread::scope(|scope| {
        let taker = scope.spawn(move || receiver.into_iter().flatten().try_for_each(take));
        for files in files.chunks(chunk) {
            let made = files.par_iter().with_max_len(1).map(|file| {
                let made = make(file);
                progress.add(1);
                made
            });
            // The taker hangs up only when it has failed, and says why below.
            if sender.send(made.collect()).is_err() {
                break;
            }
        }
        drop(sender);
        taker.join()
    });
    progress.finish();
    taken.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
