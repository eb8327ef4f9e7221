"""What every table goes through: its columns typed, its rows split and encoded into arrays."""
