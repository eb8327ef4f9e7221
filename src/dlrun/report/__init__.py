"""What results look like to a person."""
