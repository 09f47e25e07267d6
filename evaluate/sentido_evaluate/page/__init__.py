"""The page: one HTML file, which loads nothing and runs nothing."""
