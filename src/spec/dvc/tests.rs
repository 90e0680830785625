//! Single files and what becomes of them.
//! It must not know how.
