"""Commands that prove a property: equal backends, exact resume, the books' numbers."""
