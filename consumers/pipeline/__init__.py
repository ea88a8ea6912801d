"""The stages of a chunk, in order: decode, prefetch, process, write (and isolate), settle. `flow` runs them."""
