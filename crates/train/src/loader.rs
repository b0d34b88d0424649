//! Batches assembled beside the step.
//!
//! Worker w fills batches w, w + W, w + 2W … of the epoch, and they are taken in turn, so the order depends on nothing but
//! the epoch's plan. Each worker owns `BUFFERS` batches that go round: filled, used, recycled. So a loader never holds
//! more than `workers * BUFFERS` batches of pixels, whatever the size of the data, and allocates only while those fill for
//! the first time.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use artifacts::shard::Shards;
use model::PixelBatch;
use pixels::degrade::DegradeError;

use crate::augment::Augmenter;

/// Batches of each worker: one being used while the next is filled.
const BUFFERS: usize = 2;
/// Beyond this, memory grows and the shards' bandwidth does not.
const MOST_WORKERS: usize = 8;

/// What to load, and in what order.
#[derive(Debug)]
pub struct Plan {
    /// The split.
    pub shards: Arc<Shards>,
    /// Indices of samples in the split.
    pub order: Vec<usize>,
    /// Ranges of `order`, one a batch.
    pub batches: Vec<Range<usize>>,
    /// What is done to each image.
    pub augmenter: Option<Augmenter>,
}

/// Images of one size with their labels.
#[derive(Debug, Default)]
pub struct Batch {
    /// `[n, height, width, 3]`, RGB.
    pixels: Vec<u8>,
    /// `[n]`, class indices.
    labels: Vec<u8>,
    size: [usize; 2],
    worker: usize,
}

impl Batch {
    /// The images, `[n, height, width, 3]`.
    pub fn pixels(&self) -> PixelBatch<'_> {
        let [height, width] = self.size;
        PixelBatch { data: &self.pixels, n: self.len(), height, width }
    }

    /// The class indices, `[n]`.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image; the loader gives no such batch.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn fill(&mut self, plan: &Plan, range: Range<usize>) -> Result<(), DegradeError> {
        self.size = plan.shards.size();
        self.pixels.clear();
        self.labels.clear();
        for &sample in &plan.order[range] {
            let start = self.pixels.len();
            self.pixels.extend_from_slice(plan.shards.pixels(sample));
            self.labels.push(plan.shards.sample(sample).label.index());
            if let Some(augmenter) = &plan.augmenter {
                augmenter.apply(sample, self.size, &mut self.pixels[start..])?;
            }
        }
        Ok(())
    }
}

/// The batches of one epoch from some batch on, in order.
pub struct Loader {
    workers: Vec<Worker>,
    next: usize,
    end: usize,
}

struct Worker {
    filled: Receiver<Result<Batch, DegradeError>>,
    used: Sender<Batch>,
    thread: JoinHandle<()>,
}

impl Loader {
    /// Starts loading from batch `first` on. Half of the cores are enough to keep a step on the other half, or on a card,
    /// supplied; the number changes no byte.
    pub fn start(plan: Plan, first: usize) -> Loader {
        let workers = (rayon::current_num_threads() / 2).clamp(1, MOST_WORKERS);
        Loader::with_workers(plan, first, workers)
    }

    fn with_workers(plan: Plan, first: usize, workers: usize) -> Loader {
        let end = plan.batches.len();
        let plan = Arc::new(plan);
        let workers = (0..workers.min(end.saturating_sub(first)))
            .map(|worker| Worker::start(Arc::clone(&plan), worker, (first + worker..end).step_by(workers)))
            .collect();
        Loader { workers, next: 0, end: end.saturating_sub(first) }
    }

    /// The next batch; give it back with [`Loader::recycle`].
    pub fn next_batch(&mut self) -> Option<Result<Batch, DegradeError>> {
        if self.next == self.end {
            return None;
        }
        let worker = self.next % self.workers.len();
        self.next += 1;
        match self.workers[worker].filled.recv() {
            Ok(batch) => Some(batch),
            Err(mpsc::RecvError) => self.rethrow(worker),
        }
    }

    /// Lets a batch's memory be filled again.
    pub fn recycle(&self, batch: Batch) {
        // A worker that has filled its last batch listens no more, and then the memory is not needed either.
        let _ = self.workers[batch.worker].used.send(batch);
    }

    /// A worker hangs up before its last batch only if it panicked.
    fn rethrow(&mut self, worker: usize) -> ! {
        match self.workers.swap_remove(worker).thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("the loader's thread ended early"),
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        for Worker { filled, used, thread } in self.workers.drain(..) {
            // Hanging up ends the thread.
            drop((filled, used));
            let _ = thread.join();
        }
    }
}

impl Worker {
    fn start(plan: Arc<Plan>, worker: usize, batches: impl Iterator<Item = usize> + Send + 'static) -> Worker {
        let (used, to_fill) = mpsc::channel::<Batch>();
        let (to_use, filled) = mpsc::channel();
        for _ in 0..BUFFERS {
            let _ = used.send(Batch { worker, ..Batch::default() });
        }
        let thread = thread::spawn(move || {
            for index in batches {
                let Ok(mut batch) = to_fill.recv() else {
                    return;
                };
                let result = batch.fill(&plan, plan.batches[index].clone()).map(|()| batch);
                if to_use.send(result).is_err() {
                    return;
                }
            }
        });
        Worker { filled, used, thread }
    }
}

#[cfg(test)]
mod tests {
    use artifacts::Split;

    use super::*;
    use crate::config::Augment;
    use crate::order;
    use crate::testing;

    fn plan(shards: &Arc<Shards>, augment: bool) -> Plan {
        let augment = Augment { flip: augment, ..Augment::default() };
        Plan {
            shards: Arc::clone(shards),
            order: order::shuffled(1, 1, shards.len()),
            batches: order::batches(shards.len(), 4),
            augmenter: Augmenter::new(&augment, 1, 1),
        }
    }

    fn load(plan: Plan, first: usize, workers: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut loader = Loader::with_workers(plan, first, workers);
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
    fn batches_are_the_plan_whatever_the_number_of_workers() {
        let run = testing::ingested(&[(Split::Train, 23)]);
        let shards = Arc::new(Shards::open(&run.dir().ingest(), Split::Train).unwrap());
        let alone = load(plan(&shards, true), 0, 1);
        assert_eq!(alone.len(), 6);
        for workers in [2, 5, 9] {
            assert_eq!(load(plan(&shards, true), 0, workers), alone, "{workers} workers");
        }
        assert_eq!(load(plan(&shards, true), 4, 2), alone[4..]);
        assert!(load(plan(&shards, true), 6, 2).is_empty());

        let plain = plan(&shards, false);
        let first = &plain.order[plain.batches[0].clone()];
        let expected: Vec<u8> = first.iter().flat_map(|&i| shards.pixels(i)).copied().collect();
        assert_eq!(load(plan(&shards, false), 0, 2)[0].0, expected);
    }

    #[test]
    fn memory_goes_round() {
        let run = testing::ingested(&[(Split::Train, 40)]);
        let shards = Arc::new(Shards::open(&run.dir().ingest(), Split::Train).unwrap());
        let mut loader = Loader::with_workers(plan(&shards, false), 0, 2);
        let mut places = std::collections::BTreeSet::new();
        while let Some(batch) = loader.next_batch() {
            let batch = batch.unwrap();
            places.insert(batch.pixels.as_ptr() as usize);
            loader.recycle(batch);
        }
        assert!(places.len() <= 2 * BUFFERS, "{} buffers", places.len());
    }

    #[test]
    fn an_abandoned_loader_ends_its_threads() {
        let run = testing::ingested(&[(Split::Train, 40)]);
        let shards = Arc::new(Shards::open(&run.dir().ingest(), Split::Train).unwrap());
        let mut loader = Loader::with_workers(plan(&shards, false), 0, 2);
        loader.next_batch().unwrap().unwrap();
        drop(loader);
        assert_eq!(Arc::strong_count(&shards), 1);
    }
}
