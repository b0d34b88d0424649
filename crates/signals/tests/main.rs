//! The integration tests of `signals`, as one program: each file is a module.

mod golden;
mod limits;
