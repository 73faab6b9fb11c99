"""revmd: a rewindable molecular dynamics laboratory and a compact reversible engine in JAX."""

__version__ = "0.1.0"
