"""Files, arrays, imports, processes and signals: what everything else stands on."""
