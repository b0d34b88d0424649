//! Each kernel and convolution against plain loops, in emulation and on the first card.

mod convolution;
mod descriptors;
mod head;
mod norm;
mod optimiser;
mod pool;
