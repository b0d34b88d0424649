//! Damage to files: changed, lost, repeated and foreign bytes.

use artifacts::random::Stream;
use rand::RngExt;

/// The longest input in bytes.
const MAX_LENGTH: usize = 256 << 10;
/// The most changes to one input.
const MAX_CHANGES: usize = 8;
/// Numbers at which lengths, counts and offsets are often handled wrongly.
const EDGES: [u64; 12] =
    [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, u64::MAX];

/// Returns a damaged copy of `file`. `other` is another valid file, of which parts may be inserted.
pub(crate) fn mutate(file: &[u8], other: &[u8], random: &mut Stream) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for _ in 0..random.random_range(1..=MAX_CHANGES) {
        change(&mut bytes, other, random);
    }
    bytes.truncate(MAX_LENGTH);
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], random: &mut Stream) {
    if bytes.is_empty() {
        bytes.push(random.random());
        return;
    }
    let at = random.random_range(0..bytes.len());
    let length = random.random_range(1..=16.min(bytes.len() - at));
    match random.random_range(0..9) {
        0 => bytes[at] ^= 1 << random.random_range(0..8),
        1 => bytes[at] = random.random(),
        2 => write_number(bytes, at, random),
        3 => drop(bytes.drain(at..at + length)),
        4 => {
            let part = bytes[at..at + length].to_vec();
            let to = random.random_range(0..=bytes.len());
            drop(bytes.splice(to..to, part));
        }
        5 => {
            let fresh: Vec<u8> = (0..length).map(|_| random.random()).collect();
            drop(bytes.splice(at..at, fresh));
        }
        6 => drop(bytes.splice(at..at, part_of(other, random))),
        7 => {
            let to = random.random_range(0..bytes.len() - length + 1);
            bytes.copy_within(at..at + length, to);
        }
        _ => bytes.truncate(at),
    }
}

/// Overwrites two, four or eight bytes with an edge case, in one of both byte orders.
fn write_number(bytes: &mut [u8], at: usize, random: &mut Stream) {
    let value = EDGES[random.random_range(0..EDGES.len())];
    let width = [2, 4, 8][random.random_range(0..3_usize)];
    let number =
        if random.random() { value.to_le_bytes()[..width].to_vec() } else { value.to_be_bytes()[8 - width..].to_vec() };
    let end = bytes.len().min(at + width);
    bytes[at..end].copy_from_slice(&number[..end - at]);
}

fn part_of(file: &[u8], random: &mut Stream) -> Vec<u8> {
    if file.is_empty() {
        return Vec::new();
    }
    let start = random.random_range(0..file.len());
    let end = random.random_range(start..file.len().min(start + 256)) + 1;
    file[start..end.min(file.len())].to_vec()
}

#[cfg(test)]
mod tests {
    use artifacts::random::stream;

    use super::*;

    #[test]
    fn damage_is_repeatable_and_of_limited_length() {
        let file: Vec<u8> = (0..=255).collect();
        let of = |case| mutate(&file, b"other", &mut stream(1, "x", &[case]));
        assert_eq!(of(3), of(3));
        let changed = (0..200).filter(|case| of(*case) != file).count();
        assert!(changed > 190, "{changed}");
        for case in 0..500 {
            let input = mutate(&[7; MAX_LENGTH], &[8; 900], &mut stream(2, "x", &[case]));
            assert!(input.len() <= MAX_LENGTH);
            mutate(&[], &[], &mut stream(2, "x", &[case]));
        }
    }
}
