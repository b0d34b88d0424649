//! Compares each kernel and convolution with plain loops in f64, in emulation and on the first card.

mod convolution;
mod descriptors;
mod head;
mod norm;
mod optimiser;
mod pool;
