"""What a broken build does before anything else of it is imported: in this one, nothing."""
