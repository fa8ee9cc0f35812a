//! match: a tracker that finds the servers which hold a number.
