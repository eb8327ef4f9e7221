"""Files, arrays, imports, processes and signals: the base of all other packages."""
