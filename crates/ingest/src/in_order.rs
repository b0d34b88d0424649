//! Parallel processing of many files in order, with a bounded number of results in memory.

use std::sync::mpsc::sync_channel;
use std::thread;

use artifacts::progress::Progress;
use rayon::prelude::*;

use crate::Config;

/// The size of a chunk in bytes of pixels. At most three chunks are in memory: one is produced, one waits in the
/// channel, and one is consumed.
const CHUNK_BYTES: usize = 8 << 20;

/// The largest number of files in a chunk.
const MAX_CHUNK: usize = 256;

/// The largest number of files in a chunk for each core, if results contain the files: their sizes are unknown before
/// they are read. A core then holds no more files than fit into the memory of the images that it decodes.
const MAX_FILES_PER_CORE: usize = 4;

/// Calls `produce` for each of `files` on all cores, and `consume` with each result in the order of the files.
/// `consume` runs on one thread while `produce` works on the next chunk. `title` names the progress bar.
///
/// # Errors
/// The first error of `consume`. It stops the processing.
pub(crate) fn in_order<'f, F: Sync, T: Send, E: Send>(
    title: &str,
    files: &'f [F],
    config: &Config,
    produce: impl Fn(&'f F) -> T + Sync,
    consume: impl FnMut(T) -> Result<(), E> + Send,
) -> Result<(), E> {
    let progress = Progress::new(title, "images", Some(files.len() as u64));
    // A photograph may have a pseudo-fake.
    let images = if config.align.is_some() { 2 } else { 1 };
    let image_bytes = config.size as usize * config.size as usize * 3 * images;
    let cores = rayon::current_num_threads();
    let most = if config.keep_files { MAX_CHUNK.min(cores * MAX_FILES_PER_CORE) } else { MAX_CHUNK };
    let chunk = (CHUNK_BYTES / image_bytes).clamp(cores.min(most), most);
    let (sender, receiver) = sync_channel::<Vec<T>>(1);
    let consumed = thread::scope(|scope| {
        let consumer = scope.spawn(move || receiver.into_iter().flatten().try_for_each(consume));
        for files in files.chunks(chunk) {
            let results = files.par_iter().with_max_len(1).map(|file| {
                let result = produce(file);
                progress.add(1);
                result
            });
            // Sending fails only after an error of the consumer, which is returned below.
            if sender.send(results.collect()).is_err() {
                break;
            }
        }
        drop(sender);
        consumer.join()
    });
    progress.finish();
    consumed.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
