//! The first link test: is this text alphanumeric?
