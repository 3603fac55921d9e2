//! Whole connections, by bytes made here.
