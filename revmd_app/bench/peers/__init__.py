"""One process for each engine in the contest: ours, jax-md, OpenMM. All take turns by the protocol of `turns.py`."""
