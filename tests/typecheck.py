"""The run-time checker of jaxtyping's shapes and dtypes in the tests: what `make shapes` switches on."""

from beartype import BeartypeConf, beartype

# As for type checkers (PEP 484), an int will do where a float is asked for.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
