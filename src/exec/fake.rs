//! A scripted executor: jobs end as a test says, in virtual time, and nothing is started.
//! It must not know stages; a script names jobs.
