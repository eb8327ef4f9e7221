"""Data sets, in NumPy: a module for each, which a YAML of ``configs/data`` names.

What they return is in :mod:`dlrun.data.dataset`, and :mod:`dlrun.data.source` for samples that are
described before they are read. The rooms:

- ``table_formats``, ``row_formats``: a module for each format of tables, to train or to predict.
- ``tabular``: what every table goes through, from its files to arrays.
- ``columns``: a module for each kind of column. ``preprocessing``: one for each step.
- ``readers``: a module for each sort of input that a run is asked about.
- ``images``, ``files``, ``tfds_folders``: what is read. ``description``: what ``dlrun data`` tells.
"""
