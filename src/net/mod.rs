//! The only sockets, clocks, files and signals, and the one poll loop.
