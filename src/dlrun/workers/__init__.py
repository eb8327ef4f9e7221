"""Worker processes that train one run after another; ``launch``: those of one run."""
