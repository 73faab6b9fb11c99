"""The run-time checker of jaxtyping's shapes and dtypes in all tests (`--jaxtyping-packages` in pyproject.toml)."""

from beartype import BeartypeConf, beartype

# As for type checkers (PEP 484), an int will do where a float is asked for.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
