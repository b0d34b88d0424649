//! Building blocks that the run's report and the comparison page share.

pub(crate) mod class_label;
pub(crate) mod definition_list;
pub(crate) mod example;
pub(crate) mod figure;
pub(crate) mod image;
pub(crate) mod layout;
pub(crate) mod limitations;
pub(crate) mod score_cells;
pub(crate) mod section;
pub(crate) mod table;
