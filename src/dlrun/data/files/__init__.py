"""Files of a user: named on the command line, of texts, of pickled arrays, or made in parts."""
