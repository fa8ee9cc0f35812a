//! sequence: which client sent which number, and what got lost.
