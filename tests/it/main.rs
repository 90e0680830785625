//! Behaviour of the whole: the binary, run in a folder of its own. One file a behaviour.

mod crash;
mod failures;
mod freshness;
mod scheduling;
mod space;
mod verbs;
