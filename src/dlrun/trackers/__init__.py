"""Trackers: where a run's parameters, metrics and files are also written, beside its directory.

Each module has one :class:`dlrun.trackers.protocol.Tracker`. A run never calls it: its values go
through a queue (:mod:`dlrun.trackers.client`) to a process that does
(:mod:`dlrun.trackers.process`). So a tracker can neither fail a run nor slow its steps, and only
that process imports its library.
"""
