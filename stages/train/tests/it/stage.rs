//! The whole stage with the native engine.
