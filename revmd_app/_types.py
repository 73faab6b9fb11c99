"""Names for the array shapes that run through the package: coordinates are (3, atoms), never (atoms, 3)."""

from jaxtyping import Array, Float, Int, Int32, Int64, UInt16

Scalar = Float[Array, ""]
Counter = Int[Array, ""]
Vectors = Float[Array, "3 atoms"]
Lattice = Int64[Array, "3 atoms"]
ForceLattice = Int32[Array, "3 atoms"]
Words = UInt16[Array, "events 3 atoms"]
