"""``dlrun launch``: one run in processes of one or several machines."""
