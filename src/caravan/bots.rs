//! Players inside the process.
