//! The partition of an output into units of whole pixels. A unit is computed by one task and has its own sums.

use super::values::ValuesMut;

/// The partition of an output, `[pixels, channels]`, into units.
#[derive(Clone, Debug)]
pub(crate) struct Units {
    channels: usize,
    /// The first pixel of each unit, followed by the end of the last.
    starts: Vec<usize>,
}

/// The memory that a unit writes to.
pub(crate) struct UnitOutput<'a> {
    /// The first pixel of the unit, counted over the whole batch.
    pub(crate) first_pixel: usize,
    /// The unit's part of the output.
    pub(crate) to: ValuesMut<'a>,
    /// The unit's per-channel sums, `[kinds, channels]`. The epilogue defines the kinds.
    pub(crate) sums: &'a mut [f32],
}

impl Units {
    /// Creates a partition from the first pixel of each unit, followed by the end of the output.
    pub(crate) fn new(channels: usize, starts: Vec<usize>) -> Self {
        Self { channels, starts }
    }

    /// The number of units.
    pub(crate) fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// The number of pixels of each unit.
    pub(crate) fn pixels(&self) -> Vec<usize> {
        self.starts.windows(2).map(|bounds| bounds[1] - bounds[0]).collect()
    }

    /// The number of elements of the output.
    pub(crate) fn output_len(&self) -> usize {
        self.starts[self.count()] * self.channels
    }

    /// Splits the output `to` and `sums`, `[units, kinds, channels]`, into the parts of each unit. Both may be longer.
    pub(crate) fn split<'a>(&self, kinds: usize, to: ValuesMut<'a>, mut sums: &'a mut [f32]) -> Vec<UnitOutput<'a>> {
        let (mut rest, mut outputs) = (to, Vec::with_capacity(self.count()));
        for bounds in self.starts.windows(2) {
            let (own, rest_of_output) = rest.split_at_mut((bounds[1] - bounds[0]) * self.channels);
            let (own_sums, rest_of_sums) = std::mem::take(&mut sums).split_at_mut(kinds * self.channels);
            (rest, sums) = (rest_of_output, rest_of_sums);
            outputs.push(UnitOutput { first_pixel: bounds[0], to: own, sums: own_sums });
        }
        outputs
    }
}

/// Returns the number of rows of `width` pixels for a unit, from half of `max_rows` to `max_rows`. It minimises the
/// share of unused pixels in register tiles of `tile` pixels.
pub(crate) fn best_rows_per_unit(max_rows: usize, width: usize, tile: usize) -> usize {
    let fullness = |&count: &usize| {
        let pixels = count * width;
        (pixels * 1000 / pixels.next_multiple_of(tile), count)
    };
    (max_rows.div_ceil(2)..=max_rows).max_by_key(fullness).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::best_rows_per_unit as best;

    #[test]
    fn chooses_rows_that_fill_register_tiles() {
        assert_eq!([best(9, 4, 6), best(9, 4, 14), best(4, 14, 6), best(1, 230, 6)], [9, 7, 3, 1]);
        for max_rows in 1..20_usize {
            for width in [1, 2, 7, 56] {
                assert!(
                    (max_rows.div_ceil(2)..=max_rows).contains(&best(max_rows, width, 6)),
                    "{max_rows} rows of {width}"
                );
            }
        }
    }
}
