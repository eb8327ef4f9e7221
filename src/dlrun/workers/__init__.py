"""Worker processes, each of which trains several runs, one after another."""
