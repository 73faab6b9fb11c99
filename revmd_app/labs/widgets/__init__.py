"""Parts that every lab uses: the atoms in nglview, live plots, and work in a child process."""
