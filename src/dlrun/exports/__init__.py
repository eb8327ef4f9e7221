"""Exports: the formats that a trained model is written in.

``formats`` has a module for each format of ``dlrun export``; ``content`` is what every exported
file says of itself, and ``measure`` runs a file in its own runtime.

A format of ``export=NAME``, which training writes on its own backend, is a module here with a
function ``export_NAME(model, *, spec, directory, ...)`` that writes a ``keras.Model``, whose
outputs are predictions, into a run directory, and returns the path. ``spec`` is the
:class:`dlrun.data.input_spec.InputSpec` that says what the model takes. ``check_NAME(model)``
beside it, if there is one, raises before training if this model can't be written.
"""
