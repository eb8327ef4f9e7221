"""dlrun's own metrics; a Keras metric needs only a YAML file."""
