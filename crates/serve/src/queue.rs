//! A bounded queue that serves clients in turn.
//!
//! Each client has a lane, in which its jobs are in the order of their arrival. [`Queue::pop`] takes one job of each lane
//! in turn, so that a client with one picture does not wait for all pictures of another. No client can have more than half
//! of the places, so that there is room for the others.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The name of a client: an identifier that a page has chosen, or a connection.
pub(crate) type Client = String;

/// The queue has no place for another job of this client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

#[derive(Debug)]
pub(crate) struct Queue<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct State<J> {
    lanes: VecDeque<Lane<J>>,
    waiting: usize,
    next_id: u64,
    closed: bool,
}

#[derive(Debug)]
struct Lane<J> {
    client: Client,
    jobs: VecDeque<(u64, J)>,
}

/// A place in the queue. Dropping it removes the job, unless it was taken.
#[derive(Debug)]
pub(crate) struct Place<J> {
    queue: Arc<Queue<J>>,
    id: u64,
}

impl<J> Drop for Place<J> {
    fn drop(&mut self) {
        self.queue.remove(self.id);
    }
}

impl<J> Queue<J> {
    /// Makes a queue for at most `capacity` waiting jobs.
    pub(crate) fn new(capacity: usize) -> Arc<Queue<J>> {
        let state = State { lanes: VecDeque::new(), waiting: 0, next_id: 0, closed: false };
        Arc::new(Queue { state: Mutex::new(state), changed: Condvar::new(), capacity })
    }

    /// Adds a job.
    ///
    /// # Errors
    /// The queue is full or closed, or the client has its share of the places already.
    pub(crate) fn push(self: &Arc<Self>, client: Client, job: J) -> Result<Place<J>, Full> {
        let mut state = self.lock();
        let lane = state.lanes.iter().position(|lane| lane.client == client);
        let own = lane.map_or(0, |lane| state.lanes[lane].jobs.len());
        if state.closed || state.waiting >= self.capacity || own >= self.share() {
            return Err(Full);
        }
        let id = state.next_id;
        state.next_id += 1;
        state.waiting += 1;
        match lane {
            Some(lane) => state.lanes[lane].jobs.push_back((id, job)),
            None => state.lanes.push_back(Lane { client, jobs: VecDeque::from([(id, job)]) }),
        }
        drop(state);
        self.changed.notify_one();
        Ok(Place { queue: Arc::clone(self), id })
    }

    /// Whether a job of this client would be refused now.
    pub(crate) fn is_full_for(&self, client: &str) -> bool {
        let state = self.lock();
        let own = state.lanes.iter().find(|lane| lane.client == client).map_or(0, |lane| lane.jobs.len());
        state.closed || state.waiting >= self.capacity || own >= self.share()
    }

    /// Waits for the next job and removes it. Returns `None` when the queue is closed.
    pub(crate) fn pop(&self) -> Option<J> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(mut lane) = state.lanes.pop_front() {
                let job = lane.jobs.pop_front();
                if !lane.jobs.is_empty() {
                    state.lanes.push_back(lane);
                }
                if let Some((_, job)) = job {
                    state.waiting -= 1;
                    return Some(job);
                }
                continue;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Refuses further jobs and drops those that wait.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.waiting = 0;
        let lanes = std::mem::take(&mut state.lanes);
        drop(state);
        self.changed.notify_all();
        drop(lanes);
    }

    /// The number of jobs that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    /// The largest number of waiting jobs.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The largest number of waiting jobs of a client.
    fn share(&self) -> usize {
        self.capacity.div_ceil(2)
    }

    fn remove(&self, id: u64) {
        let mut state = self.lock();
        let mut removed = None;
        for lane in &mut state.lanes {
            if let Some(at) = lane.jobs.iter().position(|job| job.0 == id) {
                removed = lane.jobs.remove(at);
                break;
            }
        }
        if removed.is_some() {
            state.waiting -= 1;
            state.lanes.retain(|lane| !lane.jobs.is_empty());
        }
        drop(state);
        // The job is dropped after the lock, because its parts may use the queue.
        drop(removed);
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // The state is consistent after each statement, so that a panic elsewhere does no harm.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &Arc<Queue<u32>>, client: &str, job: u32) -> Place<u32> {
        queue.push(client.to_owned(), job).unwrap()
    }

    #[test]
    fn serves_clients_in_turn() {
        let queue = Queue::new(16);
        let places: Vec<_> = [("a", 1), ("a", 2), ("a", 3), ("b", 10), ("c", 20), ("b", 11)]
            .map(|(client, job)| push(&queue, client, job))
            .into();
        let order: Vec<u32> = (0..6).map_while(|_| queue.pop()).collect();
        assert_eq!(order, [1, 10, 20, 2, 11, 3]);
        drop(places);
        assert_eq!(queue.waiting(), 0);
    }

    #[test]
    fn refuses_when_full_and_keeps_half_of_the_places_for_others() {
        let queue = Queue::new(4);
        let first = push(&queue, "a", 1);
        let _second = push(&queue, "a", 2);
        assert!(queue.is_full_for("a") && !queue.is_full_for("b"));
        assert_eq!(queue.push("a".to_owned(), 3).err(), Some(Full));
        let _others = (push(&queue, "b", 4), push(&queue, "c", 5));
        assert_eq!(queue.push("d".to_owned(), 6).err(), Some(Full));
        drop(first);
        let _last = push(&queue, "d", 6);
        assert_eq!(queue.waiting(), 4);
    }

    #[test]
    fn dropping_a_place_removes_its_job_unless_it_was_taken() {
        let queue = Queue::new(6);
        let taken = push(&queue, "a", 1);
        let given_up = push(&queue, "a", 2);
        let kept = push(&queue, "a", 3);
        assert_eq!(queue.pop(), Some(1));
        drop(taken);
        drop(given_up);
        assert_eq!((queue.waiting(), queue.pop()), (1, Some(3)));
        drop(kept);
    }

    #[test]
    fn closing_ends_a_waiting_worker_and_refuses_jobs() {
        let queue: Arc<Queue<u32>> = Queue::new(4);
        let worker = std::thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.pop()
        });
        queue.close();
        assert_eq!(worker.join().unwrap(), None);
        assert_eq!(queue.push("a".to_owned(), 1).err(), Some(Full));
    }
}
