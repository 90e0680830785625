//! The paper's networks on NVIDIA GPUs: the crate's map.
//! It must not know files, stages, epochs' schedules or where images come from.
