//! A sample of everything that peerd words: findings, reasons of a status tag, and checks of a path. For tests of the code that
//! renders, stores or sends them.

pub mod findings;
pub mod path_checks;
pub mod status_reasons;
