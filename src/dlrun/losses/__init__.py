"""dlrun's own losses; a Keras loss needs only a YAML file."""
