//! Cumulative counts of a pass over sorted images, in blocks that are summed by vector instructions.

/// The number of images in a block. A scalar search for the image at which a rate is reached runs in one block only.
pub(super) const BLOCK: usize = 1024;
/// Number of independent sums: one for each lane of a vector register. The order of summation does not depend on the
/// register's real width.
pub(super) const LANES: usize = 4;

/// Numbers of images with a property (hits), and of all images, up to the end of each tie. The first entry is the last
/// one of the previous block.
pub(super) struct CumulativeCounts {
    hits: [u32; BLOCK + 1],
    images: [u32; BLOCK + 1],
    len: usize,
}

impl CumulativeCounts {
    /// Begins a pass, with counts of 0.
    pub(super) fn new() -> CumulativeCounts {
        CumulativeCounts { hits: [0; BLOCK + 1], images: [0; BLOCK + 1], len: 1 }
    }

    /// Appends the counts up to an image. The next call overwrites them unless `tie_ends`.
    #[inline(always)]
    pub(super) fn put(&mut self, hits: u32, images: u32, tie_ends: bool) {
        // `len` is at most BLOCK, so `min` never changes it; it lets the compiler drop two bounds checks.
        let at = self.len.min(BLOCK);
        self.hits[at] = hits;
        self.images[at] = images;
        self.len = at + usize::from(tie_ends);
    }

    /// Begins the next block with the last entry of this one.
    pub(super) fn keep_only_last(&mut self) {
        self.hits[0] = self.hits[self.len - 1];
        self.images[0] = self.images[self.len - 1];
        self.len = 1;
    }

    /// The hits and the images. Both lists have the same length, which is at least 1.
    pub(super) fn slices(&self) -> (&[u32], &[u32]) {
        (&self.hits[..self.len], &self.images[..self.len])
    }
}

/// Adds (new `steps`) * hits / images at the end of each tie to `sums`. All lists have the same length, and are the
/// [`CumulativeCounts::slices`] of a block.
pub(super) fn add_ratio_steps(sums: &mut [f64; LANES], steps: &[u32], hits: &[u32], images: &[u32]) {
    let term =
        |before: u32, after: u32, hits: u32, images: u32| float(after - before) * (float(hits) / float(images.max(1)));
    let chunks = steps.chunks_exact(LANES).zip(steps[1..].chunks_exact(LANES));
    let ratios = hits[1..].chunks_exact(LANES).zip(images[1..].chunks_exact(LANES));
    for ((before, after), (hits, images)) in chunks.zip(ratios) {
        for lane in 0..LANES {
            sums[lane] += term(before[lane], after[lane], hits[lane], images[lane]);
        }
    }
    let ends = steps.len() - 1;
    for at in ends - ends % LANES..ends {
        sums[at % LANES] += term(steps[at], steps[at + 1], hits[at + 1], images[at + 1]);
    }
}

/// Converts a count by way of `i32`, because x86-64 has a vector instruction for signed integers only. A
/// [`super::Ranking`] has at most `i32::MAX` images.
#[inline(always)]
fn float(count: u32) -> f64 {
    f64::from(count as i32)
}
