"""What every table goes through: its columns typed, its rows split and encoded into arrays.

How a row becomes inputs, labels and a weight is in :mod:`dlrun.data.tabular.encode_rows`, for what
trains, evaluates and predicts alike.
"""
