//! Assembles batches in background threads while the network computes.
//!
//! With W workers, worker w fills the batches w, w + W, w + 2W … of the epoch, and [`Loader::next_batch`] takes from
//! the workers in turn. The order of batches therefore depends only on [`EpochBatches`]. Each worker owns
//! [`BUFFERS_PER_WORKER`] batch buffers, which are filled, used and recycled. A loader never holds more than `workers *
//! BUFFERS_PER_WORKER` batches of pixels, and allocates memory only while each buffer is filled for the first time.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use branches::{FeatureBatch, TrainedInputs};
use model::PixelBatch;

use crate::epoch_batches::EpochBatches;
use crate::error::Error;
use crate::images::Images;
use crate::item::Item;

/// The number of batch buffers of a worker. One is used while the other is filled.
const BUFFERS_PER_WORKER: usize = 2;
/// The maximum number of workers. More would take more memory without reading the shards faster.
const MAX_WORKERS: usize = 8;

/// Images with their class indices: pixels of one size, or features.
#[derive(Debug, Default)]
pub struct Batch {
    /// RGB, `[n, height, width, 3]`. Empty if the batch has features.
    pixels: Vec<u8>,
    /// The features of each branch. Empty if the batch has pixels.
    features: FeatureBatch,
    /// The inputs of the trained branches. Empty if there is no such branch.
    inputs: TrainedInputs,
    /// The weight of each image in the loss, `[n]`. Empty: all are 1.
    weights: Vec<f32>,
    /// Class indices, `[n]`.
    labels: Vec<u8>,
    /// The number of images of the batch over all processes.
    images_of_all: usize,
    /// Height and width of the images.
    size: [usize; 2],
    /// The worker that owns this buffer.
    worker: usize,
}

impl Batch {
    /// A batch of pixels, `[n, height, width, 3]`, with class indices, `[n]`.
    pub(crate) fn of_pixels(pixels: Vec<u8>, labels: Vec<u8>, size: [usize; 2]) -> Batch {
        Batch { pixels, images_of_all: labels.len(), labels, size, ..Batch::default() }
    }

    /// The images: RGB, `[n, height, width, 3]`.
    pub fn pixels(&self) -> PixelBatch<'_> {
        let [height, width] = self.size;
        PixelBatch { data: &self.pixels, n: self.len(), height, width }
    }

    /// The features of each branch. Empty if the batch has pixels.
    pub(crate) fn features(&self) -> &FeatureBatch {
        &self.features
    }

    /// The inputs of the trained branches. Empty if there is no such branch.
    pub(crate) fn inputs(&self) -> &TrainedInputs {
        &self.inputs
    }

    /// The weight of each image in the loss, `[n]`. Empty: all are 1.
    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The class indices, `[n]`.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The number of images of the batch over all processes.
    pub(crate) fn images_of_all(&self) -> usize {
        self.images_of_all
    }

    /// The number of images that this process counts, as a share of those of all processes. The shares of all processes
    /// add up to 1.
    pub(crate) fn share(&self, world: usize) -> f64 {
        let copies = if self.images_of_all < world { world } else { 1 };
        self.len() as f64 / (copies * self.images_of_all) as f64
    }

    /// Returns whether the batch has no images. [`Loader::next_batch`] never returns such a batch.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Replaces the content with batch `index` of the epoch, and augments its images.
    fn fill(&mut self, epoch: &EpochBatches, index: usize) -> Result<(), Error> {
        let Images { shards, features, inputs, balance, .. } = &*epoch.split;
        self.size = shards.size();
        self.pixels.clear();
        self.labels.clear();
        self.weights.clear();
        let items = epoch.images(index);
        self.images_of_all = epoch.images_of_all(index);
        self.labels.extend(items.iter().map(|item| shards.sample(item.row).label.index()));
        if let Some(features) = features {
            self.weights.extend(items.iter().map(|item| features.weights[item.row]));
            if let Some(projected) = &features.projected {
                fill_features(projected, shards.len(), items, &mut self.features);
            }
            if let Some(inputs) = inputs {
                inputs.fill(shards, items, epoch.epoch, &mut self.inputs)?;
            }
            return Ok(());
        }
        if !balance.weights.is_empty() {
            self.weights.extend(items.iter().map(|item| balance.weights[item.row]));
        }
        for &Item { row, repeat, .. } in items {
            let start = self.pixels.len();
            self.pixels.extend_from_slice(shards.pixels(row));
            if let Some(augmenter) = &epoch.augmenter {
                augmenter.apply((row, repeat), self.size, &mut self.pixels[start..])?;
            }
        }
        Ok(())
    }
}

/// Replaces the content of `batch` with rows of the projected features of all rows, view by view. `rows` is the number
/// of rows of a view.
fn fill_features(projected: &FeatureBatch, rows: usize, items: &[Item], batch: &mut FeatureBatch) {
    if batch.branches.is_empty() {
        *batch = FeatureBatch::new(&projected.widths());
    }
    batch.clear();
    for &Item { row, view, .. } in items {
        batch.push_row(projected, view * rows + row);
    }
}

/// An iterator over the batches of one epoch, in order, filled by background threads.
pub struct Loader {
    workers: Vec<Worker>,
    /// The number of batches returned so far.
    taken: usize,
    /// The number of batches from the first one to the end of the epoch.
    total: usize,
    /// The number of batches of the whole epoch.
    per_epoch: usize,
}

struct Worker {
    filled: Receiver<Result<Batch, Error>>,
    recycled: Sender<Batch>,
    thread: JoinHandle<()>,
}

impl Loader {
    /// Starts loading `epoch` from batch `first` on.
    ///
    /// Half of the cores are enough to supply steps that run on the other half or on a GPU. The number of workers does
    /// not change the batches.
    pub fn start(epoch: EpochBatches, first: usize) -> Loader {
        let workers = (rayon::current_num_threads() / 2).clamp(1, MAX_WORKERS);
        Loader::with_workers(epoch, first, workers)
    }

    fn with_workers(epoch: EpochBatches, first: usize, workers: usize) -> Loader {
        let end = epoch.len();
        let total = end.saturating_sub(first);
        let epoch = Arc::new(epoch);
        let workers = (0..workers.min(total))
            .map(|worker| Worker::start(Arc::clone(&epoch), worker, (first + worker..end).step_by(workers)))
            .collect();
        Loader { workers, taken: 0, total, per_epoch: end }
    }

    /// The number of batches of the whole epoch.
    pub(crate) fn batches_per_epoch(&self) -> usize {
        self.per_epoch
    }

    /// Waits for the next batch and returns it. Returns `None` after the last batch. Return the batch with
    /// [`Loader::recycle`] after use.
    pub fn next_batch(&mut self) -> Option<Result<Batch, Error>> {
        if self.taken == self.total {
            return None;
        }
        let worker = self.taken % self.workers.len();
        self.taken += 1;
        match self.workers[worker].filled.recv() {
            Ok(batch) => Some(batch),
            Err(mpsc::RecvError) => self.propagate_panic(worker),
        }
    }

    /// Returns a batch to its worker, which reuses the buffer.
    pub fn recycle(&self, batch: Batch) {
        // Sending fails after the worker has filled its last batch; the buffer is not needed then.
        let _ = self.workers[batch.worker].recycled.send(batch);
    }

    /// Propagates the panic of a worker. A worker closes its channel before its last batch only if it panicked.
    fn propagate_panic(&mut self, worker: usize) -> ! {
        match self.workers.swap_remove(worker).thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("a loader thread ended before its last batch"),
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        for Worker { filled, recycled, thread } in self.workers.drain(..) {
            // The thread ends when its channels are closed.
            drop((filled, recycled));
            let _ = thread.join();
        }
    }
}

impl Worker {
    /// Starts a thread that fills the batches with the indices `batches`, and sends each as soon as it is filled.
    fn start(epoch: Arc<EpochBatches>, worker: usize, batches: impl Iterator<Item = usize> + Send + 'static) -> Worker {
        let (recycled, to_fill) = mpsc::channel::<Batch>();
        let (to_use, filled) = mpsc::channel();
        for _ in 0..BUFFERS_PER_WORKER {
            let _ = recycled.send(Batch { worker, ..Batch::default() });
        }
        let thread = thread::spawn(move || {
            for index in batches {
                let Ok(mut batch) = to_fill.recv() else {
                    return;
                };
                let result = batch.fill(&epoch, index).map(|()| batch);
                if to_use.send(result).is_err() {
                    return;
                }
            }
        });
        Worker { filled, recycled, thread }
    }
}

#[cfg(test)]
mod tests {
    use artifacts::Split;
    use artifacts::shard::Shards;

    use super::*;
    use crate::config::Augment;
    use crate::testing::{self, TestRun};

    /// A run with `images` training images, and its opened training split.
    fn training_images(images: usize) -> (TestRun, Arc<Images>) {
        let run = testing::ingested(&[(Split::Train, images)]);
        let shards = Arc::new(Shards::open(&run.dir().ingest(), Split::Train).unwrap());
        (run, Arc::new(Images::pixels(shards)))
    }

    fn epoch(split: &Arc<Images>, flip: bool) -> EpochBatches {
        EpochBatches::shuffled(split, 4, &Augment { flip, ..Augment::default() }, 1, 1)
    }

    fn load(epoch: EpochBatches, first: usize, workers: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut loader = Loader::with_workers(epoch, first, workers);
        let mut loaded = Vec::new();
        while let Some(batch) = loader.next_batch() {
            let batch = batch.unwrap();
            batch.pixels().check().unwrap();
            loaded.push((batch.pixels.clone(), batch.labels.clone()));
            loader.recycle(batch);
        }
        loaded
    }

    #[test]
    fn loads_the_same_batches_with_any_number_of_workers() {
        let (_run, shards) = training_images(23);
        let alone = load(epoch(&shards, true), 0, 1);
        assert_eq!(alone.len(), 6);
        for workers in [2, 5, 9] {
            assert_eq!(load(epoch(&shards, true), 0, workers), alone, "{workers} workers");
        }
        assert_eq!(load(epoch(&shards, true), 4, 2), alone[4..]);
        assert!(load(epoch(&shards, true), 6, 2).is_empty());

        let plain = epoch(&shards, false);
        let expected: Vec<u8> =
            plain.images(0).iter().flat_map(|item| shards.shards.pixels(item.row)).copied().collect();
        assert_eq!(load(plain, 0, 2)[0].0, expected);
    }

    #[test]
    fn reuses_buffers() {
        let (_run, shards) = training_images(40);
        let mut loader = Loader::with_workers(epoch(&shards, false), 0, 2);
        let mut addresses = std::collections::BTreeSet::new();
        while let Some(batch) = loader.next_batch() {
            let batch = batch.unwrap();
            addresses.insert(batch.pixels.as_ptr() as usize);
            loader.recycle(batch);
        }
        assert!(addresses.len() <= 2 * BUFFERS_PER_WORKER, "{} buffers", addresses.len());
    }

    #[test]
    fn dropped_loader_ends_its_threads() {
        let (_run, shards) = training_images(40);
        let mut loader = Loader::with_workers(epoch(&shards, false), 0, 2);
        loader.next_batch().unwrap().unwrap();
        drop(loader);
        assert_eq!(Arc::strong_count(&shards), 1);
    }
}
