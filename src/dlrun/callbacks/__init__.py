"""dlrun's own callbacks; a Keras callback needs only a YAML file."""
