//! order: which of the contestants' messages came first.
