//! A product's output, cut into units of whole pixels: each is the work of one task, and has sums of its own.

/// The units of an output, `[pixels, channels]`.
#[derive(Clone, Debug)]
pub(crate) struct Units {
    channels: usize,
    /// The first pixel of each unit, and the end of the last.
    starts: Vec<usize>,
}

/// A unit's share of what is written.
pub(crate) struct Share<'a> {
    /// The first pixel, counted over all pictures.
    pub(crate) first_pixel: usize,
    /// Its pixels of the output.
    pub(crate) to: &'a mut [f32],
    /// Its sums, `[kinds, channels]`.
    pub(crate) sums: &'a mut [f32],
}

impl Units {
    /// Units that start at these pixels; the last of them is where the output ends.
    pub(crate) fn new(channels: usize, starts: Vec<usize>) -> Self {
        Self { channels, starts }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// Pixels of each.
    pub(crate) fn pixels(&self) -> Vec<usize> {
        self.starts.windows(2).map(|bounds| bounds[1] - bounds[0]).collect()
    }

    /// Elements of the output.
    pub(crate) fn output_len(&self) -> usize {
        self.starts[self.count()] * self.channels
    }

    /// Each unit's share of the output and of the sums, `[units, kinds, channels]`; either may be longer.
    pub(crate) fn split<'a>(&self, kinds: usize, mut to: &'a mut [f32], mut sums: &'a mut [f32]) -> Vec<Share<'a>> {
        let share = |bounds: &[usize]| {
            let (own, rest) = std::mem::take(&mut to).split_at_mut((bounds[1] - bounds[0]) * self.channels);
            let (own_sums, rest_of_sums) = std::mem::take(&mut sums).split_at_mut(kinds * self.channels);
            (to, sums) = (rest, rest_of_sums);
            Share { first_pixel: bounds[0], to: own, sums: own_sums }
        };
        self.starts.windows(2).map(share).collect()
    }
}
