"""Published reference data, each with its citation, and the equilibrated states that ship with the package."""

from revmd_app.data.reference import ReferenceCurve, argon_reference, load_argon_rdf, load_water_rdf

__all__ = ["ReferenceCurve", "argon_reference", "load_argon_rdf", "load_water_rdf"]
