"""Runs in a bucket, or wherever fsspec reaches: a working copy here, and the files there.

A run is always made and read in a folder of this machine. What is remote is a copy of that folder:
:mod:`dlrun.remote.mirror` sends it, :mod:`dlrun.remote.fetch` gets what is needed of it.
"""
